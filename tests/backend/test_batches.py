"""Batches as each engine's ``fit`` and ``predict`` take them."""

import keras
import numpy as np
import pytest

from keras_dnnts import backend

ENGINE = keras.backend.backend()


class Numbers(keras.utils.PyDataset):
    """Batches of 3, 3 and 2 of the numbers from 0 to 7, each in two columns, and one label each."""

    def __len__(self):
        return 3

    def __getitem__(self, batch):
        rows = np.arange(8, dtype="float32")[3 * batch : 3 * batch + 3]
        return np.stack([rows, -rows], 1), rows.astype("int32")


@pytest.mark.every_engine
@pytest.mark.parametrize("wrap", ["batches_of_one_size", "batches_of_any_size"])
def test_every_batch_arrives_once_and_in_order(wrap):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
    outputs = model.predict(getattr(backend, wrap)(Numbers()), verbose=0)
    np.testing.assert_array_equal(outputs, 2 * np.stack([np.arange(8), -np.arange(8)], 1))


@pytest.mark.every_engine
@pytest.mark.skipif(ENGINE != "tensorflow", reason="about TensorFlow's data sets")
def test_no_thread_tunes_them():
    from keras_dnnts.backend.tensorflow.per_example import _cut

    chunks = _cut(((np.zeros((8, 5)), np.zeros(8)), np.arange(8)), 3)
    datasets = [
        backend.batches_of_one_size(Numbers()).get_tf_dataset(),
        backend.batches_of_any_size(Numbers()),
        chunks,
    ]
    assert [dataset.options().autotune.enabled for dataset in datasets] == [False] * 3
    assert [len(labels) for _, labels in chunks] == [3, 3, 2]
