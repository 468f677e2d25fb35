"""A study from outside the package goes the whole way, and no file of the package knows its name."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_dnnts.results import load_result
from tests.running.test_resume import contents

pytestmark = [pytest.mark.one_engine, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
SMALL = ("--epochs", "25", "--seeds", "2", "--points", "300", "--checkpoint-seconds", "0", "--quiet")


def start(*arguments):
    command = [sys.executable, "-m", "tests.rings_study", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*arguments):
    process = start(*arguments)
    out, error = process.communicate(timeout=300)
    return process.returncode, out.decode(), error.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rings")


@pytest.fixture(scope="module")
def whole(folder):
    code, out, error = run("rings", *SMALL, "--out", folder / "whole")
    assert (code, error) == (0, "")
    assert "Dense network on rings, 2 seeds" in out
    return folder / "whole"


def test_results_and_page(whole):
    result = load_result_of_rings(whole)
    assert result.metrics["test_accuracy"].mean > 0.6
    assert result.arrays["loss"].shape == (2, 25)
    assert result.arrays["confusion_test"].sum() == 600
    page = (whole / "report.html").read_text()
    assert "Which ring is this point on?" in page
    assert "accuracy on test points" in page or "of test points classified correctly" in page
    assert (whole / "figures" / "confusion_test.png").is_file()


def load_result_of_rings(folder):
    import tests.rings_study  # noqa: F401  registers the study, only here: other tests see two studies

    return load_result(folder)


def test_killed_and_resumed_to_the_byte(whole, folder):
    out = folder / "killed"
    process = start("rings", *SMALL, "--out", out)
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "outcome-seed-0.npz").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "results.json").exists()
    code, _, error = run("rings", "--resume", out)
    assert (code, error) == (0, "")
    assert contents(out) == contents(whole)


def test_report_compare_and_dry_run(whole, folder):
    (whole / "report.html").unlink()
    assert run("report", whole)[0] == 0
    assert (whole / "report.html").is_file()
    code, out, error = run("compare", whole, whole.with_name("whole"), "--html", "--out", folder / "compared")
    assert (code, error) == (0, "")
    assert "test accuracy" in out
    assert (folder / "compared" / "report.html").is_file()
    code, out, _ = run("rings", "--dry-run", "--set", "points=50", "--epochs", "3")
    assert code == 0
    assert "points = 50\n" in out and "epochs = 3\n" in out and "# data: 50 points" in out


def test_predict(whole):
    code, out, error = run("predict", whole, "0.1,0.4", "--json", "--", "-2.4,0.3")
    assert (code, error) == (0, "")
    predictions = json.loads(out)["predictions"]
    assert [one["input"] for one in predictions] == ["0.1,0.4", "-2.4,0.3"]
    for one in predictions:
        assert np.isclose(sum(guess["probability"] for guess in one["guesses"]), 1, atol=1e-5)


def test_bad_input_is_one_line(folder):
    for arguments in (("rings", "--points", "2"), ("rings", "--set", "ponits=7"), ("rings", "--network", "conv")):
        code, out, error = run(*arguments, "--out", folder / "bad")
        assert (code, out) == (2, "")
        assert len(error.splitlines()) == 1
    assert not (folder / "bad").exists()
