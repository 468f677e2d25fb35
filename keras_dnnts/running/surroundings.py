"""What the program finds around it, settled before a library meets it. Imports none."""

import os
import warnings
from pathlib import Path

from keras_dnnts.errors import UserError

NO_HOME = "/nonexistent"  # what Debian calls it
# They would change a run without a word: how long it trains, or in which precision.
IGNORED = (
    "KERAS_MAX_EPOCHS",
    "KERAS_MAX_STEPS_PER_EPOCH",
    "KERAS_NNX_ENABLED",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
)


def settle_surroundings() -> None:
    """Let a program run where there is no screen and no home folder, and where warnings were made errors.

    Raises:
        UserError: the working folder has been removed.
    """
    os.environ["MPLBACKEND"] = "agg"  # figures go to files, with or without a screen
    try:
        Path.home()
    except RuntimeError:
        # Libraries would make a folder called "~" in the working folder.
        os.environ["HOME"] = NO_HOME
    if any(action == "error" for action, *_ in warnings.filters):  # of a library, they are no failure of a run
        warnings.simplefilter("ignore")
    try:
        Path.cwd()
    except OSError as error:
        raise UserError(f"the working folder cannot be used ({error.strerror}): change to another one") from error


def ignore_environment() -> None:
    """Take out of the environment what would change a run; before Keras and the engine are imported."""
    for name in IGNORED:
        os.environ.pop(name, None)
