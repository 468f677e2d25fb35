"""Running a sweep: its data, a run a condition, the choice, what the chosen condition scores in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_dnnts.config import Config
from keras_dnnts.errors import UserError
from keras_dnnts.report import has_report
from keras_dnnts.results import RESULTS, Result, load_result
from keras_dnnts.results.sweeps import (
    FAILED,
    FINISHED,
    ConditionResult,
    SweepResult,
    choose,
    conclude,
    final_metrics,
    shown_metrics,
    state_final,
)
from keras_dnnts.running.interruption import Interrupted, Interruption
from keras_dnnts.running.pools import NOBODY, Outcome, Pool, run_all
from keras_dnnts.running.run_directory import FIGURES
from keras_dnnts.running.worker import make_task
from keras_dnnts.sweeping.execution import Task, execute_run
from keras_dnnts.sweeping.folders import SweepDirectory
from keras_dnnts.sweeping.plan import Condition, Sweep


def resolve_conditions(sweep: Sweep) -> list[Condition]:
    """The conditions with all that their data settle, above all the data's hash; reads every data set once.

    Raises:
        UserError: the data are out of reach or cannot be used.
    """
    by_data: dict[tuple[str, ...], list[int]] = {}
    for place, condition in enumerate(sweep.conditions):
        by_data.setdefault(_data_key(condition.config), []).append(place)
    resolved = list(sweep.conditions)
    for places in by_data.values():
        data = sweep.study.load_data(resolved[places[0]].config)
        for place in places:
            config = resolved[place].config
            config = config.resolved(data.dataset.content_hash, **sweep.study.resolve(config, data))
            resolved[place] = replace(resolved[place], config=config)
    return resolved


def _data_key(config: Config) -> tuple[str, ...]:
    """What data a config's run reads."""
    of_data = (name for name, about in config.options().items() if about.section == "Data")
    return tuple(repr(getattr(config, name)) for name in (*of_data, "seed", "seeds"))


@dataclass(frozen=True)
class Place:
    """Where and how a sweep's runs are made.

    Attributes:
        directory: of the sweep, open.
        pool: of workers.
        interruption: may be requested at any time.
        listener: told of progress, see :func:`keras_dnnts.running.pools.run_all`.
        parent: the process whose end stops the runs; None where workers are on other machines.
        figures: whether those of every run are drawn, and not of final runs alone.
    """

    directory: SweepDirectory
    pool: Pool
    interruption: Interruption
    listener: Any = NOBODY
    parent: int | None = None
    figures: bool = False


@dataclass(frozen=True)
class Made:
    """Runs by label: their folders, what became of them, and what those that finished found, without arrays."""

    folders: dict[str, Path]
    outcomes: dict[str, Outcome]
    results: dict[str, Result]


def run_sweep(
    sweep: Sweep, conditions: Sequence[Condition], place: Place, shows_all_final: bool = False
) -> SweepResult:
    """Run all conditions, choose one on validation data, and judge that one on the final part of the data.

    Args:
        sweep: what to do.
        conditions: resolved, see :func:`resolve_conditions`.
        place: where.
        shows_all_final: judge every condition on the final part of the data.

    Raises:
        Interrupted: it was requested; given again, the sweep goes on.
        UserError: the workers are out of reach.
    """
    metric = sweep.selection.metric
    searched = _make_runs({one.label: one.config for one in conditions}, place, metric)
    chosen = choose(searched.results, metric)
    judged = list(searched.results) if shows_all_final else [chosen] if chosen is not None else []
    finals = _judge(sweep, {one.label: one.config for one in conditions if one.label in judged}, searched, place)
    return _gather(sweep, conditions, searched, finals, chosen, shows_all_final)


def _judge(sweep: Sweep, configs: Mapping[str, Config], searched: Made, place: Place) -> Made:
    """What conditions score on the final part of the data, by runs of their own where no run has measured it yet."""
    if not sweep.selection.settings:
        return Made(searched.folders, {}, {label: searched.results[label] for label in configs})
    fields = sweep.study.config.__dataclass_fields__
    usual: dict[str, Any] = {name: fields[name].default for name in sweep.selection.settings}
    finals = {label: replace(config, **usual) for label, config in configs.items()}
    return _make_runs(finals, replace(place, figures=True), None, "final,")


def _make_runs(configs: Mapping[str, Config], place: Place, metric: str | None, prefix: str = "") -> Made:
    """Make the runs that are not there yet, by label; those whose worker died go on elsewhere."""
    labels = [(prefix + label, config) for label, config in configs.items()]
    folders = dict(zip(configs, place.directory.find_or_name(labels), strict=True))
    done = {label for label, folder in folders.items() if _is_done(folder, place.figures)}
    tasks = {label: _task(configs[label], folders[label], place, metric) for label in configs if label not in done}
    place.listener.begin(len(configs), len(done), is_final=metric is None)
    outcomes = dict.fromkeys(done, Outcome(FINISHED)) | run_all(
        place.pool, execute_run, tasks, place.interruption, place.listener, place.directory.stop.touch
    )
    if place.interruption.requested:
        raise Interrupted
    ended = [label for label in configs if outcomes[label].state == FINISHED]
    return Made(folders, outcomes, {label: replace(load_result(folders[label]), arrays={}) for label in ended})


def _is_done(folder: Path, figures: bool) -> bool:
    wanted = [folder / RESULTS, *([folder / FIGURES] if figures else [])]
    return all(path.exists() for path in wanted) and has_report(folder)


def _task(config: Config, folder: Path, place: Place, metric: str | None) -> Task:
    return Task(make_task(config, folder, place.directory.stop, place.parent), metric, place.figures)


def _gather(
    sweep: Sweep,
    conditions: Sequence[Condition],
    searched: Made,
    finals: Made,
    chosen: str | None,
    shows_all_final: bool,
) -> SweepResult:
    first, selection = conditions[0].config, sweep.selection
    conclusions, method = conclude(searched.results, selection.metric, selection.words, selection.part)
    if chosen in finals.results:
        conclusions.append(state_final(finals.results[chosen]))
    dataset = next(iter(searched.results.values())).dataset if searched.results else {}
    titles = {sweep.study.model_title(condition.config.to_dict()) for condition in conditions}
    return SweepResult(
        experiment=sweep.study.name,
        model=titles.pop() if len(titles) == 1 else "",
        data=dataset.get("name", ""),
        stand_in=dataset.get("stand_in", False),
        options=sweep.options,
        seeds=first.seeds,
        metric=selection.metric,
        words=selection.words,
        conditions=tuple(_gather_condition(one, sweep, searched, finals) for one in conditions),
        chosen=chosen,
        shows_all_final=shows_all_final,
        conclusions=tuple(conclusions),
        method=method,
    )


def _gather_condition(condition: Condition, sweep: Sweep, searched: Made, finals: Made) -> ConditionResult:
    label = condition.label
    outcome, result, final = searched.outcomes[label], searched.results.get(label), finals.results.get(label)
    problem = "" if result else str(UserError(outcome.line or "it was stopped"))
    if result and label in finals.outcomes and not final:
        problem = f"its final run: {UserError(finals.outcomes[label].line)}"
    return ConditionResult(
        label=label,
        values=dict(condition.values),
        folder=searched.folders[label].name,
        state=FINISHED if result else FAILED,
        problem=problem,
        metrics=shown_metrics(result, sweep.selection.kept_back) if result else {},
        final_folder=finals.folders[label].name if final else "",
        final=final_metrics(final) if final else {},
    )
