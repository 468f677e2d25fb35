"""Per-example training on torch: a loop of autograd steps, on the device of the weights."""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import torch
from keras import ops

from keras_dnnts.backend.rates import next_rates
from keras_dnnts.backend.torch.captured import CapturedUpdates
from keras_dnnts.backend.torch.graph import resolve_graph, training

Differentiate = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple]


class PerExampleTraining(keras.Model):
    """The training step of :class:`keras_dnnts.studies.names.models.per_example.PerExampleModel` on torch."""

    fused_options: ClassVar[dict[str, bool]] = {"run_eagerly": True}
    _captured: CapturedUpdates | None = None

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
        rates = next_rates(self.optimizer, len(lengths))
        with training(self):
            if self._can_capture(letters):
                return self._captured_updates(letters).make(letters, lengths, labels, rates)
            weights, differentiate = self._resolve_gradients()
            losses, outputs = [], []
            examples = zip(letters.split(1), lengths.split(1), labels.split(1), lengths.tolist(), strict=True)
            for (name, length, label, steps), rate in zip(examples, rates.tolist(), strict=True):
                loss, output, gradients = differentiate(name[:, :steps], length, label)
                torch._foreach_add_(weights, gradients, alpha=-rate)
                losses.append(loss)
                outputs.append(output)
        return torch.cat(losses), torch.cat(outputs).argmax(-1)

    def _can_capture(self, letters: torch.Tensor) -> bool:
        return letters.is_cuda and not self.non_trainable_variables  # an update then changes nothing but weights

    def _resolve_gradients(self) -> tuple[list[torch.Tensor], Differentiate]:
        """The memory of the weights, and what computes loss, output and gradients of a single example."""
        variables = [variable.value for variable in self.trainable_variables]
        forward, loss_of = resolve_graph(self, single=True), self.loss
        one = torch.ones(1, device=variables[0].device)

        def differentiate(name: torch.Tensor, length: torch.Tensor, label: torch.Tensor) -> tuple:
            output = forward(name, length)
            loss = loss_of(label, output)
            return loss.detach(), output.detach(), torch.autograd.grad(loss, variables, one)

        return [variable.detach() for variable in variables], differentiate  # whose changes autograd need not follow

    def _captured_updates(self, letters: torch.Tensor) -> CapturedUpdates:
        """Those of earlier chunks, as long as they fit the model and the chunk."""
        source = self.loss, tuple(variable.value.data_ptr() for variable in self.trainable_variables)
        if self._captured is None or not self._captured.match(source, letters):
            weights, differentiate = self._resolve_gradients()

            def update(name: torch.Tensor, length: torch.Tensor, label: torch.Tensor, rate: torch.Tensor) -> tuple:
                loss, output, gradients = differentiate(name, length, label)
                torch._foreach_sub_(weights, torch._foreach_mul(gradients, rate))
                return loss, output.argmax(-1)

            self._captured = CapturedUpdates(update, source, letters)
        return self._captured

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
