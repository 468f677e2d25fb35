"""Where torch computes."""

import torch
from keras.src.backend.torch.core import get_device


def runs_on_cpu() -> bool:
    """Whether new weights are created on the CPU."""
    return str(get_device()).startswith("cpu")


def describe_device() -> str:
    """Name of the device, for a person."""
    device = str(get_device())
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def seed_engine(seed: int) -> None:
    """Start torch's own random numbers, which unseeded dropout draws from."""
    torch.manual_seed(seed)
