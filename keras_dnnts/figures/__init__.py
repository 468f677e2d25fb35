"""Draws saved results; one file an experiment, style and shared plots apart."""

from pathlib import Path

from keras_dnnts.figures.cifar import save_cifar_figures
from keras_dnnts.figures.names import save_names_figures
from keras_dnnts.results import Result


def save_figures(result: Result, folder: Path) -> list[Path]:
    """Write the figures of a run of either experiment as PNG and SVG into ``folder`` and return their paths."""
    save = {"names": save_names_figures, "cifar": save_cifar_figures}[result.experiment]
    return save(result, folder)
