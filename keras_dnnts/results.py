"""What a run found, and how it is kept: ``results.json`` with a format version, its arrays in ``results.npz``."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.errors import UserError

FORMAT_VERSION = 1
RESULTS, ARRAYS = "results.json", "results.npz"
MODEL_NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "alexnet": "AlexNet", "resnet50": "ResNet50"}


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
        experiment: ``"names"`` or ``"cifar"``.
        config: the complete config as plain values.
        dataset: name, source, stand_in, content_hash, classes and counts.
        environment: versions, backend, device and machine.
        metrics: by name.
        details: what only this experiment has, as plain values (recall by class, most frequent confusions, …).
        arrays: history, confusion counts, … by name.
    """

    experiment: str
    config: dict[str, Any]
    dataset: dict[str, Any]
    environment: dict[str, Any]
    metrics: dict[str, Metric]
    details: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(repr=False)

    @property
    def model_name(self) -> str:
        """The cell or architecture, as titles write it."""
        return MODEL_NAMES[self.config["cell" if self.experiment == "names" else "arch"]]

    def save(self, folder: Path) -> None:
        """Write ``results.npz``, then ``results.json``: a run with the latter is finished."""
        np.savez_compressed(folder / ARRAYS, allow_pickle=False, **self.arrays)  # type: ignore[arg-type]
        plain = {"format_version": FORMAT_VERSION, **asdict(self)}
        plain["metrics"] = {name: metric.to_dict() for name, metric in self.metrics.items()}
        plain["arrays"] = ARRAYS
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / RESULTS).write_text(text + "\n", encoding="utf-8")


def load_result(folder: Path) -> Result:
    """Read a finished run.

    Raises:
        UserError: the folder holds no finished run, or its files are damaged or of another format version.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise UserError(f"{folder}: holds no finished run (no {RESULTS})")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        version = plain.pop("format_version")
        if version != FORMAT_VERSION:
            raise UserError(f"{path}: has format version {version}, this program reads version {FORMAT_VERSION}")
        plain["metrics"] = {name: _metric(values) for name, values in plain["metrics"].items()}
        with np.load(folder / plain["arrays"], allow_pickle=False) as arrays:
            plain["arrays"] = {name: arrays[name] for name in arrays.files}
        return Result(**plain)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is damaged ({error}); run the experiment again") from error


def _metric(plain: dict[str, Any]) -> Metric:
    intervals = plain.get("intervals_95")
    return Metric(tuple(plain["values"]), None if intervals is None else tuple((low, high) for low, high in intervals))


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
