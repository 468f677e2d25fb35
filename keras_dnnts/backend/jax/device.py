"""Where JAX computes."""

import jax


def runs_on_cpu() -> bool:
    """Whether new weights are created on the CPU."""
    return jax.default_backend() == "cpu"


def describe_device() -> str:
    """Name of the device, for a person."""
    return "cpu" if runs_on_cpu() else jax.devices()[0].device_kind


def seed_engine(seed: int) -> None:
    """Do nothing: all that JAX draws here comes from the layers' seed generators."""
