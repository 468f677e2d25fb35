"""One training on several devices of one process, by TensorFlow's ``MirroredStrategy``."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.losses import loss as loss_module
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from keras_dnnts.backend.devices import choose_devices
from keras_dnnts.backend.layers import BatchNormalization

KEYS_OF_A_STRATEGY = 100_000  # as in TensorFlow's own tests

_strategy: tf.distribute.Strategy | None = None
_per_device_statistics = False


@contextmanager
def using_devices(wanted: int | str | None, per_device_statistics: bool, batch_size: int) -> Iterator[None]:
    """Within this context, let models that are built under :func:`on_all_devices` compute on several devices.

    Args:
        wanted: how many, ``"all"``, or None for one.
        per_device_statistics: whether batch normalisation takes each device's own statistics.
        batch_size: of all devices together; any can be shared out.

    Raises:
        UserError: there are fewer.
    """
    global _strategy, _per_device_statistics
    there = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    devices = choose_devices([device.name.removeprefix("/device:") for device in there], wanted)
    before = _strategy, _per_device_statistics
    _strategy = _mirror(tuple(devices)) if len(devices) > 1 else None
    _per_device_statistics = per_device_statistics
    try:
        yield
    finally:
        _strategy, _per_device_statistics = before


class Mirrored(tf.distribute.MirroredStrategy):
    """A strategy that can coexist with others in one process."""

    def __init__(self, devices: Sequence[str]) -> None:
        # All strategies of a process count their collective operations from here on: two with the same numbers are
        # refused, or wait for each other for good.
        self._collective_key_base = KEYS_OF_A_STRATEGY * len(devices)
        # CPUs need no collective operations, in which devices wait for each other, to add what they have.
        on_cpu = all(device.startswith("CPU") for device in devices)
        super().__init__(devices, cross_device_ops=tf.distribute.ReductionToOneDevice() if on_cpu else None)


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
            layer.call = partial(_drop, layer, layer.call)
        if type(layer) is keras.layers.BatchNormalization:
            layer.synchronized = not _per_device_statistics
    return Distributed(model.inputs, model.outputs, name=model.name)


class SharedBatches(PyDatasetAdapter, tf.distribute.DistributedDataset):
    """The batches of a ``PyDataset`` for ``fit``, each as the parts of all devices: images, and labels that count.

    A batch is made between two steps, in the thread that trains. What Keras makes of a ``PyDataset`` calls it from
    TensorFlow's own threads while steps run in them.

    A batch of fewer examples than devices leaves some without any: these compute its first image, for TensorFlow's
    convolutions give maps of a wrong shape where there are none.
    """

    def __init__(self, batches: keras.utils.PyDataset, strategy: tf.distribute.Strategy) -> None:
        super().__init__(batches)
        self._strategy = strategy

    def get_tf_dataset(self) -> "SharedBatches":
        """What ``fit`` iterates over, every epoch anew."""
        return self

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the batches of an epoch."""
        for batch in self._get_iterator():
            yield self._strategy.experimental_distribute_values_from_function(partial(self._take_part, *batch))

    def _take_part(self, images: Any, labels: Any, device: tf.distribute.experimental.ValueContext) -> Any:
        number, devices = device.replica_id_in_sync_group, device.num_replicas_in_sync
        start, stop = (place * len(labels) // devices for place in (number, number + 1))
        own = images[start:stop] if start < stop else images[:1]
        with tf.device(self._strategy.extended.worker_devices[number]):
            return tf.identity(own), tf.identity(labels[start:stop])


@dataclass(frozen=True)
class Part:
    """What a device has of the batch of a training step.

    Attributes:
        counts: (devices,) int32, the numbers of examples that count, of every device.
        device: the number of this one.
    """

    counts: tf.Tensor
    device: int

    @classmethod
    def of(cls, labels: tf.Tensor) -> "Part":
        """This device's, by the labels that it has."""
        context = tf.distribute.get_replica_context()
        device, devices = context.replica_id_in_sync_group, context.num_replicas_in_sync
        own = tf.one_hot(device, devices, dtype=tf.int32) * tf.shape(labels)[0]
        return cls(sum_over_devices(own), device)

    @property
    def count(self) -> tf.Tensor:
        """Number of examples that count."""
        return self.counts[self.device]

    @property
    def start(self) -> tf.Tensor:
        """How many examples of the batch other devices have before it."""
        return tf.reduce_sum(self.counts[: self.device])

    @property
    def total(self) -> tf.Tensor:
        """Number of examples of the batch."""
        return tf.reduce_sum(self.counts)


_at_hand = threading.local()  # each device's step is traced in a thread of its own


@contextmanager
def _computing(part: Part) -> Iterator[None]:
    _at_hand.part = part
    try:
        yield
    finally:
        _at_hand.part = None


def part_at_hand() -> Part | None:
    """Of the training step that is being computed; None outside one."""
    return getattr(_at_hand, "part", None)


def takes_own_statistics() -> bool:
    """Whether batch normalisation takes each device's statistics."""
    return _per_device_statistics


class Distributed(keras.Model):
    """A model whose devices share out each batch of a ``PyDataset``, perhaps unevenly."""

    def fit(self, x: Any = None, *args: Any, validation_data: Any = None, **kwargs: Any) -> Any:
        """Train, see Keras."""
        return super().fit(self._share_out(x), *args, validation_data=self._share_out(validation_data), **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Measure loss and metrics, see Keras."""
        return super().evaluate(self._share_out(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute outputs, see Keras."""
        return super().predict(self._share_out(x), *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """A step by the gradient of the mean loss of the whole batch."""
        images, labels = data
        part = Part.of(labels)
        with tf.GradientTape() as tape:
            with _computing(part):
                outputs = self(images, training=True)[: part.count]
            loss = self._compute_loss(x=images, y=labels, y_pred=outputs, training=True)
            # Keras's is for devices with as many examples each.
            loss = loss_module.unscale_loss_for_distribution(loss)
            share = tf.cast(part.count / part.total, loss.dtype)
            share_of_loss = self.optimizer.scale_loss(loss * share)
        self._loss_tracker.update_state(_unless_empty(loss, part.count), sample_weight=part.count)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(share_of_loss, weights), weights, strict=True))
        self._agree_on_statistics(part)
        return self.compute_metrics(images, labels, outputs)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Metrics of a device's part, which Keras sums."""
        images, labels = data
        outputs, count = self.predict_step(data), tf.shape(labels)[0]
        loss = self._compute_loss(x=images, y=labels, y_pred=outputs, training=False)
        loss = loss_module.unscale_loss_for_distribution(loss)
        self._loss_tracker.update_state(_unless_empty(loss, count), sample_weight=count)
        return self.compute_metrics(images, labels, outputs)

    def predict_step(self, data: Any) -> tf.Tensor:
        """Outputs for a device's part, or for images without labels."""
        outputs = super().predict_step(data)
        return outputs[: tf.shape(data[1])[0]] if isinstance(data, tuple) and len(data) > 1 else outputs

    def _agree_on_statistics(self, part: Part) -> None:
        """Let all devices go on with the mean of what layers keep beside weights, from each device's own part."""
        drifting = [
            variable
            for layer in self._flatten_layers(include_self=False)
            if layer.trainable and not (isinstance(layer, BatchNormalization) and not _per_device_statistics)
            for variable in layer._non_trainable_variables
            if keras.backend.is_float_dtype(variable.dtype)
        ]
        if not drifting:
            return
        # Of a device that has nothing of the batch, not even what is not finite counts.
        own = [tf.math.multiply_no_nan(v.value, tf.cast(part.count / part.total, v.dtype)) for v in drifting]
        for variable, mean in zip(drifting, sum_over_devices(own), strict=True):
            variable.assign(mean)

    def _share_out(self, data: Any) -> Any:
        return SharedBatches(data, self.distribute_strategy) if isinstance(data, keras.utils.PyDataset) else data

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Build losses and metrics, once, for the first device's part of a batch: others may be of another size."""
        if self._compile_metrics.built and self._compile_loss.built:
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = tuple(self.distribute_strategy.experimental_local_results(part)[0] for part in next(batches))
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)


def sum_over_devices(value: Any) -> Any:
    """The sum of each device's tensor, in all of them; of several, given as a list."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def _unless_empty(mean: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """A mean over ``count`` examples; 0 where there are none."""
    return tf.where(count > 0, mean, tf.zeros_like(mean))


def _drop(layer: keras.layers.Dropout, alone: Any, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Dropout of a device's part, as one device would drop from the whole batch."""
    part = part_at_hand()
    if part is None or not training or layer.rate == 0:
        return alone(inputs, training=training)
    ones = tf.ones(tf.concat([part.total[None], tf.shape(inputs)[1:]], 0), inputs.dtype)
    kept = keras.random.dropout(ones, layer.rate, noise_shape=layer.noise_shape, seed=layer.seed_generator)
    start = tf.where(part.count > 0, part.start, 0)
    return inputs * kept[start : start + tf.shape(inputs)[0]]
