"""Adam as PyTorch computes it, in ``keras.ops``."""

import math
from typing import Any

import keras
from keras import ops

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""The coefficients of Muon's iteration, whose slope at zero is the steepest that converges well enough."""


@keras.saving.register_keras_serializable("keras_dnnts")
class Adam(keras.optimizers.Adam):
    """Adam (https://arxiv.org/abs/1412.6980, algorithm 1) with epsilon where the paper and PyTorch have it.

    Keras adds epsilon before the correction for the moments' start at zero, which makes it up to
    ``1 / sqrt(1 - beta_2)`` times as large in the first steps: at a gradient of 1e-6 the first update comes out a
    quarter smaller.
    """

    def __init__(self, learning_rate: float = 0.001, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(learning_rate, epsilon=epsilon, amsgrad=False, **kwargs)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Move one variable and its two moments by one gradient of the same shape."""
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, variable.dtype)
        self.assign_add(momentum, (1 - self.beta_1) * (gradient - momentum))
        self.assign_add(velocity, (1 - self.beta_2) * (ops.square(gradient) - velocity))
        mean = momentum / _one_minus_power(self.beta_1, step)
        variance = velocity / _one_minus_power(self.beta_2, step)
        self.assign_sub(variable, learning_rate * mean / (ops.sqrt(variance) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["amsgrad"]
        return config


def _one_minus_power(beta: float, step: Any) -> Any:
    # In float32, 1 - 0.999 alone is wrong in the fifth digit.
    return -ops.expm1(step * math.log(beta))


@keras.saving.register_keras_serializable("keras_dnnts")
class Muon(keras.optimizers.Muon):
    """Muon for convolutions: kernels move by orthogonalised momentum, all else by Nesterov's (K. Jordan and others,
    2024, https://kellerjordan.github.io/posts/muon).

    Keras's own leaves kernels of four axes to AdamW. Here such a kernel (h, w, inputs, filters) is taken as a matrix
    with a row for each filter. Before every step it is scaled to an RMS norm of 1 for each row on average, so that the
    learning rate alone says how much a step turns it; the step is the momentum's nearest semi-orthogonal matrix, by
    Newton-Schulz iterations, times the learning rate. Biases and kernels of two axes follow SGD with Nesterov momentum
    and L2 weight decay.

    Args:
        learning_rate: of convolution kernels.
        momentum: of convolution kernels.
        bias_ratio, dense_ratio: the learning rates of biases and of kernels of two axes, as multiples of
            ``learning_rate``.
        other_momentum: theirs.
        weight_decay: what each step takes of biases and dense kernels at the initial rate, before momentum adds
            to it; convolution kernels have none.
        ns_steps: number of Newton-Schulz iterations.
        initial_rate: the learning rate that ``weight_decay`` belongs to; None for ``learning_rate``.
    """

    def __init__(
        self,
        learning_rate: Any = 0.24,
        momentum: float = 0.6,
        bias_ratio: float = 1.0,
        dense_ratio: float = 1.0,
        other_momentum: float = 0.85,
        weight_decay: float | None = None,
        ns_steps: int = 3,
        initial_rate: float | None = None,
        **kwargs: Any,
    ) -> None:
        # Keras would apply a weight decay to all.
        super().__init__(learning_rate, weight_decay=None, momentum=momentum, ns_steps=ns_steps, **kwargs)
        self.bias_ratio, self.dense_ratio, self.other_momentum = bias_ratio, dense_ratio, other_momentum
        self.other_decay = weight_decay or 0.0
        self.initial_rate = float(learning_rate) if initial_rate is None else initial_rate

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return False  # so that none gets a second moment

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Move one variable and its momentum by one gradient of the same shape."""
        momentum = self.momentums[self._get_variable_index(variable)]
        rate = ops.cast(learning_rate, variable.dtype)
        if len(variable.shape) == 4:
            self._turn(gradient, variable, momentum, rate)
            return
        ratio = self.dense_ratio if len(variable.shape) == 2 else self.bias_ratio
        decay = self.other_decay / (ratio * self.initial_rate)
        # Tensors, for on torch a variable times a number waits for a GPU.
        weight, speed = ops.convert_to_tensor(variable), ops.convert_to_tensor(momentum)
        moved = gradient + decay * weight
        speed = self.other_momentum * speed + moved
        self.assign(momentum, speed)
        self.assign_sub(variable, rate * ratio * (moved + self.other_momentum * speed))

    def _turn(self, gradient: Any, kernel: keras.Variable, momentum: keras.Variable, rate: Any) -> None:
        self.assign(momentum, self.momentum * momentum + gradient)
        rows = ops.transpose(gradient + self.momentum * momentum, (3, 0, 1, 2))
        turned = orthogonalize(ops.reshape(rows, (kernel.shape[3], -1)), self.ns_steps)
        step = ops.transpose(ops.reshape(turned, rows.shape), (1, 2, 3, 0))
        norm = ops.maximum(ops.sqrt(ops.sum(ops.square(kernel))), 1e-7)
        self.assign(kernel, kernel * (math.sqrt(kernel.shape[3]) / norm) - rate * step)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        for name in ("adam_weight_decay", "adam_beta_1", "adam_beta_2", "adam_lr_ratio", "epsilon", "exclude_layers"):
            del config[name]
        return {
            **config,
            "bias_ratio": self.bias_ratio,
            "dense_ratio": self.dense_ratio,
            "other_momentum": self.other_momentum,
            "weight_decay": self.other_decay,
            "initial_rate": self.initial_rate,
        }


def orthogonalize(matrix: Any, steps: int) -> Any:
    """Roughly the semi-orthogonal matrix nearest to a matrix (m, n): singular values come to lie about 1.

    Each of Muon's Newton-Schulz steps takes X to p(X Xᵀ) X with the polynomial p(A) = a + b A + c A². As p(A) commutes
    with A, X Xᵀ goes to A p(A)², so that all steps can be taken in the smaller of the matrix's dimensions, and the
    matrix itself is multiplied once: for m much smaller than n that takes a third of the operations.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else ops.transpose(matrix)
    wide = wide / (ops.sqrt(ops.sum(ops.square(wide))) + 1e-7)
    square = wide @ ops.transpose(wide)  # operators: on torch, ops.matmul takes longer than a small product
    identity = ops.eye(wide.shape[0], dtype=wide.dtype)
    a, b, c = NEWTON_SCHULZ
    product = None
    for step in range(steps):
        polynomial = a * identity + b * square + c * (square @ square)
        product = polynomial if product is None else polynomial @ product
        if step < steps - 1:
            square = square @ (polynomial @ polynomial)
    turned = wide if product is None else product @ wide
    return turned if matrix.shape[0] <= matrix.shape[1] else ops.transpose(turned)
