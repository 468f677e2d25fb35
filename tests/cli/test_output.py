"""What is printed where nobody reads it, or in letters that cannot be shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dnnts.results import load_result
from tests.finished_runs import names_result
from tests.names_folders import write_names

PROGRAM = [sys.executable, "-m", "keras_dnnts"]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    names_result().save(tmp_path / "run")
    return tmp_path / "run"


def small_names(tmp_path):
    folder = write_names(tmp_path / "names")
    return ["names", "--data-dir", folder, "--iterations", "9", "--hidden-units", "4", "--out", tmp_path / "new"]


def closed_pipe():
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def test_who_has_read_enough_hears_nothing_more():
    with closed_pipe() as pipe:
        done = subprocess.run([*PROGRAM, "--help"], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
def test_a_run_goes_on_where_nobody_reads(tmp_path):
    with closed_pipe() as pipe:
        command = [*PROGRAM, *small_names(tmp_path)]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_result(tmp_path / "new")
    assert list((tmp_path / "new" / "figures").iterdir())


@pytest.mark.slow
def test_a_comparison_is_written_where_nobody_reads(run, tmp_path):
    with closed_pipe() as pipe:
        command = [*PROGRAM, "compare", run, "--out", tmp_path / "out"]
        assert subprocess.run(command, stdout=pipe, check=False).returncode == 0
    assert (tmp_path / "out" / "comparison.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["--help"], ["compare", "run", "--out", "out"]])
def test_a_full_device_is_one_line(run, command, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path
        )
    assert done.returncode == 2
    assert done.stderr == "keras-dnnts: stdout cannot be written: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(("closing", "code"), [("--version >&-", 0), ("--nonsense 2>&-", 2), ("nonsense >&- 2>&-", 2)])
def test_closed_streams(closing, code):
    done = subprocess.run(
        f"{sys.executable} -m keras_dnnts {closing}", shell=True, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_letters_that_cannot_be_shown(run, tmp_path):
    odd = run.rename(tmp_path / "Łęcki")
    done = subprocess.run(
        [*PROGRAM, "compare", odd, tmp_path / "Śmigły", "--out", tmp_path / "out"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.decode("ascii").count("\n") == 1
    assert rb"\u015amig\u0142y" in done.stderr
