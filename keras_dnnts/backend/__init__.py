"""The one place that asks which engine Keras runs on.

Each engine has a folder of the same shape (``torch/``, ``jax/``, ``tensorflow/``) that meets one contract: the names
imported below. Everywhere else the package uses ``keras.ops``, ``keras.layers`` and these names.
"""

import importlib

import keras

engine = importlib.import_module(f"keras_dnnts.backend.{keras.backend.backend()}")

PerExampleTraining = engine.PerExampleTraining
recurrent_outputs = engine.recurrent_outputs
pick = engine.pick
runs_on_cpu = engine.runs_on_cpu
describe_device = engine.describe_device
list_devices = engine.list_devices
COMPILES_STEPS = engine.COMPILES_STEPS
batches_of_any_size = engine.batches_of_any_size
batches_of_one_size = engine.batches_of_one_size
using_devices = engine.using_devices
count_devices = engine.count_devices
on_all_devices = engine.on_all_devices
distribute = engine.distribute
part_of = engine.part_of
share = engine.share
copy_value = engine.copy_value
seed_engine = engine.seed_engine
Conv2D = engine.Conv2D
MaxPooling2D = engine.MaxPooling2D
BatchNormalization = engine.BatchNormalization
Adam = engine.Adam
Muon = engine.Muon
