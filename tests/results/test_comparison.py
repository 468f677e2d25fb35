"""Finished runs side by side: the numbers of their results, and a warning where they do not compare."""

import json

import pytest

from tests.finished_runs import names_result
from tests.names_folders import call


def save(folder, **changes):
    folder.mkdir(parents=True)
    names_result(**changes).save(folder)
    return folder


def test_table_holds_mean_and_sd_of_every_run(tmp_path, capsys):
    runs = [save(tmp_path / "rnn", seed=1, cell="rnn"), save(tmp_path / "gru", seed=2, seeds=1)]
    assert call("compare", *runs, "--out", tmp_path / "out") == 0

    captured = capsys.readouterr()
    assert captured.err == ""
    markdown = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    first, second = names_result(seed=1, cell="rnn"), names_result(seed=2, seeds=1)
    accuracy = first.metrics["held_out_accuracy_by_class"]
    for text in (captured.out, markdown):
        assert f"{100 * accuracy.mean:.1f} ± {100 * accuracy.sd:.1f}\xa0%" in text
        assert f"{100 * second.metrics['train_accuracy_by_class'].mean:.1f}\xa0%" in text
        assert "1,234" in text
    plain = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert plain["warnings"] == []
    assert plain["runs"]["rnn"]["metrics"]["final_loss"] == first.metrics["final_loss"].to_dict()
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"content_hash": "sha256:2", "name": "starter names"}, "different data"),
        ({"protocol": "reference"}, "protocols"),
    ],
)
def test_what_does_not_compare_is_said(tmp_path, capsys, changes, warning):
    runs = [save(tmp_path / "a"), save(tmp_path / "b", **changes)]
    assert call("compare", *runs, "--out", tmp_path / "out") == 0

    assert warning in capsys.readouterr().err
    assert warning in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")


def test_runs_of_the_same_name_are_told_apart(tmp_path, capsys):
    runs = [save(tmp_path / "monday" / "gru", seed=1), save(tmp_path / "friday" / "gru", seed=2)]
    assert call("compare", *runs, "--out", tmp_path / "out") == 0
    assert set(json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))["runs"]) == {
        str(run) for run in runs
    }


def test_what_is_no_run_is_one_clear_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        assert call("compare", folder, "--out", tmp_path / "out") == 2
        error = capsys.readouterr().err
        assert str(folder) in error
        assert len(error.splitlines()) == 1
    assert call("compare") == 2
    assert not (tmp_path / "out").exists()
