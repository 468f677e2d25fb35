"""Recurrence on TensorFlow: a loop over time, unrolled where the number of steps is known."""

from collections.abc import Sequence

import tensorflow as tf

from keras_dnnts.backend.cells import CELLS


def recurrent_outputs(cell: str, inputs: tf.Tensor, weights: Sequence[tf.Tensor]) -> tf.Tensor:
    """Run one recurrent layer from a zero state; see :class:`keras_dnnts.studies.names.models.recurrent.Recurrent`."""
    input_kernel, recurrent_kernel, input_bias, recurrent_bias = map(tf.convert_to_tensor, weights)
    step, states = CELLS[cell].step, CELLS[cell].states
    from_input = tf.matmul(inputs, input_kernel, transpose_b=True) + input_bias
    from_input = tf.transpose(from_input, (1, 0, 2))
    zeros = tf.zeros((tf.shape(inputs)[0], recurrent_kernel.shape[1]), inputs.dtype)

    def advance(state: tuple[tf.Tensor, ...], projected: tf.Tensor) -> tuple[tf.Tensor, ...]:
        from_state = tf.matmul(state[0], recurrent_kernel, transpose_b=True) + recurrent_bias
        return step(projected, from_state, state)

    state = (zeros,) * states
    if inputs.shape[1] is None:
        outputs = tf.scan(advance, from_input, state)[0]
    else:
        outputs = []
        for projected in tf.unstack(from_input, inputs.shape[1]):
            state = advance(state, projected)
            outputs.append(state[0])
        outputs = tf.stack(outputs)
    return tf.transpose(outputs, (1, 0, 2))


def pick(rows: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Return ``rows[i, index[i]]`` for every i: (batch, ...) from (batch, choices, ...) and (batch,) int."""
    return tf.gather(rows, index, axis=1, batch_dims=1)
