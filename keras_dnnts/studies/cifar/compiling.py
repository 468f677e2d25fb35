"""A recipe's optimizer and loss for Keras."""

from typing import Any

import keras
from keras import ops

from keras_dnnts.backend import Adam
from keras_dnnts.running.callbacks.epochs import PLAIN_LOSS
from keras_dnnts.studies.cifar.config import CifarConfig


def compile_model(model: keras.Model, config: CifarConfig) -> None:
    """Compile a network for training as a config says, at the rate of the first epoch."""
    metrics: list[Any] = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if config.label_smoothing or model.losses:
        metrics.append(keras.metrics.SparseCategoricalCrossentropy(name=PLAIN_LOSS, from_logits=True))
    model.compile(optimizer=build_optimizer(config), loss=build_loss(config), metrics=metrics)


def build_optimizer(config: CifarConfig) -> keras.optimizers.Optimizer:
    """The optimizer of a config: all compute as PyTorch's, but that weight decay does not pass through sgd's momentum.

    ``adamw`` is https://arxiv.org/abs/1711.05101; all weights decay, biases and normalisation included.
    """
    rate, decay = config.learning_rate_of(epoch=0), config.weight_decay or None
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=config.momentum, weight_decay=decay)
    return Adam(rate, weight_decay=decay)


def build_loss(config: CifarConfig) -> keras.losses.Loss:
    """The loss of a config, of labels (N,) int and logits (N, K)."""
    if config.label_smoothing:
        return SmoothedCrossEntropy(config.label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy in nats with labels of which a share goes to all K classes evenly (https://arxiv.org/abs/1512.00567).

    Args:
        label_smoothing: that share, from 0 to 1.
    """

    def __init__(self, label_smoothing: float) -> None:
        super().__init__(name="smoothed_cross_entropy")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss (N,) of labels (N,) or (N, 1) and logits (N, K)."""
        log_probabilities = ops.log_softmax(y_pred, axis=-1)
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        chosen = ops.one_hot(labels, y_pred.shape[-1], dtype=log_probabilities.dtype)
        right = ops.sum(chosen * log_probabilities, axis=-1)
        return -(1 - self.label_smoothing) * right - self.label_smoothing * ops.mean(log_probabilities, axis=-1)
