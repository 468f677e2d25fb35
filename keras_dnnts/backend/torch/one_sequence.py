"""Recurrence over a single sequence on a CPU, with gradients by hand.

Most of the time of PyTorch's own operations there is overhead, and adding one outer product per time step to the
gradient of a kernel. Here that gradient is one product after all steps, and whatever does not depend on the following
step is computed for all steps at once. The LSTM is left to PyTorch (oneDNN), as fast as one written like this was.

Equations and order of gates are those of :mod:`keras_dnnts.backend.cells`. All arrays are (time, ...) of one sequence;
``states`` has a row more, for the zero state before the first step.
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

Tensors = tuple[torch.Tensor, ...]


class OneSequence(torch.autograd.Function):
    """(cell, inputs (time, features), input kernel, recurrent kernel, both biases) to states (time, units)."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: str,
        inputs: torch.Tensor,
        input_kernel: torch.Tensor,
        kernel: torch.Tensor,
        input_bias: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Return the state after every time step."""
        run, ctx.differentiate = CELLS[cell]
        states = inputs.new_empty(len(inputs) + 1, kernel.shape[1])
        states[0] = 0
        saved = run(torch.addmm(input_bias, inputs, input_kernel.t()), kernel, bias, states)
        ctx.save_for_backward(inputs, input_kernel, kernel, states, *saved)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of all arguments of :meth:`forward`."""
        inputs, input_kernel, kernel, states, *saved = ctx.saved_tensors
        d_from_input, d_from_state = ctx.differentiate(d_outputs, kernel, states, *saved)
        d_inputs = d_from_input @ input_kernel if ctx.needs_input_grad[1] else None
        d_kernels = d_from_input.t() @ inputs, d_from_state.t() @ states[:-1]
        return None, d_inputs, *d_kernels, d_from_input.sum(0), d_from_state.sum(0)


def _run_rnn(from_input: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, states: torch.Tensor) -> Tensors:
    of_steps = states.unbind()
    for added, state, new in zip((from_input + bias).unbind(), of_steps, of_steps[1:], strict=False):
        torch.addmv(added, kernel, state, out=new).tanh_()
    return ()


def _differentiate_rnn(d_outputs: torch.Tensor, kernel: torch.Tensor, states: torch.Tensor) -> Tensors:
    slopes = 1 - states[1:].square()
    gradients, gradient = torch.empty_like(slopes), None
    for d_state, slope, new in _backwards(d_outputs, slopes, gradients):
        if gradient is not None:
            d_state = torch.addmv(d_state, kernel.t(), gradient)
        gradient = torch.mul(d_state, slope, out=new)
    return gradients, gradients


def _run_gru(from_input: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, states: torch.Tensor) -> Tensors:
    units = kernel.shape[1]
    from_state = torch.empty_like(from_input)
    new, gates = torch.empty_like(states[1:]), torch.empty_like(from_input[:, : 2 * units])
    of_steps = (
        *from_input.split((2 * units, units), 1),
        from_state,
        *from_state.split((2 * units, units), 1),
        gates,
        *gates.split(units, 1),
        new,
        states[:-1],
        states[1:],
    )
    for input_gates, input_new, all_state, state_gates, state_new, both, reset, update, n, before, after in zip(
        *(array.unbind() for array in of_steps), strict=True
    ):
        torch.addmv(bias, kernel, before, out=all_state)
        torch.add(input_gates, state_gates, out=both).sigmoid_()
        torch.addcmul(input_new, reset, state_new, out=n).tanh_()
        torch.lerp(n, before, update, out=after)
    return from_state[:, 2 * units :], new, gates


def _differentiate_gru(
    d_outputs: torch.Tensor,
    kernel: torch.Tensor,
    states: torch.Tensor,
    state_new: torch.Tensor,
    new: torch.Tensor,
    gates: torch.Tensor,
) -> Tensors:
    reset, update = gates.chunk(2, 1)
    reset_slope, update_slope = (gates - gates.square()).chunk(2, 1)
    # By how much a new state changes with each of the pre-activations: from_input's and, last of all, from_state's new.
    by_new = (1 - update) * (1 - new.square())
    by_state = torch.stack((by_new * state_new * reset_slope, (states[:-1] - new) * update_slope, by_new * reset), 1)
    d_states, gradients = torch.empty_like(new), torch.empty_like(by_state)
    gradient = later = kept_later = None
    for d_output, slopes, kept, d_state, by_gate, flat in _backwards(
        d_outputs, by_state, update, d_states, gradients, gradients.flatten(1)
    ):
        if gradient is None:
            d_state.copy_(d_output)
        else:
            torch.addmv(torch.addcmul(d_output, later, kept_later), kernel.t(), gradient, out=d_state)
        torch.mul(slopes, d_state, out=by_gate)
        gradient, later, kept_later = flat, d_state, kept
    d_from_input = gradients.clone()
    torch.mul(by_new, d_states, out=d_from_input[:, 2])
    return d_from_input.flatten(1), gradients.flatten(1)


def _backwards(*arrays: torch.Tensor) -> Any:
    """Steps of several arrays, from the last to the first."""
    return zip(*(reversed(array.unbind()) for array in arrays), strict=True)


CELLS = {"rnn": (_run_rnn, _differentiate_rnn), "gru": (_run_gru, _differentiate_gru)}
