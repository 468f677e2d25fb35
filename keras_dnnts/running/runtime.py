"""Choosing the engine and the device, which must happen before Keras is imported."""

import importlib.metadata
import importlib.util
import logging
import os
import platform
import sys
from pathlib import Path
from typing import Any

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.light_imports import light_imports
from keras_dnnts.ranks import find_ranks
from keras_dnnts.running.memory import keep_freed_memory
from keras_dnnts.running.surroundings import ignore_environment, is_own_process

# Says what takes seconds; silent unless a command asks for it.
progress_logger = logging.getLogger("keras_dnnts.progress")
progress_logger.setLevel(logging.WARNING)

DEVICE = option_name("device")
LOST = "another process of this run has ended"
EXTRAS = {"torch": "", "jax": "[jax]", "tensorflow": "[tensorflow]"}


def choose_backend(backend: str, device: str, automatic: str | None = None) -> None:
    """Make Keras run on ``backend`` and ``device`` in this process; imports neither it nor, for ``"auto"``, the engine.

    Args:
        backend: ``"torch"``, ``"jax"`` or ``"tensorflow"``.
        device: ``"auto"`` (an accelerator if there is one), ``"cpu"``, ``"cuda"`` or ``"mps"``.
        automatic: ``"cpu"`` where that is what ``"auto"`` means. It holds in processes of this package's alone, for
            an engine never changes its device, and what else a program trains may need the accelerator.

    Raises:
        UserError: the engine is not installed, the device is not there, or Keras already runs on another engine.
    """
    if importlib.util.find_spec(backend) is None:
        package = f"keras_dnnts{EXTRAS[backend]}"
        raise UserError(
            f"the {backend} backend is not installed: pip install '{package}', or choose another "
            f"{option_name('backend')}"
        )
    _check_not_running(backend)
    os.environ["KERAS_BACKEND"] = backend
    ignore_environment()
    if device != "auto":
        _DEVICES[backend](device)
    if backend == "torch" and find_ranks().count > 1:
        _choose_own_device(device)
    elif device == "auto" and backend == "torch" and (chosen := os.environ.get("KERAS_TORCH_DEVICE")):
        _check_torch_device(chosen)
    elif device == "auto" and automatic == "cpu" and is_own_process():
        _stay_on_cpu(backend)


def start_engine() -> None:
    """Import Keras on the chosen engine, with nothing of another engine's and no messages of its own.

    What ``keras.json`` and the environment set for Keras and the engine is put back to what every run has.

    Raises:
        UserError: Keras or the engine cannot be imported.
    """
    backend = os.environ["KERAS_BACKEND"]
    if "keras" not in sys.modules:
        progress_logger.info("starting %s", backend)
        if backend == "jax":
            keep_freed_memory()  # JAX writes every result into fresh memory
    try:
        if backend == "tensorflow":
            _import_tensorflow_quietly()
        with light_imports(backend, is_own_process()):
            importlib.import_module("keras")
        if backend != "tensorflow":
            _keep_tensorflow_out()
        _reset_settings(backend)
    # An engine of which a part is missing fails in its own way, and so does Keras over a value in its keras.json.
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        settings = keras_settings()
        # Keras imports matplotlib, which reads its settings.
        text = "a matplotlibrc that is not UTF-8, " if isinstance(error, UnicodeError) else ""
        places = f"{text}{settings} and the environment's KERAS_ and {backend.upper()} variables"
        raise UserError(f"Keras cannot start on {backend} ({reason}): check its installation, {places}") from error


def keras_settings() -> Path:
    """The file in which Keras keeps its settings, and which it writes where there is none."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"


def _reset_settings(backend: str) -> None:
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)
    if backend == "torch":
        import torch

        torch.set_float32_matmul_precision("highest")
    if backend == "jax":
        import jax

        for name, value in _JAX_SETTINGS.items():
            jax.config.update(name, value)
        jax.devices()  # fails here where JAX_PLATFORMS names what is not there


_JAX_SETTINGS = {
    "jax_enable_x64": False,
    "jax_disable_jit": False,
    "jax_debug_nans": False,  # a loss that is not finite is this package's affair
    "jax_debug_infs": False,
    "jax_default_matmul_precision": None,
    "jax_default_prng_impl": "threefry2x32",
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
}


def _check_not_running(backend: str) -> None:
    keras = sys.modules.get("keras")
    running = keras.backend.backend() if keras else backend
    if running != backend:
        raise UserError(f"Keras already runs on {running} in this process: {backend} needs a new process")


def _import_tensorflow_quietly() -> None:
    # Its C++ part writes to stderr before anybody can ask it not to.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        with light_imports("tensorflow", is_own_process()):  # it imports Keras
            importlib.import_module("tensorflow")
        # It warns of functions that it traces anew, as those of a second seed's model must be.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(silence)


def _keep_tensorflow_out() -> None:
    # Where TensorFlow is installed, Keras imports it to save a model of any engine: seconds, for nothing.
    from keras.src.utils import module_utils

    module_utils.tensorflow._available = False


def _choose_torch(device: str) -> None:
    if not _torch_has(device):
        raise _missing(device, "torch")
    os.environ["KERAS_TORCH_DEVICE"] = device


def _choose_own_device(device: str) -> None:
    """The device of one of several processes: a GPU each, where there are any."""
    import torch

    ranks = find_ranks()
    if device == "mps":
        raise UserError(f"{DEVICE} mps: several processes compute on CUDA or on CPUs: choose another {DEVICE}")
    if device == "cpu" or not torch.cuda.is_available():
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"
        return
    if ranks.local_rank >= (gpus := torch.cuda.device_count()):
        raise UserError(
            f"{ranks.local_count} processes were started on a machine of {gpus} GPUs: start one a GPU, or use "
            f"{DEVICE} cpu"
        )
    torch.cuda.set_device(ranks.local_rank)
    os.environ["KERAS_TORCH_DEVICE"] = f"cuda:{ranks.local_rank}"


def _torch_has(device: str) -> bool:
    with light_imports("torch", is_own_process()):
        import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return there.get(device.partition(":")[0], False)


def _stay_on_cpu(backend: str) -> None:
    """Keep an engine from the accelerator without importing it."""
    if backend == "jax":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    elif backend == "torch":
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def _check_torch_device(device: str) -> None:
    if device != "cpu" and not _torch_has(device):
        raise UserError(
            f"KERAS_TORCH_DEVICE is {device!r}, which torch does not find here: unset it, or use {DEVICE} cpu"
        )


def _choose_jax(device: str) -> None:
    if device == "mps":
        raise _missing(device, "jax")
    import jax

    try:
        jax.config.update("jax_platforms", device)
        jax.devices(device)
    except (AssertionError, RuntimeError) as error:  # without a CUDA build, JAX stumbles over its own assertion
        raise _missing(device, "jax") from error


def _choose_tensorflow(device: str) -> None:
    if device == "mps":
        raise _missing(device, "tensorflow")
    _import_tensorflow_quietly()
    import tensorflow as tf

    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif not tf.config.list_physical_devices("GPU"):
        raise _missing(device, "tensorflow")


def _missing(device: str, backend: str) -> UserError:
    return UserError(f"{backend} finds no {device} device on this machine: use {DEVICE} auto or {DEVICE} cpu")


def explain_engine_failure(error: Exception) -> str | None:
    """Say in a line what to do about an engine's exception, or None where it is not memory or the device."""
    kind, message = type(error).__name__, str(error)
    if isinstance(error, MemoryError) or kind in _OUT_OF_MEMORY or any(sign in message for sign in _NO_MEMORY_SIGNS):
        smaller = ", ".join(map(option_name, ("batch_size", "image_size", "width", "hidden_units")))
        return f"out of memory: free some, or start a new run with a lower value of one of {smaller}"
    if find_ranks().count > 1 and any(sign in message for sign in _NO_OTHER_SIGNS):
        return LOST
    if kind in _DEVICE_FAILED or any(sign in message for sign in _NO_DEVICE_SIGNS):
        reason = message.strip().partition("\n")[0]
        return f"the device stopped working ({reason}): see that it is there, or use {DEVICE} cpu in a new run"
    return None


# Each engine raises exceptions of its own for these; none is imported here to look at their classes.
_OUT_OF_MEMORY = {"OutOfMemoryError", "ResourceExhaustedError"}
_NO_MEMORY_SIGNS = ("RESOURCE_EXHAUSTED", "out of memory", "not enough memory", "can't allocate memory")
_DEVICE_FAILED = {"AcceleratorError"}
_NO_OTHER_SIGNS = ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL", "ProcessGroup")
_NO_DEVICE_SIGNS = ("CUDA error", "CUDA_ERROR", "HIP error", "MPS backend")

_DEVICES = {"torch": _choose_torch, "jax": _choose_jax, "tensorflow": _choose_tensorflow}


def describe_environment(with_engine: bool = True) -> dict[str, Any]:
    """Versions, backend, device and machine of this process, for results; imports Keras only ``with_engine``."""
    from keras_dnnts import __version__

    packages = ("keras", "torch", "jax", "tensorflow", "numpy")
    versions = {package: _version(package) for package in packages}
    return {
        "keras_dnnts": __version__,
        "python": platform.python_version(),
        "versions": {package: version for package, version in versions.items() if version},
        "backend": os.environ["KERAS_BACKEND"] if with_engine else "NumPy",
        "device": _describe_device() if with_engine else "cpu",
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
    }


def _describe_device() -> str:
    from keras_dnnts import backend

    count = backend.count_devices()
    return f"{count} × {backend.describe_device()}" if count > 1 else backend.describe_device()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
