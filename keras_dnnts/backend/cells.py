"""One time step of each recurrent cell in the order and with the biases PyTorch gives them.

``from_input`` is ``W_ih x + b_ih`` and ``from_state`` is ``W_hh h + b_hh``, both (batch, gates * units) float32.
A state is a tuple of (batch, units) arrays whose first member is the output.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

Tensor = Any
State = tuple[Tensor, ...]


def rnn_step(from_input: Tensor, from_state: Tensor, state: State) -> State:
    """Elman's cell with tanh (Elman 1990)."""
    return (ops.tanh(from_input + from_state),)


def gru_step(from_input: Tensor, from_state: Tensor, state: State) -> State:
    """Gated recurrent unit, gates r, z, n; the reset gate acts after the recurrent product (Cho et al. 2014)."""
    input_reset, input_update, input_new = ops.split(from_input, 3, axis=-1)
    state_reset, state_update, state_new = ops.split(from_state, 3, axis=-1)
    reset = ops.sigmoid(input_reset + state_reset)
    update = ops.sigmoid(input_update + state_update)
    new = ops.tanh(input_new + reset * state_new)
    return (new + update * (state[0] - new),)


def lstm_step(from_input: Tensor, from_state: Tensor, state: State) -> State:
    """Long short-term memory with a forget gate, gates i, f, g, o (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""
    input_gate, forget_gate, candidate, output_gate = ops.split(from_input + from_state, 4, axis=-1)
    memory = ops.sigmoid(forget_gate) * state[1] + ops.sigmoid(input_gate) * ops.tanh(candidate)
    return (ops.sigmoid(output_gate) * ops.tanh(memory), memory)


class Cell(NamedTuple):
    """What tells one cell from another: how many gates share its matrices, how many arrays its state has, its step."""

    gates: int
    states: int
    step: Callable[[Tensor, Tensor, State], State]


CELLS = {"rnn": Cell(1, 1, rnn_step), "gru": Cell(3, 1, gru_step), "lstm": Cell(4, 2, lstm_step)}
