"""What a names model believes after every letter."""

from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from keras_dnnts.figures.style import PAGE_WIDTH, data_label, styled, wrap_title, write_inside
from keras_dnnts.results import Result
from keras_dnnts.results.findings import shorten
from keras_dnnts.studies.names.findings import state_reading
from keras_dnnts.studies.names.illustrations import Reading
from keras_dnnts.studies.names.reading import ReadName, summarise_reading

LONGEST_TITLE = 36  # letters
ABOVE_LETTERS = 17  # points from the axes to a name's title, the letters between them


@styled
def plot_reading(result: Result, side: str = "held_out") -> Axes:
    """Draw, for a few names, the probabilities of classes after each letter; return the first axes.

    Names that the model classifies correctly are on the left, the others on the right. Each has a row for the true
    class, for every class that leads after any letter and for the most probable ones at the end; the last row sums all
    others.

    >>> from keras_dnnts import load_result, plot_reading
    >>> ax = plot_reading(load_result("runs/gru"))
    >>> ax.figure.savefig("picture.svg")
    """
    reading = Reading.require(result.arrays, f"reading_{side}")
    rows = zip(reading.name.tolist(), reading.truth.tolist(), reading.probability, strict=True)
    shown = [summarise_reading(*row) for row in rows]
    columns = [[one for one in shown if one.guess == one.truth], [one for one in shown if one.guess != one.truth]]
    # Names side by side have as much room as the one with more rows needs.
    beside = [max(len(one.labels) for one in pair if one) for pair in zip_longest(*columns)]
    heights = [0.6 + 0.19 * rows for rows in beside]
    size = (PAGE_WIDTH, 0.75 + sum(heights))
    figure, grid = plt.subplots(
        len(heights), 2, figsize=size, layout="constrained", squeeze=False, height_ratios=heights
    )
    for (row, column), ax in np.ndenumerate(grid):
        if row < len(columns[column]):
            _plot_name(ax, columns[column][row], result.dataset["classes"])
            ax.set_xlim(-0.5, reading.probability.shape[1] - 0.5)
        else:
            ax.set_axis_off()
    where = "correct ones left, wrong ones right (truth bold)" if all(map(len, columns)) else "all correct"
    if not len(columns[0]):
        where = "all wrong"
    figure.suptitle(
        f"{wrap_title(state_reading(result, side, reading))}\n"
        f"Probabilities (%) after each letter of random names, {where}\n{data_label(result)}",
        fontsize=9,
    )
    return grid[0, 0]


def _plot_name(ax: Axes, one: ReadName, classes: list[str]) -> None:
    ax.imshow(one.percents, vmin=0, vmax=100, cmap="Blues", aspect="auto")
    for (row, column), percent in np.ndenumerate(one.percents):
        if percent:
            write_inside(ax, column, row, f"{percent}", "white" if percent > 55 else "black")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(one.name)), [letter if letter != " " else "␣" for letter in one.name], fontsize=8)
    labels = ["others" if label is None else shorten(classes[label]) for label in one.labels]
    ax.set_yticks(range(len(labels)), labels, fontsize=7)
    ax.get_yticklabels()[one.labels.index(one.truth)].set_fontweight("bold")
    truth = "✓" if one.guess == one.truth else f"(truth: {shorten(classes[one.truth], 12)})"
    title = f"{shorten(one.name)} → {shorten(classes[one.guess], 12)} {truth}"
    ax.set_title(
        title if len(title) <= LONGEST_TITLE else f"{shorten(one.name)} {truth}",
        fontsize=8,
        loc="left",
        pad=ABOVE_LETTERS,
    )
