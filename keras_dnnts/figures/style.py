"""How every figure looks, and the helpers they share."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from keras_dnnts.results import Metric, Result

# Okabe & Ito's colours: distinguishable with every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
}
PAGE_WIDTH = 6.7  # inches: a page of A4 or Letter between its margins


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of ``width`` by ``height`` inches."""
    with plt.rc_context(STYLE):
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def save_figure(ax: Axes, path: Path) -> Path:
    """Write the figure of ``ax`` and forget it."""
    figure: Any = ax.get_figure(root=True)
    figure.savefig(path, dpi=STYLE["figure.dpi"])
    plt.close(figure)
    return path


def colours(count: int) -> list[str]:
    """Return ``count`` colours, repeating where there are not enough."""
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def class_colours(count: int) -> list[Any]:
    """Return ``count`` colours that are told apart as well as so many can be."""
    if count <= 10:
        return [*plt.get_cmap("tab10").colors[:count]]  # type: ignore[attr-defined]
    return [plt.get_cmap("turbo")(i / (count - 1)) for i in range(count)]


def data_label(*results: Result) -> str:
    """Say in a title what runs were trained on, plainly where that is not the real data or not the same."""
    labels = {_describe_data(result) for result in results}
    return labels.pop() if len(labels) == 1 else "different data or protocols"


def percent(metric: Metric) -> str:
    """Format an accuracy as per cent, ± its standard deviation where there are several seeds."""
    spread = f" ± {100 * metric.sd:.1f}" if metric.sd is not None else ""
    return f"{100 * metric.mean:.1f}{spread} %"


def shorten(name: str, longest: int = 16) -> str:
    """Cut a class name to what fits beside an axis."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _describe_data(result: Result) -> str:
    stand_in = " (stand-in for the real data)" if result.dataset["stand_in"] else ""
    protocol = ", reference protocol" if result.config["protocol"] == "reference" else ""
    return f"data: {result.dataset['name']}{stand_in}{protocol}"
