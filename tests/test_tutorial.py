"""The tutorial notebooks run from top to bottom, and what they store is what a reader gets."""

import itertools
import os
from pathlib import Path

import keras
import nbformat
import pytest
from nbclient import NotebookClient

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
PICTURES = {"tutorial.ipynb": 3, "tutorial_images.ipynb": 6}


def stored_outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def kinds_of_outputs(cell):
    """What a cell shows, in its order; what it prints counts once, in however many pieces it arrives."""
    kinds = [(output.output_type, output.get("name")) for output in cell.get("outputs", ())]
    return [kind for kind, _ in itertools.groupby(kinds)]


def count_pictures(notebook):
    return sum("image/png" in output.get("data", {}) for output in stored_outputs(notebook))


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the tutorials run on the default backend")
@pytest.mark.parametrize("tutorial", PICTURES)
def test_runs_and_shows_what_it_stores(tutorial, tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path.cwd())])))
    # A notebook's own backend for figures, not the tests'.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    stored, run = (nbformat.read(EXPERIMENTS / tutorial, as_version=4) for _ in range(2))
    NotebookClient(run, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()

    assert not [output for output in stored_outputs(run) if output.output_type == "error"]
    assert count_pictures(run) == count_pictures(stored) == PICTURES[tutorial]
    for before, after in zip(stored.cells, run.cells, strict=True):
        assert kinds_of_outputs(before) == kinds_of_outputs(after)


@pytest.mark.parametrize("tutorial", PICTURES)
def test_stores_nothing_of_the_machine_it_ran_on(tutorial):
    text = (EXPERIMENTS / tutorial).read_text(encoding="utf-8")
    assert len(text) < 500_000
    assert not [folder for folder in ("/tmp", "/home", "/root", "/Users", "site-packages") if folder in text]
    cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
