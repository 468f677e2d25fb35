"""Memory over many epochs."""

import gc
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dnnts.running.callbacks import EpochHistory
from tests.datasets.image_trees import encoded, write_folder
from tests.names_folders import call

# The loop is the same on every engine, and how an engine keeps freed memory is its own affair.
pytestmark = [pytest.mark.one_engine, pytest.mark.slow]

STATUS = Path("/proc/self/status")
EPOCHS, SETTLED = 50, 20
GROWTH_AN_EPOCH = 300e3  # bytes; allocators reach 113e3, and one batch of the images below takes 760e3


def resident_bytes():
    gc.collect()
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


@pytest.mark.skipif(not STATUS.exists(), reason="needs /proc")
def test_memory_does_not_grow_over_epochs(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = {
        f"{name}/{i}.png": encoded(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        for name in ("bee", "cow")
        for i in range(24)
    }
    record, measured = EpochHistory.on_epoch_end, []

    def measure(self, epoch, logs=None):
        record(self, epoch, logs)
        measured.append(resident_bytes())

    monkeypatch.setattr(EpochHistory, "on_epoch_end", measure)
    # What comes after training, and what was there before it, would take most of the time.
    monkeypatch.setattr("keras_dnnts.cli.experiment.Finishers.finish", lambda *_: None)
    monkeypatch.setattr("keras_dnnts.cli.finishing._may_fork", lambda: False)
    gc.freeze()
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))
    sizes = ("--image-size", 63, "--width", 0.05, "--batch-size", 16, "--train-images", 32, "--embedding-images", 4)
    data = ("--data-dir", write_folder(tmp_path / "images", images), "--backend", keras.backend.backend())
    training = ("--epochs", EPOCHS, "--patience", EPOCHS, "--checkpoint-seconds", 0, "--quiet")
    try:
        assert call("cifar", *data, *sizes, *training, "--out", tmp_path / "run") == 0
    finally:
        gc.unfreeze()

    assert len(measured) == EPOCHS
    slope, _ = np.polyfit(np.arange(SETTLED, EPOCHS), measured[SETTLED:], 1)
    assert slope < GROWTH_AN_EPOCH, measured
