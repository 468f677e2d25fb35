"""How every figure looks, and the helpers they share."""

import functools
import textwrap
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG

from keras_dnnts.results import Result
from keras_dnnts.results.axes import choose_axis

# Okabe & Ito's colours: distinguishable with every common colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P")
# Where a system has them, they draw the class names that matplotlib's own font cannot.
FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "Segoe UI",
    "Noto Emoji",
)
STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    # Where titles are must not be found anew, from all that is beside them, whenever a figure is measured or drawn.
    "axes.titley": 1.0,
    # A class may be called $x$.
    "text.parse_math": False,
    # Text stays text: it can be searched, read aloud and drawn in whatever script. Nothing depends on the day.
    "svg.fonttype": "none",
    "svg.hashsalt": "keras_dnnts",
}
PAGE_WIDTH = 6.7  # inches: a page of A4 or Letter between its margins
TITLE_WIDTH = 95  # letters of a title's size that fit into a page's width

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Make a function that draws do so in this package's style, and leave the caller's as it was."""

    @functools.wraps(draw)
    def draw_in_style(*args: P.args, **kwargs: P.kwargs) -> T:
        _start_backend()
        # Whatever a matplotlibrc says: with usetex, a class name with an underscore would not even be drawn.
        with plt.style.context(["default", {**STYLE, "font.family": _fonts()}]):
            return draw(*args, **kwargs)

    return draw_in_style


@functools.cache
def _start_backend() -> None:
    # Pyplot would start it with the first figure, within rc_context, whose end undoes that a notebook's is interactive.
    plt.draw_if_interactive()


@functools.cache
def _fonts() -> list[str]:
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(font for font in FALLBACK_FONTS if font in installed)]


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of ``width`` by ``height`` inches."""
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def set_value_axis(ax: Axes, values: Sequence[np.ndarray], from_zero: bool = True) -> None:
    """Give the y axis the range and the ticks that the page's chart of the same values has."""
    axis = choose_axis(values, from_zero)
    ax.set_ylim(axis.low, axis.high + 0.02 * (axis.high - axis.low))  # a line on the edge is seen whole
    ax.set_yticks(axis.ticks)


def write_inside(ax: Axes, x: float, y: float, text: str, colour: str, size: float = 6) -> None:
    """Write a small text centred on a point inside the axes, which the layout therefore need not measure."""
    ax.text(x, y, text, ha="center", va="center", fontsize=size, color=colour).set_in_layout(False)


def save_figure(ax: Axes, path: Path) -> list[Path]:
    """Write the figure of ``ax`` as ``path`` with the endings .png and .svg, forget it, and return both paths."""
    figure: Any = ax.get_figure(root=True)
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    with warnings.catch_warnings():
        # A letter that no installed font has is drawn as a box in the PNG; the SVG leaves it to the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Not savefig, which draws once more only to find the layout.
        FigureCanvasAgg(figure).print_png(png, pil_kwargs={"compress_level": 3})  # little larger, much faster
        figure.set_layout_engine("none")  # the layout is found, and finding it takes longer than drawing
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
    plt.close(figure)
    return [png, svg]


def colours(count: int) -> list[str]:
    """Return ``count`` colours, repeating where there are not enough."""
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def class_markers(count: int) -> list[tuple[Any, str]]:
    """Return a colour and a marker for each of ``count`` classes, no pair twice up to 42; beyond, shades of a scale."""
    if count <= len(COLOURS) * len(MARKERS):
        return [(COLOURS[i % len(COLOURS)], MARKERS[i // len(COLOURS)]) for i in range(count)]
    return [(plt.get_cmap("viridis")(i / (count - 1)), "o") for i in range(count)]


def wrap_title(text: str, width: int = TITLE_WIDTH) -> str:
    """Break the lines of a title that are wider than so many letters, by default as many as a page is."""
    wrap = functools.partial(textwrap.fill, width=width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(wrap, text.split("\n")))


def data_label(*results: Result) -> str:
    """Say in a title what runs were trained on, plainly where that is not the real data or not the same."""
    labels = {_describe_data(result) for result in results}
    return labels.pop() if len(labels) == 1 else "different data, protocols or recipes"


def _describe_data(result: Result) -> str:
    stand_in = " (stand-in for the real data)" if result.dataset["stand_in"] else ""
    note = result.study.note(result.config)
    return f"data: {result.dataset['name']}{stand_in}{', ' if note else ''}{note}"
