"""Recurrence on torch: its own fused operations (cuDNN on CUDA), or one sequence with gradients by hand."""

import warnings
from collections.abc import Sequence

import torch

from keras_dnnts.backend.torch import one_sequence

# cuDNN copies weights that do not lie side by side, and says so every time a process first runs a layer.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")

_FUSED = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}


def recurrent_outputs(cell: str, inputs: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Run one recurrent layer from a zero state; see :class:`keras_dnnts.studies.names.models.recurrent.Recurrent`."""
    on_cpu = inputs.device.type == "cpu"
    if len(inputs) == 1 and cell in one_sequence.CELLS and on_cpu and torch.is_grad_enabled():
        return one_sequence.OneSequence.apply(cell, inputs[0], *weights)[None]
    hidden_units = weights[1].shape[1]
    state = inputs.new_zeros(1, inputs.shape[0], hidden_units)
    initial = (state, state) if cell == "lstm" else state
    if inputs.is_cuda:
        # PyTorch's default lets cuDNN multiply with TF32's ten bits; updates are to be exact.
        torch.backends.cudnn.allow_tf32 = False
    # cuDNN keeps what the gradient needs only in what it calls training.
    training = torch.is_grad_enabled()
    outputs, *_ = _FUSED[cell](inputs, initial, list(weights), True, 1, 0.0, training, False, True)
    return outputs


def pick(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return ``rows[i, index[i]]`` for every i: (batch, ...) from (batch, choices, ...) and (batch,) int."""
    if len(rows) == 1:  # fewer operations, in the gradient too
        return rows.squeeze(0).index_select(0, index)
    return rows[torch.arange(len(index), device=index.device), index]
