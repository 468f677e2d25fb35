"""The tutorial notebook runs from top to bottom, and what it stores is what a reader gets."""

import os
from pathlib import Path

import keras
import nbformat
import pytest
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parents[1] / "experiments" / "tutorial.ipynb"


def stored_outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def count_pictures(notebook):
    return sum("image/png" in output.get("data", {}) for output in stored_outputs(notebook))


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the tutorial runs on the default backend")
def test_runs_and_shows_what_it_stores(tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path.cwd())])))
    # A notebook's own backend for figures, not the tests'.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    stored, run = (nbformat.read(TUTORIAL, as_version=4) for _ in range(2))
    NotebookClient(run, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()

    assert not [output for output in stored_outputs(run) if output.output_type == "error"]
    assert count_pictures(run) == count_pictures(stored) == 3
    for before, after in zip(stored.cells, run.cells, strict=True):
        assert [output.output_type for output in before.get("outputs", ())] == [
            output.output_type for output in after.get("outputs", ())
        ]


def test_stores_nothing_of_the_machine_it_ran_on():
    text = TUTORIAL.read_text(encoding="utf-8")
    assert len(text) < 500_000
    assert not [folder for folder in ("/tmp", "/home", "/root", "/Users", "site-packages") if folder in text]
    assert [cell.execution_count for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"] == [
        *range(1, 11)
    ]
