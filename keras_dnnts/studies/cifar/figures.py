"""Figures of the image study. Nothing is computed here but what a drawing needs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_dnnts.figures.confusion import confusion_figures, plot_part_confusion
from keras_dnnts.figures.style import PAGE_WIDTH, class_markers, colours, data_label, new_axes, set_value_axis, styled
from keras_dnnts.metrics import PER_CENT, percent
from keras_dnnts.results import Result
from keras_dnnts.results.findings import shorten, shorten_label
from keras_dnnts.studies.cifar.findings import (
    state_activations,
    state_epochs,
    state_map,
    state_mistakes,
    state_neighbours,
)
from keras_dnnts.studies.cifar.illustrations import (
    ACTIVATION,
    EMBEDDING,
    MAPS,
    MISTAKE,
    Activations,
    Embedding,
    ImageMistakes,
)

PARTS = {"train": ("training", "--"), "validation": ("validation", "-")}
MARGIN = 0.025  # around an embedding, of its side
AXIS_LABELS = {"loss": "mean cross-entropy (nats)", "accuracy": "accuracy"}


def cifar_figures(result: Result) -> dict[str, Callable[[], Axes]]:
    """What draws each figure of a run, by name; a model without taps or features has no figure of them."""
    figures: dict[str, Callable[[], Axes]] = {
        "curves": partial(plot_curves, result),
        **confusion_figures(result),
        "mistakes": partial(plot_mistakes, result),
    }
    if Activations.from_arrays(result.arrays, ACTIVATION):
        figures["activation_maps"] = partial(plot_activations, result)
    if Embedding.from_arrays(result.arrays, EMBEDDING):
        figures["tsne"] = partial(plot_embeddings, result)
    return figures


def plot_test_confusion(result: Result) -> Axes:
    """Draw the confusion matrix of the test images, all seeds together.

    >>> from keras_dnnts import load_result, plot_test_confusion
    >>> ax = plot_test_confusion(load_result("runs/alexnet"))
    >>> ax.figure.savefig("picture.svg")
    """
    return plot_part_confusion(result, "test")


@styled
def plot_curves(result: Result) -> Axes:
    """Draw loss and accuracy of training and validation by epoch, side by side; return the first axes.

    >>> from keras_dnnts import load_result, plot_curves
    >>> ax = plot_curves(load_result("runs/alexnet"))
    >>> ax.figure.savefig("picture.svg")
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.2), layout="constrained")
    plot_history({result.model_name: result}, "loss", left)
    plot_history({result.model_name: result}, "accuracy", right)
    figure.suptitle(f"{state_epochs(result)} · {data_label(result)}", fontsize=9)
    return left


@styled
def plot_history(results: Mapping[str, Result], quantity: str, ax: Axes | None = None) -> Axes:
    """Draw a quantity, ``"loss"`` or ``"accuracy"``, of runs by label: mean and range over seeds by epoch.

    >>> from keras_dnnts import load_result, plot_history
    >>> plot_history({"AlexNet": load_result("runs/alexnet")}, "accuracy").get_ylabel()
    'accuracy'
    """
    ax = ax or new_axes(PAGE_WIDTH, 3.4)
    shades = colours(len(results) if len(results) > 1 else len(PARTS))
    for i, (label, result) in enumerate(results.items()):
        for j, (part, (part_name, line)) in enumerate(PARTS.items()):
            values = result.arrays[f"history_{part}_{quantity}"]
            if np.isnan(values).all():
                continue  # a run without validation
            colour = shades[i if len(results) > 1 else j]
            epochs = np.arange(1, values.shape[1] + 1)
            name = f"{label}, {part_name}" if len(results) > 1 else part_name
            marker = "." if len(epochs) < 20 else None
            ax.plot(epochs, np.nanmean(values, axis=0), line, color=colour, label=name, linewidth=1.4, marker=marker)
            if len(values) > 1:
                low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
                ax.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.set_xlabel("epoch")
    ax.set_ylabel(AXIS_LABELS[quantity])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    set_value_axis(ax, [result.arrays[f"history_{part}_{quantity}"] for result in results.values() for part in PARTS])
    if quantity == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=PER_CENT))
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_losses(results: Mapping[str, Result], ax: Axes) -> None:
    """Draw the losses of runs by label, as the figure of a comparison shows them."""
    plot_history(results, "loss", ax)
    ax.set_title(f"Loss · {data_label(*results.values())}")


@styled
def plot_mistakes(result: Result) -> Axes:
    """Draw the images of the most confident mistakes with guess, confidence and truth; return the first axes.

    >>> from keras_dnnts import load_result, plot_mistakes
    >>> ax = plot_mistakes(load_result("runs/alexnet"))
    >>> ax.figure.savefig("picture.svg")
    """
    classes, mistakes = result.dataset["classes"], ImageMistakes.require(result.arrays, MISTAKE)
    columns = 4
    rows = max(-(-len(mistakes.image) // columns), 1)
    figure, grid = plt.subplots(
        rows, columns, figsize=(PAGE_WIDTH, 0.5 + 2.0 * rows), layout="constrained", squeeze=False
    )
    for ax in grid.flat:
        ax.set_axis_off()
    paths = _paths(mistakes.path, len(mistakes.image))
    shown = zip(grid.flat, mistakes.image, mistakes.truth, mistakes.guess, mistakes.confidence, paths, strict=False)
    for ax, image, truth, guess, confidence, path in shown:
        ax.imshow(image)
        _write_below(ax, path, 34)
        guessed = f"guess: {shorten(classes[guess], 12)}, {percent(confidence, 0)}"
        ax.set_title(f"{guessed}\ntruth: {shorten(classes[truth])}", fontsize=8)
    figure.suptitle(f"{state_mistakes(result, mistakes)}{_seed(result)} · {data_label(result)}", fontsize=9)
    return grid.flat[0]


@styled
def plot_activations(result: Result) -> Axes:
    """Draw each image with its activation maps, one row per layer and one column per channel; return the first axes.

    The grey levels of each map run from its own lowest value to its own highest.

    >>> from keras_dnnts import load_result, plot_activations
    >>> ax = plot_activations(load_result("runs/alexnet"))
    >>> ax.get_figure(root=True).savefig("picture.svg")
    """
    activations = Activations.require(result.arrays, ACTIVATION)
    images, layers = activations.image, activations.maps
    channels = max(maps.shape[-1] for maps in layers.values())
    paths = _paths(activations.path, len(images))
    width = 2.4
    height = PAGE_WIDTH / (channels + width) * len(layers) * len(images) * 1.08 + 0.5
    figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    figure.suptitle(
        f"{state_activations(result, activations)}{_seed(result)} (dark: lowest, bright: highest)\n"
        f"{data_label(result)}",
        fontsize=9,
    )
    blocks: Any = figure.subfigures(len(images), 1, squeeze=False)
    for i, block in enumerate(blocks[:, 0]):
        grid = block.add_gridspec(len(layers), channels + 1, width_ratios=[width, *[1] * channels])
        shown = block.add_subplot(grid[:, 0])
        shown.imshow(images[i])
        shown.set_title(shorten(result.dataset["classes"][activations.label[i]]), fontsize=8)
        shown.set_axis_off()
        _write_below(shown, paths[i], 28)
        for row, (layer, maps) in enumerate(layers.items()):
            _plot_maps(block, grid, row, layer, maps[i])
    return figure.axes[0]


def _plot_maps(block: Any, grid: Any, row: int, layer: str, maps: np.ndarray) -> None:
    for channel in range(maps.shape[-1]):
        ax = block.add_subplot(grid[row, channel + 1])
        ax.imshow(maps[..., channel], cmap="gray")
        ax.set_axis_off()
        if channel == 0:
            height, width = maps.shape[:2]
            # The empty title makes room above the map; one as wide as the text would push the next map aside.
            ax.set_title(" ", fontsize=7, pad=2)
            ax.text(
                0, 1.05, f"{layer.replace('_', ' ')}, {height}×{width}", fontsize=7, transform=ax.transAxes
            ).set_in_layout(False)


@styled
def plot_embeddings(result: Result) -> Axes:
    """Draw the positions of test images on both t-SNE maps, coloured by class; return the first axes.

    >>> from keras_dnnts import load_result, plot_embeddings
    >>> ax = plot_embeddings(load_result("runs/alexnet"))
    >>> ax.figure.savefig("picture.svg")
    """
    classes, embedding = result.dataset["classes"], Embedding.require(result.arrays, EMBEDDING)
    looks, named = class_markers(len(classes)), embedding.named_classes()
    figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.9), layout="constrained")
    size = 4 if len(embedding.label) > 500 else 9  # square points
    for ax, when in zip(panels, MAPS, strict=True):
        points = embedding.place(when)
        for label in np.unique(embedding.label).tolist():
            x, y = points[embedding.label == label].T
            colour, marker = looks[label]
            ax.scatter(x, y, s=size, color=colour, marker=marker, label=shorten(classes[label]), linewidths=0)
        ax.set_title(state_map(result, when), fontsize=9)
        ax.set_xlim(-MARGIN, 1 + MARGIN)
        ax.set_ylim(-MARGIN, 1 + MARGIN)
        ax.set_aspect("equal")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
    if named:
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=5, frameon=False, fontsize=8, markerscale=2)
    figure.suptitle(f"{state_neighbours(result, embedding)}{_seed(result)}\n{data_label(result)}", fontsize=9)
    return panels[0]


def _paths(paths: np.ndarray | None, count: int) -> list[str]:
    """The files of images; empty texts where they have none."""
    return [""] * count if paths is None else paths.tolist()


def _write_below(ax: Axes, path: str, longest: int) -> None:
    """Write the file of an image below it, which turning the axes off would hide."""
    text = shorten_label(path, longest)
    ax.text(0.5, -0.03, text, ha="center", va="top", fontsize=6, transform=ax.transAxes).set_in_layout(False)


def _seed(result: Result) -> str:
    return f", seed {result.details['illustrated_seed']}" if result.config["seeds"] > 1 else ""
