"""Report and figures are made by other processes, where some can be forked."""

import os
import subprocess
import sys

import pytest

from keras_dnnts.cli.finishing import Finishers
from keras_dnnts.figures import draw_figures, save_figures
from keras_dnnts.report import write_report
from keras_dnnts.running.run_directory import CARD, REPORT
from tests.finished_runs import names_result

WITH_FINISHERS = """
import multiprocessing, os, signal, sys, time
from pathlib import Path
from keras_dnnts.cli import finishing
from keras_dnnts.results import load_result

run, end = Path(sys.argv[1]), sys.argv[2]
finishers = finishing.Finishers("keras_dnnts.studies.names")
processes = multiprocessing.active_children()
if end == "one dies":
    processes[0].kill()
    processes[0].join()
if end == "one dies at work":
    finishing.os.write = lambda jobs, numbers, write=os.write: write(jobs, numbers) and processes[0].kill()
finishers.finish(load_result(run), run)
print(len(processes), "matplotlib" in sys.modules, flush=True)
if end == "is left":
    os._exit(0)
"""

needs_two_cores = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs two cores of Linux"
)


@pytest.mark.slow
@needs_two_cores
@pytest.mark.parametrize("end", ["ends", "one dies", "one dies at work", "is left"])
def test_several_processes_make_the_same(tmp_path, end):
    names_result().save(tmp_path)
    expected = save_figures(names_result(), tmp_path / "one")
    page = write_report(tmp_path, tmp_path / "page.html").read_bytes()
    # It would time out if another process outlived the first, for all hold the pipes.
    done = subprocess.run(
        [sys.executable, "-c", WITH_FINISHERS, tmp_path, end],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["1", str("dies" in end)]  # of two, the first forks the second
    assert len([*(tmp_path / "figures").iterdir()]) == len(expected)
    for path in expected:
        assert (tmp_path / "figures" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / REPORT).read_bytes() == page
    assert (tmp_path / CARD).is_file()


@pytest.mark.slow
@needs_two_cores
def test_what_cannot_be_made_is_a_warning_each(tmp_path):
    names_result().save(tmp_path)
    (tmp_path / REPORT).mkdir()
    (tmp_path / "figures" / "confusion_train.png").mkdir(parents=True)
    command = [sys.executable, "-c", WITH_FINISHERS, tmp_path, "ends"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    report, figure = done.stderr.splitlines()
    assert "report.html: the report cannot be written" in report
    assert "confusion_train cannot be drawn" in figure
    assert (tmp_path / "figures" / "confusion_held_out.png").is_file()


def test_a_process_with_an_engine_is_not_forked():
    assert "torch" in sys.modules  # by the tests' own set-up
    assert not Finishers("keras_dnnts.studies.names").there_are_some


def test_figures_are_drawn_by_their_places_from_the_last(tmp_path):
    names = [path.stem for path in save_figures(names_result(), tmp_path) if path.suffix == ".svg"]
    drawn = draw_figures(names_result(), tmp_path, iter([1, 0, len(names), 2]))
    assert [name for name, *_ in drawn] == [names[-2], names[-1]]
    assert [name for name, *_ in draw_figures(names_result(), tmp_path, already=names[1:])] == names[:1]
