"""Draws saved results: what every study has; a study's own figures stand in its folder."""

import itertools
import logging
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_dnnts.figures.confusion import confusion_figures
from keras_dnnts.figures.style import save_figure, styled
from keras_dnnts.results import Result

logger = logging.getLogger("keras_dnnts")

# A figure's name, the files that were written, and what went wrong, or empty. Plain values: a process that draws sends
# them to one that has imported nothing of this.
Drawn = tuple[str, list[Path], str]


def save_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures of a run as PNG and SVG into ``folder`` and return their paths.

    A figure that cannot be drawn or written is left out, with a warning logged.

    >>> from pathlib import Path
    >>> from keras_dnnts import load_result, save_figures
    >>> paths = save_figures(load_result("runs/gru"), Path("pictures"))
    >>> sorted(path.stem for path in paths if path.suffix == ".svg")
    ['accuracy_during_training', 'confusion_held_out', 'confusion_train', 'reading', 'reliability', 'training_loss']
    """
    drawn = draw_figures(result, folder)
    for name, _, problem in drawn:
        if problem:
            logger.warning("%s cannot be drawn: %s", folder / name, problem)
    return [path for _, paths, _ in drawn for path in paths]


@styled
def draw_figures(
    result: Result, folder: Path, places: Iterable[int] | None = None, already: Container[str] = ()
) -> list[Drawn]:
    """Do as :func:`save_figures`, but return problems.

    Args:
        result: of a finished run.
        folder: where the figures go.
        places: which figures to draw, counted from the last; None for all. Ends at the first that there is not.
        already: the names of figures that are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = list(_list_figures(result).items())
    if places is not None:
        # The last ones are the largest: several processes that begin with them end together.
        there = itertools.takewhile(lambda place: place < len(figures), places)
        return [_draw(*figures[-1 - place], folder) for place in there]
    return [_draw(name, draw, folder) for name, draw in figures if name not in already]


def _list_figures(result: Result) -> Mapping[str, Callable[[], Any]]:
    return (result.study.figures or confusion_figures)(result)


def _draw(name: str, draw: Callable[[], Any], folder: Path) -> Drawn:
    try:
        return name, save_figure(draw(), folder / name), ""
    # Whatever goes wrong in a drawing must not cost the others, which a person may have waited hours for.
    except Exception as error:
        return name, [], str(error) or type(error).__name__
