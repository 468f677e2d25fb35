"""Recurrence on JAX: a scan over time, and a scan back for its gradients."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from keras_dnnts.backend.cells import CELLS, State
from keras_dnnts.backend.jax.device import exact_products

UNROLLED = 8  # time steps of one example: most names have no more, and compiling more would take longer than it saves
FEW_ROWS = 16  # matrix products of fewer rows are quicker as a sum of outer products, at any rate on a CPU


def recurrent_outputs(cell: str, inputs: jax.Array, weights: Sequence[jax.Array]) -> jax.Array:
    """Run one recurrent layer from a zero state; see :class:`keras_dnnts.studies.names.models.recurrent.Recurrent`."""
    return jnp.swapaxes(_outputs_over_time(cell, jnp.swapaxes(inputs, 0, 1), *weights), 0, 1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _outputs_over_time(cell: str, inputs: jax.Array, *weights: jax.Array) -> jax.Array:
    """Return (time, batch, units) from (time, batch, features)."""
    outputs, _ = _forward(cell, inputs, *weights)
    return outputs


@exact_products
def _forward(cell: str, inputs: jax.Array, *weights: jax.Array) -> tuple:
    input_kernel, kernel, input_bias, bias = weights
    step, states = CELLS[cell].step, CELLS[cell].states
    from_input = inputs @ input_kernel.T + input_bias

    def advance(state: State, projected: jax.Array) -> tuple:
        # Not `state[0] @ kernel.T`: for one example, reading the kernel along its rows is a quarter faster.
        from_state = jnp.einsum("bu,gu->bg", state[0], kernel) + bias
        new_state = step(projected, from_state, state)
        return new_state, (new_state[0], from_state, state)

    zeros = jnp.zeros((inputs.shape[1], kernel.shape[1]), from_input.dtype)
    _, (outputs, from_state, previous) = jax.lax.scan(advance, (zeros,) * states, from_input, unroll=_unroll(inputs))
    return outputs, (inputs, input_kernel, kernel, from_input, from_state, previous)


@exact_products
def _backward(cell: str, saved: tuple, d_outputs: jax.Array) -> tuple:
    # JAX's own gradient of the scan would add an outer product to a whole kernel at every step, and the memory's speed
    # would limit it. Here the scan gathers gradients of the pre-activations; the kernel's is one product after it.
    inputs, input_kernel, kernel, from_input, from_state, previous = saved

    def retreat(d_state: State, of_step: tuple) -> tuple:
        d_output, *arguments = of_step
        _, pull_back = jax.vjp(CELLS[cell].step, *arguments)
        d_from_input, d_from_state, d_previous = pull_back((d_state[0] + d_output, *d_state[1:]))
        return (d_previous[0] + d_from_state @ kernel, *d_previous[1:]), (d_from_input, d_from_state)

    zeros = jax.tree.map(lambda array: jnp.zeros_like(array[0]), previous)
    of_steps = (d_outputs, from_input, from_state, previous)
    _, (d_from_input, d_from_state) = jax.lax.scan(retreat, zeros, of_steps, reverse=True, unroll=_unroll(inputs))
    d_kernels = _sum_of_outer(d_from_input, inputs), _sum_of_outer(d_from_state, previous[0])
    return d_from_input @ input_kernel, *d_kernels, d_from_input.sum((0, 1)), d_from_state.sum((0, 1))


_outputs_over_time.defvjp(_forward, _backward)


def _unroll(over_time: jax.Array) -> bool | int:
    time, batch, _ = over_time.shape
    return True if batch == 1 and time <= UNROLLED else 1


def _sum_of_outer(left: jax.Array, right: jax.Array) -> jax.Array:
    """(time, batch, m) and (time, batch, n) to the (m, n) sum of their outer products."""
    left, right = (array.reshape(-1, array.shape[-1]) for array in (left, right))
    if len(left) > FEW_ROWS:
        return left.T @ right
    return sum(a[:, None] * b for a, b in zip(left, right, strict=True))


def pick(rows: jax.Array, index: jax.Array) -> jax.Array:
    """Return ``rows[i, index[i]]`` for every i: (batch, ...) from (batch, choices, ...) and (batch,) int."""
    return jax.vmap(lambda row, i: row[i])(rows, index)
