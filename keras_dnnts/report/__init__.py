"""The HTML page of a run, or of several side by side: a single file that loads nothing else.

Reads saved results only; needs neither Keras nor the data.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from keras_dnnts.report.card import write_card
from keras_dnnts.report.comparison import describe_comparison
from keras_dnnts.report.live import has_report, remove_live_page, write_live_page
from keras_dnnts.report.page import render
from keras_dnnts.report.run import describe_run
from keras_dnnts.results import Result, load_result
from keras_dnnts.running.run_directory import CARD, REPORT
from keras_dnnts.whole_files import write_whole_text

__all__ = [
    "has_report",
    "warn_of_report",
    "write_comparison",
    "write_live_page",
    "write_report",
    "write_report_or_warn",
]

logger = logging.getLogger("keras_dnnts")


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a finished run, by default into its folder, with a model card if it has none.

    Returns the page's path.

    Raises:
        UserError: the folder holds no finished run.
        OSError: the page cannot be written.
    """
    path, result = out or folder / REPORT, load_result(folder)
    write_whole_text(path, render("run.html.jinja", describe_run(result, folder)))
    card = folder / CARD
    if out is None and not card.exists():  # a person may have changed it
        write_whole_text(card, write_card(result))
    return path


def write_comparison(
    results: Mapping[str, Result], folder: Path, runs: Mapping[str, Path] = MappingProxyType({})
) -> Path:
    """Write the page of several runs, by label, into ``folder`` and return its path.

    ``runs`` are the folders of those whose models may be tried on the page, and to whose pages it links.

    Raises:
        OSError: the page cannot be written.
    """
    path = folder / REPORT
    write_whole_text(path, render("comparison.html.jinja", describe_comparison(results, runs, folder)))
    return path


def write_report_or_warn(folder: Path) -> None:
    """Write the page of a run that has just finished; one that fails costs a warning and only itself."""
    try:
        write_report(folder)
    except Exception as error:  # training has taken hours, and its results are saved
        warn_of_report(folder, str(error))


def warn_of_report(folder: Path, problem: str) -> None:
    """Say why the page of a run that has just finished could not be written, and remove the one that followed it."""
    logger.warning("%s: the report cannot be written: %s", folder / REPORT, problem)
    with suppress(OSError):
        remove_live_page(folder)
