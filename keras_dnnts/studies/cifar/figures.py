"""Figures of the CIFAR-10 experiment. Nothing is computed here but what a drawing needs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_dnnts.figures.confusion import plot_confusion
from keras_dnnts.figures.style import (
    PAGE_WIDTH,
    class_markers,
    colours,
    data_label,
    new_axes,
    styled,
)
from keras_dnnts.results import Result
from keras_dnnts.results.findings import (
    shorten,
    state_accuracy,
    state_confusion,
    state_epochs,
    state_mistakes,
    state_neighbours,
)

PARTS = {"train": ("training", "--"), "validation": ("validation", "-")}
AXIS_LABELS = {"loss": "mean cross-entropy (nats)", "accuracy": "accuracy"}
EMBEDDINGS = {"first": "after epoch 1", "final": "at the end"}
MOST_IN_LEGEND = 20  # classes


def cifar_figures(result: Result) -> dict[str, Callable[[], Axes]]:
    """What draws each figure of a CIFAR-10 run, by name."""
    return {
        "curves": partial(plot_curves, result),
        "confusion_test": partial(plot_test_confusion, result),
        "mistakes": partial(plot_mistakes, result),
        "activation_maps": partial(plot_activations, result),
        "tsne": partial(plot_embeddings, result),
    }


def plot_test_confusion(result: Result) -> Axes:
    """Draw the confusion matrix of the test images, all seeds together.

    >>> from keras_dnnts import load_result, plot_test_confusion
    >>> ax = plot_test_confusion(load_result("runs/alexnet"))
    >>> ax.figure.savefig("picture.svg")
    """
    lines = [state_accuracy(result, "test"), state_confusion(result, "test"), data_label(result)]
    counts = result.arrays["confusion_test"].sum(axis=0)
    return plot_confusion(counts, result.dataset["classes"], "\n".join(filter(None, lines)))


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
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if quantity == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(frameon=False, fontsize=8)
    return ax


@styled
def plot_mistakes(result: Result) -> Axes:
    """Draw the images of the most confident mistakes with guess, confidence and truth; return the first axes.

    >>> from keras_dnnts import load_result, plot_mistakes
    >>> ax = plot_mistakes(load_result("runs/alexnet"))
    >>> ax.figure.savefig("picture.svg")
    """
    classes, arrays = result.dataset["classes"], result.arrays
    columns = 4
    rows = max(-(-len(arrays["mistake_image"]) // columns), 1)
    figure, grid = plt.subplots(
        rows, columns, figsize=(PAGE_WIDTH, 0.5 + 1.85 * rows), layout="constrained", squeeze=False
    )
    for ax in grid.flat:
        ax.set_axis_off()
    names = ("mistake_image", "mistake_truth", "mistake_guess", "mistake_confidence")
    for ax, image, truth, guess, confidence in zip(grid.flat, *(arrays[name] for name in names), strict=False):
        ax.imshow(image)
        guessed = f"guess: {shorten(classes[guess], 12)}, {confidence:.0%}"
        ax.set_title(f"{guessed}\ntruth: {shorten(classes[truth])}", fontsize=8)
    figure.suptitle(f"{state_mistakes(result)}{_seed(result)} · {data_label(result)}", fontsize=9)
    return grid.flat[0]


@styled
def plot_activations(result: Result) -> Axes:
    """Draw every shown image beside its activation maps, a row a layer and a column a channel; return the first axes.

    A map's grey levels run from its own least to its own largest value.

    >>> from keras_dnnts import load_result, plot_activations
    >>> ax = plot_activations(load_result("runs/alexnet"))
    >>> ax.get_figure(root=True).savefig("picture.svg")
    """
    layers = [name for name in result.arrays if name.startswith("activation_") and result.arrays[name].ndim == 4]
    layers.remove("activation_image")
    images, labels = result.arrays["activation_image"], result.arrays["activation_label"]
    of_layers = {result.arrays[layer].shape[-1] for layer in layers}
    channels, at_most = max(of_layers), "" if len(of_layers) == 1 else "up to "
    width = 2.4
    height = PAGE_WIDTH / (channels + width) * len(layers) * len(images) * 1.08 + 0.5
    figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    figure.suptitle(
        f"{result.model_name}: what the first {at_most}{channels} channels of {len(layers)} layers respond to"
        f"{_seed(result)} (dark: least, bright: most)\n{data_label(result)}",
        fontsize=9,
    )
    blocks: Any = figure.subfigures(len(images), 1, squeeze=False)
    for i, block in enumerate(blocks[:, 0]):
        grid = block.add_gridspec(len(layers), channels + 1, width_ratios=[width, *[1] * channels])
        shown = block.add_subplot(grid[:, 0])
        shown.imshow(images[i])
        shown.set_title(shorten(result.dataset["classes"][labels[i]]), fontsize=8)
        shown.set_axis_off()
        for row, layer in enumerate(layers):
            _plot_maps(block, grid, row, layer, result.arrays[layer][i])
    return figure.axes[0]


def _plot_maps(block: Any, grid: Any, row: int, layer: str, maps: np.ndarray) -> None:
    for channel in range(maps.shape[-1]):
        ax = block.add_subplot(grid[row, channel + 1])
        ax.imshow(maps[..., channel], cmap="gray")
        ax.set_axis_off()
        if channel == 0:
            height, width = maps.shape[:2]
            name = layer.removeprefix("activation_").replace("_", " ")
            # The empty title makes room above the map; one as wide as the text would push the next map aside.
            ax.set_title(" ", fontsize=7, pad=2)
            ax.text(0, 1.05, f"{name}, {height}×{width}", fontsize=7, transform=ax.transAxes).set_in_layout(False)


@styled
def plot_embeddings(result: Result) -> Axes:
    """Draw the test images' places on both t-SNE maps, coloured by class; return the first axes.

    >>> from keras_dnnts import load_result, plot_embeddings
    >>> ax = plot_embeddings(load_result("runs/alexnet"))
    >>> ax.figure.savefig("picture.svg")
    """
    classes, labels = result.dataset["classes"], result.arrays["embedding_label"]
    looks = class_markers(len(classes))
    figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.9), layout="constrained")
    size = 4 if len(labels) > 500 else 9  # square points
    for ax, (when, title) in zip(panels, EMBEDDINGS.items(), strict=True):
        points = result.arrays[f"embedding_{when}"]
        for label, name in enumerate(classes):
            x, y = points[labels == label].T
            colour, marker = looks[label]
            ax.scatter(x, y, s=size, color=colour, marker=marker, label=shorten(name), linewidths=0)
        ax.set_title(f"{title}: {result.details['neighbour_accuracy'][when]:.1%} lie among their own class", fontsize=9)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
    if len(classes) <= MOST_IN_LEGEND:
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=5, frameon=False, fontsize=8, markerscale=2)
    figure.suptitle(f"{state_neighbours(result)}{_seed(result)}\n{data_label(result)}", fontsize=9)
    return panels[0]


def _seed(result: Result) -> str:
    return f", seed {result.details['illustrated_seed']}" if result.config["seeds"] > 1 else ""
