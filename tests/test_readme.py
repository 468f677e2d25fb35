"""What the README and the pages show works, and what they point to is there."""

import re
import shlex
from pathlib import Path

import click
import keras
import pytest

from keras_dnnts.cli.commands import cli

ROOT = Path(__file__).parents[1]
PAGES = [
    *("README.md", "CONTRIBUTING.md", "experiments/formats.md", "experiments/CLUSTER.md", "experiments/RESULTS.md"),
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/pages/*.md")),
]
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [
    block for text in TEXTS.values() for block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
]
PROGRAMS = [block for language, block in BLOCKS if language == "python"]
COMMANDS = list(
    dict.fromkeys(
        line
        for language, block in BLOCKS
        if language in ("", "sh")
        for line in block.splitlines()
        if line.startswith("keras-dnnts ")
    )
)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXTS[page]) if "://" not in link]
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_have_these_options(line):
    _, name, *arguments = shlex.split(line.partition(" < ")[0].partition(" > ")[0], comments=True)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments)  # reads the options, runs nothing


@pytest.mark.one_engine
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the programs run on the default backend")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.splitlines()[-1][:20])
def test_programs_run(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(program, {})


def test_there_are_programs_and_commands():
    assert len(PROGRAMS) >= 2
    assert len(COMMANDS) >= 30
