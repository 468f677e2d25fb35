"""Results go to disk and back; what is damaged is named."""

import dataclasses
import json
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dnnts.errors import UserError
from keras_dnnts.results import Metric, Result, collect_metrics, load_result
from tests.finished_runs import cifar_result, names_result


def test_round_trip(tmp_path):
    result = names_result()
    result.save(tmp_path)
    again = load_result(tmp_path)

    assert again.metrics == result.metrics
    assert (again.config, again.dataset, again.details) == (result.config, result.dataset, result.details)
    assert again.arrays.keys() == result.arrays.keys()
    for name, array in result.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


def test_statistics_over_seeds():
    metric = Metric((0.2, 0.5, 0.9))
    assert metric.mean == pytest.approx(np.mean(metric.values))
    assert metric.sd == pytest.approx(np.std(metric.values, ddof=1))
    assert Metric((0.5,)).sd is None


def test_collect_metrics_takes_numbers_and_intervals():
    metrics = collect_metrics([{"a": (0.5, (0.4, 0.6)), "b": 1}, {"a": (0.7, (0.6, 0.8)), "b": 2}])
    assert metrics["a"] == Metric((0.5, 0.7), ((0.4, 0.6), (0.6, 0.8)))
    assert metrics["b"] == Metric((1.0, 2.0))


def edited(place, value):
    """An edit of results.json: ``value`` at a place such as "metrics.final_loss", or nothing there for None."""

    def edit(text):
        plain = json.loads(text)
        *parents, last = place.split(".")
        parent = plain
        for key in parents:
            parent = parent[key]
        if value is None:
            del parent[last]
        else:
            parent[last] = value
        return json.dumps(plain)

    return edit


DAMAGE = {
    "truncated": (lambda text: text[: len(text) // 2], r"line \d+|char \d+"),
    "empty": (lambda text: "", "Expecting value"),
    "not JSON": (lambda text: "<html>", "Expecting value"),
    "a list": (lambda text: "[]", "not an object"),
    "nested without end": (lambda text: "[" * 100_000, "recursion"),
    "a number without end": (lambda text: "9" * 10_000, "digits"),
    "NaN": (lambda text: text.replace('"parameters": 1234', '"parameters": NaN'), "NaN"),
    "another version": (edited("format_version", 99), "version 99, this program reads versions 1 and 2"),
    "a version that is text": (edited("format_version", "1"), "format_version is '1'"),
    "no version": (edited("format_version", None), "format_version is missing"),
    "no metrics": (edited("metrics", None), "metrics is missing"),
    "no metric": (edited("metrics.final_loss", None), "metrics.final_loss is missing"),
    "no held-out metric": (edited("metrics.held_out_accuracy", None), "metrics.held_out_accuracy is missing"),
    "a metric that is a number": (edited("metrics.final_loss", 0.5), "metrics.final_loss is 0.5"),
    "text for a value": (edited("metrics.final_loss.values", [1, "2", 3]), r"final_loss.values\[1\] is '2'"),
    "infinite value": (edited("metrics.final_loss.values", [1, 10**400, 3]), r"final_loss.values\[1\] is 1000"),
    "too few values": (edited("metrics.final_loss.values", [0.5, 0.25]), "2 entries, but there are 3 seeds"),
    "edited mean": (edited("metrics.train_accuracy.mean", 0.99), "metrics.train_accuracy.mean is 0.99, but"),
    "edited sd": (edited("metrics.train_accuracy.sd", 0.0), "metrics.train_accuracy.sd is 0.0, but"),
    "accuracy in per cent": (
        edited("metrics.train_accuracy", {"mean": 50.0, "sd": 0.0, "values": [50.0, 50.0, 50.0]}),
        "not all between 0 and 1",
    ),
    "interval beside its value": (
        edited("metrics.train_accuracy.intervals_95", [[0.1, 0.95], [0.9999, 1.0], [0.1, 0.95]]),
        r"intervals_95\[1\]",
    ),
    "one interval": (edited("metrics.train_accuracy.intervals_95", [[0.1, 0.95]]), "1 entries"),
    "unknown experiment": (edited("experiment", "mnist"), "experiment is 'mnist'"),
    "another experiment": (edited("experiment", "cifar"), "config.arch is missing"),
    "no config": (edited("config", None), "config is missing"),
    "no seeds": (edited("config.seeds", None), "config.seeds is missing"),
    "other seeds": (edited("config.seeds", 2), "3 entries, but there are 2 seeds"),
    "seeds that are text": (edited("config.seeds", "3"), "config.seeds is '3'"),
    "unknown cell": (edited("config.model", "transformer"), "transformer"),
    "unknown option": (edited("config.attention", True), "attention"),
    "option out of range": (edited("config.held_out", 2.0), "held_out is 2.0"),
    "unsound protocol": (edited("config.protocol", "reference"), "no such part"),
    "half a pair": (
        edited("dataset.names", {"distinct": 1, "shared": 0, "shared_by_pair": [{}]}),
        r"dataset.names.shared_by_pair\[0\].classes is missing",
    ),
    "no classes": (edited("dataset.classes", None), "dataset.classes is missing"),
    "one class": (edited("dataset.classes", ["bird"]), "at least two"),
    "a class twice": (edited("dataset.classes", ["bird", "cat", "bird"]), "each once"),
    "a class that is a number": (edited("dataset.classes", ["bird", 2, "cat"]), r"dataset.classes\[1\] is 2"),
    "other classes": (edited("dataset.classes", ["bird", "cat", "dog"]), "details.recall"),
    "more classes": (edited("details.recall.train.dog", 0.5), "details.recall.train"),
    "text nobody can write": (edited("dataset.name", "\ud800"), "dataset.name"),
    "stand-in that is text": (edited("dataset.stand_in", "no"), "dataset.stand_in is 'no'"),
    "no parameters": (edited("details.parameters", None), "details.parameters is missing"),
    "arrays elsewhere": (edited("arrays", "../results.npz"), "arrays is '../results.npz'"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_results_name_the_file_and_the_place(tmp_path, damage, reason):
    names_result().save(tmp_path)
    path = tmp_path / "results.json"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert re.search(reason, complaint(tmp_path, path))


def complaint(folder, path):
    with pytest.raises(UserError) as caught:
        load_result(folder)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_unknown_additions_are_let_be(tmp_path):
    result = names_result()
    more = {"reading_letters": np.array(["a", "b"]), "reading_grid": np.zeros((0, 3))}
    dataclasses.replace(result, details=result.details | {"seen": [{}]}, arrays=result.arrays | more).save(tmp_path)
    path = tmp_path / "results.json"
    path.write_text(edited("remarks", {"of": "somebody"})(path.read_text(encoding="utf-8")), encoding="utf-8")
    again = load_result(tmp_path)
    assert again.details["seen"] == [{}]
    assert again.arrays.keys() == result.arrays.keys() | more.keys()


def test_options_that_came_later_have_their_defaults(tmp_path):
    names_result().save(tmp_path)
    path = tmp_path / "results.json"
    path.write_text(edited("config.hidden_units", None)(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert load_result(tmp_path).config["hidden_units"] == 128


BAD_ARRAYS = {
    "missing": ({"loss": None}, "array loss is missing"),
    "another shape": ({"loss": np.zeros((3, 5))}, "array loss_step has shape"),
    "too few axes": ({"confusion_train": np.zeros(9, int)}, "array confusion_train has 1 axes, not 3"),
    "other seeds": ({"confusion_train": np.zeros((2, 3, 3), int)}, "expected 3 seeds"),
    "other classes": ({"confusion_train": np.zeros((3, 3, 4), int)}, "expected 3 classes"),
    "text": ({"loss": np.full((3, 4), "a")}, "array loss holds other values than finite numbers"),
    "NaN": ({"loss": np.full((3, 4), np.nan)}, "array loss holds"),
    "negative counts": ({"confusion_held_out": np.full((3, 3, 3), -1)}, "array confusion_held_out holds"),
    "empty": ({"loss": np.zeros((3, 0)), "loss_step": np.zeros(0, int)}, "array loss has shape"),
}


@pytest.mark.parametrize(("changes", "reason"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_named(tmp_path, changes, reason):
    result = names_result()
    arrays = {name: array for name, array in (result.arrays | changes).items() if array is not None}
    dataclasses.replace(result, arrays=arrays).save(tmp_path)
    assert reason in complaint(tmp_path, tmp_path / "results.npz")


BAD_IMAGES = {
    "label without a class": ({"mistake_guess": np.full(5, 3)}, "array mistake_guess holds other values than labels"),
    "images of floats": ({"mistake_image": np.zeros((5, 8, 8, 3))}, "array mistake_image holds other values"),
    "grey images": ({"activation_image": np.zeros((2, 8, 8, 1), np.uint8)}, "expected 3 3"),
    "maps of other images": ({"activation_conv1": np.zeros((3, 5, 5, 3))}, "array activation_conv1 has shape"),
    "points in space": ({"embedding_final": np.zeros((20, 3))}, "expected 2 2"),
}


@pytest.mark.parametrize(("changes", "reason"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_arrays_of_images_that_do_not_fit_are_named(tmp_path, changes, reason):
    result = cifar_result()
    arrays = {name: array for name, array in (result.arrays | changes).items() if array is not None}
    dataclasses.replace(result, arrays=arrays).save(tmp_path)
    assert reason in complaint(tmp_path, tmp_path / "results.npz")


@pytest.mark.parametrize("seeds", [1, 3])
def test_image_results_come_back(tmp_path, seeds):
    cifar_result(seeds=seeds, mistakes=0).save(tmp_path)
    assert load_result(tmp_path).arrays["mistake_image"].shape == (0, 8, 8, 3)


def test_arrays_are_never_unpickled(tmp_path):
    names_result().save(tmp_path)
    with (tmp_path / "results.npz").open("wb") as file:
        np.savez(file, loss=np.array([{}], dtype=object), allow_pickle=True)
    assert "allow_pickle=False" in complaint(tmp_path, tmp_path / "results.npz")


def test_arrays_cannot_fill_the_memory(tmp_path, monkeypatch):
    names_result().save(tmp_path)
    monkeypatch.setattr("keras_dnnts.results.LARGEST_ARRAYS_BYTES", 100)
    assert "more than 100 bytes" in complaint(tmp_path, tmp_path / "results.npz")


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: (path.unlink(), os.mkfifo(path))])
def test_arrays_that_are_no_file(tmp_path, damage):
    names_result().save(tmp_path)
    damage(tmp_path / "results.npz")
    assert "no such file" in complaint(tmp_path, tmp_path / "results.npz")


def test_unfinished_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        load_result(tmp_path)


@pytest.fixture(scope="module", params=[names_result, lambda: cifar_result(seeds=2)], ids=["names", "cifar"])
def finished(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    request.param().save(folder)
    return folder


def assert_result_or_complaint(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        try:
            assert isinstance(load_result(Path(folder)), Result)
        except UserError as error:
            assert "\n" not in str(error)
            assert "results." in str(error)


@given(data=st.data())
def test_any_damage_to_the_bytes_is_a_result_or_a_complaint(finished, data):
    files = {file.name: file.read_bytes() for file in finished.iterdir()}
    name = data.draw(st.sampled_from(sorted(files)))
    damaged = bytearray(files[name])
    match data.draw(st.sampled_from(["cut", "flip", "splice"])):
        case "cut":
            del damaged[data.draw(st.integers(0, len(damaged))) :]
        case "flip":
            for position in data.draw(st.lists(st.integers(0, 8 * len(damaged) - 1), min_size=1, max_size=8)):
                damaged[position // 8] ^= 1 << position % 8
        case "splice":
            start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(damaged))] * 2)))
            damaged[start:end] = data.draw(st.binary(max_size=64))
    assert_result_or_complaint(files | {name: bytes(damaged)})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=3 * settings().max_examples // 2)
@given(data=st.data())
def test_any_edit_of_a_field_is_a_result_or_a_complaint(finished, data):
    plain = json.loads((finished / "results.json").read_bytes())
    parent = plain
    while True:
        keys = sorted(parent) if isinstance(parent, dict) else range(len(parent))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(parent[key], dict | list) or not parent[key] or data.draw(st.integers(0, 4)) == 0:
            break
        parent = parent[key]
    if data.draw(st.booleans()):
        del parent[key]
    else:
        parent[key] = data.draw(JSON)
    arrays = (finished / "results.npz").read_bytes()
    assert_result_or_complaint({"results.json": json.dumps(plain).encode(), "results.npz": arrays})
