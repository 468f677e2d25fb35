"""Confusion matrices."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from keras_dnnts.figures.style import PAGE_WIDTH, data_label, new_axes, styled, wrap_title, write_inside
from keras_dnnts.metrics import PER_CENT
from keras_dnnts.results import Result
from keras_dnnts.results.findings import MOST_WRITTEN, shorten, state_accuracy, state_confusion, write_cell

ROOMY = 20  # with more classes, numbers are smaller
MOST_NAMED = 160  # with more, not every class has room for its name
LARGEST_SIDE = 14.0  # inches


def confusion_figures(result: Result) -> dict[str, Callable[[], Axes]]:
    """The functions that draw the confusion matrix of each part of a run's data, by the figure's name."""
    parts = [part for part in result.study.parts if f"confusion_{part}" in result.arrays]
    return {f"confusion_{part}": partial(plot_part_confusion, result, part) for part in parts}


def plot_part_confusion(result: Result, part: str) -> Axes:
    """Draw the confusion matrix of one part of the data, all seeds together."""
    lines = [state_accuracy(result, part), state_confusion(result, part), data_label(result)]
    counts = result.arrays[f"confusion_{part}"].sum(axis=0)
    return plot_confusion(counts, result.dataset["classes"], wrap_title("\n".join(filter(None, lines))))


@styled
def plot_confusion(counts: np.ndarray, classes: Sequence[str], title: str, ax: Axes | None = None) -> Axes:
    """Draw row-normalised confusion counts (K, K), row = truth, column = guess.

    >>> import numpy as np
    >>> from keras_dnnts import plot_confusion
    >>> ax = plot_confusion(np.array([[8, 2], [1, 9]]), ["cat", "dog"], "Cats and dogs")
    >>> ax.get_title()
    'Cats and dogs'
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(classes) <= MOST_WRITTEN
    if few:
        side = float(np.clip(1.8 + 0.26 * len(classes), 4.0, PAGE_WIDTH))
    else:
        side = float(np.clip(1.8 + 0.078 * len(classes), PAGE_WIDTH, LARGEST_SIDE))
    if ax is None:
        ax = new_axes(max(side + 0.5, PAGE_WIDTH), side)  # however few the classes, a title has its width
        ax.figure.set_layout_engine("compressed")  # type: ignore[union-attr]
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    ax.grid(False)
    named = range(0, len(classes), -(-len(classes) // MOST_NAMED))
    labels = [shorten(classes[i]) for i in named]
    ax.set_xticks(named, labels, rotation=90, fontsize=8 if few else 5)
    ax.set_yticks(named, labels, fontsize=8 if few else 5)
    if few:
        _write_cells(ax, shares)
    ax.set_xlabel("guess")
    ax.set_ylabel("truth")
    ax.set_title(title, fontsize=9)
    bar = ax.figure.colorbar(
        image, ax=ax, shrink=0.8, label="share of the row", format=PercentFormatter(1, symbol=PER_CENT)
    )
    bar.outline.set_visible(False)  # type: ignore[operator]
    return ax


def _write_cells(ax: Axes, shares: np.ndarray) -> None:
    size = 6 if len(shares) <= ROOMY else 4.5
    for (row, column), share in np.ndenumerate(shares):
        if number := write_cell(share):
            colour = "white" if share > 0.55 else "black"
            write_inside(ax, column, row, number, colour, size)
