"""Accuracy during training on fixed samples of each side of the split.

It is only reported: nothing in training depends on it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.results import Result
from keras_dnnts.studies.names.stream import distinct_lines

SAMPLE_SIZE = 500  # names per side
EVERY = 5000  # training names, which are updates where each is one name's
STEP, PREFIX = "sampled_step", "sampled_accuracy_"
Row = tuple[float | None, ...]
Measured = Mapping[int, tuple[float, ...]]  # shares by step


def draw_samples(dataset: NamesDataset, sides: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Draw distinct names of every side, each with one of its languages.

    Args:
        dataset: all names.
        sides: the lines (M,) int of every side, by its name.
        seed: names the streams.

    Returns:
        (at most ``SAMPLE_SIZE``,) int64 lines by side, in their order.
    """
    samples = {}
    for number, (side, lines) in enumerate(sides.items()):
        names = distinct_lines(dataset.texts, dataset.labels, lines)
        drawn = random_stream(seed, Purpose.SAMPLED_NAMES, number).permutation(len(names))[:SAMPLE_SIZE]
        samples[side] = names[np.sort(drawn)]
    return samples


def build_measure(
    dataset: NamesDataset,
    samples: Mapping[str, np.ndarray],
    prepare: Callable[[np.ndarray, np.ndarray], Callable[[], np.ndarray]],
    trained: np.ndarray,
    wanted: np.ndarray,
) -> Callable[[], tuple[float, ...]]:
    """Return what measures the share of each sample that a model classifies correctly.

    Args:
        dataset: all names.
        samples: lines by side.
        prepare: takes the letters (M, T) and the lengths (M,) of all samples, and returns what computes their logits
            (M, K), or log-probabilities, by the model as it is when that is called.
        trained, wanted: (K,) float, how frequent classes were in training, and how frequent they are to be.
    """
    lines = np.concatenate([*samples.values()])
    answer = prepare(dataset.letters[lines], dataset.lengths[lines])
    ends, shift = np.cumsum([len(sample) for sample in samples.values()])[:-1], np.log(wanted / trained)

    def measure() -> tuple[float, ...]:
        # As change_prior, but for what is the same for all classes.
        right = (answer() + shift).argmax(axis=1) == dataset.labels[lines]
        return tuple(float(part.mean()) for part in np.split(right, ends))

    return measure


@dataclass(frozen=True)
class Sampling:
    """Of which sides a training measures samples, and when.

    Attributes:
        sides: by name; none where nothing is measured.
        steps: after which of the training's steps, in the way in which its history counts them.
    """

    sides: tuple[str, ...]
    steps: tuple[int, ...]

    @classmethod
    def of_training(cls, sides: Iterable[str], steps: int, names: int = 1) -> "Sampling":
        """After the last of so many steps, and as many of them between as take about ``EVERY`` names or more.

        ``names``: about how many names one step takes, the same for every seed.
        """
        every = -(-EVERY // names)
        return cls(tuple(sides), (*range(every, steps, every), steps))

    @property
    def columns(self) -> list[str]:
        """What a history calls the shares."""
        return [f"{PREFIX}{side}" for side in self.sides]

    def extend_rows(self, rows: Iterable[tuple[int, float]], measured: Measured) -> Sequence[Row]:
        """The rows of a history, which begin with a step, with the shares that were measured after it."""
        nothing = (None,) * len(self.sides)
        return [(step, loss, *measured.get(step, nothing)) for step, loss in rows]

    def to_arrays(self, measured: Measured, names: int = 1) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What results hold of one seed's shares: those, and the training names seen until then, ``names`` a step.

        A step without any, of a run that an earlier version began, is NaN.
        """
        if not self.sides:
            return {}, {}
        nothing = (np.nan,) * len(self.sides)
        rows = np.array([measured.get(step, nothing) for step in self.steps], np.float64)
        return dict(zip(self.columns, rows.T, strict=True)), {STEP: np.array(self.steps, np.int64) * names}


def sampled_axes(parts: Iterable[str]) -> dict[str, str]:
    """The same for :class:`keras_dnnts.study.ResultFormat`."""
    return {STEP: "count samplings"} | {f"{PREFIX}{part}": "float seeds samplings" for part in parts}


def find_sampled(result: Result) -> dict[str, np.ndarray]:
    """The accuracies (seeds, samplings) of every part of a result, training names first; empty where it has none."""
    arrays: dict[str, Any] = {part: result.arrays.get(f"{PREFIX}{part}") for part in reversed(result.parts)}
    return {part: values for part, values in arrays.items() if values is not None and np.isfinite(values).any()}
