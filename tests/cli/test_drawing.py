"""Half of the figures are drawn by a second process, where one can be forked."""

import os
import subprocess
import sys

import pytest

from keras_dnnts.cli.drawing import Drawer
from keras_dnnts.figures import save_figures
from tests.finished_runs import names_result

WITH_A_DRAWER = """
import multiprocessing, os, sys
from functools import partial
from pathlib import Path
from keras_dnnts.cli.drawing import Drawer

drawer = Drawer()
(process,) = multiprocessing.active_children()
from keras_dnnts import figures, load_result

run, out, end = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
drawn, draw = [], figures._draw
figures._draw = lambda function, path: drawn.append(path.name) or draw(function, path)
if end == "dies":
    process.kill()
    process.join()
print(*(path.name for path in figures.save_figures_with(partial(drawer.draw, run, out), load_result(run), out)))
print(*drawn, flush=True)
if end == "is left":
    os._exit(0)
"""

needs_two_cores = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="needs two cores of Linux"
)


@pytest.mark.slow
@needs_two_cores
@pytest.mark.parametrize("end", ["lives", "dies", "is left"])
def test_two_processes_draw_the_same(tmp_path, end):
    names_result().save(tmp_path)
    expected = save_figures(names_result(), tmp_path / "one")
    command = [sys.executable, "-c", WITH_A_DRAWER, tmp_path, tmp_path / "two", end]
    # It would time out if the second process outlived the first, for both hold the pipes.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    paths, drawn = (line.split() for line in done.stdout.splitlines())
    assert paths == [path.name for path in expected]
    stems = list(dict.fromkeys(path.stem for path in expected))
    assert drawn == (stems if end == "dies" else stems[: len(stems) // 2])
    for path in expected:
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()


def test_a_process_with_an_engine_is_not_forked():
    assert "torch" in sys.modules  # by the tests' own set-up
    assert not Drawer().is_there
