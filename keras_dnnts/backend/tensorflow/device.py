"""Where TensorFlow computes."""

import tensorflow as tf


def runs_on_cpu() -> bool:
    """Whether new weights are created on the CPU."""
    return not tf.config.get_visible_devices("GPU")


def describe_device() -> str:
    """Name of the device, for a person."""
    if runs_on_cpu():
        return "cpu"
    details = tf.config.experimental.get_device_details(tf.config.get_visible_devices("GPU")[0])
    return details.get("device_name", "gpu")


def seed_engine(seed: int) -> None:
    """Start TensorFlow's own random numbers."""
    tf.random.set_seed(seed)
