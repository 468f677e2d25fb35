"""One training on several devices of one process: JAX computes as on one device, and divides the work itself."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras

from keras_dnnts.backend.devices import choose_devices
from keras_dnnts.errors import UserError, option_name


class WholeBatches(keras.distribution.DataParallel):
    """Data parallelism in which batches arrive whole: not every one can be divided evenly, see :class:`Distributed`."""

    def get_data_layout(self, data_shape: tuple[int | None, ...]) -> keras.distribution.TensorLayout:
        """The layout in which data of a shape come to the devices."""
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


@contextmanager
def using_devices(wanted: int | str | None, per_device_statistics: bool, batch_size: int) -> Iterator[None]:
    """Let models that are built within compute on several devices.

    Args:
        wanted: how many, ``"all"``, or None for one.
        per_device_statistics: must be False.
        batch_size: of all devices together.

    Raises:
        UserError: there are fewer, or they cannot share a batch evenly.
    """
    devices = choose_devices(keras.distribution.list_devices(), wanted)
    if batch_size % len(devices):
        raise UserError(
            f"{option_name('batch_size')} {batch_size} cannot be shared out evenly to {len(devices)} devices, as JAX "
            f"needs: use a multiple of {len(devices)}"
        )
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(WholeBatches(devices=devices) if len(devices) > 1 else None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def count_devices() -> int:
    """The number of devices that compute together."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def share(value: Any) -> Any:
    """The value itself: there is one process."""
    return value


def on_all_devices() -> AbstractContextManager[Any]:
    """In which models are built and compiled."""
    return nullcontext()


def part_of(total: int) -> slice:
    """Of a batch of ``total`` examples, those that this process computes: all."""
    return slice(0, total)


def distribute(model: keras.Model) -> keras.Model:
    """A model of the same layers that computes on all devices; the model itself where there is one."""
    return model if count_devices() == 1 else Distributed(model.inputs, model.outputs, name=model.name)


class Distributed(keras.Model):
    """A model whose devices share out each batch that can be divided evenly.

    Of another, such as the last one of an epoch, each computes the whole. Either way all that is computed over a batch,
    such as its statistics and what dropout drops, is as on one device.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Compute outputs for a batch."""
        distribution = keras.distribution.distribution()
        # None once the run is over: then one device computes.
        if distribution is not None and inputs.shape[0] is not None and inputs.shape[0] % count_devices() == 0:
            layout = [distribution.batch_dim_name] + [None] * (len(inputs.shape) - 1)
            inputs = keras.distribution.distribute_tensor(
                inputs, keras.distribution.TensorLayout(layout, distribution.device_mesh)
            )
        return super().call(inputs, training=training, mask=mask)
