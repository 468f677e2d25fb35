"""Run directories: one writer, and what may be resumed."""

import json
import os
import re
import signal
import subprocess
import sys

import keras
import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.studies.names.config import NamesConfig
from tests.names_folders import call, write_names

pytestmark = pytest.mark.one_engine

SMALL = ("--hidden-units", "8", "--iterations", "3000", "--quiet", "--backend", keras.backend.backend())


@pytest.fixture
def names(tmp_path):
    return write_names(tmp_path / "names")


@pytest.fixture
def stopped(names, tmp_path):
    """A run that was stopped before it had trained anything."""
    config = NamesConfig.from_dict(
        {"data_dir": str(names), "hidden_units": 8, "iterations": 3000, "backend": keras.backend.backend()}, where=""
    )
    with RunDirectory.new(tmp_path / "run", "names").open(config, content_hash_of(names)):
        pass
    return tmp_path / "run"


def content_hash_of(names):
    from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
    from keras_dnnts.studies.names.data import load_names_dataset

    return load_names_dataset("auto", names, REFERENCE_ALPHABET).content_hash


def error_of(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("how", [("--resume",), ("--overwrite", "--out")])
def test_second_writer_is_told_of_the_first(names, stopped, capsys, how):
    data = () if "--resume" in how else ("--data-dir", names, *SMALL)
    with RunDirectory.resumed(stopped).open(NamesConfig(), content_hash_of(names)):
        before = sorted(stopped.rglob("*"))
        assert call("names", *data, *how, stopped) == 2
        assert re.search(rf"{re.escape(str(stopped))}: process {os.getpid()} is writing to it", error_of(capsys))
        assert sorted(stopped.rglob("*")) == before


HOLD = """
import sys, time
from pathlib import Path
from keras_dnnts import NamesConfig
from keras_dnnts.running.run_directory import RunDirectory
with RunDirectory.resumed(Path(sys.argv[1])).open(NamesConfig(), sys.argv[2]):
    print("holds", flush=True)
    time.sleep(600)
"""


def test_lock_of_a_dead_process_is_none(names, stopped, capsys):
    arguments = [sys.executable, "-c", HOLD, str(stopped), content_hash_of(names)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "holds\n"
    assert call("names", "--resume", stopped) == 2
    assert f"process {process.pid} is writing to it" in error_of(capsys)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert call("names", "--resume", stopped, "--quiet") == 0
    assert not [path for path in stopped.iterdir() if path.name.startswith(".")]


def test_finished_run_says_so(names, tmp_path, capsys):
    out = tmp_path / "run"
    assert call("names", "--data-dir", names, "--out", out, *SMALL) == 0
    kept = (out / "results.json").read_bytes()
    capsys.readouterr()
    assert call("names", "--resume", out) == 0
    assert f"{out}: is finished" in capsys.readouterr().out
    assert (out / "results.json").read_bytes() == kept


@pytest.mark.parametrize(
    ("option", "value"), [("--iterations", 4000), ("--model", "rnn"), ("--seeds", 2), ("--learning-rate", 0.1)]
)
def test_option_that_changes_the_result_is_refused(stopped, capsys, option, value):
    before = sorted(stopped.rglob("*"))
    assert call("names", "--resume", stopped, option, value) == 2
    message = error_of(capsys)
    assert f"was started with {option} " in message
    assert str(value) in message
    assert sorted(stopped.rglob("*")) == before


def test_options_that_change_no_result_may_change(stopped, names, tmp_path):
    moved = names.rename(tmp_path / "moved")
    same = ("--iterations", 3000, "--hidden-units", 8)
    assert call("names", "--resume", stopped, "--data-dir", moved, "--checkpoint-seconds", 0, "--quiet", *same) == 0


def test_other_data_are_refused(stopped, names, capsys):
    (names / "Hobbit.txt").write_text("Baggins\nGamgee\n")
    assert call("names", "--resume", stopped) == 2
    assert "the data are not those the run was started with" in error_of(capsys)


def test_edited_config_is_refused(stopped, capsys):
    config = stopped / "config.toml"
    config.write_text(config.read_text().replace("iterations = 3000", "iterations = 9000"))
    assert call("names", "--resume", stopped) == 2
    message = error_of(capsys)
    assert str(config) in message
    assert "iterations is 9000, but the run was started with 3000" in message


def test_an_earlier_version_knew_fewer_options(stopped):
    path = stopped / "checkpoints/run.json"
    identity = json.loads(path.read_text(encoding="utf-8"))
    del identity["config"]["select"]
    path.write_text(json.dumps(identity), encoding="utf-8")
    assert RunDirectory.resumed(stopped).config().select is False


def test_resume_needs_a_run_of_its_own_kind(stopped, tmp_path, capsys):
    assert call("cifar", "--resume", stopped) == 2
    assert "use keras-dnnts names" in error_of(capsys)
    assert call("names", "--resume", tmp_path) == 2
    assert "holds no run" in error_of(capsys)
    for other in (("--out", tmp_path / "other"), ("--overwrite",)):
        assert call("names", "--resume", stopped, *other) == 2
        assert "cannot be combined with --out, --overwrite or --dry-run" in error_of(capsys)


def test_unfinished_run_is_not_replaced_by_accident(stopped, names, capsys):
    assert call("names", "--data-dir", names, "--out", stopped, *SMALL) == 2
    assert f"resume it with --resume {stopped}," in error_of(capsys)


def test_two_runs_that_chose_one_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (RunDirectory.new(None, "names-gru") for _ in range(2))
    assert first.path == second.path
    with first.open(NamesConfig(), "x"), second.open(NamesConfig(), "y"):
        assert [first.path.name, second.path.name] == ["names-gru-001", "names-gru-002"]
        assert second.checkpoints.identity()["content_hash"] == "y"


def test_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    directory = RunDirectory(tmp_path / "file" / "run")
    with pytest.raises(UserError, match="cannot be written"), directory.open(NamesConfig(), "x"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
