"""Figures of the names experiment. Nothing is computed here but what a drawing needs."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from keras_dnnts.figures.confusion import plot_confusion
from keras_dnnts.figures.style import PAGE_WIDTH, colours, data_label, new_axes, percent, save_figure
from keras_dnnts.results import Result

SIDES = {"train": "training names", "held_out": "held-out names"}


def save_names_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures of a names run as PNG into ``folder`` and return their paths."""
    folder.mkdir(exist_ok=True)
    paths = [save_figure(plot_training_loss({_cell(result): result}), folder / "training_loss.png")]
    for side in SIDES:
        if f"confusion_{side}" in result.arrays:
            accuracy = percent(result.metrics[f"{side}_accuracy_by_class"])
            title = f"{_cell(result)} on {SIDES[side]}: {accuracy} of each language right\n{data_label(result)}"
            counts = result.arrays[f"confusion_{side}"].sum(axis=0)
            ax = plot_confusion(counts, result.dataset["classes"], title)
            paths.append(save_figure(ax, folder / f"confusion_{side}.png"))
    return paths


def plot_training_loss(results: Mapping[str, Result], ax: Axes | None = None) -> Axes:
    """Draw the mean loss per chunk of updates of runs by label, each with its range over seeds."""
    ax = ax or new_axes(PAGE_WIDTH, 3.4)
    for (label, result), colour in zip(results.items(), colours(len(results)), strict=True):
        steps, losses = result.arrays["loss_step"], result.arrays["loss"]
        ax.plot(steps, losses.mean(axis=0), color=colour, label=label, linewidth=1.4)
        if len(losses) > 1:
            ax.fill_between(steps, losses.min(axis=0), losses.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    most_seeds = max(len(result.arrays["loss"]) for result in results.values())
    ax.set_xlabel("updates")
    ax.set_ylabel("mean loss of 1,000 updates (nats)")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    spread = f", mean and range of {most_seeds} seeds" if most_seeds > 1 else ""
    subject = "Training loss" if len(results) > 1 else f"{next(iter(results))}: training loss"
    ax.set_title(f"{subject}{spread} · {data_label(*results.values())}")
    if len(results) > 1:
        ax.legend(frameon=False)
    return ax


def _cell(result: Result) -> str:
    return str(result.config["cell"]).upper()
