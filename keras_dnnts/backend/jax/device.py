"""Where JAX computes."""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp

COMPILES_STEPS = True  # for every shape of batches


def runs_on_cpu() -> bool:
    """Whether new weights are created on the CPU."""
    return jax.default_backend() == "cpu"


def describe_device() -> str:
    """Name of the device, for a person."""
    return "cpu" if runs_on_cpu() else jax.devices()[0].device_kind


def list_devices() -> list[str]:
    """Names of the devices that runs can use, the one that ``auto`` takes first."""
    return ([] if runs_on_cpu() else [device.device_kind for device in jax.local_devices()]) + ["cpu"]


def exact_products(function: Callable) -> Callable:
    """A function whose products of float32 matrices are computed as such; a GPU's default rounds factors to ten bits.

    That default is TF32 (https://docs.jax.dev/en/latest/_autosummary/jax.default_matmul_precision.html).
    """

    @functools.wraps(function)
    def exact(*args: Any, **kwargs: Any) -> Any:
        with nullcontext() if runs_on_cpu() else jax.default_matmul_precision("float32"):
            return function(*args, **kwargs)

    return exact


def copy_value(variable: Any, earlier: Any = None) -> jax.Array:
    """A variable's value on its device, which later updates do not reach: a step is given the memory of the value."""
    return jnp.copy(variable.value)


def seed_engine(seed: int) -> None:
    """Do nothing: all that JAX draws here comes from the layers' seed generators."""


def batches_of_any_size(batches: Any) -> Any:
    """A ``PyDataset`` whose batches' shapes change from epoch to epoch, as ``fit`` takes it: as it is."""
    return batches


def batches_of_one_size(batches: Any) -> Any:
    """A ``PyDataset`` whose batches have the same shape in all epochs, as it is."""
    return batches
