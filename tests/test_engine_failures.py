"""Engines that run out of memory or lose their device in the middle of a run."""

import keras
import numpy as np
import pytest
import torch

from keras_dnnts.studies.names import callbacks
from tests.names_folders import call, write_names

pytestmark = pytest.mark.every_engine


class XlaRuntimeError(RuntimeError):
    """Named like JAX's."""


class AcceleratorError(RuntimeError):
    """Named like torch's."""


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes."),
    np._core._exceptions._ArrayMemoryError((1 << 50,), np.dtype("f4")),
    MemoryError(),
]
NO_DEVICE = [
    AcceleratorError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA"),
    XlaRuntimeError("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"),
]


def run_until(error, tmp_path, monkeypatch):
    """A run whose third chunk raises ``error``."""
    count = iter(range(100))

    def fail(self, epoch, logs=None):
        if next(count) == 2:
            raise error

    monkeypatch.setattr(callbacks.UpdateProgress, "on_epoch_end", fail)
    small = ("--hidden-units", 8, "--iterations", 5000, "--checkpoint-seconds", 0, "--quiet")
    data = ("--data-dir", write_names(tmp_path / "names"), "--backend", keras.backend.backend())
    return call("names", *data, *small, "--out", tmp_path / "run")


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
def test_out_of_memory_says_what_to_lower(error, tmp_path, monkeypatch, capsys):
    assert run_until(error, tmp_path, monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "out of memory" in line
    assert "--batch-size" in line
    assert f"--resume {tmp_path / 'run'}" in line


@pytest.mark.parametrize("error", NO_DEVICE, ids=lambda error: type(error).__name__)
def test_vanished_device_is_one_line(error, tmp_path, monkeypatch, capsys):
    assert run_until(error, tmp_path, monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(error).splitlines()[0] in line
    assert f"--resume {tmp_path / 'run'}" in line

    monkeypatch.undo()
    assert call("names", "--resume", tmp_path / "run", "--quiet") == 0


@pytest.mark.one_engine
def test_other_failures_are_bugs_and_keep_their_traceback(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="a bug"):
        run_until(RuntimeError("a bug"), tmp_path, monkeypatch)
