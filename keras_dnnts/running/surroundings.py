"""What the program finds around it, settled before a library meets it. Imports none."""

import logging
import os
import re
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
# Of what Numba reads, these say where it keeps kernels and for what processor it compiles; the others can make the
# kernel another one, or an import fail.
KEPT_OF_NUMBA = {"NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"}
THREADS = re.compile(r"\s*[1-9]\d*(\s*,\s*[1-9]\d*)*\s*")

_own_process = False


def settle_surroundings() -> None:
    """Let a program run where there is no screen and no home folder, and where warnings were made errors.

    Raises:
        UserError: the working folder has been removed.
    """
    global _own_process
    _own_process = True
    os.environ["MPLBACKEND"] = "agg"  # figures go to files, with or without a screen
    # It finds itself a folder where it may not write, and reads past what it does not know in a matplotlibrc.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        Path.home()
    except RuntimeError:
        # Libraries would make a folder called "~" in the working folder.
        os.environ["HOME"] = NO_HOME
    if not THREADS.fullmatch(os.environ.get("OMP_NUM_THREADS", "1")):
        del os.environ["OMP_NUM_THREADS"]  # every library would complain of it in its own way
    if "OMP_WAIT_POLICY" not in os.environ:
        # By default a waiting OpenMP thread spins, and takes processor time from other programs. PASSIVE lets it sleep,
        # here after so many turns of spinning: most waits are shorter, and waking up takes longer.
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if any(action == "error" for action, *_ in warnings.filters):  # of a library, they are no failure of a run
        warnings.simplefilter("ignore")
    try:
        Path.cwd()
    except OSError as error:
        raise UserError(f"the working folder cannot be used ({error.strerror}): change to another one") from error


def is_own_process() -> bool:
    """Whether this process does nothing but what this package does: it is a command's, or a worker's."""
    return _own_process


def ignore_environment() -> None:
    """Take out of the environment what would change a run; before Keras and the engine are imported."""
    for name in list(os.environ):
        if name in IGNORED or (name.startswith("NUMBA_") and name not in KEPT_OF_NUMBA):
            del os.environ[name]
