"""Per-example training on torch: a loop of autograd steps, on the device of the weights."""

from typing import Any, ClassVar

import keras
import torch
from keras import ops

from keras_dnnts.backend.rates import next_rates
from keras_dnnts.backend.torch.graph import resolve_graph, training


class PerExampleTraining(keras.Model):
    """The training step of :class:`keras_dnnts.studies.names.models.per_example.PerExampleModel` on torch."""

    fused_options: ClassVar[dict[str, bool]] = {"run_eagerly": True}

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
        forward, loss_of = resolve_graph(self), self.loss
        examples = zip(letters.split(1), lengths.split(1), labels.split(1), lengths.tolist(), rates, strict=True)
        values = [weight.detach() for weight in weights]  # the same memory, whose changes autograd need not follow
        one = torch.ones(1, device=letters.device)
        losses, outputs = [], []
        with training(self):
            for name, length, label, steps, rate in examples:
                output = forward(name[:, :steps], length)
                loss = loss_of(label, output)
                torch._foreach_add_(values, torch.autograd.grad(loss, weights, one), alpha=-rate)
                losses.append(loss.detach())
                outputs.append(output.detach())
        return torch.cat(losses), torch.cat(outputs).argmax(-1)

    def _update_each_fused(
        self, letters: torch.Tensor, lengths: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weights = [variable.value.detach().numpy() for variable in self.trainable_variables]
        rates = ops.convert_to_numpy(next_rates(self.optimizer, len(lengths)))
        examples = (array.numpy() for array in (letters, lengths, labels))
        new, losses, guesses = self.update_each_fused(weights, *examples, rates)
        for weight, value in zip(weights, new, strict=True):
            weight[...] = value  # the variable's own memory
        return torch.from_numpy(losses), torch.from_numpy(guesses)
