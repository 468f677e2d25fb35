"""A recipe's optimizer and loss for Keras."""

from typing import Any

import keras
from keras import ops

from keras_dnnts.backend import Adam, Muon
from keras_dnnts.running.callbacks.epochs import PLAIN_LOSS
from keras_dnnts.studies.cifar.config import CifarConfig


def compile_model(model: keras.Model, config: CifarConfig, steps_per_epoch: int) -> None:
    """Compile a network for training as a config says, at the rate of the first epoch."""
    metrics: list[Any] = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if config.label_smoothing or model.losses:
        metrics.append(keras.metrics.SparseCategoricalCrossentropy(name=PLAIN_LOSS, from_logits=True))
    model.compile(optimizer=build_optimizer(config, steps_per_epoch), loss=build_loss(config), metrics=metrics)


def build_optimizer(config: CifarConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer of a config: all compute as PyTorch's, but that weight decay does not pass through sgd's momentum.

    ``adamw`` is https://arxiv.org/abs/1711.05101; all weights decay, biases and normalisation included. With weight
    averaging, ``fit`` ends with the average.
    """
    rate, decay = _learning_rate(config, steps_per_epoch), config.weight_decay or None
    averaging: dict[str, Any] = {}
    if config.weight_averaging:
        averaging = {"use_ema": True, "ema_momentum": config.weight_averaging}
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=config.momentum, weight_decay=decay, **averaging)
    if config.optimizer == "muon":
        return _build_muon(config, rate, decay, averaging)
    return Adam(rate, weight_decay=decay, **averaging)


def _learning_rate(config: CifarConfig, steps_per_epoch: int) -> Any:
    assert config.epochs is not None
    rate = config.learning_rate_of(epoch=0)
    if config.schedule != "linear_by_step":
        return rate
    return keras.optimizers.schedules.PolynomialDecay(rate, config.epochs * steps_per_epoch, end_learning_rate=0.0)


def _build_muon(config: CifarConfig, rate: Any, decay: float | None, averaging: dict[str, Any]) -> Muon:
    assert config.batch_size is not None and config.bias_learning_rate is not None
    assert config.dense_learning_rate is not None and config.learning_rate is not None
    # Their rates are for the gradient of a batch's summed loss; Keras's loss is the mean.
    to_ratio = config.batch_size / config.learning_rate
    return Muon(
        rate,
        momentum=config.momentum,
        bias_ratio=config.bias_learning_rate * to_ratio,
        dense_ratio=config.dense_learning_rate * to_ratio,
        weight_decay=decay,
        initial_rate=config.learning_rate,
        **averaging,
    )


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
        chosen = ops.cast(labels[:, None] == ops.arange(y_pred.shape[-1]), log_probabilities.dtype)
        right = ops.sum(chosen * log_probabilities, axis=-1)
        return -(1 - self.label_smoothing) * right - self.label_smoothing * ops.mean(log_probabilities, axis=-1)
