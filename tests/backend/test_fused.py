import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

from keras_dnnts.backend import fused
from keras_dnnts.backend.fused import build_kernel
from tests.plain_torch import CELLS, PlainClassifier, Sizes, Stream, random_stream

SMALL = Sizes(width=11, hidden_units=20, classes=5, longest=7)
cells = pytest.mark.parametrize("cell", CELLS)


def update_fused(cell, weights, stream, learning_rate):
    return fused.update_each(cell, weights, stream.letters, stream.lengths, stream.labels, learning_rate)


def assert_trains_like_float64(cell, sizes, stream, learning_rate, tolerance):
    reference = PlainClassifier(cell, sizes, dtype=torch.float64)
    initial = reference.weights()
    weights, losses, guesses = update_fused(cell, initial, stream, learning_rate)
    expected_losses, expected_guesses = reference.train(stream, learning_rate)
    moved = [abs(after - before).max() for after, before in zip(reference.weights(), initial, strict=True)]
    assert min(moved) > 1000 * tolerance or sizes.longest == 1  # one letter leaves the recurrent kernel alone
    for weight, expected in zip(weights, reference.weights(), strict=True):
        assert weight.dtype == np.float32
        np.testing.assert_allclose(weight, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(losses, expected_losses, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(guesses, expected_guesses)


@cells
@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(Sizes(width=58, hidden_units=128, classes=18, longest=19), marks=pytest.mark.slow),
        pytest.param(Sizes(width=3, hidden_units=4, classes=2, longest=4), marks=pytest.mark.slow),
        SMALL,
    ],
    ids=str,
)
def test_20_updates_equal_autograd(cell, sizes):
    assert_trains_like_float64(cell, sizes, random_stream(sizes, 20), learning_rate=0.2, tolerance=5e-7)


@cells
def test_2000_updates_equal_autograd(cell):
    assert_trains_like_float64(cell, SMALL, random_stream(SMALL, 2000), learning_rate=0.05, tolerance=1e-5)


@cells
@pytest.mark.parametrize("units", [1, 7])
def test_any_number_of_hidden_units(cell, units):
    sizes = replace(SMALL, hidden_units=units)
    assert_trains_like_float64(cell, sizes, random_stream(sizes, 20), learning_rate=0.2, tolerance=5e-7)


@cells
@pytest.mark.parametrize("longest", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_every_number_of_time_steps_in_an_update(cell, longest):
    sizes = replace(SMALL, longest=longest)
    stream = random_stream(sizes, 12)
    stream.lengths[:] = longest
    assert_trains_like_float64(cell, sizes, stream, learning_rate=0.2, tolerance=5e-7)


@cells
def test_given_weights_stay_as_they_are(cell):
    weights = PlainClassifier(cell, SMALL).weights()
    before = [weight.copy() for weight in weights]
    update_fused(cell, weights, random_stream(SMALL, 5), 0.1)
    for weight, same in zip(weights, before, strict=True):
        np.testing.assert_array_equal(weight, same)


@cells
def test_what_stands_after_a_name_has_no_influence(cell):
    weights = PlainClassifier(cell, SMALL).weights()
    stream = random_stream(SMALL, 30)
    beyond = np.arange(SMALL.longest) >= stream.lengths[:, None]
    junk = Stream(np.where(beyond, np.int32(2**31 - 1), stream.letters), stream.lengths, stream.labels)
    wider = Stream(np.pad(stream.letters, ((0, 0), (0, 9))), stream.lengths, stream.labels)
    expected, losses, _ = update_fused(cell, weights, stream, 0.1)
    for other in (junk, wider):
        updated, other_losses, _ = update_fused(cell, weights, other, 0.1)
        np.testing.assert_array_equal(other_losses, losses)
        for weight, same in zip(updated, expected, strict=True):
            np.testing.assert_array_equal(weight, same)


@cells
def test_a_loss_that_is_not_finite_comes_out_as_such(cell):
    weights = PlainClassifier(cell, SMALL).weights()
    stream = random_stream(SMALL, 8)
    _, losses, guesses = update_fused(cell, weights, stream, np.inf)
    assert np.isfinite(losses).tolist() == [True] + [False] * 7
    assert ((guesses >= 0) & (guesses < SMALL.classes)).all()

    weights[1][3, 2] = np.nan
    stream.lengths[:] = [1, 1, 1, 2, 1, 2, 2, 2]
    _, losses, _ = update_fused(cell, weights, stream, 0.0)
    assert np.isfinite(losses).tolist() == [True] * 3 + [False] * 5


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("letters", SMALL.width),
        ("letters", -1),
        ("labels", SMALL.classes),
        ("labels", -1),
        ("lengths", 0),
        ("lengths", 8),
    ],
)
def test_examples_outside_the_model_are_refused(array, value):
    stream = random_stream(SMALL, 8)
    stream.lengths[3] = 5
    getattr(stream, array)[(3, 4) if array == "letters" else 3] = value
    with pytest.raises(ValueError, match=array):
        update_fused("rnn", PlainClassifier("rnn", SMALL).weights(), stream, 0.1)


@cells
def test_threads_do_not_disturb_each_other(cell):
    jobs = [(PlainClassifier(cell, SMALL, seed).weights(), random_stream(SMALL, 3000, seed)) for seed in range(2)]
    alone = [update_fused(cell, *job, 0.05) for job in jobs]
    together = [None] * len(jobs)

    def work(i):
        together[i] = update_fused(cell, *jobs[i], 0.05)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (weights, losses, _), (expected_weights, expected_losses, _) in zip(together, alone, strict=True):
        np.testing.assert_array_equal(losses, expected_losses)
        for weight, expected in zip(weights, expected_weights, strict=True):
            np.testing.assert_array_equal(weight, expected)


def test_other_threads_run_while_the_kernel_does():
    weights, stream = PlainClassifier("lstm", SMALL).weights(), random_stream(SMALL, 60_000)
    update_fused("lstm", weights, stream[:1], 0.05)
    thread = threading.Thread(target=update_fused, args=("lstm", weights, stream, 0.05))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20


def test_sizes_have_kernels_of_their_own():
    assert build_kernel(3, 20) is build_kernel(3, 24)
    assert build_kernel(3, 20) is not build_kernel(3, 4)


def test_all_kinds_of_arrays_share_a_kernel():
    weights, stream = PlainClassifier("rnn", SMALL).weights(), random_stream(SMALL, 4)
    expected, _, _ = update_fused("rnn", weights, stream, 0.1)
    read_only = Stream(*(np.asfortranarray(array, np.int64) for array in (*stream.x, stream.labels)))
    for array in (*read_only.x, read_only.labels, *weights):
        array.flags.writeable = False
    updated, _, _ = update_fused("rnn", weights, read_only, np.float64(0.1))
    assert len(build_kernel(1, SMALL.hidden_units).signatures) == 1
    for weight, same in zip(updated, expected, strict=True):
        np.testing.assert_array_equal(weight, same)


TRAIN = """
import hashlib, sys, types
import numpy as np

# The kernel needs no engine, whose import would take longer than all the rest.
sys.modules["keras"] = types.SimpleNamespace(ops=None)
sys.modules["keras_dnnts.backend"] = package = types.ModuleType("keras_dnnts.backend")
package.__path__ = [sys.argv[1]]
from keras_dnnts.backend.fused import build_kernel, update_each

rng = np.random.default_rng(0)
letters, lengths, labels = rng.integers(0, 9, (50, 7)), rng.integers(1, 8, 50), rng.integers(0, 3, 50)
for cell, gates, units in (("rnn", 1, 8), ("gru", 3, 64), ("lstm", 4, 64)):
    shapes = (gates * units, 9), (gates * units, units), (gates * units,), (gates * units,), (units, 3), (3,)
    weights = [rng.normal(0, 0.3, shape).astype("float32") for shape in shapes]
    weights, losses, _ = update_each(cell, weights, letters, lengths, labels, 0.05)
    print(hashlib.sha256(b"".join(array.tobytes() for array in (*weights, losses))).hexdigest())
    print(sum(build_kernel(gates, units).stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing_and_computes_the_same(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", TRAIN, str(Path(fused.__file__).parent)]
    runs = [subprocess.run(command, env=environment, capture_output=True, text=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs
    compiled, cached = (run.stdout.split() for run in runs)
    assert cached[::2] == compiled[::2]
    assert (compiled[1::2], cached[1::2]) == (["0"] * 3, ["1"] * 3)


def update_each(a, b, c, d, e, f, g, h, i, j, k, m, n):
    """Stands for the kernel, which takes seconds to compile."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A folder for compiled kernels that holds one."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    fused._compile_kernel(update_each)
    return tmp_path / "cache"


DAMAGE = {
    "empty index": ("*.nbi", lambda content: b""),
    "cut index": ("*.nbi", lambda content: content[: len(content) // 2]),
    "another index": ("*.nbi", lambda content: b"garbage\n"),
    "empty kernel": ("*.nbc", lambda content: b""),
    "cut kernel": ("*.nbc", lambda content: content[: len(content) // 2]),
    "another kernel": ("*.nbc", lambda content: b"garbage\n"),
}


@pytest.mark.parametrize(("pattern", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_kernel_is_compiled_again(pattern, damage, cache):
    (path,) = cache.rglob(pattern)
    path.write_bytes(damage(path.read_bytes()))
    assert not fused._compile_kernel(update_each).stats.cache_hits
    assert fused._compile_kernel(update_each).stats.cache_hits


def test_a_kernel_that_cannot_be_kept_is_used_all_the_same(cache, caplog):
    (path,) = cache.rglob("*.nbc")
    path.unlink()
    path.mkdir()
    assert fused._compile_kernel(update_each).signatures
    assert [record.getMessage() for record in caplog.records] == [fused.NOT_KEPT]


def test_without_a_folder_that_can_be_written_the_kernel_is_compiled_all_the_same(monkeypatch, caplog):
    def refuse(self):
        raise PermissionError

    monkeypatch.setattr(numba.core.caching._CacheLocator, "ensure_cache_path", refuse)
    assert fused._compile_kernel(update_each).signatures
    assert [record.getMessage() for record in caplog.records] == [fused.NOT_KEPT]


def test_the_kernel_is_compiled_where_numba_is_told_to_compile_nothing(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert fused._compile_kernel(update_each).signatures
    assert numba.config.DISABLE_JIT == 1
