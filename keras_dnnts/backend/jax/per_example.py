"""Per-example training on JAX: one compiled scan over the examples of a chunk."""

from typing import Any

import jax
import jax.numpy as jnp
import keras

from keras_dnnts.backend.buckets import bucket_lengths
from keras_dnnts.backend.rates import next_rates


class PerExampleTraining(keras.Model):
    """The training step of :class:`keras_dnnts.studies.names.models.per_example.PerExampleModel` on JAX."""

    def train_step(self, state: tuple, data: Any) -> tuple[dict[str, Any], tuple]:
        """Update the weights once for every example of the chunk ``((letters, lengths), labels)``."""
        self.check_compiled()
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        (letters, lengths), labels = data[0], data[1]
        mapping = [
            *zip(self.optimizer.variables, optimizer_variables, strict=True),
            *zip(self.metrics_variables, metrics_variables, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            rates = next_rates(self.optimizer, len(lengths))
            if self.update_each_fused:
                trainable, losses, guesses = self._update_each_fused(trainable, letters, lengths, labels, rates)
            else:
                update = self._make_update(letters.shape[1])
                (trainable, non_trainable), (losses, guesses) = jax.lax.scan(
                    update, (trainable, non_trainable), (letters, lengths, labels, rates)
                )
            self.optimizer.iterations.assign_add(len(losses))
            self._loss_tracker.update_state(losses.mean(), sample_weight=len(losses))
            logs = {
                "loss": self._loss_tracker.result(),
                "step_loss": losses[-1],
                "guess": guesses[-1],
                "finite_updates": jnp.cumprod(jnp.isfinite(losses)).sum(),
            }
        optimizer_variables = [_current(scope, variable) for variable in self.optimizer.variables]
        metrics_variables = [_current(scope, variable) for variable in self.metrics_variables]
        return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)

    def _update_each_fused(self, trainable: list, *examples: Any) -> tuple:
        weights, *examples = jax.device_get((trainable, *examples))
        updated = self.update_each_fused(weights, *examples)
        return jax.tree.map(jnp.array, updated)

    def _make_update(self, longest: int) -> Any:
        buckets = bucket_lengths(longest)

        def loss_of(trainable: list, non_trainable: list, letters: Any, length: Any, label: Any) -> tuple:
            inputs = [letters[None], length[None]]
            outputs, non_trainable = self.stateless_call(trainable, non_trainable, inputs, training=True)
            return self.loss(label[None], outputs)[0], (outputs[0].argmax(), non_trainable)

        def update(carry: tuple, example: tuple) -> tuple:
            letters, length, label, rate = example
            trainable, non_trainable = carry

            def differentiate(bucket: int) -> tuple:
                gradient = jax.value_and_grad(loss_of, has_aux=True)
                return gradient(trainable, non_trainable, letters[:bucket], length, label)

            branches = [lambda bucket=bucket: differentiate(bucket) for bucket in buckets]
            index = jnp.searchsorted(jnp.asarray(buckets), length)
            (loss, (guess, non_trainable)), gradients = jax.lax.switch(index, branches)
            trainable = [weight - rate * gradient for weight, gradient in zip(trainable, gradients, strict=True)]
            return (trainable, non_trainable), (loss, guess)

        return update


def _current(scope: keras.StatelessScope, variable: keras.Variable) -> Any:
    value = scope.get_current_value(variable)
    return variable.value if value is None else value
