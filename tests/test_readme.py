"""What the README shows works, and what it points to is there."""

import re
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "experiments/formats.md", "experiments/CLUSTER.md", "experiments/RESULTS.md"]
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]


@pytest.mark.one_engine
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the programs run on the default backend")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.splitlines()[-1][:20])
def test_programs_run(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(program, {})


def test_there_are_programs():
    assert len(PROGRAMS) >= 2
