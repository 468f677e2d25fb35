"""A finished run for the tools that people already look at. Built on what the run saved, once it is complete."""

import importlib
import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.results import Result

logger = logging.getLogger("keras_dnnts")

# What each needs to be installed; extras have the loggers' names.
PACKAGES = {"tensorboard": ("tensorboardX",), "mlflow": ("mlflow", "sqlalchemy")}


def check_loggers(names: Sequence[str]) -> None:
    """Check, before a run starts, that it can be logged.

    Raises:
        UserError: what a logger needs is not installed.
    """
    for name in names:
        for package in PACKAGES[name]:
            if importlib.util.find_spec(package) is None:
                extra = f"keras_dnnts[{name}]"
                raise UserError(
                    f"{option_name('log')} {name} needs {package}, which is not installed: pip install '{extra}'"
                )


def log_result(result: Result, folder: Path, names: Sequence[str]) -> None:
    """Log a finished run, of which ``folder`` holds everything; a logger that fails costs a warning and only itself.

    Each logger is a module of this package with ``log(result, folder)``, which returns where to look.
    """
    for name in dict.fromkeys(names):
        try:
            where = importlib.import_module(f"{__name__}.{name}").log(result, folder)
        # A tracking server can fail in any way, and the run is complete without it.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning(f"{option_name('log')} %s failed (%s); the run in %s is complete", name, reason, folder)
        else:
            print(f"Logged to {name}: {where}")
