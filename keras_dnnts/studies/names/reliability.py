"""How sure a names model is against how often it is right, in bins of confidence: what a reliability diagram shows."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from keras_dnnts.metrics import percent
from keras_dnnts.results import Result
from keras_dnnts.results.records import ArrayRecord

BINS = 10


@dataclass(frozen=True)
class Reliability(ArrayRecord):
    """Distinct names in B bins of equal width, by the probability that a model gave its answer.

    Attributes:
        count: (seeds, B) float64 number of names in each bin.
        confidence: (seeds, B) float64, their mean confidence; NaN in an empty bin.
        accuracy: (seeds, B) float64, the share of them that is answered correctly; NaN in an empty bin.
    """

    count: Annotated[np.ndarray, "finite seeds bins_"]
    confidence: Annotated[np.ndarray, "float seeds bins_"]
    accuracy: Annotated[np.ndarray, "float seeds bins_"]

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """(B,) mean over seeds of the confidences, and of the shares that are right; NaN in a bin that is empty."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a bin that is empty in every seed
            return np.nanmean(self.confidence, axis=0), np.nanmean(self.accuracy, axis=0)

    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """(M,) mean confidences and (seeds, M) shares that are right, of the bins that have a name in any seed."""
        confidence, accuracy = self.means
        return confidence[~np.isnan(accuracy)], self.accuracy[:, ~np.isnan(accuracy)]


def reliability_axes(parts: Iterable[str]) -> dict[str, str]:
    """What results may hold of it, for :class:`keras_dnnts.study.ResultFormat`."""
    axes: dict[str, str] = {}
    for part in parts:
        axes |= Reliability.axes(f"reliability_{part}")
    return axes


def find_reliability(result: Result) -> tuple[Reliability, str] | None:
    """What a result holds of the part of the data on which it is judged, and that part; None in earlier versions."""
    part = next(iter(result.parts))
    found = Reliability.from_arrays(result.arrays, f"reliability_{part}")
    return None if found is None else (found, part)


def state_reliability(result: Result, reliability: Reliability) -> str:
    """Say how sure a model is and how often it is right, over all names and seeds."""
    weight = reliability.count / reliability.count.sum()
    sure, right = (float(np.nansum(weight * values)) for values in (reliability.confidence, reliability.accuracy))
    return f"{result.model_name}: mean confidence {percent(sure)}, {percent(right)} of answers correct"


def state_error(result: Result, part: str) -> str:
    """The expected calibration error, as ± over seeds."""
    kind, name = result.study.kind, f"{part}_calibration_error"
    metric, known = result.metrics[name], kind(name)
    assert known is not None
    return f"Expected calibration error (15 bins): {known.format(metric.mean, metric.sd)}"
