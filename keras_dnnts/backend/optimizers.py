"""Adam as PyTorch computes it, in ``keras.ops``."""

import math
from typing import Any

import keras
from keras import ops


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
