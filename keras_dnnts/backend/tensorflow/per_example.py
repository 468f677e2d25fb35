"""Per-example training on TensorFlow: one graph loop over the examples of a chunk, compiled by XLA."""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_dnnts.backend.buckets import bucket_lengths
from keras_dnnts.backend.rates import next_rates
from keras_dnnts.backend.tensorflow.batches import untuned


class PerExampleTraining(keras.Model):
    """The training step of :class:`keras_dnnts.studies.names.models.per_example.PerExampleModel` on TensorFlow."""

    # A graph around the kernel: a single operation that runs eagerly takes as long as dozens of updates.
    fused_options: ClassVar[dict[str, bool]] = {"jit_compile": False}

    train_function: Any
    _kernel_error: ValueError | None = None

    def make_train_function(self, force: bool = False) -> None:
        """Keras's own, which raises the fused kernel's errors as the other engines do."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        train = self.train_function

        def train_and_raise(iterator: Any) -> Any:
            try:
                return train(iterator)
            except tf.errors.InvalidArgumentError:
                error, self._kernel_error = self._kernel_error, None
                if error is None:
                    raise
                raise error from None

        self.train_function = train_and_raise

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, *rest: Any, **options: Any) -> Any:
        """As any Keras model's. Chunks of arrays that keep their order are cut beforehand.

        Keras would gather each chunk's examples anew.
        """
        others = ("validation_split", "sample_weight", "class_weight")
        in_order = options.get("shuffle") is False and not rest and all(options.get(other) is None for other in others)
        if in_order and batch_size and _are_arrays_of_one_length((x, y)):
            x, y, batch_size = _cut((x, y), batch_size), None, None
        return super().fit(x, y, batch_size, *rest, **options)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Update the weights once for every example of the chunk ``((letters, lengths), labels)``."""
        self.check_compiled()
        (letters, lengths), labels = data[0], data[1]
        if self.update_each_fused:
            losses, guesses = self._update_each_fused(letters, lengths, labels)
        else:
            losses, guesses = self._update_each(self.optimizer, letters, lengths, labels)
        return _record(self.optimizer, self._loss_tracker, losses, guesses)

    # Keras leaves XLA out where there is no GPU, and the loop would be slower than plain PyTorch's.
    @tf.function(jit_compile=True)
    def _update_each(
        self, optimizer: keras.optimizers.Optimizer, letters: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        weights = [variable.value for variable in self.trainable_variables]
        buckets = bucket_lengths(letters.shape[1])
        count = tf.shape(lengths)[0]
        rates = next_rates(optimizer, count)

        def update(i: tf.Tensor, losses: tf.TensorArray, guesses: tf.TensorArray) -> tuple:
            # Not [i : i + 1]: to XLA, that is any number of examples, and it computes all of them every time.
            example = letters[i][None], lengths[i][None], labels[i][None]
            branches = [self._branch(*example, weights, bucket) for bucket in buckets]
            index = tf.searchsorted(buckets, example[1])[0]
            loss, guess, gradients = tf.switch_case(index, branches)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.assign_sub(rates[i] * gradient)
            return i + 1, losses.write(i, loss), guesses.write(i, guess)

        arrays = [tf.TensorArray(dtype, count, element_shape=()) for dtype in ("float32", "int32")]
        _, losses, guesses = tf.while_loop(lambda i, *_: i < count, update, (0, *arrays), maximum_iterations=count)
        return losses.stack(), guesses.stack()

    def _update_each_fused(
        self, letters: tf.Tensor, lengths: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        weights = [variable.value for variable in self.trainable_variables]
        rates = next_rates(self.optimizer, tf.shape(lengths)[0])

        def update(letters: np.ndarray, lengths: np.ndarray, labels: np.ndarray, rates: np.ndarray, *old: Any) -> tuple:
            try:
                new, losses, guesses = self.update_each_fused(old, letters, lengths, labels, rates)
            except ValueError as error:
                self._kernel_error = error  # TensorFlow makes one of its own of it
                raise
            return *new, losses, guesses

        dtypes = [*(weight.dtype for weight in weights), tf.float32, tf.int32]
        *new, losses, guesses = tf.numpy_function(update, [letters, lengths, labels, rates, *weights], dtypes)
        for weight, value in zip(weights, new, strict=True):
            weight.assign(tf.ensure_shape(value, weight.shape), read_value=False)
        return tf.ensure_shape(losses, [None]), tf.ensure_shape(guesses, [None])

    def _branch(
        self, letters: tf.Tensor, length: tf.Tensor, label: tf.Tensor, weights: list, bucket: int
    ) -> Callable[[], tuple]:
        def differentiate() -> tuple:
            with tf.GradientTape() as tape:
                outputs = self([letters[:, :bucket], length], training=True)
                loss = self.loss(label, outputs)[0]
            gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, weights)]
            return loss, tf.argmax(outputs[0], output_type="int32"), gradients

        return differentiate


def _are_arrays_of_one_length(examples: Any) -> bool:
    arrays = keras.tree.flatten(examples)
    return all(isinstance(array, np.ndarray) for array in arrays) and len({len(array) for array in arrays}) == 1


def _cut(examples: Any, size: int) -> tf.data.Dataset:
    """Chunks of a structure of arrays, the last of which may be smaller."""
    count = len(keras.tree.flatten(examples)[0])
    whole = count - count % size
    chunks = tf.data.Dataset.from_tensor_slices(
        keras.tree.map_structure(lambda array: array[:whole].reshape(-1, size, *array.shape[1:]), examples)
    )
    if whole < count:
        last = tf.data.Dataset.from_tensors(keras.tree.map_structure(lambda array: array[whole:], examples))
        chunks = chunks.concatenate(last) if whole else last
    return untuned(chunks)


def _record(
    optimizer: keras.optimizers.Optimizer, mean_loss: keras.metrics.Mean, losses: tf.Tensor, guesses: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Count a chunk's updates and return the logs of its step."""
    count = tf.shape(losses)[0]
    optimizer.iterations.assign_add(count)
    mean_loss.update_state(tf.reduce_mean(losses), sample_weight=count)
    finite = tf.cast(tf.math.is_finite(losses), "int32")
    return {
        "loss": mean_loss.result(),
        "step_loss": losses[-1],
        "guess": guesses[-1],
        "finite_updates": tf.reduce_sum(tf.math.cumprod(finite)),
    }
