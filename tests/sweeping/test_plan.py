"""A sweep's file: what it stands for, and what is refused before anything runs."""

import dataclasses
import itertools
import tomllib

import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.studies import names
from keras_dnnts.sweeping.plan import read_sweep
from tests.names_folders import call

GRID = """
experiment = "names"
iterations = 500
seeds = 3
[sweep]
hidden_units = [8, 16]
learning_rate = [0.005, 0.02, 0.05]
"""
RANDOM = """
experiment = "names"
[sweep]
model = ["rnn", "gru"]
[sweep.random]
draws = {draws}
seed = 7
learning_rate = {{ from = 0.001, to = 0.1, scale = "log" }}
hidden_units = {{ from = 3, to = 5 }}
"""


def written(folder, text):
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_grid_is_every_combination(tmp_path):
    sweep = read_sweep(written(tmp_path, GRID), {"seeds": 2})
    values = [tuple(condition.values.values()) for condition in sweep.conditions]
    assert values == list(itertools.product([8, 16], [0.005, 0.02, 0.05]))
    configs = [condition.config for condition in sweep.conditions]
    assert [(one.hidden_units, one.learning_rate) for one in configs] == values
    # Compared on validation names, by the same seeds, with what the file says above its table.
    assert {(one.select, one.seeds, one.iterations) for one in configs} == {(True, 2, 500)}
    assert sweep.conditions[1].label == "hidden_units=8, learning_rate=0.02"


def test_what_is_saved_stands_for_the_same_sweep(tmp_path):
    sweep = read_sweep(written(tmp_path, RANDOM.format(draws=4)), {"iterations": 99})
    (tmp_path / "again").mkdir()
    again = read_sweep(written(tmp_path / "again", sweep.to_toml()), {})
    assert again.conditions == sweep.conditions
    assert tomllib.loads(sweep.to_toml())["iterations"] == 99


def test_numbers_are_drawn_within_their_ranges_and_the_same_every_time(tmp_path):
    few, many = (read_sweep(written(tmp_path, RANDOM.format(draws=draws)), {}) for draws in (3, 200))
    drawn = [condition.values for condition in many.conditions if condition.values["model"] == "rnn"]
    assert [one.values for one in few.conditions[:3]] == drawn[:3]
    rates, units = [one["learning_rate"] for one in drawn], [one["hidden_units"] for one in drawn]
    assert 0.001 <= min(rates) < 0.002 and 0.05 < max(rates) <= 0.1
    # Half of a log scale's draws lie below its middle, 0.01.
    assert 0.4 < sum(rate < 0.01 for rate in rates) / len(rates) < 0.6
    counts = [units.count(value) for value in (3, 4, 5)]
    assert sum(counts) == 200 and min(counts) > 40
    assert all(isinstance(value, int) for value in units)


BASE = 'experiment = "names"\n'
REFUSED = {
    "no table": (BASE, "[sweep]"),
    "empty table": (BASE + "[sweep]", "[sweep]"),
    "no experiment": ("[sweep]\nmodel = ['gru']", "experiment"),
    "unknown option": (BASE + "[sweep]\nwidht = [1, 2]", "unknown option 'widht'"),
    "unknown option above": (BASE + "widht = 1\n[sweep]\nmodel = ['gru']", "unknown option 'widht'"),
    "no list": (BASE + "[sweep]\nlearning_rate = 0.1", "list of values"),
    "empty list": (BASE + "[sweep]\nlearning_rate = []", "list of values"),
    "twice": (BASE + "[sweep]\nlearning_rate = [0.1, 0.1]", "twice"),
    "third combination": (BASE + "[sweep]\nlearning_rate = [0.1, 0.2, -1]", "combination 3 (learning_rate=-1)"),
    "wrong type": (BASE + "[sweep]\nhidden_units = [8, 'many']", "combination 2"),
    "what a model lacks": (BASE + "[sweep]\nmodel = ['gru', 'markov']\nlearning_rate = [0.1, 0.2]", "combination 3"),
    "10^9 combinations": (
        BASE
        + "[sweep]\n"
        + "\n".join(f"{name} = {list(range(1, 1001))}" for name in ("iterations", "hidden_units"))
        + f"\nlearning_rate = {[i / 1000 for i in range(1, 1001)]}",
        "1,000,000,000 combinations",
    ),
    "seeds": (BASE + "[sweep]\nseed = [0, 1]", "cannot be swept"),
    "backends": (BASE + "[sweep]\nbackend = ['torch', 'jax']", "cannot be swept"),
    "no result depends on it": (BASE + "[sweep]\ncheckpoint_seconds = [1.0, 2.0]", "cannot be swept"),
    "what the sweep sets": (BASE + "[sweep]\nselect = [true, false]", "cannot be swept"),
    "set above": (BASE + "learning_rate = 0.1\n[sweep]\nlearning_rate = [0.1, 0.2]", "leave one out"),
    "nothing held out": (BASE + "[sweep]\nprotocol = ['sound', 'reference']", "protocol"),
    "measured differently": ('experiment = "cifar"\n[sweep]\nrecipe = ["sound", "reference"]', "measured alike"),
    "no validation": (
        'experiment = "cifar"\nrecipe = "fast"\n[sweep]\nepochs = [2, 4]',
        "combination 1 (epochs=2): --train-on all",
    ),
    "the same run": (BASE + "[sweep]\nmodel = ['gru']\ncell = ['rnn']", "model"),
    "no draws": (BASE + "[sweep.random]\nlearning_rate = { from = 1.0, to = 2.0 }", "draws"),
    "no ranges": (BASE + "[sweep.random]\ndraws = 3", "draws nothing"),
    "upside down": (BASE + "[sweep.random]\ndraws = 3\nlearning_rate = { from = 2.0, to = 1.0 }", "no range"),
    "log of zero": (
        BASE + "[sweep.random]\ndraws = 3\nlearning_rate = { from = 0, to = 1, scale = 'log' }",
        "begins above 0",
    ),
    "a range of texts": (BASE + "[sweep.random]\ndraws = 3\nmodel = { from = 1, to = 2 }", "not a number"),
    "code nobody named": (BASE + "[sweep]\nmodel = ['gru', 'mine.py:build']", "your own code"),
}


@pytest.mark.parametrize(("text", "culprit"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_one_line_before_anything_runs(text, culprit, tmp_path, monkeypatch, capsys):
    path = written(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    assert call("sweep", path) == 2
    output = capsys.readouterr()
    assert len(output.err.splitlines()) == 1, output.err
    assert culprit in output.err
    assert [one.name for one in tmp_path.iterdir()] == ["study.toml"]


def test_a_swept_option_cannot_also_be_given(tmp_path, capsys):
    assert call("sweep", written(tmp_path, GRID), "--set", "learning_rate=1.0") == 2
    assert "learning_rate is swept and also set to 1.0" in capsys.readouterr().err
    with pytest.raises(UserError, match="unknown option"):
        read_sweep(tmp_path / "study.toml", {"widht": 1})


def test_dry_run_lists_the_runs_and_writes_nothing(tmp_path, monkeypatch, capsys):
    path = written(tmp_path, GRID)
    monkeypatch.chdir(tmp_path)
    assert call("sweep", path, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "hidden_units=8, learning_rate=0.005"
    assert lines[-1] == "# 6 runs, 3 seeds each, compared by accuracy on validation names, averaged over languages"
    assert len(lines) == 7
    assert [one.name for one in tmp_path.iterdir()] == ["study.toml"]


def test_a_study_without_a_validation_part_cannot_be_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "STUDY", dataclasses.replace(names.STUDY, selection=None))
    with pytest.raises(UserError, match="names has no validation part"):
        read_sweep(written(tmp_path, GRID), {})
