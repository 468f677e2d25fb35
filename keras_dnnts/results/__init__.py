"""What a run found, and how it is kept: ``results.json`` with a format version, its arrays in ``results.npz``."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from keras_dnnts.config import config_from_dict
from keras_dnnts.errors import UserError
from keras_dnnts.metrics import MetricKind
from keras_dnnts.registry import find_study, study_names
from keras_dnnts.results.format import (
    COMMON_FIELDS,
    FORMAT_VERSION,
    READ_VERSIONS,
    FormatError,
    array_axes,
    check_arrays,
    check_classes,
    check_fields,
    check_metrics,
    check_parts,
)
from keras_dnnts.results.unfinished import explain_missing_results
from keras_dnnts.study import Study
from keras_dnnts.whole_files import write_whole, write_whole_text

RESULTS, ARRAYS = "results.json", "results.npz"
# Far above what any run leaves, far below what fills a computer's memory.
LARGEST_JSON_BYTES = 256 * 2**20
LARGEST_ARRAYS_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Metric:
    """One number measured once a seed.

    Attributes:
        values: one value a seed, in the order of the seeds.
        intervals_95: a 95 % interval for each value over the draw of names or images, where there is one.
    """

    values: tuple[float, ...]
    intervals_95: tuple[tuple[float, float], ...] | None = None

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over seeds; None for a single seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain: dict[str, Any] = {"mean": self.mean, "sd": self.sd, "values": list(self.values)}
        if self.intervals_95 is not None:
            plain["intervals_95"] = [list(interval) for interval in self.intervals_95]
        return plain


@dataclass(frozen=True)
class Result:
    """What a finished run found.

    Attributes:
        experiment: the study's name.
        config: the complete config as plain values.
        dataset: name, source, stand_in, content_hash, classes and counts.
        environment: versions, backend, device and machine.
        metrics: by name.
        details: what only this study has, as plain values (recall by class, most frequent confusions, …).
        arrays: history, confusion counts, … by name.

    >>> from keras_dnnts import load_result
    >>> result = load_result("runs/gru")
    >>> result.model_name, result.arrays["confusion_held_out"].shape
    ('GRU', (1, 18, 18))
    """

    experiment: str
    config: dict[str, Any]
    dataset: dict[str, Any]
    environment: dict[str, Any]
    metrics: dict[str, Metric]
    details: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(repr=False)

    @property
    def study(self) -> Study:
        """The study it is of, in words that fit its data."""
        return find_study(self.experiment).for_data(self.dataset)

    @property
    def model_name(self) -> str:
        """The model, as titles write it."""
        return self.study.model_title(self.config)

    @property
    def parts(self) -> dict[str, str]:
        """The parts of the data it was judged on, in words, the most telling first."""
        there = self.study.parts_of(self.config)
        return {part: words for part, words in self.study.parts.items() if part in there}

    @property
    def reported(self) -> dict[str, float]:
        """What the study's reference reports for the model, by metric; empty where there is nothing."""
        reference = self.study.reference
        return {} if reference is None else reference.reported(self.config)

    @property
    def measured(self) -> dict[str, MetricKind]:
        """The kinds of its metrics by name, in the order of tables, without details."""
        return {kind.name: kind for kind in self.study.metrics if kind.name in self.metrics and not kind.detail}

    def save(self, folder: Path) -> None:
        """Write ``results.npz``, then ``results.json``: a run with the latter is finished."""
        write_whole(
            folder / ARRAYS,
            lambda file: np.savez_compressed(file, allow_pickle=False, **self.arrays),  # type: ignore[arg-type]
        )
        plain = {"format_version": FORMAT_VERSION, **asdict(self)}
        plain["metrics"] = {name: metric.to_dict() for name, metric in self.metrics.items()}
        plain["arrays"] = ARRAYS
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
        write_whole_text(folder / RESULTS, text + "\n")


def load_result(folder: str | Path) -> Result:
    """Read a finished run.

    Raises:
        UserError: the folder holds no finished run, or its files are damaged, edited or of another format version; the
            message names the file and the place in it.

    >>> from keras_dnnts import load_result
    >>> load_result("runs/gru").config["model"]
    'gru'
    """
    folder = Path(folder)
    path = folder / RESULTS
    if not path.is_file():
        raise UserError(explain_missing_results(folder))
    with _named(path):
        plain = _read_fields(path)
    config, study = plain["config"], find_study(plain["experiment"])
    with _named(folder / ARRAYS):
        arrays = _read_arrays(folder / ARRAYS)
        lengths = {"seeds": config["seeds"], "classes": len(plain["dataset"]["classes"])}
        parts = study.parts_of(config)
        check_parts(study, parts, arrays)
        wanted = array_axes(study.result_format, parts, arrays, study.trains(config))
        check_arrays(arrays, wanted, lengths, study.result_format.may_be_empty)
    metrics = {name: _metric(values) for name, values in plain["metrics"].items()}
    known = {field.name: plain[field.name] for field in fields(Result)}
    return Result(**known | {"metrics": metrics, "arrays": arrays})


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turns whatever a damaged file makes its readers raise into one line."""
    try:
        yield
    except UserError:
        raise
    # Damage may show in the JSON, in the zip, in an array's header or in its values.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: is damaged or edited: {reason}: restore it or run the experiment again") from error


def _read_fields(path: Path) -> dict[str, Any]:
    """The checked content of ``results.json``; its config holds defaults for what an older version left out."""
    if path.stat().st_size > LARGEST_JSON_BYTES:
        raise FormatError(f"it has more than {LARGEST_JSON_BYTES} bytes")
    plain = json.loads(path.read_bytes().decode("utf-8"), parse_constant=_refuse_constant)
    check_fields(plain, {"format_version": int})
    if plain.get("kind") == "sweep":
        raise UserError(f"{path}: is a sweep's: name the folder of one of its runs, which lie beside it")
    if (version := plain["format_version"]) not in READ_VERSIONS:
        known = " and ".join(map(str, READ_VERSIONS))
        raise UserError(f"{path}: has format version {version}, this program reads versions {known}")
    check_fields(plain, COMMON_FIELDS)
    experiment = plain["experiment"]
    if experiment not in study_names():
        raise FormatError(f"experiment is {experiment!r}, not one of {', '.join(study_names())}")
    study = find_study(experiment)
    plain["config"] = study.config.with_present_names(plain["config"], f"{path}: config")
    check_fields(plain, study.result_format.fields)
    check_classes(plain)
    config = config_from_dict(plain["config"], where=f"{path}: config")
    if config.experiment != experiment:
        raise FormatError(f"config.experiment is {config.experiment!r}, not {experiment!r}")
    values = config.to_dict()
    check_parts(study, study.parts_of(values), plain["metrics"])
    check_metrics(plain["metrics"], study.kinds_of(values), config.seeds)
    if plain["arrays"] != ARRAYS:
        raise FormatError(f"arrays is {plain['arrays']!r}, not {ARRAYS!r}")
    return plain | {"config": values}


def _refuse_constant(name: str) -> NoReturn:
    raise FormatError(f"it holds {name}, which is not a finite number")


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FormatError("there is no such file")
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > LARGEST_ARRAYS_BYTES:
            raise FormatError(f"it unpacks to more than {LARGEST_ARRAYS_BYTES} bytes")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _metric(plain: dict[str, Any]) -> Metric:
    intervals = plain.get("intervals_95")
    return Metric(
        tuple(map(float, plain["values"])),
        None if intervals is None else tuple((float(low), float(high)) for low, high in intervals),
    )


def collect_metrics(runs: Sequence[dict[str, Any]]) -> dict[str, Metric]:
    """One :class:`Metric` a name from one dict a seed, whose values are numbers or ``(value, (low, high))``."""
    metrics = {}
    for name, first in runs[0].items():
        values = [run[name] for run in runs]
        if isinstance(first, tuple):
            numbers, intervals = zip(*values, strict=True)
            metrics[name] = Metric(tuple(map(float, numbers)), tuple(intervals))
        else:
            metrics[name] = Metric(tuple(map(float, values)))
    return metrics
