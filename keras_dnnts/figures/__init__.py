"""Draws saved results: what every study has; a study's own figures stand in its folder."""

import logging
from pathlib import Path

from keras_dnnts.figures.confusion import confusion_figures
from keras_dnnts.figures.style import save_figure, styled
from keras_dnnts.results import Result

logger = logging.getLogger("keras_dnnts")


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
    paths = []
    for name, draw in figures.items():
        try:
            paths += save_figure(draw(), folder / name)
        # Whatever goes wrong in a drawing must not cost the others, which a person may have waited hours for.
        except Exception as error:
            logger.warning("%s cannot be drawn: %s", folder / name, error)
    return paths
