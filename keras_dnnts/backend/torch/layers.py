"""The layers of :mod:`keras_dnnts.backend.layers` on PyTorch's own fused operations.

Maps keep Keras's shape (N, H, W, C). Seen as (N, C, H, W) through ``permute``, such a tensor is in PyTorch's
channels-last memory format, so no operation here copies a map to change its layout.
"""

import math
from collections.abc import Callable

import keras
import torch
from keras import ops
from torch.nn import functional as F

from keras_dnnts.backend import layers
from keras_dnnts.backend.torch import distribution
from keras_dnnts.backend.torch.convolution import Im2colConvolution, is_small


@keras.saving.register_keras_serializable("keras_dnnts")
class Conv2D(layers.Conv2D):
    """:class:`keras_dnnts.backend.layers.Conv2D` by oneDNN, MKL or cuDNN, without a copy of maps or kernel."""

    def build(self, input_shape: layers.Shape) -> None:
        """Create the weights, the kernel's memory in the order that channels-last convolutions read: OHWI."""
        super().build(input_shape)
        kernel = self._kernel.value
        kernel.data = kernel.data.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        """Convolve (N, H, W, C) maps into (N, H', W', filters) ones."""
        kernel = ops.convert_to_tensor(self.kernel)
        bias = ops.convert_to_tensor(self.bias) if self.use_bias else None
        if self._is_product_of_matrices(inputs):
            rows, columns = self.strides
            # Without gradients, PyTorch would repeat the kernel for every row of maps that are not contiguous.
            outputs = F.linear(inputs[:, ::rows, ::columns].contiguous(), kernel.squeeze((0, 1)).T, bias)
        elif self._takes_im2col(inputs):
            outputs = Im2colConvolution.apply(inputs, kernel, self.strides, self.border)
            outputs = outputs if bias is None else outputs + bias
        else:
            kernel = kernel.permute(3, 2, 0, 1)
            outputs = _nhwc(
                F.conv2d(_nchw(inputs), kernel, bias, self.strides, self.border, self.dilation_rate, self.groups)
            )
        return _activate(self.activation, outputs)

    def _is_product_of_matrices(self, inputs: torch.Tensor) -> bool:
        # In bfloat16, oneDNN's products are faster than its 1x1 convolutions, whose kernels it reorders in every call;
        # in float32, products are MKL's, which lag on AMD's processors. On a GPU, products do not take the reduced
        # precision (TF32) that convolutions take by default.
        if inputs.device.type != "cpu" or self.kernel_size != (1, 1) or self.border or self.groups != 1:
            return False
        return inputs.dtype == torch.bfloat16 or not torch.backends.mkldnn.is_available()

    def _takes_im2col(self, inputs: torch.Tensor) -> bool:
        if inputs.device.type != "cpu" or inputs.dtype != torch.bfloat16:
            return False
        if self.groups != 1 or self.dilation_rate != (1, 1):
            return False
        sides = zip(inputs.shape[1:3], self.kernel_size, self.strides, strict=True)
        outputs = [(side + 2 * self.border - size) // step + 1 for side, size, step in sides]
        return min(outputs) > 0 and is_small(math.prod(outputs), self.filters)


@keras.saving.register_keras_serializable("keras_dnnts")
class MaxPooling2D(layers.MaxPooling2D):
    """:class:`keras_dnnts.backend.layers.MaxPooling2D` without a padded copy of the map."""

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        """Reduce (N, H, W, C) maps to (N, H', W', C) ones."""
        return _nhwc(F.max_pool2d(_nchw(inputs), self.pool_size, self.strides, self.border))


@keras.saving.register_keras_serializable("keras_dnnts")
class BatchNormalization(layers.BatchNormalization):
    """:class:`keras_dnnts.backend.layers.BatchNormalization` in one operation, with a stable variance."""

    def call(self, inputs: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        """Normalise (N, H, W, C) maps: by their own statistics in training, else by the moving ones."""
        # Without a scale, cuDNN's gradient of the shift fails.
        scale = self.gamma.value if self.scale else torch.ones_like(self.beta.value)
        training = bool(training and self.trainable)
        if training and distribution.synchronises_statistics():
            return _activate(self.activation, self._normalise_together(inputs, scale))
        outputs = F.batch_norm(
            _nchw(inputs),
            self.moving_mean.value,
            self.moving_variance.value,
            scale,
            self.beta.value,
            training=training,
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )
        return _activate(self.activation, _nhwc(outputs))

    def _normalise_together(self, inputs: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        outputs, mean, variance = distribution.BatchNorm.apply(_nchw(inputs), scale, self.beta.value, self.epsilon)
        with torch.no_grad():
            self.moving_mean.value.lerp_(mean, 1 - self.momentum)
            self.moving_variance.value.lerp_(variance, 1 - self.momentum)
        return _nhwc(outputs)


def _nchw(maps: torch.Tensor) -> torch.Tensor:
    return maps.permute(0, 3, 1, 2)


def _nhwc(maps: torch.Tensor) -> torch.Tensor:
    return maps.permute(0, 2, 3, 1)


def _activate(activation: Callable, outputs: torch.Tensor) -> torch.Tensor:
    # In place: neither a convolution nor a normalisation needs its outputs for the gradient.
    return torch.relu_(outputs) if activation is keras.activations.relu else activation(outputs)
