"""Draws saved results; one file an experiment, style and shared plots apart."""

from pathlib import Path

from keras_dnnts.figures.cifar import save_cifar_figures
from keras_dnnts.figures.names import save_names_figures
from keras_dnnts.results import Result


def save_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures of a run of either experiment as PNG and SVG into ``folder`` and return their paths.

    >>> from pathlib import Path
    >>> from keras_dnnts import load_result, save_figures
    >>> paths = save_figures(load_result("runs/gru"), Path("pictures"))
    >>> sorted(path.name for path in paths if path.suffix == ".svg")
    ['confusion_held_out.svg', 'confusion_train.svg', 'reading.svg', 'training_loss.svg']
    """
    save = {"names": save_names_figures, "cifar": save_cifar_figures}[result.experiment]
    return save(result, folder)
