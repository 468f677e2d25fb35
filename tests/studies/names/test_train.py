"""The names experiment through its real entry point, small."""

import csv
import errno
import json
import os
import tomllib

import keras
import numpy as np
import pytest

from keras_dnnts.config import load_config
from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.datasets.splits import split_names
from keras_dnnts.results import load_result
from keras_dnnts.studies.names import STUDY
from tests.devices import on_cpu
from tests.names_folders import call, write_names

pytestmark = [pytest.mark.every_engine, pytest.mark.slow]

SMALL = ("--hidden-units", "8", "--iterations", "2300", "--learning-rate", "0.05", "--quiet")
VOLATILE = ("_seconds", "_per_second")


@pytest.fixture
def names(tmp_path):
    return write_names(tmp_path / "names")


def run(names, out, *more, figures=False):
    assert call("names", "--data-dir", names, "--out", out, *SMALL, *more, figures=figures) == 0
    return load_result(out)


def stable(result):
    return {name: metric for name, metric in result.metrics.items() if not name.endswith(VOLATILE)}


@pytest.mark.parametrize(
    "cell", [*(pytest.param(cell, marks=pytest.mark.one_engine) for cell in ("rnn", "lstm")), "gru"]
)
def test_leaves_a_complete_run_behind(names, tmp_path, cell, capsys):
    result = run(names, tmp_path / "run", "--cell", cell, "--seeds", "2", "--seed", "3", figures=True)

    files = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert files == {
        "config.toml",
        "history.csv",
        "results.json",
        "results.npz",
        "model-seed-3.keras",
        "model-seed-4.keras",
        *(
            f"figures/{stem}.{kind}"
            for stem in (
                "training_loss",
                "accuracy_during_training",
                "confusion_train",
                "confusion_held_out",
                "reading",
                "reliability",
            )
            for kind in ("png", "svg")
        ),
        "report.html",
        "README.md",
    }
    assert str(tmp_path / "run") in capsys.readouterr().out
    assert result.arrays["loss"].shape == (2, 3)
    assert result.arrays["loss_step"].tolist() == [1000, 2000, 2300]
    with (tmp_path / "run" / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["3"] * 3 + ["4"] * 3
    np.testing.assert_allclose([float(row["loss"]) for row in rows], result.arrays["loss"].ravel(), rtol=1e-6)


@pytest.mark.one_engine
def test_results_json_keeps_its_contract(names, tmp_path):
    run(names, tmp_path / "run", "--seeds", "2")

    plain = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert plain["format_version"] == 2
    assert plain["experiment"] == "names"
    assert plain["config"]["hidden_units"] == 8
    assert plain["dataset"]["stand_in"] is False
    assert plain["dataset"]["classes"] == ["Dwarvish", "Elvish", "Hobbit"]
    assert plain["dataset"]["counts"]["lines"] == {"Dwarvish": 11, "Elvish": 10, "Hobbit": 10}
    assert plain["dataset"]["counts"]["longest_name"] == len("Bracegirdle")
    assert plain["dataset"]["content_hash"].startswith("sha256:")
    assert plain["environment"]["backend"] == keras.backend.backend()
    assert set(plain["metrics"]) == {
        "train_accuracy_by_class",
        "train_accuracy",
        "held_out_accuracy_by_class",
        "held_out_accuracy",
        "final_loss",
        *(kind.name for kind in STUDY.metrics if kind.detail and kind.part != "validation"),
        "train_seconds",
        "steps_per_second",
        "compile_seconds",
    }
    times = zip(*(plain["metrics"][name]["values"] for name in ("train_seconds", "steps_per_second")), strict=True)
    assert [round(seconds * rate) for seconds, rate in times] == [plain["config"]["iterations"]] * 2
    for metric in plain["metrics"].values():
        assert metric["mean"] == pytest.approx(np.mean(metric["values"]))
        assert metric["sd"] == pytest.approx(np.std(metric["values"], ddof=1))


def test_metrics_are_those_of_the_saved_model(names, tmp_path):
    result = run(names, tmp_path / "run", "--cell", "gru", "--seed", "5")

    model = keras.models.load_model(tmp_path / "run" / "model-seed-5.keras", safe_mode=True)
    dataset = load_text_folder(names, REFERENCE_ALPHABET)
    outputs = model.predict((dataset.letters, dataset.lengths), verbose=0)
    held_out = split_names(dataset, 0.2, 5).held_out
    right = (outputs.argmax(axis=1) == dataset.labels)[held_out]
    labels = dataset.labels[held_out]
    by_class = np.mean([right[labels == label].mean() for label in range(3)])
    assert result.metrics["held_out_accuracy_by_class"].values == pytest.approx((by_class,))


def test_same_seed_same_results(names, tmp_path):
    first, second = (run(names, tmp_path / name, "--cell", "lstm") for name in "ab")

    assert stable(first) == stable(second)
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name])


@pytest.mark.one_engine
def test_each_seed_equals_its_run_alone(names, tmp_path):
    together, alone = run(names, tmp_path / "two", "--seeds", "2"), run(names, tmp_path / "one", "--seed", "1")

    np.testing.assert_array_equal(together.arrays["loss"][1], alone.arrays["loss"][0])
    assert together.metrics["held_out_accuracy"].values[1] == alone.metrics["held_out_accuracy"].values[0]


@on_cpu
def test_engines_agree(names, tmp_path):
    fused, generic = (
        run(names, tmp_path / engine, "--engine", engine, "--iterations", "300") for engine in ("fused", "generic")
    )

    np.testing.assert_allclose(fused.arrays["loss"], generic.arrays["loss"], rtol=1e-4)
    assert (fused.environment["engine"], generic.environment["engine"]) == ("fused", "generic")


@pytest.mark.one_engine
def test_reference_protocol_holds_nothing_out(names, tmp_path):
    result = run(names, tmp_path / "run", "--protocol", "reference")

    assert not [name for name in result.metrics if name.startswith("held_out")]
    assert result.dataset["counts"]["train"] == [31]
    assert result.arrays["confusion_train"].sum() == 31


@pytest.mark.one_engine
def test_saved_config_runs_again_to_the_same_result(names, tmp_path):
    first = run(names, tmp_path / "first", "--letters", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZëúÉ")
    assert call("run", tmp_path / "first" / "config.toml", "--out", tmp_path / "again", "--quiet") == 0

    assert stable(load_result(tmp_path / "again")) == stable(first)
    assert load_config(tmp_path / "again" / "config.toml") == load_config(tmp_path / "first" / "config.toml")


@pytest.mark.one_engine
def test_config_is_saved_before_training(names, tmp_path):
    # a learning rate that overflows stops the run after its config was saved
    code = call("names", "--data-dir", names, "--out", tmp_path / "run", "--learning-rate", "1e38", "--quiet")

    assert code == 2
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))["learning_rate"] == 1e38


@pytest.mark.parametrize("engine", [pytest.param("fused", marks=on_cpu), "generic"])
def test_loss_not_finite_stops_and_keeps_what_there_was(names, tmp_path, capsys, engine):
    arguments = ("--data-dir", names, "--out", tmp_path / "run", "--iterations", "40", "--hidden-units", "8")
    code = call("names", *arguments, "--learning-rate", "1e38", "--engine", engine, "--quiet")

    message = capsys.readouterr().err
    assert code == 2
    assert len(message.splitlines()) == 1
    assert "not finite at step" in message
    assert "--learning-rate" in message
    model = keras.models.load_model(tmp_path / "run" / "model-seed-0.keras")
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.one_engine
def test_full_disk_is_one_line_and_leaves_no_half_model(names, tmp_path, capsys, monkeypatch):
    def fill_up(model, path):
        path.write_bytes(b"half a model")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keras.Model, "save", fill_up)
    assert call("names", "--data-dir", names, "--out", tmp_path / "run", *SMALL) == 2

    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "No space left" in error
    assert str(tmp_path / "run") in error
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.toml", "history.csv", "checkpoints"}


@pytest.mark.one_engine
def test_progress_shows_the_reference_sample_line(names, tmp_path, capsys):
    arguments = ("--data-dir", names, "--out", tmp_path / "run", "--hidden-units", "8", "--iterations", "6000")
    assert call("names", *arguments) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in lines] == ["5000", "6000"]
    for line in lines:
        assert " loss " in line
        assert " / " in line
        assert "✓" in line or "✗ (" in line
        assert "steps/s" in line
        assert ("left" in line) == (line != lines[-1])


@pytest.mark.one_engine
def test_auto_falls_back_to_starter_names_and_says_so(tmp_path, monkeypatch, capsys):
    from keras_dnnts.datasets.fetch import OutOfReachError
    from keras_dnnts.studies.names import data as room

    def out_of_reach(alphabet, raw):
        raise OutOfReachError("no network")

    monkeypatch.setattr(room, "load_names", out_of_reach)
    assert call("names", "--out", tmp_path / "run", "--iterations", "20", "--hidden-units", "4", "--quiet") == 0

    captured = capsys.readouterr()
    assert "starter names" in captured.err
    assert len(captured.err.splitlines()) == 1
    assert "starter names, standing in" in " ".join(captured.out.split())
    assert load_result(tmp_path / "run").dataset["stand_in"] is True
    assert call("names", "--dataset", "names", "--out", tmp_path / "other", "--quiet") == 2
    assert not (tmp_path / "other").exists()


@pytest.mark.one_engine
def test_own_categories_with_another_alphabet(tmp_path):
    folder = write_names(tmp_path / "greek", {"α": ["Παπάς", "Νίκος", "Άννα"] * 2, "β": ["Иван", "Ольга", "Анна"] * 2})
    letters = "αβγδεζηθικλμνξοπρστυφχψωςΑΒΓΔΝΠАБИОваильнг"
    assert call("names", "--data-dir", folder, "--letters", letters, "--out", tmp_path / "run", *SMALL) == 0

    assert load_result(tmp_path / "run").config["letters"] == letters
