"""Seeded splits that keep the proportions of the classes, and never part the copies of a name."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.alphabets import unify
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.random_streams import Purpose, random_stream


@dataclass(frozen=True)
class NamesSplit:
    """Every line of a names data set, on one side.

    Attributes:
        train: (N,) int64 line indices, ascending.
        held_out: (M,) int64 line indices, ascending.
        validation: (V,) int64 line indices, ascending; empty unless the training side was split again.
    """

    train: np.ndarray
    held_out: np.ndarray
    validation: np.ndarray = field(default_factory=lambda: np.arange(0))


def split_names(dataset: NamesDataset, held_out_fraction: float = 0.2, seed: int = 0) -> NamesSplit:
    """Hold out a fraction of all distinct names, spread evenly over the categories.

    All copies of a name, in every category and whatever its case and spelling, are on one side. Names that occur in
    the same categories make a stratum, of which that fraction is held out to within one name; then every category
    that lacks a name on one side is given one there.

    Raises:
        UserError: the fraction is not inside (0, 1), or a category has too few distinct names for both sides.

    >>> from keras_dnnts import load_names_dataset, split_names
    >>> names = load_names_dataset("starter")
    >>> split = split_names(names, held_out_fraction=0.2, seed=0)
    >>> len(split.train) + len(split.held_out) == len(names.texts)
    True
    """
    if not 0 < held_out_fraction < 1:
        raise UserError(f"the held-out fraction is {held_out_fraction}, but must be between 0 and 1")
    lines, rng = np.arange(len(dataset.texts)), random_stream(seed, Purpose.SPLIT)
    advice = f"add names, or use {option_name('protocol')} reference"
    return NamesSplit(*_split_lines(dataset, lines, held_out_fraction, rng, advice))


def split_training_names(
    dataset: NamesDataset, split: NamesSplit, validation_fraction: float = 0.2, seed: int = 0
) -> NamesSplit:
    """Split the training side again, by the rules of :func:`split_names`; the held-out names stay as they are.

    Raises:
        UserError: a category has too few distinct training names for both sides.
    """
    rng = random_stream(seed, Purpose.VALIDATION_NAMES)
    advice = f"add names, or leave {option_name('select')} out"
    train, validation = _split_lines(dataset, split.train, validation_fraction, rng, advice)
    return NamesSplit(train, split.held_out, validation)


def _split_lines(
    dataset: NamesDataset, lines: np.ndarray, fraction: float, rng: np.random.Generator, advice: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the lines (N,) int64 stay, and which are put aside: a fraction of their distinct names."""
    line_names = [unify(unify(dataset.texts[line]).casefold()) for line in lines.tolist()]
    labels_of = defaultdict(set)
    for name, label in zip(line_names, dataset.labels[lines].tolist(), strict=True):
        labels_of[name].add(label)
    names = sorted(labels_of)
    strata = [tuple(sorted(labels_of[name])) for name in names]
    order = _shuffle_within(strata, rng)
    drawn = _draw_evenly(round(fraction * len(names)), len(names), rng)
    drawn = _cover_both_sides(drawn, [strata[i] for i in order], dataset.classes, advice)
    names_aside = {names[i] for i in order[drawn]}
    is_aside = np.array([name in names_aside for name in line_names])
    return lines[~is_aside], lines[is_aside]


def stratified_split(
    labels: np.ndarray, fractions: Sequence[float], seed: int, purpose: Purpose = Purpose.SPLIT
) -> tuple[np.ndarray, ...]:
    """Splits examples at random into parts that each get their share of each class, to within two examples.

    Args:
        labels: (N,) integers.
        fractions: the sizes of the parts relative to each other, such as 0.7, 0.1, 0.2 or 35_000, 5_000, 10_000.
        seed: of the draw.
        purpose: what the draw is for.

    Returns:
        One (n,) int64 array of ascending indices a part. The parts' sizes sum to N.
    """
    rng = random_stream(seed, purpose)
    ends = np.rint(len(labels) * np.cumsum(fractions) / np.sum(fractions)).astype(int)
    left = _shuffle_within(labels.tolist(), rng)
    parts = []
    for size in np.diff(ends, prepend=0):
        drawn = _draw_evenly(size, len(left), rng)
        parts.append(np.sort(left[drawn]))
        left = left[~drawn]
    return tuple(parts)


def _shuffle_within(strata: Sequence[Any], rng: np.random.Generator) -> np.ndarray:
    """(N,) int64 indices that sort the strata, in random order within each."""
    rank = {stratum: i for i, stratum in enumerate(sorted(set(strata)))}
    return np.lexsort((rng.random(len(strata)), np.array([rank[stratum] for stratum in strata])))


def _draw_evenly(count: int, total: int, rng: np.random.Generator) -> np.ndarray:
    """(total,) bool with ``count`` of them True at equal distances from a random start.

    Systematic sampling: any run of neighbours gets its share of the draw to within one.
    """
    start = rng.integers(max(total, 1))
    drawn_before = (np.arange(total + 1) * count + start) // max(total, 1)
    return np.diff(drawn_before) > 0


def _cover_both_sides(
    drawn: np.ndarray, strata: Sequence[tuple[int, ...]], classes: Sequence[str], advice: str
) -> np.ndarray:
    """``drawn`` (N,) bool, with names moved one by one until every class has one that is drawn and one that is not."""
    drawn = drawn.copy()
    counts = np.zeros((2, len(classes)), dtype=int)
    for side, stratum in zip(drawn.astype(int), strata, strict=True):
        counts[side, list(stratum)] += 1
    for side, label in np.argwhere(counts == 0):
        if counts[side, label] > 0:
            continue
        spare = (
            i for i, stratum in enumerate(strata) if label in stratum and counts[1 - side, list(stratum)].min() > 1
        )
        moved = next(spare, None)
        if moved is None:
            raise UserError(
                f"category {classes[label]} has too few distinct names ({counts[:, label].sum()}) to have one on each "
                f"side of the split: {advice}"
            )
        counts[side, list(strata[moved])] += 1
        counts[1 - side, list(strata[moved])] -= 1
        drawn[moved] = bool(side)
    return drawn
