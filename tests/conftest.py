"""What must be settled before any test module imports Keras."""

import os
import tempfile

import torch  # before TensorFlow: the other way round, one process crashes

import keras_dnnts  # noqa: F401  names the backend

# Importing Keras reads and writes keras.json: never the user's own.
keras_home = tempfile.TemporaryDirectory(prefix="keras-home-")
os.environ["KERAS_HOME"] = keras_home.name

# The tests' tensors are small: on a busy machine, threads that wait for each other made them ten times slower.
torch.set_num_threads(1)
