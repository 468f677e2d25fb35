"""Recurrence on JAX: a scan over time, and a scan back for its gradients."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from keras_dnnts.backend.cells import CELLS, State


def recurrent_outputs(cell: str, inputs: jax.Array, weights: Sequence[jax.Array]) -> jax.Array:
    """Run one recurrent layer from a zero state; see :class:`keras_dnnts.models.recurrent.Recurrent`."""
    input_kernel, recurrent_kernel, input_bias, recurrent_bias = weights
    from_input = jnp.swapaxes(inputs @ input_kernel.T + input_bias, 0, 1)
    outputs = _outputs_over_time(cell, from_input, recurrent_kernel, recurrent_bias)
    return jnp.swapaxes(outputs, 0, 1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _outputs_over_time(cell: str, from_input: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Return (time, batch, units) from the inputs' part (time, batch, gates * units) of every step."""
    outputs, _ = _forward(cell, from_input, kernel, bias)
    return outputs


def _forward(cell: str, from_input: jax.Array, kernel: jax.Array, bias: jax.Array) -> tuple:
    step, states = CELLS[cell].step, CELLS[cell].states

    def advance(state: State, projected: jax.Array) -> tuple:
        # Not `state[0] @ kernel.T`: for one example, reading the kernel along its rows is a quarter faster.
        from_state = jnp.einsum("bu,gu->bg", state[0], kernel) + bias
        new_state = step(projected, from_state, state)
        return new_state, (new_state[0], from_state, state)

    zeros = jnp.zeros((from_input.shape[1], kernel.shape[1]), from_input.dtype)
    _, (outputs, from_state, previous) = jax.lax.scan(advance, (zeros,) * states, from_input)
    return outputs, (kernel, from_input, from_state, previous)


def _backward(cell: str, saved: tuple, d_outputs: jax.Array) -> tuple:
    # JAX's own gradient of the scan would add an outer product to a whole kernel at every step, and the memory's speed
    # would limit it. Here the scan gathers gradients of the pre-activations; the kernel's is one product after it.
    kernel, from_input, from_state, previous = saved

    def retreat(d_state: State, of_step: tuple) -> tuple:
        d_output, *arguments = of_step
        _, pull_back = jax.vjp(CELLS[cell].step, *arguments)
        d_input, d_from_state, d_previous = pull_back((d_state[0] + d_output, *d_state[1:]))
        return (d_previous[0] + d_from_state @ kernel, *d_previous[1:]), (d_input, d_from_state)

    zeros = jax.tree.map(lambda array: jnp.zeros_like(array[0]), previous)
    of_steps = (d_outputs, from_input, from_state, previous)
    _, (d_input, d_from_state) = jax.lax.scan(retreat, zeros, of_steps, reverse=True)
    return d_input, jnp.einsum("tbg,tbu->gu", d_from_state, previous[0]), d_from_state.sum((0, 1))


_outputs_over_time.defvjp(_forward, _backward)


def pick(rows: jax.Array, index: jax.Array) -> jax.Array:
    """Return ``rows[i, index[i]]`` for every i: (batch, ...) from (batch, choices, ...) and (batch,) int."""
    return jax.vmap(lambda row, i: row[i])(rows, index)
