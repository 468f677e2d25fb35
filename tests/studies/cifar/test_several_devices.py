"""Whole runs of several processes, through the launcher that people use."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_dnnts.results import load_result

pytestmark = [pytest.mark.one_engine, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
SMALL = ("cifar", "--dataset", "digits", "--arch", "linear", "--train-images", "120", "--batch-size", "25")
SMALL += ("--embedding-images", "9", "--epochs", "3", "--optimizer", "sgd", "--learning-rate", "0.1")
ENDLESS = (*SMALL[:-6], "--epochs", "100000", "--patience", "0", "--checkpoint-seconds", "0")
OURS = "keras-dnnts: "


def start(*arguments, processes=2, **environment):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", str(processes)) if processes > 1 else ()
    command = [sys.executable, *launcher, "-m", "keras_dnnts", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def run(*arguments, **how):
    process = start(*arguments, **how)
    out, error = process.communicate(timeout=300)
    return process.returncode, out, [line for line in error.splitlines() if line.startswith(OURS)], error


def losses(folder):
    result = load_result(folder)
    return np.array([result.metrics[name].mean for name in ("train_loss", "validation_loss", "test_loss")])


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def process_of_rank(parent, rank):
    """The process of a rank, a child of the launcher."""
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
                return int(child)
    raise AssertionError(f"no process of rank {rank}")


def test_one_run_of_two_processes(tmp_path):
    code, out, ours, error = run(*SMALL, "--out", tmp_path / "two")
    assert (code, ours) == (0, []), error
    assert run(*SMALL, "--out", tmp_path / "one", processes=1)[0] == 0

    assert out.count("on 2 × cpu") == out.count("epoch 3/3") == out.count("test accuracy") == 1
    assert files(tmp_path / "two") == files(tmp_path / "one")
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4)
    two, one = (load_result(tmp_path / name) for name in ("two", "one"))
    assert (two.environment["device"], one.environment["device"]) == ("2 × cpu", "cpu")
    np.testing.assert_array_equal(two.arrays["augmented_image"], one.arrays["augmented_image"])


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_killed_process_ends_the_run_which_one_process_resumes(tmp_path):
    process = start(*ENDLESS, "--out", tmp_path / "run", "--quiet")
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoints" / "training-seed-0.npz").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process_of_rank(process.pid, 1), signal.SIGKILL)
    _, error = process.communicate(timeout=60)
    ours = [line for line in error.splitlines() if line.startswith(OURS)]
    command = f"torchrun --nproc-per-node 2 -m keras_dnnts cifar --resume {tmp_path / 'run'}"
    assert ours == [f"{OURS}another process of this run has ended; resume with: {command}"], error

    before = (tmp_path / "run" / "history.csv").read_text()
    process = start("cifar", "--resume", tmp_path / "run", "--quiet", processes=1)
    while len((tmp_path / "run" / "history.csv").read_text()) <= len(before):
        assert process.poll() is None and time.monotonic() < deadline + 120
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / "run" / "history.csv").read_text().startswith(before)


def test_names_are_trained_by_one_process(tmp_path):
    code, _, ours, error = run("names", "--out", tmp_path / "run", "--quiet")
    assert code != 0
    assert len(ours) == 1 and "2 processes were started for one run, but" in ours[0], error
    assert "exitcode  : 2" in error
    assert not (tmp_path / "run").exists()
