"""Draws saved results: what every study has; a study's own figures stand in its folder."""

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_dnnts.config import BACKENDS
from keras_dnnts.figures.confusion import confusion_figures
from keras_dnnts.figures.style import save_figure, styled
from keras_dnnts.results import Result

logger = logging.getLogger("keras_dnnts")

Drawn = tuple[list[Path], str]  # the paths that were written, and what went wrong


@styled
def save_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures of a run as PNG and SVG into ``folder`` and return their paths.

    A figure that cannot be drawn or written is left out, with a warning logged.

    >>> from pathlib import Path
    >>> from keras_dnnts import load_result, save_figures
    >>> paths = save_figures(load_result("runs/gru"), Path("pictures"))
    >>> sorted(path.name for path in paths if path.suffix == ".svg")
    ['confusion_held_out.svg', 'confusion_train.svg', 'reading.svg', 'reliability.svg', 'training_loss.svg']
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = (result.study.figures or confusion_figures)(result)
    draw_several = _draw_side_by_side if _may_fork() else _draw
    paths = []
    for name, (written, problem) in zip(figures, draw_several(figures, list(figures), folder), strict=True):
        paths += written
        if problem:
            logger.warning("%s cannot be drawn: %s", folder / name, problem)
    return paths


def _may_fork() -> bool:
    """Whether a second process would help, and is safe: not one that is forked from an engine's threads."""
    return (
        sys.platform == "linux"
        and len(os.sched_getaffinity(0)) > 1
        and not any(engine in sys.modules for engine in BACKENDS)
    )


def _draw_side_by_side(figures: Mapping[str, Callable[[], Any]], names: Sequence[str], folder: Path) -> list[Drawn]:
    """Draw half of the figures in a process of its own, or here where it comes to harm."""
    here, there = names[: len(names) // 2], names[len(names) // 2 :]
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(_draw(figures, there, folder)))
    process.start()
    sender.close()
    drawn = _draw(figures, here, folder)
    try:
        return drawn + receiver.recv()
    except EOFError:
        return drawn + _draw(figures, there, folder)
    finally:
        process.join()


def _draw(figures: Mapping[str, Callable[[], Any]], names: Sequence[str], folder: Path) -> list[Drawn]:
    return [_draw_one(figures[name], folder / name) for name in names]


def _draw_one(draw: Callable[[], Any], path: Path) -> Drawn:
    try:
        return save_figure(draw(), path), ""
    # Whatever goes wrong in a drawing must not cost the others, which a person may have waited hours for.
    except Exception as error:
        return [], str(error) or type(error).__name__
