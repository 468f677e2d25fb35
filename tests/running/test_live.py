"""Who is told of a run while it goes, when and of what."""

import threading
import time

import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.results.unfinished import CHECKPOINTS
from keras_dnnts.running.live import RUNNING, STOPPED, Live, Progress

ROWS = [(1000, 2.5, None), (2000, float("nan"), 0.25)]


def describe():
    return {"dataset": {"name": "rings"}, "done": 3, "total": 7, "unit": "steps"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / CHECKPOINTS).mkdir()
    return tmp_path


class Listener:
    def __init__(self, fails=False):
        self.told, self.heard, self.fails = [], threading.Event(), fails

    def __call__(self, folder, progress):
        self.told.append(progress)
        self.heard.set()
        if self.fails:
            raise OSError("no\nroom")


def nothing():
    """The folder is still ours."""


def test_progress_is_saved_and_told_while_a_run_goes(folder):
    listener = Listener()
    live = Live([listener], seconds=0.02)
    with live.follow(describe, folder, nothing):
        live.take(5, ["step", "loss", "accuracy"], ROWS)
        live.take(3, ["step", "loss", "accuracy"], ROWS[:1])
        listener.heard.clear()
        assert listener.heard.wait(10)
    saved = Progress.load(folder)
    assert (saved.state, saved.done, saved.total, saved.columns) == (RUNNING, 3, 7, ["step", "loss", "accuracy"])
    assert list(saved.rows) == [3, 5]
    assert saved.rows[5][0] == [1000, 2.5, None]
    assert listener.told[-1].rows[5] == ROWS
    assert abs(saved.written - time.time()) < 60


def test_rows_are_collected_only_for_the_next_telling(folder):
    collected = []
    live = Live([Listener()], seconds=3600)
    with live.follow(describe, folder, nothing):
        for step in range(3):
            live.offer(0, ["step"], lambda step=step: collected.append(step) or [(step,)])
    assert collected == [0]
    Live().offer(0, ["step"], lambda: pytest.fail("nobody watches"))


def test_the_first_telling_comes_early(folder):
    listener = Listener()
    with Live([listener], seconds=3600, first=0.02).follow(describe, folder, nothing):
        assert listener.heard.wait(10)
    assert len(listener.told) == 1


def test_a_short_run_tells_nobody(folder):
    listener = Listener()
    with Live([listener]).follow(describe, folder, nothing):
        pass
    assert not listener.told
    assert not any((folder / CHECKPOINTS).iterdir())


def test_a_listener_that_fails_costs_one_warning_and_only_itself(folder, caplog):
    bad, good = Listener(fails=True), Listener()
    with Live([bad, good], seconds=0.02).follow(describe, folder, nothing):
        for _ in range(3):
            good.heard.clear()
            assert good.heard.wait(10)
    assert len(bad.told) == 1 < len(good.told)
    (record,) = caplog.records
    assert "no room" in record.getMessage()


def test_a_run_that_stops_says_so(folder):
    listener = Listener()
    with pytest.raises(UserError), Live([listener], seconds=0.02).follow(describe, folder, nothing):
        assert listener.heard.wait(10)
        raise UserError("the loss is not finite")
    assert (listener.told[-1].state, listener.told[-1].note) == (STOPPED, "the loss is not finite")


def test_a_folder_that_was_taken_over_is_left_alone(folder):
    checked = threading.Event()

    def taken_over():
        checked.set()
        raise UserError("another process has taken the run over")

    listener = Listener()
    with Live([listener], seconds=0.02).follow(describe, folder, taken_over):
        assert checked.wait(10)
    assert not listener.told
    assert not any((folder / CHECKPOINTS).iterdir())
