"""Where torch computes."""

from typing import Any

import torch
from keras.src.backend.torch.core import get_device

COMPILES_STEPS = False  # it runs operations as they come


def runs_on_cpu() -> bool:
    """Whether new weights are created on the CPU."""
    return str(get_device()).startswith("cpu")


def describe_device() -> str:
    """Name of the device, for a person."""
    device = str(get_device())
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def list_devices() -> list[str]:
    """Names of the devices that runs can use, the one that ``auto`` takes first."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return gpus + (["mps"] if torch.backends.mps.is_available() else []) + ["cpu"]


def copy_value(variable: Any, earlier: Any = None) -> torch.Tensor:
    """A variable's value on its device, which later updates do not reach; an earlier copy gives its memory for it."""
    value = variable.value.detach()
    # Fresh memory takes longer to get than to fill.
    return earlier.copy_(value) if isinstance(earlier, torch.Tensor) else value.clone()


def seed_engine(seed: int) -> None:
    """Start torch's own random numbers, which unseeded dropout draws from."""
    torch.manual_seed(seed)


def batches_of_any_size(batches: Any) -> Any:
    """A ``PyDataset`` whose batches' shapes change from epoch to epoch, as ``fit`` takes it: as it is."""
    return batches


def batches_of_one_size(batches: Any) -> Any:
    """A ``PyDataset`` whose batches have the same shape in all epochs, as it is."""
    return batches
