"""What a person sees of a run: bars on a terminal, lines elsewhere; nothing glued together, no number broken."""

import io
import os
import re

import pytest
from rich.console import Console

from keras_dnnts.running.console import RunProgress, fit_line
from keras_dnnts.running.interruption import ERASE_LINE, ERASE_LINE_ABOVE, Interrupted, Interruption
from tests.names_folders import call, write_names

STAGES = [
    "GRU, sound protocol: reading the data",
    "read 31 names, 3 categories, from ",
    "starting ",
    "training GRU with ",
    "evaluating",
    "drawing the figures",
    "writing the report",
]


@pytest.mark.one_engine
@pytest.mark.slow
def test_every_stage_is_a_line_and_quiet_has_none(tmp_path, capsys):
    options = ("--data-dir", write_names(tmp_path / "names"), "--iterations", "5", "--hidden-units", "4")
    assert call("names", *options, "--out", tmp_path / "run") == 0
    shown = capsys.readouterr().out.splitlines()
    places = [next(i for i, line in enumerate(shown) if line.startswith(stage)) for stage in STAGES]
    assert places == sorted(places)
    assert call("names", *options, "--out", tmp_path / "quiet", "--quiet") == 0
    quiet = capsys.readouterr().out
    assert not any(line.startswith(stage) for line in quiet.splitlines() for stage in STAGES)


def terminal(width=80):
    output = io.StringIO()
    return output, Console(file=output, width=width, force_terminal=True, _environ={"TERM": "xterm"})


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def advance(progress, monkeypatch, label, steps, seconds):
    """Let a seed make steps twice, so that its speed is known."""
    clock = iter((0.0, seconds))
    monkeypatch.setattr("keras_dnnts.running.console.time.monotonic", lambda: next(clock))
    for _ in range(2):
        progress.advance(steps, label, "loss 2.3026 · accuracy 10.0\xa0%", "epoch 12/50")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_bars_fit_the_terminal_and_break_no_number(width, monkeypatch):
    output, console = terminal(width)
    progress = RunProgress(console)
    progress.plan(400_000, "images", 20_000, seeds=2)
    advance(progress, monkeypatch, "seed 12 · ", 4_000, seconds=2.0)
    monkeypatch.undo()
    console.print(progress._bar.get_renderable())
    (line,) = plain(output.getvalue()).splitlines()
    assert len(line.rstrip()) <= width
    assert "…" not in line
    assert "seed 12 · epoch 12/50" in line
    assert "40\xa0%" in line
    assert ("1:36 left" in line) == (width >= 60)
    assert ("2,000 images/s" in line) == (width >= 120)


def test_a_bar_a_seed_with_its_own_speed_until_it_is_done(monkeypatch):
    output, console = terminal(120)
    progress = RunProgress(console)
    progress.plan(20_000, "steps", seeds=2)
    advance(progress, monkeypatch, "seed 0 · ", 1_000, seconds=1.0)
    advance(progress, monkeypatch, "seed 1 · ", 2_000, seconds=1.0)
    monkeypatch.undo()
    assert progress.done == 6_000
    with progress:
        assert progress.rows == 2
        console.print(progress._bar.get_renderable())
        progress.advance(6_000, "seed 1 · ", "")
        assert progress.rows == 1
    assert progress.rows == 0
    first, second = [line for line in plain(output.getvalue()).splitlines() if "left" in line][:2]
    assert "seed 0" in first and "1,000 steps/s" in first and "0:08 left" in first
    assert "seed 1" in second and "2,000 steps/s" in second and "0:03 left" in second


def test_lines_break_between_facts():
    text = (
        "seed 12 · epoch 12/50 · loss 2.3026, val. 2.3026 · accuracy 10\xa0%, val. 10\xa0% · 1,234 images/s · 0:10 left"
    )
    for width in (30, 40, 60, 80):
        lines = fit_line(text, width).splitlines()
        assert max(map(len, lines)) <= width
        assert " · ".join(line.strip() for line in lines) == text
    assert fit_line(text, 200) == text
    assert fit_line("/a/very/long/path", 5) == "/a/very/long/path"


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_an_interruption_stands_on_a_line_of_its_own(rows, monkeypatch):
    written = []
    monkeypatch.setattr(os, "write", lambda stream, text: written.append(text.decode()))
    monkeypatch.setattr(os, "isatty", lambda stream: True)
    interruption = Interruption()
    interruption.rows = lambda: rows
    with pytest.raises(Interrupted), interruption.after_step():
        interruption.handle(2, None)
    above = max(rows - 1, 0)
    erased = ERASE_LINE + above * ERASE_LINE_ABOVE if rows else ""
    # As many lines as the bars take are left free, for them to be drawn anew.
    message = "keras-dnnts: stopping after this step (Ctrl-C again to stop at once)\n"
    assert written == [erased + message + above * "\n"]


def test_the_end_of_a_file_is_no_interruption(monkeypatch, capsys):
    def ends_too_early(path, seed, code):
        raise EOFError("Ran out of input")

    monkeypatch.setattr("keras_dnnts.cli.predict.find_saved_model", ends_too_early)
    assert call("predict", "run", "Smith") == 1
    error = capsys.readouterr().err
    assert "interrupted" not in error
    assert "ends too early (Ran out of input" in error.splitlines()[-1]
