"""Adam in one pass over the weights, and Muon in place."""

from typing import Any

import keras
import torch
from keras import ops

from keras_dnnts.backend import optimizers
from keras_dnnts.backend.torch.distribution import in_order_of
from keras_dnnts.light_imports import never_compiled


class _InReferenceOrder:
    """An optimizer whose variables lie in the memory order of those they belong to, as updates in place need."""

    def add_variable_from_reference(self, reference_variable: keras.Variable, **kwargs: Any) -> keras.Variable:
        """Add a variable shaped like another one, and in the same memory order."""
        variable = super().add_variable_from_reference(reference_variable, **kwargs)  # type: ignore[misc]
        variable.value.data = torch.empty_like(reference_variable.value).copy_(variable.value)
        return variable


@keras.saving.register_keras_serializable("keras_dnnts")
class Adam(_InReferenceOrder, optimizers.Adam):
    """:class:`keras_dnnts.backend.optimizers.Adam` in one operation that reads and writes every array once."""

    # torch.compile fails on an update in place of views.
    @never_compiled
    @torch.no_grad()
    def _backend_update_step(
        self, grads: list[torch.Tensor], trainable_variables: list[keras.Variable], learning_rate: Any
    ) -> None:
        indices = [self._get_variable_index(variable) for variable in trainable_variables]
        weights = [variable.value for variable in trainable_variables]
        gradients = [in_order_of(weight, gradient) for weight, gradient in zip(weights, grads, strict=True)]
        step = (ops.convert_to_tensor(self.iterations) + 1).to(torch.float32)  # a variable plus 1 would wait for a GPU
        torch._fused_adam_(
            _flat(weights),
            _flat(gradients),
            _flat([self._momentums[index].value for index in indices]),
            _flat([self._velocities[index].value for index in indices]),
            [],
            [step] * len(weights),
            lr=ops.convert_to_tensor(learning_rate),
            beta1=self.beta_1,
            beta2=self.beta_2,
            weight_decay=0.0,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
        )


def _flat(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors' memory as vectors: the fused update copies whatever is not contiguous."""
    return [tensor.as_strided((tensor.numel(),), (1,)) for tensor in tensors]


@keras.saving.register_keras_serializable("keras_dnnts")
class Muon(_InReferenceOrder, optimizers.Muon):
    """:class:`keras_dnnts.backend.optimizers.Muon` in place, without a copy of what it changes."""

    # torch.compile fails on an update in place of views.
    @never_compiled
    @torch.no_grad()
    def _turn(
        self, gradient: torch.Tensor, kernel: keras.Variable, momentum: keras.Variable, rate: torch.Tensor
    ) -> None:
        weight, filters = kernel.value, kernel.shape[3]
        moved = momentum.value.mul_(self.momentum).add_(gradient)
        rows = gradient.add(moved, alpha=self.momentum).permute(3, 0, 1, 2)
        step = optimizers.orthogonalize(rows.reshape(filters, -1), self.ns_steps).mul_(rate)
        weight.mul_(filters**0.5 / weight.norm().clamp_min(1e-7)).sub_(step.view(rows.shape).permute(1, 2, 3, 0))
