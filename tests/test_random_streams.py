"""Every stream of random numbers differs from every other one, and has nothing to do with it."""

import ast
import itertools
import random
from pathlib import Path

import numpy as np

from keras_dnnts.random_streams import Purpose, derive_seed, random_stream, seed_libraries

PACKAGE = Path(__file__).parents[1] / "keras_dnnts"
NUMBERS = ((), (0,), (1,), (0, 0), (0, 1), (1, 0), (2**32,))
DRAWS = 4096


def test_no_two_streams_are_alike_or_correlated():
    keys = list(itertools.product(range(10), [*Purpose, "another package's"], NUMBERS))
    assert len(keys) > 900
    draws = np.stack([random_stream(seed, purpose, *numbers).random(DRAWS) for seed, purpose, numbers in keys])
    assert len(np.unique(draws[:, 0])) == len(keys)
    deviations = (draws - draws.mean(axis=1, keepdims=True)) / draws.std(axis=1, keepdims=True)
    correlations = deviations @ deviations.T / DRAWS
    np.fill_diagonal(correlations, 0)
    # Of half a million independent pairs, one reaches 5.2 standard deviations of 1 / sqrt(DRAWS) in every tenth test.
    assert abs(correlations).max() < 6.5 / np.sqrt(DRAWS)


def test_streams_differ_from_numpys_own_of_the_seed():
    for seed in range(10):
        first = random_stream(seed, Purpose.SPLIT).random()
        for plain in (seed, [seed, 0], np.random.SeedSequence(seed, spawn_key=(0,))):
            assert np.random.default_rng(plain).random() != first


def test_a_stream_is_a_function_of_its_name():
    for numbers in NUMBERS:
        first, again = (random_stream(7, Purpose.ORDER, *numbers).random(5) for _ in range(2))
        np.testing.assert_array_equal(first, again)
    assert derive_seed(7, Purpose.EMBEDDING) == derive_seed(7, Purpose.EMBEDDING) != derive_seed(8, Purpose.EMBEDDING)


def test_libraries_start_from_the_seed_and_the_epoch():
    def draw(*numbers):
        return seed_libraries(*numbers), random.random(), np.random.random()

    first, again = draw(3), draw(3)
    assert first == again
    for other in (draw(4), draw(3, 0), draw(3, 1)):
        assert not set(other) & set(first)


def test_no_other_module_makes_random_numbers():
    for path in PACKAGE.rglob("*.py"):
        if path.name == "random_streams.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            place = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert "random" not in [name.name for name in node.names], place
            elif isinstance(node, ast.ImportFrom):
                names = {name.name for name in node.names}
                assert node.module not in ("random", "numpy.random") and not names & {"default_rng", "SeedSequence"}
            elif isinstance(node, ast.Attribute):
                source = ast.unparse(node)
                assert not source.startswith(("np.random.", "numpy.random.")) or source == "np.random.Generator", place
