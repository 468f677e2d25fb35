"""What ``results.json`` and ``results.npz`` must hold. What else they hold is let be.

Plain values are described by plain values: a type; a list of what its items are; a dict of what its keys hold, ``EACH``
standing for all keys; ``Maybe(x)`` for ``x`` or null, ``IfThere(x)`` for ``x`` under a key that may be missing.
Arrays are described by a kind and the names of their axes, of which equal names have equal lengths.
"""

import fnmatch
import math
import sys
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_dnnts.metrics import MetricKind
from keras_dnnts.study import ResultFormat, Study

FORMAT_VERSION = 2  # 1: a names config calls its model `cell`, and every model was trained step by step
READ_VERSIONS = (1, 2)
EACH = "*"


@dataclass(frozen=True)
class Maybe:
    """The value described by ``wanted``, or null."""

    wanted: Any


@dataclass(frozen=True)
class IfThere:
    """The value described by ``wanted``, of a key that may be missing."""

    wanted: Any


METRIC = {"mean": float, "sd": Maybe(float), "values": [float]}
INTERVALS = [[float]]
SHARES_BY_CLASS = {EACH: {EACH: Maybe(float)}}
CONFUSIONS = {EACH: [{"truth": str, "guess": str, "fraction": float}]}
DETAILS = {"parameters": int, "recall": SHARES_BY_CLASS, "most_frequent_confusions": CONFUSIONS}

COMMON_FIELDS = {
    "experiment": str,
    "config": {"experiment": str, "seed": int, "seeds": int},
    "dataset": {"name": str, "source": str, "stand_in": bool, "content_hash": str, "classes": [str], "counts": dict},
    "environment": {"backend": str},
    "metrics": {EACH: METRIC},
    "details": DETAILS,
    "arrays": str,
}
ROUNDING = 1e-9
CONFUSIONS_AXES = "count seeds classes classes"

_KIND_NAMES = {
    "finite": "finite numbers",
    "float": "numbers",
    "count": "counts",
    "byte": "bytes",
    "class": "labels",
    "text": "texts",
    "flag": "truth values",
}
_TYPE_NAMES = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false", dict: "an object"}


class FormatError(ValueError):
    """A value that is missing or wrong; the message begins with its place, such as ``metrics.final_loss.values``."""


def check_fields(value: Any, wanted: Any, where: str = "") -> None:
    """Compare a plain value with its description.

    Raises:
        FormatError: something is missing, of another type, or a number that is not finite.
    """
    if isinstance(wanted, IfThere):
        check_fields(value, wanted.wanted, where)
    elif isinstance(wanted, Maybe):
        if value is not None:
            check_fields(value, wanted.wanted, where)
    elif isinstance(wanted, dict):
        _check_type(value, dict, where)
        for key in value if EACH in wanted else wanted:
            if key not in value:
                if isinstance(wanted[key], IfThere):
                    continue
                raise FormatError(f"{_join(where, key)} is missing")
            check_fields(value[key], wanted.get(EACH) or wanted[key], _join(where, key))
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            raise FormatError(f"{where} is {_shown(value)}, not a list")
        for position, item in enumerate(value):
            check_fields(item, wanted[0], f"{where}[{position}]")
    else:
        _check_type(value, wanted, where)


def check_parts(study: Study, parts: Sequence[str], present: Iterable[str]) -> None:
    """Check that no metric or array is of a part of the data that a run does not have.

    Raises:
        FormatError: one is.
    """
    absent = [part for part in study.parts if part not in parts]
    for name in present:
        if any(part in name for part in absent):
            raise FormatError(f"{name} is present, but the run has no such part of the data")


def array_axes(
    wanted: ResultFormat, parts: Sequence[str], present: Collection[str], trained: bool = True
) -> dict[str, str]:
    """The axes of all arrays that are checked, by name or by pattern of names, of a model that was trained or not."""
    confusions = {f"confusion_{part}": CONFUSIONS_AXES for part in parts}
    known = set(present)

    def _others(pattern: str) -> bool:
        return bool(set(fnmatch.filter(known, pattern)) - set(wanted.optional))

    optional = {name: axes for name, axes in wanted.optional.items() if name in known or _others(name)}
    return {**(wanted.arrays if trained else {}), **confusions, **optional}


def check_classes(plain: Mapping[str, Any]) -> None:
    """Check that there are classes to tell apart, and that what is told by class is told of these.

    Raises:
        FormatError: it is not so.
    """
    classes = set(plain["dataset"]["classes"])
    if len(classes) < 2 or len(classes) < len(plain["dataset"]["classes"]):
        raise FormatError("dataset.classes are not at least two, each once")
    for part, recall in plain["details"]["recall"].items():
        if recall.keys() != classes:
            raise FormatError(f"details.recall.{part} is not by dataset.classes")


def check_metrics(metrics: Mapping[str, Any], wanted: Sequence[MetricKind], seeds: int) -> None:
    """Check that metrics, as :data:`METRIC` describes them, are there with a value a seed and fitting statistics.

    Raises:
        FormatError: they do not.
    """
    shares = {kind.name: kind.is_share for kind in wanted}
    if missing := sorted(set(shares) - set(metrics)):
        raise FormatError(f"metrics.{missing[0]} is missing")
    for name, metric in metrics.items():
        where = f"metrics.{name}"
        values = [float(value) for value in metric["values"]]
        _check_length(values, seeds, f"{where}.values")
        if shares.get(name) and not all(0 <= value <= 1 for value in values):
            raise FormatError(f"{where}.values are not all between 0 and 1")
        with np.errstate(over="ignore", invalid="ignore"):
            statistics = {"mean": np.mean(values), "sd": np.std(values, ddof=1) if seeds > 1 else None}
        for statistic, value in statistics.items():
            if not _is_close(metric[statistic], value):
                raise FormatError(f"{where}.{statistic} is {metric[statistic]}, but that of its values is {value}")
        if metric.get("intervals_95") is not None:
            _check_intervals(metric["intervals_95"], values, f"{where}.intervals_95")


def check_arrays(
    arrays: Mapping[str, np.ndarray],
    axes_by_name: Mapping[str, str],
    lengths: Mapping[str, int],
    may_be_empty: Container[str] = (),
) -> None:
    """Check that the arrays are there, of their kinds, and fit each other and the axes' known ``lengths``.

    Raises:
        FormatError: they do not.
    """
    known = dict(lengths)
    for pattern, description in axes_by_name.items():
        names = [pattern] if pattern in arrays else sorted(set(fnmatch.filter(arrays, pattern)) - set(axes_by_name))
        if not names:
            raise FormatError(f"array {pattern} is missing")
        kind, *axes = description.split()
        for name in names:
            _check_shape(arrays[name].shape, axes, known, may_be_empty, f"array {name}")
            if not _is_of_kind(arrays[name], kind, known):
                raise FormatError(f"array {name} holds other values than {_KIND_NAMES[kind]}")


def _check_intervals(intervals: Any, values: list[float], where: str) -> None:
    check_fields(intervals, INTERVALS, where)
    _check_length(intervals, len(values), where)
    for position, (value, interval) in enumerate(zip(values, intervals, strict=True)):
        if len(interval) != 2 or not interval[0] - ROUNDING <= value <= interval[1] + ROUNDING:
            raise FormatError(f"{where}[{position}] is {_shown(interval)}, not two ends with {value} between them")


def _is_close(stated: float | None, computed: Any) -> bool:
    if stated is None or computed is None:
        return stated is computed
    return math.isclose(stated, computed, rel_tol=ROUNDING, abs_tol=ROUNDING)


def _check_shape(
    shape: tuple[int, ...], axes: list[str], known: dict[str, int], may_be_empty: Container[str], where: str
) -> None:
    if len(shape) != len(axes):
        raise FormatError(f"{where} has {len(shape)} axes, not {len(axes)}")
    for length, axis in zip(shape, axes, strict=True):
        wanted = int(axis) if axis.isdigit() else length if axis == "." else known.setdefault(axis, length)
        if length != wanted or (length == 0 and axis not in may_be_empty):
            raise FormatError(f"{where} has shape {shape}, which does not fit: expected {wanted or 1} {axis}")


def _is_of_kind(array: np.ndarray, kind: str, known: Mapping[str, int]) -> bool:
    if kind == "byte":
        return array.dtype == np.uint8
    if kind in ("text", "flag"):
        return array.dtype.kind == {"text": "U", "flag": "b"}[kind]
    if kind in ("float", "finite"):
        return array.dtype.kind == "f" and (kind == "float" or bool(np.isfinite(array).all()))
    most = known["classes"] if kind == "class" else math.inf
    return array.dtype.kind in "iu" and bool(((array >= 0) & (array < most)).all())


def _check_type(value: Any, wanted: type, where: str) -> None:
    kinds = (int, float) if wanted is float else wanted
    fits = isinstance(value, kinds) and (wanted is bool or not isinstance(value, bool))
    if fits and wanted is float:
        fits = abs(value) <= sys.float_info.max  # whole numbers have no limit in JSON
    if fits and wanted is str:
        fits = not any("\ud800" <= letter <= "\udfff" for letter in value)  # nothing can print or save these
    if not fits:
        raise FormatError(f"{where or 'it'} is {_shown(value)}, not {_TYPE_NAMES[wanted]}")


def _check_length(values: list, seeds: int, where: str) -> None:
    if len(values) != seeds:
        raise FormatError(f"{where} has {len(values)} entries, but there are {seeds} seeds")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
