"""A sweep's TOML file: an experiment's with a table ``[sweep]``, and the conditions that it stands for."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from keras_dnnts.config import Config, config_class, read_toml, shown
from keras_dnnts.errors import UserError
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.registry import find_study
from keras_dnnts.results.sweeps import label_of
from keras_dnnts.study import Selection, Study

TABLE, RANDOM = "sweep", "random"
DRAWS, SEED = "draws", "seed"
FROM, TO, SCALE, SCALES = "from", "to", "scale", ("linear", "log")
MOST_CONDITIONS = 10_000
DIGITS = 4  # of a number that is drawn: more would only make it hard to read
# Seeds give the error bars, and a worker process can start one engine only.
NOT_SWEPT = {
    "seed": "every condition has the same seeds, for its error bars",
    "seeds": "every condition has the same seeds, for its error bars",
    "backend": "a worker process runs one engine: make a sweep of each",
}


@dataclass(frozen=True)
class Condition:
    """Settings that are tried: the swept options' values by name, and the whole config with them."""

    values: Mapping[str, Any]
    config: Config

    @property
    def label(self) -> str:
        """Its values, as tables name it."""
        return label_of(self.values)


@dataclass(frozen=True)
class Sweep:
    """An experiment under many settings.

    Attributes:
        where: the file, for messages.
        study: of the experiment.
        selection: how its conditions are compared.
        options: those that are swept, in the order of the file.
        conditions: all, each once.
        plan: what the file and the command line said, as plain values.
    """

    where: str
    study: Study
    selection: Selection
    options: tuple[str, ...]
    conditions: tuple[Condition, ...]
    plan: Mapping[str, Any]

    def to_toml(self) -> str:
        """A file that stands for the same sweep."""
        return tomli_w.dumps(dict(self.plan))


def read_sweep(path: Path, given: Mapping[str, Any]) -> Sweep:
    """Read a sweep's file; ``given`` replaces options above its table.

    Raises:
        UserError: it is no sweep, sweeps what cannot be swept, or a condition makes no sense; the message names it.
    """
    where, written = str(path), read_toml(path)
    config_type = config_class(written.pop("experiment", None), where)
    study = find_study(config_type.experiment)
    table = written.pop(TABLE, None)
    if not isinstance(table, dict) or not table:
        raise UserError(f"{where}: has no table [{TABLE}]: list the values to try, as in learning_rate = [0.01, 0.02]")
    if study.selection is None:
        raise UserError(f"{where}: {study.name} has no validation part, on which conditions could be compared")
    base = {**config_type.with_present_names(written, where), **given}
    base.pop("content_hash", None)
    lists, drawn = _read_table(config_type, table, where)
    options = (*lists, *(name for name in drawn.options if name not in lists))
    for name in options:
        if name in base:
            raise UserError(f"{where}: {name} is swept and also set to {shown(base[name])}: leave one out")
    count = math.prod(map(len, lists.values())) * (drawn.count if drawn.options else 1)
    if count > MOST_CONDITIONS:
        raise UserError(f"{where}: stands for {count:,} combinations, and a sweep has at most {MOST_CONDITIONS:,}")
    conditions = tuple(_build_conditions(study, base, _combine(lists, drawn), where))
    _check_comparable(study, conditions, where)
    plan = {"experiment": study.name, **base, TABLE: table}
    return Sweep(where, study, study.selection, options, conditions, plan)


@dataclass(frozen=True)
class _Drawn:
    """Ranges that values are drawn from at random, by option."""

    options: Mapping[str, Mapping[str, Any]]
    count: int
    seed: int


def _read_table(config_type: type[Config], table: Mapping[str, Any], where: str) -> tuple[dict[str, list[Any]], _Drawn]:
    lists = config_type.with_present_names({name: value for name, value in table.items() if name != RANDOM}, where)
    for name, values in lists.items():
        _check_swept(config_type, name, where)
        if not isinstance(values, list) or not values:
            raise UserError(f"{where}: {TABLE}.{name} is {shown(values)}: give a list of values to try")
        if repeated := [value for i, value in enumerate(values) if value in values[:i]]:
            raise UserError(f"{where}: {TABLE}.{name} lists {shown(repeated[0])} twice")
    return lists, _read_random(config_type, table.get(RANDOM, {}), where)


def _read_random(config_type: type[Config], table: Any, where: str) -> _Drawn:
    place = f"{where}: {TABLE}.{RANDOM}"
    if not isinstance(table, dict):
        raise UserError(f"{place} is {shown(table)}: make it a table [{TABLE}.{RANDOM}] with {DRAWS} and ranges")
    count, seed = table.get(DRAWS), table.get(SEED, 0)
    ranges = {name: value for name, value in table.items() if name not in (DRAWS, SEED)}
    ranges = config_type.with_present_names(ranges, where)
    if not table:
        return _Drawn({}, 1, 0)
    for name, number, least in ((DRAWS, count, 1), (SEED, seed, 0)):
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number < 2**32:
            raise UserError(f"{place}.{name} is {shown(number)}: give a whole number of at least {least}")
    if not ranges:
        raise UserError(f"{place} draws nothing: add ranges, as in learning_rate = {{ {FROM} = 0.001, {TO} = 0.1 }}")
    assert isinstance(count, int)
    for name, value in ranges.items():
        _check_swept(config_type, name, where)
        _check_range(value, f"{place}.{name}")
        if "int" not in config_type.types()[name] and "float" not in config_type.types()[name]:
            raise UserError(f"{place}.{name}: is not a number: list its values in [{TABLE}]")
    return _Drawn(ranges, count, seed)


def _check_swept(config_type: type[Config], name: str, where: str) -> None:
    known = config_type.options()
    if name not in known:
        raise UserError(f"{where}: {TABLE}: unknown option {shown(name)}; known options: {', '.join(known)}")
    why = NOT_SWEPT.get(name) or (None if known[name].results_depend else "no result depends on it")
    selection = find_study(config_type.experiment).selection
    if selection is not None and name in selection.settings:
        why = "the sweep itself sets it, to compare conditions on validation data"
    if why:
        raise UserError(f"{where}: {TABLE}.{name} cannot be swept: {why}")


def _check_range(value: Any, place: str) -> None:
    example = f"{{ {FROM} = 0.001, {TO} = 0.1, {SCALE} = 'log' }}"
    if not isinstance(value, dict) or {*value} - {FROM, TO, SCALE} or not {FROM, TO} <= {*value}:
        raise UserError(f"{place} is {shown(value)}: give a range, as in {example}")
    low, high, scale = value[FROM], value[TO], value.get(SCALE, SCALES[0])
    numbers = all(
        isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in (low, high)
    )
    if not numbers or not low < high:
        raise UserError(f"{place}: {FROM} {shown(low)} {TO} {shown(high)} is no range of numbers")
    if scale not in SCALES:
        raise UserError(f"{place}.{SCALE} is {shown(scale)}: use one of {', '.join(SCALES)}")
    if scale == "log" and low <= 0:
        raise UserError(f"{place}: a range on a log scale begins above 0, not at {shown(low)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _combine(lists: Mapping[str, list[Any]], drawn: _Drawn) -> Iterator[dict[str, Any]]:
    """Every combination of the lists' values, each with every draw."""
    draws = list(_draw(drawn))
    for values in itertools.product(*lists.values()):
        yield from ({**dict(zip(lists, values, strict=True)), **draw} for draw in draws)


def _draw(drawn: _Drawn) -> Iterator[dict[str, Any]]:
    rng = random_stream(drawn.seed, Purpose.SWEEP)
    for _ in range(drawn.count):
        # Option after option in the order of the file, so that more draws begin with the same ones.
        yield {name: _draw_one(rng.random(), about) for name, about in drawn.options.items()}


def _draw_one(share: float, about: Mapping[str, Any]) -> int | float:
    low, high = about[FROM], about[TO]
    whole = isinstance(low, int) and isinstance(high, int)
    if about.get(SCALE) == "log":
        value = low * (high / low) ** share
    else:
        value = low + share * (high + (1 if whole else 0) - low)
    if whole:
        return min(int(value if about.get(SCALE) != "log" else round(value)), high)
    return float(f"{value:.{DIGITS}g}")


def _build_conditions(
    study: Study, base: Mapping[str, Any], combinations: Iterator[dict[str, Any]], where: str
) -> Iterator[Condition]:
    assert study.selection is not None
    seen: dict[str, str] = {}
    for number, values in enumerate(combinations, start=1):
        named = f"{where}: combination {number} ({label_of(values)})"
        config = study.config.from_dict({**base, **values, **study.selection.settings}, named)
        if problem := study.selection.find_problem(config):
            raise UserError(f"{named}: {problem}")
        text = config.to_toml()
        if text in seen and seen[text] != label_of(values):
            raise UserError(f"{named}: is the same run as {seen[text]}: leave one out")
        if text not in seen:  # numbers that are drawn may come twice
            yield Condition(values, config)
        seen[text] = label_of(values)


def _check_comparable(study: Study, conditions: Sequence[Condition], where: str) -> None:
    uses = {study.use(condition.config.to_dict()): condition.label for condition in conditions}
    if len(uses) > 1:
        (use, label), (other, other_label), *_ = uses.items()
        raise UserError(
            f"{where}: {label} and {other_label} are not measured alike ({use}, {other}), so that their accuracies "
            "mean different things: make a sweep of each"
        )
