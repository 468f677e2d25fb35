"""Where TensorFlow computes."""

from typing import Any

import tensorflow as tf

COMPILES_STEPS = True  # for every shape of batches


def runs_on_cpu() -> bool:
    """Whether new weights are created on the CPU."""
    return not tf.config.get_visible_devices("GPU")


def describe_device() -> str:
    """Name of the device, for a person."""
    if runs_on_cpu():
        return "cpu"
    details = tf.config.experimental.get_device_details(tf.config.get_visible_devices("GPU")[0])
    return details.get("device_name", "gpu")


def list_devices() -> list[str]:
    """Names of the devices that runs can use, the one that ``auto`` takes first."""
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.get_visible_devices("GPU")]
    return [one.get("device_name", "gpu") for one in details] + ["cpu"]


def copy_value(variable: Any, earlier: Any = None) -> tf.Tensor:
    """A variable's value on its device, which later updates do not reach."""
    return tf.identity(variable.value)


def seed_engine(seed: int) -> None:
    """Start TensorFlow's own random numbers."""
    tf.random.set_seed(seed)
