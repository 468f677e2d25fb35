"""Draws saved results: what every study has; a study's own figures stand in its folder."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_dnnts.figures.confusion import confusion_figures
from keras_dnnts.figures.style import save_figure, styled
from keras_dnnts.results import Result

logger = logging.getLogger("keras_dnnts")

Drawn = tuple[list[Path], str]  # the paths that were written, and what went wrong
DrawElsewhere = Callable[[Sequence[str]], Callable[[], list[Drawn] | None]]


def save_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures of a run as PNG and SVG into ``folder`` and return their paths.

    A figure that cannot be drawn or written is left out, with a warning logged.

    >>> from pathlib import Path
    >>> from keras_dnnts import load_result, save_figures
    >>> paths = save_figures(load_result("runs/gru"), Path("pictures"))
    >>> sorted(path.name for path in paths if path.suffix == ".svg")
    ['confusion_held_out.svg', 'confusion_train.svg', 'reading.svg', 'reliability.svg', 'training_loss.svg']
    """
    return save_figures_with(None, result, folder)


def save_figures_with(elsewhere: DrawElsewhere | None, result: Result, folder: Path) -> list[Path]:
    """Do as :func:`save_figures`, while another process draws half of them.

    Args:
        elsewhere: starts to draw figures by their names, and returns what waits for the outcome: None where the other
            process has come to harm. None is no other process.
        result: of the run.
        folder: for the figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = list(_list_figures(result))
    here = names if elsewhere is None else names[: len(names) // 2]
    there = names[len(here) :]
    wait = elsewhere(there) if elsewhere is not None else None
    drawn = draw_figures(result, here, folder)
    if there:
        drawn += (wait and wait()) or draw_figures(result, there, folder)
    for name, (_, problem) in zip(names, drawn, strict=True):
        if problem:
            logger.warning("%s cannot be drawn: %s", folder / name, problem)
    return [path for written, _ in drawn for path in written]


@styled
def draw_figures(result: Result, names: Sequence[str], folder: Path) -> list[Drawn]:
    """Write some figures of a run, by their names, into a folder that is there."""
    figures = _list_figures(result)
    return [_draw(figures[name], folder / name) for name in names]


def _list_figures(result: Result) -> Mapping[str, Callable[[], Any]]:
    return (result.study.figures or confusion_figures)(result)


def _draw(draw: Callable[[], Any], path: Path) -> Drawn:
    try:
        return save_figure(draw(), path), ""
    # Whatever goes wrong in a drawing must not cost the others, which a person may have waited hours for.
    except Exception as error:
        return [], str(error) or type(error).__name__
