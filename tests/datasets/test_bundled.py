import numpy as np

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.bundled import load_starter_names
from keras_dnnts.datasets.splits import split_names


def test_starter_names_cover_the_18_languages():
    data = load_starter_names(REFERENCE_ALPHABET)
    assert (data.name, data.source, data.stand_in) == ("starter names", "bundled", False)
    assert len(data.classes) == 18
    assert {"Arabic", "Chinese", "Vietnamese"} <= set(data.classes)
    assert (np.bincount(data.labels) >= 50).all()
    assert data.skipped == 0


def test_starter_names_can_be_split():
    data = load_starter_names(REFERENCE_ALPHABET)
    split = split_names(data, 0.2, seed=5)
    assert set(data.labels[split.held_out]) == set(data.labels[split.train]) == set(range(18))
