"""Per-example training on torch: a loop of autograd steps, on the device of the weights."""

from typing import Any

import keras
import torch
from keras import ops

from keras_dnnts.backend.rates import next_rates


class PerExampleTraining(keras.Model):
    """The training step of :class:`keras_dnnts.studies.names.models.per_example.PerExampleModel` on torch."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """Update the weights once for every example of the chunk ``((letters, lengths), labels)``."""
        self.check_compiled()
        (letters, lengths), labels = data[0], data[1]
        update_each = self._update_each_fused if self.update_each_fused else self._update_each
        losses, guesses = update_each(letters, lengths, labels)
        self.optimizer.iterations.assign_add(len(losses))
        self._loss_tracker.update_state(losses.mean(), sample_weight=len(losses))
        finite = torch.isfinite(losses)
        return {
            "loss": self._loss_tracker.result(),
            "step_loss": losses[-1],
            "guess": guesses[-1],
            "finite_updates": torch.cumprod(finite, 0).sum(),
        }

    def _update_each(
        self, letters: torch.Tensor, lengths: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weights = [variable.value for variable in self.trainable_variables]
        rates = next_rates(self.optimizer, len(lengths)).tolist()
        losses, guesses = [], []
        for i, (length, rate) in enumerate(zip(lengths.tolist(), rates, strict=True)):
            example = slice(i, i + 1)
            outputs = self._forward([letters[example, :length], lengths[example]])
            loss = self.loss(labels[example], outputs)
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                torch._foreach_add_(weights, gradients, alpha=-rate)
            losses.append(loss.detach())
            guesses.append(outputs.detach().argmax(-1))
        return torch.cat(losses), torch.cat(guesses)

    def _update_each_fused(
        self, letters: torch.Tensor, lengths: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weights = [variable.value.detach().numpy() for variable in self.trainable_variables]
        rates = ops.convert_to_numpy(next_rates(self.optimizer, len(lengths)))
        examples = (array.numpy() for array in (letters, lengths, labels))
        weights, losses, guesses = self.update_each_fused(weights, *examples, rates)
        for variable, weight in zip(self.trainable_variables, weights, strict=True):
            variable.assign(weight)
        return torch.from_numpy(losses), torch.from_numpy(guesses)

    def _forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        # Layer.__call__ (casts, scopes, checks) costs more than the arithmetic of one example: run the layers bare.
        return self._run_through_graph(inputs, operation_fn=lambda operation: operation.call)
