"""Baselines as ordinary runs: from the command to results, page, predictions and comparison, without an engine."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from keras_dnnts import NamesConfig, predict_names, run_names
from keras_dnnts.analysis import measure_accuracy
from keras_dnnts.config import load_config
from keras_dnnts.errors import UserError
from keras_dnnts.loggers import log_result
from keras_dnnts.results import load_result
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.studies.names import baseline_training
from keras_dnnts.studies.names.baseline_training import PrefixReader
from keras_dnnts.studies.names.baselines import fit_baseline, load_baseline
from keras_dnnts.studies.names.baselines.base import TrainingNames
from keras_dnnts.studies.names.config import BASELINES, NETWORK_DEFAULTS
from keras_dnnts.studies.names.data import load_data
from tests.finished_runs import names_result
from tests.names_folders import call, write_names

models = pytest.mark.parametrize("model", BASELINES)


@pytest.fixture
def names(tmp_path):
    return write_names(tmp_path / "names")


def run(names, out, model, *options, figures=False):
    command = ("names", "--data-dir", names, "--out", out, "--model", model, "--quiet", *options)
    assert call(*command, figures=figures) == 0
    return load_result(out)


def fit(names, out, model, **changes):
    return run_names(NamesConfig(model=model, data_dir=str(names), **changes), out)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["majority", "markov"])
def test_leaves_a_complete_run_behind(names, tmp_path, model, capsys):
    out = tmp_path / "run"
    result = run(names, out, model, "--seeds", "2", "--seed", "3", figures=True)

    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    stems = ["confusion_train", "confusion_held_out", "reliability"] + (["reading"] if model != "majority" else [])
    drawn = {f"figures/{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    kept = {
        "config.toml",
        "results.json",
        "results.npz",
        "report.html",
        "README.md",
        "model-seed-3.npz",
        "model-seed-4.npz",
    }
    assert files == kept | drawn
    assert BASELINES[model] in capsys.readouterr().out
    assert not {"loss", "loss_step"} & result.arrays.keys()
    assert not {"final_loss", "steps_per_second"} & result.metrics.keys()
    assert result.environment["backend"] == "NumPy"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert BASELINES[model] in page
    assert "Training curves" not in page
    assert call("report", out) == 0


@models
def test_metrics_are_those_of_the_saved_model(names, tmp_path, model):
    config = NamesConfig(model=model, data_dir=str(names), seed=5, dataset="starter")
    result = run_names(config, tmp_path / "run")
    data = load_data(config)
    held_out, dataset = data.splits[5].held_out, data.dataset
    saved = load_baseline(model, tmp_path / "run" / "model-seed-5.npz", dataset.alphabet, len(dataset.classes))
    guesses = saved.log_probabilities(dataset.letters[held_out], dataset.lengths[held_out]).argmax(axis=1)
    texts = [dataset.texts[line] for line in held_out]
    expected = measure_accuracy(dataset.labels[held_out], guesses, len(dataset.classes), copies_of=texts)
    assert result.metrics["held_out_accuracy_by_class"].values == (expected.by_class[0],)
    said = predict_names(tmp_path / "run", texts, top=1)
    assert [one.guesses[0][0] for one in said] == [dataset.classes[guess] for guess in guesses]


def test_the_same_run_has_the_same_bytes_and_seeds_are_independent(names, tmp_path):
    for folder, seeds in (("one", {"seeds": 2}), ("again", {"seeds": 2}), ("alone", {"seed": 1})):
        fit(names, tmp_path / folder, "markov", **seeds)
    read = [(tmp_path / folder / "model-seed-1.npz").read_bytes() for folder in ("one", "again", "alone")]
    assert read[0] == read[1] == read[2]
    assert (tmp_path / "one/results.npz").read_bytes() == (tmp_path / "again/results.npz").read_bytes()
    together, alone = load_result(tmp_path / "one"), load_result(tmp_path / "alone")
    for name in ("held_out_accuracy", "train_accuracy_by_class"):
        assert together.metrics[name].values[1] == alone.metrics[name].values[0]


def test_resumes_after_the_last_finished_seed(names, tmp_path, monkeypatch):
    config = NamesConfig(model="naive-bayes", data_dir=str(names), seeds=3)
    whole = run_names(config, tmp_path / "whole")
    save, saved = RunDirectory.save_result, []
    monkeypatch.setattr(RunDirectory, "save_result", lambda *_: (_ for _ in ()).throw(UserError("stopped")))
    with pytest.raises(UserError, match="stopped"):
        run_names(config, tmp_path / "part")
    monkeypatch.setattr(RunDirectory, "save_result", save)
    (tmp_path / "part/checkpoints/outcome-seed-2.npz").unlink()
    fit = baseline_training.fit_baseline
    monkeypatch.setattr(baseline_training, "fit_baseline", lambda *about: saved.append(about[0]) or fit(*about))
    resumed = run_names(config, tmp_path / "part", resume=True)
    assert saved == ["naive-bayes"]
    assert resumed.metrics["held_out_accuracy"] == whole.metrics["held_out_accuracy"]
    assert (tmp_path / "part/results.npz").read_bytes() == (tmp_path / "whole/results.npz").read_bytes()


@pytest.mark.slow
def test_stands_beside_networks_in_a_comparison(names, tmp_path, capsys):
    fit(names, tmp_path / "markov", "markov", seeds=2)
    fit(names, tmp_path / "majority", "majority", seeds=2)
    gru = names_result(seeds=2, classes=tuple(load_result(tmp_path / "markov").dataset["classes"]))
    (tmp_path / "gru").mkdir()
    gru.save(tmp_path / "gru")
    for runs in (("markov", "majority"), ("markov", "gru", "majority")):
        out = tmp_path / "-".join(runs)
        assert call("compare", *(tmp_path / one for one in runs), "--out", out, "--html") == 0
        assert {"comparison.png", "comparison.md", "report.html"} <= {path.name for path in out.iterdir()}
        page = (out / "report.html").read_text(encoding="utf-8")
        assert ("Training curves" in page) == ("gru" in runs)


def test_a_baseline_cannot_be_exported(names, tmp_path, capsys):
    fit(names, tmp_path / "run", "markov")
    assert call("export", tmp_path / "run", "--format", "onnx") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "markov" in said
    assert "only networks" in said


@pytest.mark.parametrize("name", NETWORK_DEFAULTS)
def test_settings_of_networks_are_refused(name):
    with pytest.raises(UserError, match=f"{name} .*markov is no network"):
        NamesConfig(model="markov", **{name: NETWORK_DEFAULTS[name]})
    assert getattr(NamesConfig(model="markov"), name) is None
    assert getattr(NamesConfig(model="lstm"), name) == NETWORK_DEFAULTS[name]


@pytest.mark.parametrize("option", [("--backend", "jax"), ("--device", "cpu"), ("--set", "checkpoint_seconds=5")])
def test_settings_of_engines_are_refused_where_they_are_given(names, option, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # a default
    (tmp_path / "markov.toml").write_text('experiment = "names"\nmodel = "markov"\nbackend = "jax"\n', encoding="utf-8")
    for command in (("names", "--model", "markov"), ("run", tmp_path / "markov.toml")):
        assert call(*command, "--data-dir", names, "--dry-run") == 0
        capsys.readouterr()
        assert call(*command, "--data-dir", names, "--dry-run", *option) == 2
        out, error = capsys.readouterr()
        assert (out, error.count("\n")) == ("", 1)
        assert "--model markov is no network" in error


def test_a_config_repeats_its_run(names, tmp_path):
    fit(names, tmp_path / "run", "markov", protocol="reference")
    run_names(load_config(tmp_path / "run/config.toml"), tmp_path / "again")
    assert load_config(tmp_path / "again/config.toml") == load_config(tmp_path / "run/config.toml")
    assert (tmp_path / "again/model-seed-0.npz").read_bytes() == (tmp_path / "run/model-seed-0.npz").read_bytes()


def test_the_field_of_the_model_was_called_cell(names, tmp_path, capsys):
    assert NamesConfig(cell="lstm") == NamesConfig(model="lstm")
    assert NamesConfig(model="lstm").cell == "lstm"
    assert NamesConfig.from_dict({"cell": "markov"}, "here").model == "markov"
    with pytest.raises(UserError, match="cell is 'gru' and model is 'rnn'"):
        NamesConfig(cell="gru", model="rnn")
    assert dataclasses.replace(NamesConfig(cell="lstm"), model="rnn").model == "rnn"
    (tmp_path / "old.toml").write_text('experiment = "names"\ncell = "lstm"\n', encoding="utf-8")
    assert call("run", tmp_path / "old.toml", "--model", "markov", "--dry-run", "--set", "dataset=starter") == 0
    assert 'model = "markov"' in capsys.readouterr().out
    assert call("names", "--cell", "markov", "--model", "markov", "--data-dir", names, "--dry-run") == 0
    assert 'model = "markov"' in capsys.readouterr().out
    assert call("names", "--cell", "markov", "--model", "gru", "--data-dir", names) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_results_that_say_cell_are_read(tmp_path):
    names_result(model="lstm").save(tmp_path)
    path = tmp_path / "results.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    plain["config"]["cell"] = plain["config"].pop("model")
    plain["format_version"] = 1
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert load_result(tmp_path).model_name == "LSTM"
    assert call("report", tmp_path) == 0
    assert "LSTM" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_no_engine_is_imported(names, tmp_path):
    code = (
        "import sys\n"
        "from keras_dnnts.cli import main\n"
        "try:\n"
        f"    main({['names', '--model', 'markov', '--data-dir', str(names), '--out', str(tmp_path / 'run')]!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'keras', 'torch', 'tensorflow', 'jax', 'scipy', 'sklearn'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_name_is_read_as_its_prefixes(names):
    data = load_data(NamesConfig(data_dir=str(names)))
    dataset = data.dataset
    model = fit_baseline("markov", TrainingNames.of_lines(dataset, data.splits[0].train))
    letters, lengths = dataset.letters[:5], dataset.lengths[:5]
    said = PrefixReader(model).read_letter_by_letter(letters, lengths)
    for i in range(5):
        for end in range(1, lengths[i] + 1):
            alone = model.log_probabilities(letters[i : i + 1, :end], np.array([end]))
            np.testing.assert_allclose(said[i, end - 1], np.exp(alone[0]), rtol=1e-5)
        assert np.isnan(said[i, lengths[i] :]).all()


def test_loggers_take_a_run_without_a_history(names, tmp_path):
    pytest.importorskip("tensorboardX")
    result = fit(names, tmp_path / "run", "markov", seeds=2)
    log_result(result, tmp_path / "run", ["tensorboard"])
    assert sorted(path.name for path in (tmp_path / "run/tensorboard").iterdir()) == ["seed-0", "seed-1"]
