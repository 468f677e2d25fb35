"""The TensorFlow engine's side of the contract in :mod:`keras_dnnts.backend`."""

from keras_dnnts.backend.layers import Conv2D, MaxPooling2D
from keras_dnnts.backend.optimizers import Adam, Muon
from keras_dnnts.backend.tensorflow.batches import batches_of_any_size, batches_of_one_size
from keras_dnnts.backend.tensorflow.device import (
    COMPILES_STEPS,
    copy_value,
    describe_device,
    list_devices,
    runs_on_cpu,
    seed_engine,
)
from keras_dnnts.backend.tensorflow.distribution import (
    count_devices,
    distribute,
    on_all_devices,
    part_of,
    share,
    using_devices,
)
from keras_dnnts.backend.tensorflow.layers import BatchNormalization
from keras_dnnts.backend.tensorflow.per_example import PerExampleTraining
from keras_dnnts.backend.tensorflow.recurrent import pick, recurrent_outputs

__all__ = [
    "COMPILES_STEPS",
    "Adam",
    "BatchNormalization",
    "Conv2D",
    "MaxPooling2D",
    "Muon",
    "PerExampleTraining",
    "batches_of_any_size",
    "batches_of_one_size",
    "copy_value",
    "count_devices",
    "describe_device",
    "distribute",
    "list_devices",
    "on_all_devices",
    "part_of",
    "pick",
    "recurrent_outputs",
    "runs_on_cpu",
    "seed_engine",
    "share",
    "using_devices",
]
