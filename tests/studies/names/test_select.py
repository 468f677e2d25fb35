"""``--select``: the training names are split again, and held-out names are left alone; no engine."""

import dataclasses
import json

import numpy as np
import pytest

from keras_dnnts import NamesConfig, load_result, predict_names, run_names
from keras_dnnts.analysis import measure_accuracy
from keras_dnnts.errors import UserError
from keras_dnnts.results.findings import state_result
from keras_dnnts.studies.names.baselines import fit_baseline
from keras_dnnts.studies.names.baselines.base import TrainingNames
from keras_dnnts.studies.names.data import load_data
from keras_dnnts.studies.names.measure import split_part_shown
from tests.names_folders import call, write_names


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return write_names(tmp_path_factory.mktemp("data") / "names")


@pytest.fixture(scope="module")
def config(names):
    return NamesConfig(model="markov", data_dir=str(names), seeds=2, select=True, held_out=0.3)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "select"
    return folder, run_names(config, folder)


def test_training_names_are_split_again_by_the_same_rules(config):
    ordinary, selected = load_data(dataclasses.replace(config, select=False)), load_data(config)
    for seed in (0, 1):
        outer, inner = ordinary.splits[seed], selected.splits[seed]
        assert np.array_equal(inner.held_out, outer.held_out)
        assert sorted([*inner.train, *inner.validation]) == outer.train.tolist()
        assert split_part_shown(inner)[1] == "validation"
        texts = [selected.dataset.texts[i].casefold() for i in range(len(selected.dataset.texts))]
        sides = [{texts[i] for i in lines} for lines in (inner.train, inner.validation)]
        assert not sides[0] & sides[1]
        assert len(sides[1]) == round(0.3 * len(sides[0] | sides[1]))
        for lines in (inner.train, inner.validation):
            assert set(selected.dataset.labels[lines]) == {0, 1, 2}


def test_metrics_are_of_the_inner_model_on_validation_names(run, config):
    _, result = run
    data = load_data(config)
    for row, seed in enumerate((0, 1)):
        split, dataset = data.splits[seed], data.dataset
        model = fit_baseline("markov", TrainingNames.of_lines(dataset, split.train))
        lines = split.validation
        guesses = model.log_probabilities(dataset.letters[lines], dataset.lengths[lines]).argmax(axis=1)
        expected = measure_accuracy(dataset.labels[lines], guesses, 3, copies_of=[dataset.texts[i] for i in lines])
        assert result.metrics["validation_accuracy_by_class"].values[row] == expected.by_class[0]
        assert result.metrics["validation_accuracy"].values[row] == expected.overall[0]
    assert result.dataset["counts"]["validation"] == [len(data.splits[seed].validation) for seed in (0, 1)]


def test_nothing_is_said_of_held_out_names(run):
    _, result = run
    assert not [name for name in (*result.metrics, *result.arrays, *result.details["recall"]) if "held_out" in name]
    assert list(result.parts) == ["validation", "train"]
    for name in ("bound_validation", "baseline_markov_validation", "confusion_validation"):
        assert name in result.arrays
    assert state_result(result).endswith("of validation names (a part of the training names)")


def test_page_and_summary_say_what_was_measured(run, config, tmp_path, capsys):
    folder, _ = run
    assert call("report", folder, "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "validation names (a part of the training names)" in page
    assert "Held-out names were not used." in page
    assert "--select" in page
    capsys.readouterr()
    assert call("names", "--data-dir", config.data_dir, "--model", "majority", "--select", "--dry-run") == 0
    assert "validation 4" in capsys.readouterr().out


def test_is_not_ranked_beside_an_ordinary_run(run, config, tmp_path, capsys):
    folder, _ = run
    run_names(dataclasses.replace(config, select=False), tmp_path / "ordinary")
    assert call("compare", folder, tmp_path / "ordinary", "--out", tmp_path / "both") == 0
    said = json.loads((tmp_path / "both/comparison.json").read_text(encoding="utf-8"))
    assert said["conclusions"] == []
    assert "validation names" in said["warnings"][0]
    capsys.readouterr()
    run_names(dataclasses.replace(config, model="naive-bayes"), tmp_path / "bayes")
    assert call("compare", folder, tmp_path / "bayes", "--out", tmp_path / "alike") == 0
    said = json.loads((tmp_path / "alike/comparison.json").read_text(encoding="utf-8"))
    assert said["conclusions"][0].startswith("Accuracy on validation names (a part of the training names)")


def test_config_and_model_are_kept_like_any_others(run, config, tmp_path):
    folder, result = run
    assert "select = true" in (folder / "config.toml").read_text(encoding="utf-8")
    assert load_result(folder).config["select"] is True
    assert predict_names(folder, ["Balin"])[0].guesses
    plain = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert plain["metrics"].keys() == result.metrics.keys()


def test_results_without_the_field_are_ordinary_ones(config, tmp_path):
    run_names(dataclasses.replace(config, select=False), tmp_path / "run")
    path = tmp_path / "run/results.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    del plain["config"]["select"]
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert load_result(tmp_path / "run").config["select"] is False


def test_the_notebook_s_protocol_has_nothing_to_keep(names, tmp_path, capsys):
    options = ["--data-dir", names, "--model", "markov", "--select", "--protocol", "reference"]
    assert call("names", *options, "--out", tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--select" in said
    assert "--protocol reference" in said
    assert not (tmp_path / "run").exists()


def test_a_language_with_two_names_is_too_small(tmp_path):
    names = write_names(tmp_path / "names", {"Dutch": ["Aak", "Bes"], "Irish": ["Cian", "Daly", "Egan", "Flynn"]})
    load_data(NamesConfig(data_dir=str(names)))
    with pytest.raises(UserError, match=r"category Dutch has too few distinct names .*select"):
        load_data(NamesConfig(data_dir=str(names), select=True))
