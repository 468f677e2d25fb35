"""The torch engine's side of the contract in :mod:`keras_dnnts.backend`."""

from keras_dnnts.backend.torch.device import (
    COMPILES_STEPS,
    batches_of_any_size,
    batches_of_one_size,
    copy_value,
    describe_device,
    list_devices,
    runs_on_cpu,
    seed_engine,
)
from keras_dnnts.backend.torch.distribution import (
    count_devices,
    distribute,
    on_all_devices,
    part_of,
    share,
    using_devices,
)
from keras_dnnts.backend.torch.layers import BatchNormalization, Conv2D, MaxPooling2D
from keras_dnnts.backend.torch.optimizers import Adam, Muon
from keras_dnnts.backend.torch.per_example import PerExampleTraining
from keras_dnnts.backend.torch.recurrent import pick, recurrent_outputs

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
