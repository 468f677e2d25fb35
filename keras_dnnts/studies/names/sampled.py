"""How well a network tells names while it learns: fixed samples of the sides of its split, measured now and then.

What is found is shown and nothing else: training neither stops nor chooses by it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.results import Result
from keras_dnnts.studies.names.decisions import change_prior
from keras_dnnts.studies.names.numpy_model import Beginnings, NumpyNamesModel
from keras_dnnts.studies.names.stream import distinct_lines

SAMPLE_SIZE = 500  # names a side
EVERY = 5000  # updates
STEP, PREFIX = "sampled_step", "sampled_accuracy_"


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
    build_model: Callable[[], NumpyNamesModel],
    trained: np.ndarray,
    wanted: np.ndarray,
) -> Callable[[], tuple[float, ...]]:
    """Return what measures the share of each sample that a model classifies correctly.

    Args:
        dataset: all names.
        samples: lines by side.
        build_model: makes the model as it is when it is measured.
        trained, wanted: (K,) float, how frequent classes were in training, and how frequent they are to be.
    """
    lines = np.concatenate([*samples.values()])
    names = Beginnings.of_names(dataset.letters[lines], dataset.lengths[lines])
    ends = np.cumsum([len(sample) for sample in samples.values()])[:-1]

    def measure() -> tuple[float, ...]:
        answers = change_prior(build_model().log_probabilities_of(names), trained, wanted)
        right = answers.argmax(axis=1) == dataset.labels[lines]
        return tuple(float(part.mean()) for part in np.split(right, ends))

    return measure


def sampled_steps(updates: int) -> list[int]:
    """After which of so many updates samples are measured: every ``EVERY``, and the last."""
    return [*range(EVERY, updates, EVERY), updates]


def sampled_arrays(
    measured: Mapping[int, tuple[float, ...]], sides: Iterable[str], updates: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What results hold of one seed's measurements, by update: what every seed has, and the updates.

    An update without any, of a run that an earlier version began, is NaN.
    """
    steps, sides = sampled_steps(updates), list(sides)
    if not sides:
        return {}, {}
    nothing = (np.nan,) * len(sides)
    rows = np.array([measured.get(step, nothing) for step in steps], np.float64)
    return {f"{PREFIX}{side}": rows[:, i] for i, side in enumerate(sides)}, {STEP: np.array(steps, np.int64)}


def sampled_axes(parts: Iterable[str]) -> dict[str, str]:
    """The same for :class:`keras_dnnts.study.ResultFormat`."""
    return {STEP: "count samplings"} | {f"{PREFIX}{part}": "float seeds samplings" for part in parts}


def find_sampled(result: Result) -> dict[str, np.ndarray]:
    """The accuracies (seeds, samplings) of every part of a result, training names first; empty where it has none."""
    arrays: dict[str, Any] = {part: result.arrays.get(f"{PREFIX}{part}") for part in reversed(result.parts)}
    return {part: values for part, values in arrays.items() if values is not None and np.isfinite(values).any()}
