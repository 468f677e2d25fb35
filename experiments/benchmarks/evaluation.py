"""Predicting every name with a fresh model: the first time, compilation included, and after it."""

import numpy as np

from experiments.benchmarks.timing import Row, seconds_of
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.studies.names.evaluate import predict_log_probabilities
from keras_dnnts.studies.names.models import build_char_rnn


def measure(engine: str, dataset: NamesDataset, quick: bool) -> list[Row]:
    """Time the prediction of the whole data set by every cell."""
    rows = []
    for cell in ("rnn", "gru", "lstm"):
        model = build_char_rnn(cell, len(dataset.alphabet) + 1, len(dataset.classes))

        def predict(model: object = model) -> None:
            predict_log_probabilities(model, dataset.letters, dataset.lengths)

        first, *later = (seconds_of(predict) for _ in range(3 if quick else 8))
        task = f"{cell.upper()} predicts {len(dataset.texts)} names"
        rows += [Row(task, "first", engine, first, "s"), Row(task, "again", engine, float(np.median(later)), "s")]
    return rows
