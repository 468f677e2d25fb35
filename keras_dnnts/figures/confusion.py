"""The confusion matrix of either experiment."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from keras_dnnts.figures.style import PAGE_WIDTH, new_axes, shorten

MOST_WRITTEN = 20  # with more classes, cells are too small for a number


def plot_confusion(counts: np.ndarray, classes: Sequence[str], title: str, ax: Axes | None = None) -> Axes:
    """Draw row-normalised confusion counts (K, K), row = truth, column = guess."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Room for every name at a readable size, up to where a page ends.
    side = float(np.clip(1.8 + 0.26 * len(classes), 4.0, PAGE_WIDTH))
    ax = ax or new_axes(side + 0.5, side)
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    ax.grid(False)
    few = len(classes) <= MOST_WRITTEN
    labels = [shorten(name) for name in classes]
    ax.set_xticks(range(len(classes)), labels, rotation=90, fontsize=8 if few else 5)
    ax.set_yticks(range(len(classes)), labels, fontsize=8 if few else 5)
    if few:
        _write_cells(ax, shares)
    ax.set_xlabel("guess")
    ax.set_ylabel("truth")
    ax.set_title(title, fontsize=9)
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the row")
    return ax


def _write_cells(ax: Axes, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.55 else "black"
            ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=6, color=colour)
