"""What a names model believes after every letter."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from keras_dnnts.figures.style import PAGE_WIDTH, data_label, styled, write_inside
from keras_dnnts.results import Result
from keras_dnnts.results.findings import shorten
from keras_dnnts.studies.names.findings import state_reading
from keras_dnnts.studies.names.illustrations import Reading

LEADING = 5  # classes shown of a name
LONGEST_TITLE = 36  # letters


@styled
def plot_reading(result: Result, side: str = "held_out") -> Axes:
    """Draw, for a few names, the probabilities of the leading classes after each letter; return the first axes.

    Names that the model gets right stand on the left, the others on the right. The leading classes of a name are the
    right one, the guess, and those that were most probable at any letter, the most probable at the end on top.

    >>> from keras_dnnts import load_result, plot_reading
    >>> ax = plot_reading(load_result("runs/gru"))
    >>> ax.figure.savefig("picture.svg")
    """
    reading = Reading.require(result.arrays, f"reading_{side}")
    names, truths, probabilities = reading.name, reading.truth, reading.probability
    ends = [int(np.isfinite(rows[:, 0]).sum()) - 1 for rows in probabilities]
    right = np.array([rows[end].argmax() for rows, end in zip(probabilities, ends, strict=True)]) == truths
    columns = [np.flatnonzero(right), np.flatnonzero(~right)]
    rows = max(map(len, columns))
    height = 0.75 + rows * (0.6 + 0.19 * min(LEADING, probabilities.shape[2]))
    figure, grid = plt.subplots(rows, 2, figsize=(PAGE_WIDTH, height), layout="constrained", squeeze=False)
    for column, shown in enumerate(columns):
        for row in range(rows):
            ax: Any = grid[row, column]
            if row >= len(shown):
                ax.set_axis_off()
                continue
            i = shown[row]
            _plot_name(ax, names[i], probabilities[i], int(truths[i]), result.dataset["classes"])
            ax.set_xlim(-0.5, probabilities.shape[1] - 0.5)
    where = "correct ones left, wrong ones right (truth bold)" if all(map(len, columns)) else "all correct"
    if not len(columns[0]):
        where = "all wrong"
    figure.suptitle(
        f"{state_reading(result, side, reading)}\n"
        f"Probabilities (%) after each letter of random names, {where}\n{data_label(result)}",
        fontsize=9,
    )
    return grid[0, 0]


def _plot_name(ax: Axes, name: str, probabilities: np.ndarray, truth: int, classes: list[str]) -> None:
    beliefs = probabilities[: len(name)]
    most, guess = beliefs.max(axis=0), int(beliefs[-1].argmax())
    most[[guess, truth]] = np.inf
    leading = np.argsort(-most, kind="stable")[:LEADING]
    leading = leading[np.argsort(-beliefs[-1, leading], kind="stable")]
    shown = beliefs[:, leading].T
    ax.imshow(shown, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for (row, column), share in np.ndenumerate(shown):
        if share >= 0.005:
            colour = "white" if share > 0.55 else "black"
            write_inside(ax, column, row, f"{100 * share:.0f}", colour)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(name)), [letter if letter != " " else "␣" for letter in name], fontsize=8)
    ax.set_yticks(range(len(leading)), [shorten(classes[label]) for label in leading], fontsize=7)
    ax.get_yticklabels()[leading.tolist().index(truth)].set_fontweight("bold")
    verdict = "correct" if guess == truth else f"truth: {shorten(classes[truth], 12)}"
    title = f"{shorten(name)}: {shorten(classes[guess], 12)}, {verdict}"
    ax.set_title(title if len(title) <= LONGEST_TITLE else f"{shorten(name)}: {verdict}", fontsize=8, loc="left")
