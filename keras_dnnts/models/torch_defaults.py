"""PyTorch's default initial weights."""

import math

import keras


def torch_default(fan_in: int) -> keras.initializers.Initializer:
    """Draw from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for kernels and biases alike.

    PyTorch calls it ``kaiming_uniform_(a=sqrt(5))``. ``fan_in`` is the number of inputs of one output value.
    """
    bound = 1 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-bound, bound)
