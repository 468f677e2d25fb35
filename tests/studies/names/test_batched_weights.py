"""Weights of networks that are trained in batches, read without an engine."""

from collections import Counter

import numpy as np
import pytest

from keras_dnnts.studies.names.batched_weights import list_ngrams
from keras_dnnts.studies.names.models.letter_ngrams import NgramTables


def test_tables_are_spelled_out_as_the_ngrams_of_names():
    rng = np.random.default_rng(3)
    lengths = rng.integers(3, 9, 60)
    marked = np.where(np.arange(8) < lengths[:, None], rng.integers(0, 6, (60, 8)), -1)
    names = [row[:length].tolist() for row, length in zip(marked, lengths, strict=True)]
    tables = NgramTables.of_names(marked, 6, 3, least=4)
    seen = {
        n: Counter(gram for name in names for gram in {tuple(name[i : i + n]) for i in range(len(name) - n + 1)})
        for n in (1, 2, 3)
    }
    expected = [{gram for gram, count in seen[n].items() if count >= 4} for n in (1, 2, 3)]
    found = list_ngrams([tables.symbols, *tables.longer], sum(tables.counts))
    assert [{*map(tuple, ngrams.tolist())} for ngrams in found] == expected
    assert [len(ngrams) for ngrams in found] == tables.counts
    assert 5 < tables.counts[1] < 36
    for number, (prefix, last) in enumerate(found[1].tolist(), start=1):
        assert tables.longer[0][tables.symbols[prefix + 1], tables.symbols[last + 1]] == number


@pytest.mark.parametrize(
    ("tables", "rows"),
    [
        ([[0, 1, 1, 2]], 3),
        ([[0, 1, 3]], 2),
        ([[0, 1, 2]], 3),
        ([[0, 1, 2], [[0, 1, 0], [0, 0, 0]]], 3),
        ([[0, 1], [[0, 0], [0, 0], [0, 1]]], 2),
        ([[0, -1, 1]], 2),
    ],
    ids=["twice", "a gap", "too few", "no prefix", "an unknown prefix", "negative"],
)
def test_tables_that_number_nothing_are_refused(tables, rows):
    with pytest.raises(ValueError, match="n-grams"):
        list_ngrams([np.array(table) for table in tables], rows)
