"""What there is to run with: engines and their devices, threads, caches, extras, and what is missing for what."""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from packaging.requirements import Requirement

from keras_dnnts.config import BACKENDS
from keras_dnnts.errors import option_name
from keras_dnnts.running.runtime import EXTRAS

PACKAGE = "keras_dnnts"
ENGINE_SECONDS = 180  # until an engine that does not start is given up
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES")
# What each extra is for; an extra that is not listed is for developing the package.
USES = {
    "jax": f"{option_name('backend')} jax",
    "tensorflow": f"{option_name('backend')} tensorflow",
    "tensorboard": f"{option_name('log')} tensorboard",
    "mlflow": f"{option_name('log')} mlflow",
    "wandb": f"{option_name('log')} wandb",
    "onnx": "keras-dnnts export",
    "cluster": option_name("cluster"),
}
# Run in a process of its own, for a process can start one engine only.
_PROBE = """
import json, sys
from keras_dnnts.running.runtime import choose_backend, start_engine
choose_backend(sys.argv[1], "auto")
start_engine()
from keras_dnnts.backend import list_devices
print(json.dumps(list_devices()))
"""


@dataclass(frozen=True)
class Engine:
    """An engine on this machine.

    Attributes:
        name: of the engine.
        version: None where it is not installed.
        devices: those it finds, the one that ``auto`` takes first.
        problem: why it does not start, or how to install it; empty where nothing is wrong.
    """

    name: str
    version: str | None
    devices: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Extra:
    """An extra of this package: what it is for, and which of its packages are missing or too old."""

    name: str
    use: str
    missing: tuple[str, ...]


def examine_engines() -> list[Engine]:
    """Start every engine that is installed, each in a process of its own, which takes seconds."""
    with ThreadPoolExecutor(len(BACKENDS)) as pool:
        return list(pool.map(_examine_engine, BACKENDS))


def _examine_engine(name: str) -> Engine:
    if importlib.util.find_spec(name) is None:
        return Engine(name, None, problem=f"not installed: pip install '{PACKAGE}{EXTRAS[name]}'")
    version = installed_version(name) or "unknown"
    command = [sys.executable, "-c", _PROBE, name]
    environment = os.environ | {"KERAS_BACKEND": name, "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=ENGINE_SECONDS, env=environment
        )
        devices = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return Engine(name, version, problem=f"does not start within {ENGINE_SECONDS} seconds")
    except (OSError, ValueError, IndexError):
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Engine(name, version, problem=f"does not start: {lines[-1]}")
    return Engine(name, version, tuple(devices))


def list_extras() -> list[Extra]:
    """The extras that users install, and what of each is missing."""
    return [Extra(name, use, _missing_of(name)) for name, use in USES.items()]


def _missing_of(extra: str) -> tuple[str, ...]:
    try:
        texts: Sequence[str] = importlib.metadata.requires(PACKAGE) or ()
    except importlib.metadata.PackageNotFoundError:  # run from a folder, without having been installed
        texts = ()
    requirements = [Requirement(text) for text in texts if re.search(r"\bextra\b", text)]
    of_extra = [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": extra})]
    return tuple(str(one).partition(";")[0].strip() for one in of_extra if not _is_met(one))


def _is_met(requirement: Requirement) -> bool:
    version = installed_version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def installed_version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def thread_settings() -> dict[str, str]:
    """What the environment says of threads and devices, by variable."""
    return {name: os.environ[name] for name in THREAD_SETTINGS if name in os.environ}
