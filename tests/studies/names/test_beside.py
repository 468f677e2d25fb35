"""Decisions, baselines beside a run's own numbers, the bound, calibration; no engine."""

import json

import numpy as np
import pytest

from keras_dnnts import NamesConfig, load_result, predict_names, run_names
from keras_dnnts.analysis import measure_accuracy
from keras_dnnts.errors import UserError
from keras_dnnts.studies.names.beside import list_scores, write_scores
from keras_dnnts.studies.names.bound import best_possible
from keras_dnnts.studies.names.config import BASELINES
from keras_dnnts.studies.names.data import load_data
from keras_dnnts.studies.names.measure import measure_beside, measure_sides
from tests.finished_runs import names_result
from tests.names_folders import call, write_names


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return write_names(tmp_path_factory.mktemp("data") / "names")


@pytest.fixture(scope="module")
def runs(names, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        model: (folder / model, run_names(NamesConfig(model=model, data_dir=str(names), seeds=2), folder / model))
        for model in ("majority", "markov", "naive-bayes")
    }


@pytest.mark.parametrize("classes", ["even", "natural"])
def test_the_prior_of_training_is_divided_out(names, classes):
    data = load_data(NamesConfig(data_dir=str(names)))
    dataset, split = data.dataset, data.splits[0]
    rng = np.random.default_rng(3)
    posterior = np.log(rng.dirichlet([1.0] * 3, len(dataset.texts))).astype(np.float32)
    names_of = {(dataset.texts[i].casefold(), int(dataset.labels[i])) for i in split.train}
    counts = np.bincount([label for _, label in names_of], minlength=3)
    shares = {"even": np.full(3, 1 / 3), "natural": counts / counts.sum()}
    found = measure_sides(dataset, split, posterior, shares[classes], measure_beside(dataset, split))
    for side, lines in (("train", split.train), ("held_out", split.held_out)):
        plain = found.metrics[f"{side}_accuracy_by_class"], found.metrics[f"{side}_accuracy"]
        for prior in ("even", "natural"):
            guesses = (np.exp(posterior[lines]) / shares[classes] * shares[prior]).argmax(axis=1)
            texts = [dataset.texts[line] for line in lines]
            expected = measure_accuracy(dataset.labels[lines], guesses, 3, copies_of=texts)
            one = found.metrics[f"{side}_accuracy_by_class_{prior}"], found.metrics[f"{side}_accuracy_{prior}"]
            assert one == (expected.by_class, expected.overall)
            if prior == classes:
                assert one == plain
        assert 0 <= found.metrics[f"{side}_calibration_error"] <= 1


def test_baselines_beside_a_run_are_their_own_runs(runs, names):
    bayes = runs["naive-bayes"][1].arrays
    for model in ("majority", "markov"):
        own = runs[model][1].metrics
        expected = [
            own[f"held_out_accuracy{measure}_{prior}"].values
            for prior in ("even", "natural")
            for measure in ("_by_class", "")
        ]
        np.testing.assert_array_equal(bayes[f"baseline_{model}_held_out"], np.transpose(expected))
    data = load_data(NamesConfig(data_dir=str(names)))
    lines = data.splits[0].held_out
    bound = best_possible(data.dataset.labels[lines], [data.dataset.texts[line] for line in lines], 3)
    assert bayes["bound_held_out"][0].tolist() == [bound.by_class, bound.overall]


def test_logistic_regression_is_beside_a_run_on_request(names, tmp_path):
    options = {"data_dir": str(names), "seeds": 2}
    asked = run_names(NamesConfig(model="naive-bayes", logistic_beside=True, **options), tmp_path / "asked")
    own = run_names(NamesConfig(model="ngram-logistic", logistic_beside=True, **options), tmp_path / "own")
    assert asked.arrays["baseline_ngram-logistic_held_out"][:, 0].tolist() == list(
        own.metrics["held_out_accuracy_by_class_even"].values
    )
    title = BASELINES["ngram-logistic"]
    rows = {row.label: row for row in list_scores(asked)}
    assert rows[f"{title}, natural prior"].overall == own.metrics["held_out_accuracy_natural"].mean
    assert [row.own for row in list_scores(own) if row.label.startswith(title)] == [True] * 3


def test_page_and_summary_show_them(runs, capsys):
    folder, result = runs["naive-bayes"]
    labels = [row.label for row in list_scores(result)]
    assert labels[:3] == [f"Naive Bayes, {what}" for what in ("as trained", "even prior", "natural prior")]
    assert labels[3:] == ["Markov model, even prior", "Markov model, natural prior", "Majority class", "Best possible"]
    assert call("report", folder) == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Class priors and baselines" in page
    assert all(label in page for label in labels)
    assert len(write_scores(result)) == 3


def test_results_of_earlier_versions_show_what_they_have(tmp_path):
    names_result().save(tmp_path)
    result = load_result(tmp_path)
    assert list_scores(result) == write_scores(result) == []
    assert call("report", tmp_path) == 0
    assert "Class priors and baselines" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_baseline_is_not_said_to_have_failed(runs):
    folder, _ = runs["majority"]
    assert call("report", folder) == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert BASELINES["majority"] in page
    assert "failed to learn" not in page


def test_predict_under_a_prior(runs, capsys):
    folder, result = runs["markov"]
    shares = result.arrays["trained_share"][1]
    plain, natural, even = (
        dict(predict_names(folder, ["Balin"], 3, seed=1, prior=prior)[0].guesses) for prior in (None, "natural", "even")
    )
    assert natural == pytest.approx(plain, abs=1e-6)
    joint = np.array([plain[name] for name in result.dataset["classes"]]) / shares
    expected = dict(zip(result.dataset["classes"], (joint / joint.sum()).tolist(), strict=True))
    assert even == pytest.approx(expected, abs=1e-5)
    capsys.readouterr()
    assert call("predict", folder, "Balin", "--prior", "even", "--json") == 0
    assert json.loads(capsys.readouterr().out)["prior"] == "even"
    assert call("predict", folder, "Balin", "--csv") == 0
    assert [row.split(",")[-1] for row in capsys.readouterr().out.splitlines()] == ["prior", "as trained"]
    assert call("predict", folder, "Balin", "--prior", "natural") == 0
    out, error = capsys.readouterr()
    assert (out.count("\n"), error.count("\n")) == (1, 1)
    assert "prior: natural" in error
    assert call("predict", folder, "Balin", "--prior", "odd") == 2


def test_a_run_that_kept_no_frequencies_cannot_change_its_prior(runs, tmp_path):
    folder, result = runs["markov"]
    for name in ("trained_share", "training_names"):
        result.arrays.pop(name)
    result.save(tmp_path)
    (tmp_path / "model-seed-0.npz").write_bytes((folder / "model-seed-0.npz").read_bytes())
    assert len(predict_names(tmp_path, ["Balin"])) == 1
    with pytest.raises(UserError, match="earlier version"):
        predict_names(tmp_path, ["Balin"], prior="even")
