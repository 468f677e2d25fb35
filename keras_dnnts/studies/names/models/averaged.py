"""Several networks, alike but for their initial weights, that are trained at once and answer together."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_dnnts.backend import Adam
from keras_dnnts.studies.names.models.char_rnn import negative_log_likelihood


@keras.saving.register_keras_serializable("keras_dnnts")
class Stacked(keras.layers.Layer):
    """Puts the log-probabilities of M networks, each (batch, K), together to (batch, M, K)."""

    def call(self, log_probabilities: list[Any]) -> Any:
        """Return them together."""
        return ops.stack(log_probabilities, axis=1)


@keras.saving.register_keras_serializable("keras_dnnts")
class MeanProbabilities(keras.layers.Layer):
    """Turns the log-probabilities of M networks (batch, M, K) into the logarithms (batch, K) of their mean."""

    def call(self, stacked: Any) -> Any:
        """Return the logarithms of the mean probabilities."""
        return ops.logsumexp(stacked, axis=1) - math.log(stacked.shape[1])


class MembersAdam(Adam):
    """Adam for M networks at once: the gradients of each are clipped by their own norm, as if it were trained alone.

    All else that Adam does to a weight depends on that weight's gradients only.

    Args:
        members: M. The first M-th of the gradients is the first network's, and so on.
    """

    def __init__(self, *args: Any, members: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.members = members

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        size, left_over = divmod(len(grads), self.members)
        assert not left_over
        clip = super()._clip_gradients
        return [clipped for i in range(self.members) for clipped in clip(grads[i * size : (i + 1) * size])]


def build_together(builders: Sequence[Callable[[], keras.Model]]) -> tuple[keras.Model, keras.Model]:
    """Build M networks of letters and lengths, what is trained of them and what answers, which share their weights.

    Args:
        builders: of the networks.

    Returns:
        Two functional models of letters (batch, time) int32 and lengths (batch,) int32: to the log-probabilities of
        each network (batch, M, K), and to the logarithms (batch, K) of their mean probabilities. The weights are in the
        order of the networks.
    """
    letters = keras.Input((None,), dtype="int32", name="letters")
    lengths = keras.Input((), dtype="int32", name="lengths")
    outputs = []
    for number, build in enumerate(builders, start=1):
        # On torch, Keras knows a model's arrays by their paths: of two with one path, it would never reset the first's
        # gradients.
        with keras.name_scope(f"network_{number}"):
            network = build()
        outputs.append(keras.Model(network.inputs, network.outputs[0], name=f"network_{number}")([letters, lengths]))
    stacked = Stacked(name="together")(outputs)
    mean = MeanProbabilities(name="mean_probabilities")(stacked)
    name = f"{network.name}_averaged"
    return keras.Model([letters, lengths], stacked, name=name), keras.Model([letters, lengths], mean, name=name)


@keras.saving.register_keras_serializable("keras_dnnts")
def summed_losses(labels: Any, stacked: Any) -> Any:
    """Return (batch,) the sum over M networks of their losses, for labels (batch,) int and outputs (batch, M, K).

    A sum, whose gradients by the weights of each network are those of its own loss.
    """
    losses = [negative_log_likelihood(labels, stacked[:, i]) for i in range(stacked.shape[1])]
    return ops.sum(ops.stack(losses), axis=0)
