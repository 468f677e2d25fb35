"""A run folder on a file system that machines share: who writes to it, and who may take it over."""

import os
import time

import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.running import lease
from keras_dnnts.running.lease import BusyError, Lease
from keras_dnnts.running.overview import find_runs
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.studies.names.config import NamesConfig

CONTENT = "sha256:1"


@pytest.fixture
def run(tmp_path):
    """A run that was begun and stopped."""
    with RunDirectory.new(tmp_path / "run", "names").open(NamesConfig(), CONTENT):
        pass
    return tmp_path / "run"


def claim_elsewhere(run, age):
    """Let a process of another machine have claimed the folder, and renewed its claim some seconds ago."""
    (run / ".writer").write_text("123\nfar-away\nfar-away boot-1\ntoken", encoding="utf-8")
    os.utime(run / ".writer", (time.time() - age,) * 2)


def test_a_writer_on_another_machine_that_was_seen_lately_keeps_the_folder(run):
    claim_elsewhere(run, lease.LEASE_SECONDS / 2)
    before = sorted(run.rglob("*"))
    with (
        pytest.raises(BusyError, match=r"process 123 on far-away, last seen \d+ seconds ago, is writing to it"),
        RunDirectory.resumed(run).open(NamesConfig(), CONTENT),
    ):
        pass
    assert [path for path in before if not path.exists() and path.name != ".lock"] == []
    (run / ".lock").touch()
    (one,) = find_runs(run)
    assert (one.state, one.note) == ("running", "process 123 on far-away")


def test_one_that_was_not_is_succeeded(run):
    claim_elsewhere(run, lease.LEASE_SECONDS * 2)
    with RunDirectory.resumed(run).open(NamesConfig(), CONTENT):
        assert (run / ".writer").read_text(encoding="utf-8").startswith(f"{os.getpid()}\n")
    assert not (run / ".writer").exists()


def test_whoever_was_cut_off_writes_nothing_once_it_is_succeeded(run):
    directory = RunDirectory.resumed(run)
    with pytest.raises(BusyError, match="taken the run over"), directory.open(NamesConfig(), CONTENT):
        directory.checkpoints.save_training(0, {"epochs": 1})
        directory.write_history(0, ["step"], [(1.0,)])
        claim_elsewhere(run, 0)
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        for write in (
            lambda: directory.checkpoints.save_training(0, {"epochs": 2}),
            lambda: directory.checkpoints.save_outcome(0, {}),
            lambda: directory.write_history(0, ["step"], [(2.0,)]),
            lambda: directory.save_model(None, 0),
        ):
            with pytest.raises(BusyError):
                write()
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
        directory.save_result(None)
    # The claim is the other one's still, and no failure of the run.
    assert (run / ".writer").read_text(encoding="utf-8").startswith("123")
    assert directory.checkpoints.failure() == ""


def test_a_claim_is_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "RENEWAL_SECONDS", 0.01)
    (tmp_path / ".lock").touch()
    claim = Lease(tmp_path / ".writer")
    claim.take(tmp_path / ".lock")
    os.utime(tmp_path / ".writer", (0, 0))
    deadline = time.monotonic() + 10
    while (tmp_path / ".writer").stat().st_mtime < 1000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert time.time() - (tmp_path / ".writer").stat().st_mtime < 60
    claim.check()
    claim.release()
    assert not (tmp_path / ".writer").exists()


def test_a_busy_folder_is_no_failure_but_a_mistake_is_one(run):
    directory = RunDirectory.resumed(run)
    with pytest.raises(UserError), directory.open(NamesConfig(), CONTENT):
        raise UserError("the loss is not finite")
    assert directory.checkpoints.failure() == "the loss is not finite"
