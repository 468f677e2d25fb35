"""Per-example training on JAX: one compiled scan over the examples of a chunk."""

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import keras

from keras_dnnts.backend.buckets import bucket_lengths
from keras_dnnts.backend.jax.device import exact_products
from keras_dnnts.backend.rates import next_rates


class PerExampleTraining(keras.Model):
    """The training step of :class:`keras_dnnts.studies.names.models.per_example.PerExampleModel` on JAX."""

    fused_options: ClassVar[dict[str, bool]] = {"run_eagerly": True}

    def make_train_function(self, force: bool = False) -> None:
        """Keras's own, and what a training step does before and after its updates, each compiled."""
        if force or self.train_function is None:
            # The model's own, so that they go with it: JAX keeps what it has compiled for a function.
            self._next_rates = jax.jit(functools.partial(_next_rates, self.optimizer), static_argnums=1)
            counted = self.optimizer, self._loss_tracker, self.metrics_variables
            self._record = jax.jit(functools.partial(_record, *counted))
        super().make_train_function(force)

    def train_step(self, state: tuple, data: Any) -> tuple[dict[str, Any], tuple]:
        """Update the weights once for every example of the chunk ``((letters, lengths), labels)``."""
        self.check_compiled()
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        (letters, lengths), labels = data[0], data[1]
        rates = self._next_rates(optimizer_variables, len(lengths))
        if self.update_each_fused:
            trainable, losses, guesses = self._update_each_fused(trainable, letters, lengths, labels, rates)
        else:
            update = self._make_update(letters.shape[1])
            (trainable, non_trainable), (losses, guesses) = jax.lax.scan(
                update, (trainable, non_trainable), (letters, lengths, labels, rates)
            )
        logs, optimizer_variables, metrics_variables = self._record(
            optimizer_variables, metrics_variables, losses, guesses
        )
        return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)

    def _update_each_fused(self, trainable: list, *examples: Any) -> tuple:
        weights, *examples = jax.device_get((trainable, *examples))
        return jax.device_put(self.update_each_fused(weights, *examples))

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
                gradient = exact_products(jax.value_and_grad(loss_of, has_aux=True))
                return gradient(trainable, non_trainable, letters[:bucket], length, label)

            branches = [lambda bucket=bucket: differentiate(bucket) for bucket in buckets]
            index = jnp.searchsorted(jnp.asarray(buckets), length)
            (loss, (guess, non_trainable)), gradients = jax.lax.switch(index, branches)
            trainable = [weight - rate * gradient for weight, gradient in zip(trainable, gradients, strict=True)]
            return (trainable, non_trainable), (loss, guess)

        return update


def _next_rates(optimizer: keras.optimizers.Optimizer, values: list, count: int) -> Any:
    with keras.StatelessScope(state_mapping=zip(optimizer.variables, values, strict=True)):
        return next_rates(optimizer, count)


def _record(
    optimizer: keras.optimizers.Optimizer,
    mean_loss: keras.metrics.Mean,
    metrics_variables: list,
    optimizer_values: list,
    metrics_values: list,
    losses: Any,
    guesses: Any,
) -> tuple[dict[str, Any], list, list]:
    """Count a chunk's updates; the logs of its step and the values after it."""
    mapping = [
        *zip(optimizer.variables, optimizer_values, strict=True),
        *zip(metrics_variables, metrics_values, strict=True),
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        optimizer.iterations.assign_add(len(losses))
        mean_loss.update_state(losses.mean(), sample_weight=len(losses))
        logs = {
            "loss": mean_loss.result(),
            "step_loss": losses[-1],
            "guess": guesses[-1],
            "finite_updates": jnp.cumprod(jnp.isfinite(losses)).sum(),
        }
    return logs, _values(scope, optimizer.variables), _values(scope, metrics_variables)


def _values(scope: keras.StatelessScope, variables: list) -> list:
    current = map(scope.get_current_value, variables)
    return [variable.value if value is None else value for variable, value in zip(variables, current, strict=True)]
