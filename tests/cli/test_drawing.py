"""Figures are drawn by other processes, where some can be forked."""

import os
import subprocess
import sys

import pytest

from keras_dnnts.cli.drawing import Drawers
from keras_dnnts.figures import save_figures
from tests.finished_runs import names_result

WITH_DRAWERS = """
import multiprocessing, os, sys
from pathlib import Path
from keras_dnnts.cli import drawing
from keras_dnnts.results import load_result

run, draw_all, end = Path(sys.argv[1]), sys.argv[2] == "all", sys.argv[3]
drawers = drawing.Drawers(draw_all)
processes = multiprocessing.active_children()
if end == "one dies":
    processes[-1].kill()
    processes[-1].join()
drawing.start_figures(load_result(run), run, drawers)()
print(len(processes), "matplotlib" in sys.modules, flush=True)
if end == "is left":
    os._exit(0)
"""

needs_two_cores = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs two cores of Linux"
)


@pytest.mark.slow
@needs_two_cores
@pytest.mark.parametrize(
    ("drawn", "end"),
    [("half", "ends"), ("half", "one dies"), ("half", "is left"), ("all", "ends"), ("all", "one dies")],
)
def test_several_processes_draw_the_same(tmp_path, drawn, end):
    names_result().save(tmp_path)
    expected = save_figures(names_result(), tmp_path / "one")
    # It would time out if another process outlived the first, for all hold the pipes.
    done = subprocess.run(
        [sys.executable, "-c", WITH_DRAWERS, tmp_path, drawn, end],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    drew_itself = drawn == "half" or end == "one dies"
    assert done.stdout.split() == ["1", str(drew_itself)]  # of two, the first forks the second
    assert len([*(tmp_path / "figures").iterdir()]) == len(expected)
    for path in expected:
        assert (tmp_path / "figures" / path.name).read_bytes() == path.read_bytes()


def test_a_process_with_an_engine_is_not_forked():
    assert "torch" in sys.modules  # by the tests' own set-up
    drawers = Drawers(draw_all=True)
    assert (drawers.shares, drawers.leave_a_share) == (1, True)
