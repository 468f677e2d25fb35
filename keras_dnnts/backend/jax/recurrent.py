"""Recurrence on JAX: a scan over time."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from keras_dnnts.backend.cells import CELLS, State


def recurrent_outputs(cell: str, inputs: jax.Array, weights: Sequence[jax.Array]) -> jax.Array:
    """Run one recurrent layer from a zero state; see :class:`keras_dnnts.models.recurrent.Recurrent`."""
    input_kernel, recurrent_kernel, input_bias, recurrent_bias = weights
    step, states = CELLS[cell].step, CELLS[cell].states
    from_input = jnp.swapaxes(inputs @ input_kernel.T + input_bias, 0, 1)

    def advance(state: State, projected: jax.Array) -> tuple[State, jax.Array]:
        state = step(projected, state[0] @ recurrent_kernel.T + recurrent_bias, state)
        return state, state[0]

    zeros = jnp.zeros((inputs.shape[0], recurrent_kernel.shape[1]), inputs.dtype)
    _, outputs = jax.lax.scan(advance, (zeros,) * states, from_input)
    return jnp.swapaxes(outputs, 0, 1)
