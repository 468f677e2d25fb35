"""Which precision is faster on a machine: known beforehand, so that a busy machine gives the same results."""

import importlib
from pathlib import Path

from keras_dnnts.studies.cifar.config import CifarConfig

CPU_FLAGS = ("avx512_bf16", "amx_bf16")
"""Of CPUs that multiply bfloat16 numbers themselves, as Linux names them."""
FASTER_ON_CPU = {"torch": True, "jax": False, "tensorflow": False}
"""By engine, whether steps of the networks here are then faster (experiments/RESULTS.md, "bfloat16 on CPUs")."""
AMPERE = (8, 0)
"""The compute capability from which NVIDIA's GPUs multiply bfloat16 numbers themselves."""


def settle_precision(config: CifarConfig) -> str:
    """``"float32"`` or ``"bfloat16"``: what a config asks for, or what ``"auto"`` means on this machine."""
    assert config.precision is not None
    if config.precision != "auto":
        return config.precision
    faster = _gpu_computes_bfloat16() if _takes_gpu(config) else has_cpu_bfloat16() and FASTER_ON_CPU[config.backend]
    return "bfloat16" if faster else "float32"


def has_cpu_bfloat16(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16 numbers itself; False where the system does not tell."""
    try:
        lines = cpu_info.read_text(errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return any(flag in flags for flag in CPU_FLAGS)


def _takes_gpu(config: CifarConfig) -> bool:
    # On JAX and TensorFlow it has not been measured on a GPU: they take float32.
    if config.backend != "torch" or config.device not in ("auto", "cuda"):
        return False
    return importlib.import_module("torch").cuda.is_available()


def _gpu_computes_bfloat16() -> bool:
    return importlib.import_module("torch").cuda.get_device_capability() >= AMPERE
