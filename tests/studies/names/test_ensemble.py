"""Finished runs put together: what they say together, the run that they become, and which cannot be."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from keras_dnnts import NamesConfig, ensemble_runs, load_result, predict_names, run_names
from keras_dnnts.analysis import measure_accuracy
from keras_dnnts.config import load_config
from keras_dnnts.errors import UserError
from keras_dnnts.results.unfinished import resume_command
from keras_dnnts.studies.names.baselines import load_baseline
from keras_dnnts.studies.names.config import BATCHED_DEFAULTS, NETWORK_DEFAULTS, title_of
from keras_dnnts.studies.names.data import load_data
from keras_dnnts.studies.names.ensemble import Ensemble, read_ensemble, save_ensemble
from keras_dnnts.studies.names.members import name_members, read_members
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import NAMES, call, write_names

WEIGHTS = (1.0, 0.25)
ASYMMETRIC = NAMES | {"Elvish": [*NAMES["Elvish"], "Elwing", "Nimrodel", "Haldir", "Lindir", "Melian", "Idril"]}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return write_names(tmp_path_factory.mktemp("data") / "names", ASYMMETRIC)


@pytest.fixture(scope="module")
def config(names):
    return NamesConfig(model="naive-bayes", data_dir=str(names), seeds=2, seed=3, held_out=0.3)


@pytest.fixture(scope="module")
def runs(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for model in ("naive-bayes", "markov"):
        run_names(dataclasses.replace(config, model=model), folder / model)
    return folder


@pytest.fixture(scope="module")
def both(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("together") / "both"
    members = (runs / "naive-bayes", runs / "markov")
    assert call("ensemble", *members, "--weights", "1,0.25", "--out", out, "--quiet") == 0
    return out


def said_together(runs, config, seed, letters, lengths):
    """(N, K) probabilities by hand: the product of powers of likelihoods."""
    data = load_data(config)
    names_of = {(data.dataset.texts[i].casefold(), int(data.dataset.labels[i])) for i in data.splits[seed].train}
    shares = np.bincount([label for _, label in names_of], minlength=3) / len(names_of)
    product = np.ones((len(letters), 3))
    for model, weight in zip(("naive-bayes", "markov"), WEIGHTS, strict=True):
        saved = load_baseline(model, runs / model / f"model-seed-{seed}.npz", data.dataset.alphabet, 3)
        product *= (np.exp(saved.log_probabilities(letters, lengths).astype(float)) / shares) ** weight
    return product / product.sum(axis=1, keepdims=True), shares


def test_log_probabilities_are_summed_under_the_even_prior():
    rng = np.random.default_rng(4)
    posteriors = rng.dirichlet([1.0] * 4, (3, 7))
    weights, shares = rng.uniform(0.1, 2, 3), rng.dirichlet([2.0] * 4, 3)
    models = [lambda letters, lengths, one=one: np.log(one) for one in posteriors]
    said = Ensemble(models, weights, shares).log_probabilities(np.zeros((7, 2)), np.ones(7))
    product = np.prod([(p / s) ** w for p, s, w in zip(posteriors, shares, weights, strict=True)], axis=0)
    np.testing.assert_allclose(np.exp(said), product / product.sum(axis=1, keepdims=True), rtol=1e-5)
    assert said.dtype == np.float32


def test_metrics_and_predictions_are_of_the_sum(runs, both, config):
    result, data = load_result(both), load_data(config)
    dataset = data.dataset
    for row, seed in enumerate((3, 4)):
        lines = data.splits[seed].held_out
        texts = [dataset.texts[i] for i in lines]
        even, shares = said_together(runs, config, seed, dataset.letters[lines], dataset.lengths[lines])
        for ending, probabilities in (("", even), ("_even", even), ("_natural", even * shares)):
            guesses = probabilities.argmax(axis=1)
            expected = measure_accuracy(dataset.labels[lines], guesses, 3, copies_of=texts)
            assert result.metrics[f"held_out_accuracy_by_class{ending}"].values[row] == expected.by_class[0]
            assert result.metrics[f"held_out_accuracy{ending}"].values[row] == expected.overall[0]
        for prediction, row_of in zip(predict_names(both, texts, top=3, seed=seed), even, strict=True):
            found = dict(prediction.guesses)
            np.testing.assert_allclose([found[name] for name in dataset.classes], row_of, atol=1e-6)


def test_is_an_ordinary_run_that_needs_no_other_folder(runs, both, tmp_path, capsys):
    result = load_result(both)
    assert result.model_name == "Naive Bayes + 0.25 × Markov model"
    parts = [load_result(runs / model) for model in ("naive-bayes", "markov")]
    assert result.details["parameters"] == sum(one.details["parameters"] for one in parts)
    seconds = zip(*(one.metrics["train_seconds"].values for one in parts), strict=True)
    assert result.metrics["train_seconds"].values == pytest.approx([sum(each) for each in seconds])
    kept = load_config(both / "config.toml")
    assert kept.model == "naive-bayes + 0.25 markov"
    settings = NETWORK_DEFAULTS | BATCHED_DEFAULTS
    assert not [name for name in settings if getattr(kept, name) is not None]
    moved = tmp_path / "moved"
    shutil.copytree(both, moved)
    assert str(runs) not in "".join(path.read_text(encoding="utf-8") for path in moved.rglob("*.json"))
    assert predict_names(moved, ["Balin"], seed=4) == predict_names(both, ["Balin"], seed=4)
    assert call("report", moved) == 0
    page = (moved / "report.html").read_text(encoding="utf-8")
    assert "keras-dnnts ensemble" in page
    assert "keras-dnnts run config.toml" not in page
    assert "summed, each under the even prior" in page
    assert "0.25 × Markov model" in page
    assert call("compare", moved, runs / "markov", "--out", tmp_path / "compared") == 0
    conclusions = json.loads((tmp_path / "compared/comparison.json").read_text(encoding="utf-8"))["conclusions"]
    assert conclusions[0].startswith("Accuracy on held-out names")
    capsys.readouterr()
    assert call("predict", moved, "Balin", "--json") == 0
    assert json.loads(capsys.readouterr().out)["prior"] == "even"
    capsys.readouterr()
    assert call("export", moved, "--format", "onnx") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_it_keeps_can_be_put_together_again(both, tmp_path):
    ensemble_runs([both / "members/1", both / "members/2"], tmp_path / "again", WEIGHTS)
    assert (tmp_path / "again/results.npz").read_bytes() == (both / "results.npz").read_bytes()


def test_runs_of_validation_names_and_equal_weights(config, tmp_path):
    for model in ("naive-bayes", "markov", "majority"):
        run_names(dataclasses.replace(config, model=model, select=True), tmp_path / model)
    models = [tmp_path / model for model in ("naive-bayes", "markov", "majority")]
    result = ensemble_runs(models, tmp_path / "all")
    assert list(result.parts) == ["validation", "train"]
    assert result.model_name == "Naive Bayes + Markov model + Majority class"
    weights, _ = read_ensemble(tmp_path / "all/model-seed-3.npz", 3, 3)
    assert weights.tolist() == [1 / 3] * 3


@pytest.mark.one_engine
def test_networks_are_members_too(config, runs, tmp_path):
    small = dataclasses.replace(config, model="gru", hidden_units=4, iterations=50)
    run_names(small, tmp_path / "gru")
    ensemble_runs([tmp_path / "gru", runs / "markov"], tmp_path / "both")
    shutil.rmtree(tmp_path / "gru")
    _, shares = read_ensemble(tmp_path / "both/model-seed-4.npz", 2, 3)
    assert shares[0].tolist() == [1 / 3] * 3
    assert shares[1].max() > 1 / 3
    assert len(predict_names(tmp_path / "both", ["Balin"], top=3)[0].guesses) == 3


REFUSED = {
    "one run": (["markov"], "two runs"),
    "the same run twice": (["markov", "markov"], "named twice"),
    "no run": (["markov", "nowhere"], "nowhere"),
    "an unfinished run": (["markov", "unfinished"], "interrupted"),
    "another split": (["markov", "other-split"], "held_out is 0.4"),
    "another protocol": (["markov", "reference"], "protocol is reference"),
    "other seeds": (["markov", "other-seeds"], "seed is 0"),
    "other letters": (["markov", "other-letters"], "content hash"),
    "other data": (["markov", "other-data"], "content hash"),
    "an ensemble": (["markov", "both"], "put together"),
    "images": (["images", "markov"], "cifar"),
    "images, second": (["markov", "images"], "cifar"),
    "one's own code": (["markov", "own"], "own code"),
    "an earlier version's run": (["markov", "early"], "earlier version"),
    "a damaged model": (["markov", "damaged"], "damaged/model-seed-4.npz"),
    "too few weights": (["markov", "naive-bayes", "--weights", "1"], "--weights 1"),
    "a weight of zero": (["markov", "naive-bayes", "--weights", "1,0"], "--weights 1,0"),
    "an endless weight": (["markov", "naive-bayes", "--weights", "inf,1"], "--weights inf,1"),
    "a weight that is no number": (["markov", "naive-bayes", "--weights", "a,1"], "--weights"),
    "data that are gone": (["markov", "naive-bayes", "--data-dir", "nowhere"], "nowhere"),
    "data that changed": (["markov", "naive-bayes", "--data-dir", "changed"], "content hash"),
    "out that is occupied": (["markov", "naive-bayes", "--out", "both"], "--out both"),
    "out that is a member": (["markov", "naive-bayes", "--out", "markov", "--overwrite"], "--out markov"),
    "out around a member": (["both/members/1", "both/members/2", "--out", "both", "--overwrite"], "--out both"),
}


@pytest.fixture(scope="module")
def place(runs, both, config, tmp_path_factory):
    """A folder with runs of which the first two can be put together."""
    place = tmp_path_factory.mktemp("place") / "runs"
    shutil.copytree(runs, place)
    shutil.copytree(both, place / "both")
    markov = dataclasses.replace(config, model="markov")
    changed = write_names(place / "changed", ASYMMETRIC | {"Hobbit": ["Took", "Boffin", "Sandyman"]})
    others = {
        "other-split": {"held_out": 0.4},
        "reference": {"protocol": "reference"},
        "other-seeds": {"seed": 0},
        "other-letters": {"letters": "abcdefghijklmnopqrstuvwxyz"},
        "other-data": {"data_dir": str(changed)},
    }
    for name, changes in others.items():
        run_names(dataclasses.replace(markov, **changes), place / name)
    shutil.copytree(place / "naive-bayes", place / "damaged")
    (place / "damaged/model-seed-4.npz").write_bytes(b"PK")
    shutil.copytree(place / "naive-bayes", place / "unfinished")
    (place / "unfinished/results.json").unlink()
    (place / "unfinished/checkpoints").mkdir()
    data = load_result(place / "markov").dataset
    for name, result in {
        "images": cifar_result(),
        "own": like(data, "mine.py:build"),
        "early": like(data, "gru"),
    }.items():
        (place / name).mkdir()
        result.save(place / name)
    (place / "early/model-seed-3.keras").touch()
    return place


def like(data, model):
    """A result of an earlier version with the data and splits of the others."""
    about = {name: value for name, value in data.items() if name not in ("classes", "counts")}
    result = names_result(seeds=2, classes=tuple(data["classes"]), model=model, **about)
    return dataclasses.replace(result, config=result.config | {"held_out": 0.3, "seed": 3})


@pytest.mark.parametrize(("arguments", "culprit"), REFUSED.values(), ids=REFUSED)
def test_refused_in_one_line_with_nothing_left_behind(place, arguments, culprit, monkeypatch, capsys):
    monkeypatch.chdir(place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    out = [] if "--out" in arguments else ["--out", "new"]
    assert call("ensemble", *arguments, *out, "--quiet") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert culprit in said
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_neither_trained_nor_resumed(both, names, tmp_path, capsys):
    for arguments in (["run", both / "config.toml"], ["names", "--model", "gru + markov", "--data-dir", names]):
        for options in (["--out", tmp_path / "new"], ["--dry-run"]):
            assert call(*arguments, *options) == 2
            assert "keras-dnnts ensemble" in capsys.readouterr().err
            assert not (tmp_path / "new").exists()
    command = resume_command(tmp_path, load_config(both / "config.toml"))
    assert command == f"keras-dnnts ensemble RUN RUN --out {tmp_path} --overwrite"


def test_damage_to_what_it_keeps_is_one_line(both, tmp_path):
    damages = {
        "weights": lambda run: save_ensemble(Ensemble([], np.ones(3), np.ones((3, 3))), run / "model-seed-3.npz"),
        "file": lambda run: (run / "model-seed-3.npz").write_bytes(b"PK"),
        "member": lambda run: shutil.rmtree(run / "members/2"),
        "order": lambda run: shutil.copytree(run / "members/1", run / "members/2", dirs_exist_ok=True),
        "circle": lambda run: (shutil.rmtree(run / "members/1"), (run / "members/1").symlink_to(run)),
    }
    for name, damage in damages.items():
        shutil.copytree(both, tmp_path / name)
        damage(tmp_path / name)
        with pytest.raises(UserError, match=name):
            predict_names(tmp_path / name, ["Balin"])


def test_overwriting_removes_the_members(both, config, tmp_path):
    shutil.copytree(both, tmp_path / "run")
    run_names(dataclasses.replace(config, model="majority"), tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run/members").exists()


@pytest.mark.parametrize("weights", [(1.0, 0.25), (1 / 3, 1e-9), (2.0, 1.0)])
def test_names_are_read_back(weights):
    name = name_members(["gru", "ngram-logistic"], weights)
    assert read_members(name) == tuple(zip(weights, ("gru", "ngram-logistic"), strict=True))


@pytest.mark.parametrize(
    "name", ["gru", "a + b.py:build", "0 gru + rnn", "-1 gru + rnn", "nan gru + rnn", "x gru + rnn"]
)
def test_names_that_are_no_ensemble_s(name):
    assert read_members(name) == ()


@pytest.mark.parametrize("model", ["gru + nothing", "gru + ", " + gru"])
def test_models_of_members_are_known(model):
    with pytest.raises(UserError, match="unknown"):
        NamesConfig(model=model)


def test_titles_leave_out_equal_weights():
    assert title_of({"model": "0.5 gru + 0.5 lstm"}) == "GRU + LSTM"
    assert title_of({"model": "0.3333333333333333 gru + lstm"}) == "0.333 × GRU + LSTM"
