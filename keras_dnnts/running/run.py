"""A run of any study: data, a training once a seed, what all seeds found, the result."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import numpy as np
from rich.console import Console

from keras_dnnts.analysis import most_frequent_confusions
from keras_dnnts.config import Config
from keras_dnnts.errors import UserError
from keras_dnnts.registry import find_study
from keras_dnnts.results import Result, collect_metrics
from keras_dnnts.running.console import RunProgress
from keras_dnnts.running.interruption import Interruption
from keras_dnnts.running.live import Live
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.runtime import choose_backend, describe_environment, start_engine
from keras_dnnts.running.together import check_launch, check_same_data, share
from keras_dnnts.study import SeedOutcome, Study, StudyData, Training


@dataclass(frozen=True)
class Run:
    """What all seeds of a run share.

    ``callbacks`` are a person's own, for every ``fit``; ``resources`` are given back once the run has ended.
    """

    config: Any
    data: Any
    directory: RunDirectory
    progress: RunProgress
    interruption: Interruption
    callbacks: tuple[Any, ...] = ()
    live: Live = field(default_factory=Live)
    resources: ExitStack = field(default_factory=ExitStack)

    def label(self, seed: int) -> str:
        """What progress calls a seed; empty for a run of one."""
        return f"seed {seed} · " if self.config.seeds > 1 else ""

    def save_history(self, seed: int, columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> None:
        """Put a seed's rows so far into ``history.csv``."""
        self.directory.write_history(seed, columns, rows)
        self.live.take(seed, columns, rows)

    def offer_history(
        self, seed: int, columns: Sequence[str], rows: Callable[[], Sequence[Sequence[float | None]]]
    ) -> None:
        """Have a seed's rows so far at hand for those who watch the run; costs nothing where nobody does."""
        self.live.offer(seed, columns, rows)


def run_study(
    config: Config,
    directory: RunDirectory,
    console: Console | None = None,
    interruption: Interruption | None = None,
    callbacks: Sequence[Any] = (),
    training: Callable[[Run], Training] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
    spell: Callable[[str], str] = str,
    threads: int | None = None,
    elsewhere: Callable[[Run, Sequence[int]], None] | None = None,
    live: Live | None = None,
) -> Result:
    """Train the model once a seed, evaluate it, and leave everything in ``directory``.

    ``callbacks`` are Keras's, for every ``fit``; with some, seeds are trained one after the other. ``training`` takes
    the place of the study's own. ``meanwhile`` is called in a thread of its own while the first seed is trained.
    ``spell`` writes the names of options on the console.
    ``threads`` is the most seeds that are trained side by side; None is one a core. ``elsewhere`` trains the seeds it
    is given on other machines, and leaves what they found in the directory. ``live`` tells others how the run goes.

    Raises:
        UserError: the data, backend, device or folder cannot be used, the data are others than the config names, or
            the loss stopped being finite.
        Interrupted: ``interruption`` was requested; ``directory`` can be resumed.
    """
    study = find_study(config.experiment)
    check_launch(study, config)
    trains = study.trains(config.to_dict())
    if trains:
        choose_backend(config.backend, config.device, config.automatic_device)
    data = study.load_data(config)
    content_hash = data.dataset.content_hash
    if not directory.has_begun:  # or its folder compares them
        config.check_data(content_hash)
    given, config = config, config.resolved(content_hash, **study.resolve(config, data))
    progress = RunProgress(console)
    progress.stage(_describe_data(study, data))
    for choice in study.choices(data):
        progress.stage(UserError(choice).spelled(spell))
    if trains:
        progress.stage(f"starting {config.backend}")
        start_engine()
    interruption = interruption or Interruption()
    interruption.rows = lambda: progress.rows
    run = Run(config, data, directory, progress, interruption, tuple(callbacks), live or Live())
    with run.resources:
        chosen = (training or study.training)(run)
        check_same_data(content_hash)
        progress.plan(chosen.steps * config.seeds, chosen.unit, chosen.round_size, config.seeds)
        progress.stage(_describe_training(study, config, chosen))
        with directory.open(config, content_hash, given):
            directory.path = share(directory.path)  # of a numbered one, the others could not know
            with progress, _beside(meanwhile), _followed(run):
                if elsewhere is not None:
                    _train_elsewhere(run, elsewhere)
                outcomes = _run_seeds(run, chosen, threads or count_cores())
            result = _gather(config, data, outcomes)
            directory.save_result(result)
    return result


@contextmanager
def _beside(work: Callable[[], object]) -> Iterator[None]:
    """Work in a thread of its own, which is waited for."""
    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _followed(run: Run) -> AbstractContextManager[None]:
    """Let others see how a run goes."""
    dataset, progress = run.data.dataset, run.progress

    def describe() -> dict[str, Any]:
        known = {"name": dataset.name, "source": dataset.source, "classes": list(dataset.classes)}
        return {"dataset": known, "done": progress.done, "total": progress.total, "unit": progress.unit}

    return run.live.follow(describe, run.directory.path, run.directory.checkpoints.before_writing)


def _describe_data(study: Study, data: StudyData) -> str:
    """What was read, and from where."""
    counts = data.describe()["counts"]
    examples = sum(next(each for each in counts.values() if isinstance(each, dict)).values())
    source, classes = data.dataset.source, data.dataset.classes
    words = study.for_data({"source": source, "classes": classes})
    return f"read {examples:,} {words.example[0]}, {len(classes)} {words.classes}, from {source}"


def _describe_training(study: Study, config: Config, training: Training) -> str:
    title = study.model_title(config.to_dict())
    if not study.trains(config.to_dict()):
        how = f"putting together {title}" if study.member_weights(config.to_dict()) else f"fitting {title} in NumPy"
        return how + (f": {config.seeds} seeds" if config.seeds > 1 else "")
    device = describe_environment()["device"]
    seeds = f"{config.seeds} seeds, each " if config.seeds > 1 else ""
    rounds = training.round_size
    length = f"{training.steps:,}" if rounds is None else f"at most {training.steps // rounds:,} epochs of {rounds:,}"
    return f"training {title} with {config.backend} on {device}: {seeds}{length} {training.unit}"


def _run_seeds(run: Run, training: Training, threads: int) -> list[SeedOutcome]:
    """Train seeds, side by side where they can be; evaluate one after the other.

    Seeds share nothing, so that each finds what it would find alone.
    """
    found = share({seed: run.directory.checkpoints.load_outcome(seed) for seed in run.config.all_seeds})
    missing = [seed for seed in found if found[seed] is None]
    # A person's callbacks know nothing of threads.
    workers = 1 if run.callbacks else min(training.side_by_side, len(missing), threads)
    train = _train_side_by_side if workers > 1 else _train_in_turn
    outcomes = {seed: _remember(run, training, seed, outcome) for seed, outcome in found.items() if outcome is not None}
    outcomes |= train(run, training, missing, workers)
    return [outcomes[seed] for seed in run.config.all_seeds]


def _train_elsewhere(run: Run, elsewhere: Callable[[Run, Sequence[int]], None]) -> None:
    checkpoints = run.directory.checkpoints
    if missing := [seed for seed in run.config.all_seeds if checkpoints.load_outcome(seed) is None]:
        elsewhere(run, missing)


def _train_in_turn(run: Run, training: Training, seeds: Sequence[int], workers: int) -> dict[int, SeedOutcome]:
    outcomes = {}
    for seed in seeds:
        prepared = training.prepare(seed)
        with run.interruption.after_step():
            trained = training.train(seed, prepared)
        outcomes[seed] = _finish(run, training, seed, trained)
    return outcomes


def _train_side_by_side(run: Run, training: Training, seeds: Sequence[int], workers: int) -> dict[int, SeedOutcome]:
    # Before there are threads: Keras builds one model at a time.
    prepared = {seed: training.prepare(seed) for seed in seeds}
    with run.interruption.after_step(), _threads(run, workers) as pool:
        trained: dict[int, Future] = {seed: pool.submit(training.train, seed, prepared[seed]) for seed in seeds}
        return {seed: _finish(run, training, seed, trained[seed].result()) for seed in seeds}


@contextmanager
def _threads(run: Run, workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads to train in; where one fails, the others stop."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield pool
        except BaseException:
            run.interruption.requested = True
            pool.shutdown(cancel_futures=True)
            raise


def _finish(run: Run, training: Training, seed: int, trained: Any) -> SeedOutcome:
    run.progress.stage(f"{run.label(seed)}evaluating")
    outcome = training.finish(seed, trained)
    _save_history(run, seed, outcome)
    run.directory.checkpoints.save_outcome(seed, vars(outcome))
    return outcome


def _remember(run: Run, training: Training, seed: int, outcome: dict[str, Any]) -> SeedOutcome:
    """What a seed found in an earlier process."""
    found = SeedOutcome(**outcome)
    run.progress.skip(training.steps, run.label(seed))
    _save_history(run, seed, found)
    return found


def _save_history(run: Run, seed: int, outcome: SeedOutcome) -> None:
    if outcome.columns:
        run.save_history(seed, outcome.columns, outcome.rows)


def count_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gather(config: Config, data: StudyData, outcomes: Sequence[SeedOutcome]) -> Result:
    first, dataset, study = outcomes[0], data.dataset, find_study(config.experiment)
    confusions = {part: np.stack([outcome.confusions[part] for outcome in outcomes]) for part in first.confusions}
    details = {
        "parameters": first.parameters,
        "recall": {part: _recall(counts, dataset.classes) for part, counts in confusions.items()},
        "most_frequent_confusions": {
            part: most_frequent_confusions(counts.sum(axis=0), dataset.classes) for part, counts in confusions.items()
        },
        "illustrated_seed": config.seed,
    }
    return Result(
        experiment=config.experiment,
        config=config.to_dict(),
        dataset={
            "name": dataset.name,
            "source": dataset.source,
            "stand_in": dataset.stand_in,
            "content_hash": dataset.content_hash,
            "classes": list(dataset.classes),
            **data.describe(),
        },
        environment=describe_environment(with_engine=study.trains(config.to_dict())) | first.environment,
        metrics=collect_metrics([outcome.metrics for outcome in outcomes]),
        details=details | first.details,
        arrays={
            **{name: _stack([outcome.curves[name] for outcome in outcomes]) for name in first.curves},
            **{f"confusion_{part}": counts for part, counts in confusions.items()},
            **first.arrays,
        },
    )


def _recall(confusions: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    """Mean over seeds of the fraction right of each class; None for a class without examples."""
    right, total = confusions.diagonal(axis1=1, axis2=2), confusions.sum(axis=2)
    seen = total > 0
    shares = np.where(seen, right / np.maximum(total, 1), 0).sum(axis=0)
    seeds = seen.sum(axis=0).tolist()
    return {name: share / n if n else None for name, share, n in zip(classes, shares.tolist(), seeds, strict=True)}


def _stack(curves: Sequence[np.ndarray]) -> np.ndarray:
    """(seeds, most points) float64, NaN where a seed has fewer."""
    stacked = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(stacked, curves, strict=True):
        row[: len(curve)] = curve
    return stacked
