"""One training on several devices of one process, by TensorFlow's ``MirroredStrategy``."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.losses import loss as loss_module

from keras_dnnts.backend.devices import choose_devices

KEYS_OF_A_STRATEGY = 100_000  # as in TensorFlow's own tests

_strategy: tf.distribute.Strategy | None = None
_per_device_statistics = False


def start_devices(wanted: int | str | None, per_device_statistics: bool, batch_size: int) -> None:
    """Let models that are built from now on, :func:`on_all_devices`, compute on several.

    Args:
        wanted: how many, ``"all"``, or None for one.
        per_device_statistics: whether batch normalisation takes each device's own statistics.
        batch_size: of all devices together; any can be shared out.

    Raises:
        UserError: there are fewer.
    """
    global _strategy, _per_device_statistics
    _per_device_statistics = per_device_statistics
    there = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    devices = choose_devices([device.name.removeprefix("/device:") for device in there], wanted)
    _strategy = _mirror(tuple(devices)) if len(devices) > 1 else None


class Mirrored(tf.distribute.MirroredStrategy):
    """A strategy beside which there may be others, and whose data sets are not tuned while they are read."""

    def __init__(self, devices: Sequence[str]) -> None:
        # All strategies of a process count their collective operations from here on: two with the same numbers are
        # refused, or wait for each other for good.
        self._collective_key_base = KEYS_OF_A_STRATEGY * len(devices)
        super().__init__(devices)

    def experimental_distribute_dataset(self, dataset: tf.data.Dataset, options: Any = None) -> Any:
        """See the base class."""
        # Every iterator, one an epoch, would at its end wait for what tunes it, which sleeps for up to as long as the
        # iterator has lived.
        untuned = tf.data.Options()
        untuned.autotune.enabled = False
        return super().experimental_distribute_dataset(dataset.with_options(untuned), options)


@cache
def _mirror(devices: tuple[str, ...]) -> Mirrored:
    return Mirrored(devices)


def count_devices() -> int:
    """The number of devices that compute together."""
    return 1 if _strategy is None else _strategy.num_replicas_in_sync


def share(value: Any) -> Any:
    """The value itself: there is one process."""
    return value


def on_all_devices() -> AbstractContextManager[Any]:
    """In which models are built and compiled."""
    return nullcontext() if _strategy is None else _strategy.scope()


def part_of(total: int) -> slice:
    """Of a batch of ``total`` examples, those that this process computes: all."""
    return slice(0, total)


def distribute(model: keras.Model) -> keras.Model:
    """A model of the same layers that trains on all devices; the model itself where there is one."""
    if _strategy is None:
        return model
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.Dropout:
            # The layer's own draws would be the same ones on every device.
            layer.call = partial(_drop, layer)
        if type(layer) is keras.layers.BatchNormalization:
            layer.synchronized = not _per_device_statistics
    return Distributed(model.inputs, model.outputs, name=model.name)


class Distributed(keras.Model):
    """A model whose devices share out each batch, the last of an epoch perhaps unevenly."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """A step by the gradient of the mean loss of the whole batch."""
        images, labels = data
        examples = tf.shape(labels)[0]
        with tf.GradientTape() as tape:
            outputs = self(images, training=True)
            loss = self._compute_loss(x=images, y=labels, y_pred=outputs, training=True)
            # Keras's is for devices with as many examples each.
            loss = loss_module.unscale_loss_for_distribution(loss)
            share = tf.cast(examples / sum_over_devices(examples), loss.dtype)
            share_of_loss = self.optimizer.scale_loss(loss * share)
        self._loss_tracker.update_state(_unless_empty(loss, examples), sample_weight=examples)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(share_of_loss, weights), weights, strict=True))
        return self.compute_metrics(images, labels, outputs)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Metrics of a device's part, which Keras sums."""
        images, labels = data
        outputs = self(images, training=False)
        loss = self._compute_loss(x=images, y=labels, y_pred=outputs, training=False)
        loss, examples = loss_module.unscale_loss_for_distribution(loss), tf.shape(labels)[0]
        self._loss_tracker.update_state(_unless_empty(loss, examples), sample_weight=examples)
        return self.compute_metrics(images, labels, outputs)


def sum_over_devices(value: tf.Tensor) -> tf.Tensor:
    """The sum of each device's tensor, in all of them; the tensor itself where there is one."""
    if not shares_batches():
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def shares_batches() -> bool:
    """Whether what is being computed is one device's part of a batch."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def synchronises_statistics() -> bool:
    """Whether batch normalisation takes the statistics of the whole batch from all devices."""
    return shares_batches() and not _per_device_statistics


def _unless_empty(mean: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """A mean over ``count`` examples; 0 where there are none."""
    return tf.where(count > 0, mean, tf.zeros_like(mean))


def _drop(layer: keras.layers.Dropout, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Dropout of a device's part, as one device would drop from the whole batch."""
    if not training or layer.rate == 0:
        return inputs
    counts = _count_everywhere(tf.shape(inputs)[0])
    ones = tf.ones(tf.concat([[tf.reduce_sum(counts)], tf.shape(inputs)[1:]], 0), inputs.dtype)
    kept = keras.random.dropout(ones, layer.rate, noise_shape=layer.noise_shape, seed=layer.seed_generator)
    context = tf.distribute.get_replica_context()
    start = 0 if context is None else tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    return inputs * kept[start : start + tf.shape(inputs)[0]]


def _count_everywhere(count: tf.Tensor) -> tf.Tensor:
    """The number of examples of every device."""
    context = tf.distribute.get_replica_context()
    if context is None:
        return count[None]
    own = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync, dtype=count.dtype)
    return sum_over_devices(own * count)
