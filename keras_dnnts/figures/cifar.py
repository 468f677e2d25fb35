"""Figures of the CIFAR-10 experiment."""

from pathlib import Path
from keras_dnnts.results import Result


def save_cifar_figures(result: Result, folder: Path) -> list[Path]:
    """x"""
    return []
