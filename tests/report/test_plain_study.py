"""A study that gives nothing but what it must has a whole page and whole figures."""

import dataclasses

import numpy as np
import pytest

from keras_dnnts import registry
from keras_dnnts.figures import save_figures
from keras_dnnts.figures.comparison import save_comparison
from keras_dnnts.metrics import MetricKind
from keras_dnnts.report.comparison import describe_comparison
from keras_dnnts.report.page import render
from keras_dnnts.report.run import describe_run
from keras_dnnts.results import Metric, Result
from keras_dnnts.study import Study
from tests.finished_runs import names_result
from tests.report.test_run import Page

CLASSES = ("a", "b", "c")
PLAIN = Study(
    name="plain",
    config=object,
    question="Which shape is this?",
    about="Tell shapes apart.",
    metrics=(
        MetricKind("train_seconds", "train seconds", "seconds"),
        MetricKind("test_accuracy", "test accuracy", "share", headline="accuracy on test shapes"),
    ),
    parts={"test": "test shapes"},
    parts_of=lambda config: ("test",),
    model_title=lambda config: "Plain model",
    survey=lambda config: ([], 3),
    count_parameters=lambda config, classes: 5,
    load_data=lambda config: None,
    training=lambda run: None,
)


class Reference:
    """Numbers of another model, on other data."""

    def reported(self, config):
        return {"test_accuracy": 0.875} if config["known"] else {}

    title, url = "Numbers of others", "https://example.org/numbers"

    def has_data_of(self, dataset):
        return dataset["name"] == "round shapes"

    def changed_settings(self, config):
        return {"depth": (config["depth"], 4)} if config["depth"] != 4 else {}

    def measured_on(self):
        return "round shapes"


@pytest.fixture
def result(monkeypatch):
    monkeypatch.setitem(registry._registered, "plain", PLAIN)
    rng = np.random.default_rng(0)
    return Result(
        experiment="plain",
        config={"experiment": "plain", "seed": 0, "seeds": 2, "data_dir": None, "depth": 3, "known": False},
        dataset={
            "name": "shapes",
            "source": "x",
            "stand_in": False,
            "content_hash": "sha256:1",
            "classes": list(CLASSES),
            "counts": {"examples": dict.fromkeys(CLASSES, 7), "test": 12},
        },
        environment={"backend": "torch"},
        metrics={"test_accuracy": Metric((0.5, 0.6), ((0.48, 0.7),) * 2), "train_seconds": Metric((1.0, 2.0))},
        details={
            "parameters": 5,
            "recall": {"test": {"a": 0.5, "b": 0.25, "c": None}},
            "most_frequent_confusions": {"test": [{"truth": "a", "guess": "b", "fraction": 0.25}]},
        },
        arrays={"confusion_test": rng.integers(1, 9, (2, 3, 3))},
    )


def read(result):
    return Page(render("run.html.jinja", describe_run(result)))


def test_the_page_is_whole_without_reference_curves_and_sections(result):
    page = read(result)
    assert "Which shape is this?" in page.text
    assert "55.0 % of test shapes classified correctly 95 % interval" in page.text
    assert "12 examples" in page.text
    assert "class examples recall, 95 % interval precision F1" in page.text
    for absent in ("reference", "How it learned", "protocol"):
        assert absent not in page.text
    headings = [attributes for tag, attributes in page.attributes if tag == "th" and attributes.get("scope") == "col"]
    assert len(headings) == 3 + len(CLASSES) + 5  # measures, matrix, classes


def test_the_comparison_is_whole_too(result):
    page = Page(render("comparison.html.jinja", describe_comparison({"one": result, "other": result})))
    assert "Which shape is this?" in page.text
    assert "Accuracy on test shapes" in page.text
    assert "one : confusion matrix" in page.text
    for absent in ("reference", "How they learned", "protocol"):
        assert absent not in page.text


def test_a_reference_is_shown_only_for_the_models_it_has(result, monkeypatch):
    monkeypatch.setitem(registry._registered, "plain", dataclasses.replace(PLAIN, reference=Reference()))
    assert "reference" not in read(result).text

    def page_of(data="shapes", **config):
        dataset = result.dataset | {"name": data}
        return read(dataclasses.replace(result, config=result.config | {"known": True} | config, dataset=dataset)).text

    assert "reference" not in page_of()
    assert "reference" not in page_of(depth=4)
    other_settings = page_of("round shapes")
    assert "Differs from the reference in: depth 3 (reference: 4)" in other_settings
    assert "87.5 %" not in other_settings
    alike = page_of("round shapes", depth=4)
    assert "87.5 % reported by the reference , on round shapes" in alike
    assert "Differs from" not in alike
    assert "Numbers of others (example.org/numbers)" in alike


def test_a_reference_stands_only_beside_the_same_measure(result, monkeypatch):
    class OfTime(Reference):
        def reported(self, config):
            return {"train_seconds": 77.0}

    monkeypatch.setitem(registry._registered, "plain", dataclasses.replace(PLAIN, reference=OfTime()))
    alike = dataclasses.replace(
        result, config=result.config | {"depth": 4}, dataset=result.dataset | {"name": "round shapes"}
    )
    described = describe_run(alike)
    assert described["headline"]["reference"] is None
    assert [row["reference"] for row in described["measures"]] == ["77", None]


def test_stand_in_data_are_called_so_without_a_reference(result):
    page = read(dataclasses.replace(result, dataset=result.dataset | {"stand_in": True}))
    assert "Stand-in data: the real data were not available" in page.text
    assert "reference" not in page.text


def test_every_part_has_its_confusion_matrix_and_shares_are_compared(result, tmp_path):
    assert {path.name for path in save_figures(result, tmp_path)} == {"confusion_test.png", "confusion_test.svg"}
    paths = save_comparison({"one": result, "other": result}, tmp_path / "comparison")
    assert [path.suffix for path in paths] == [".png", ".svg"]
    assert "test accuracy" in paths[1].read_text(encoding="utf-8")


def test_a_model_that_the_names_reference_lacks_has_a_page():
    result = names_result()
    page = read(dataclasses.replace(result, config=result.config | {"cell": "mine.py:build"}))
    assert "reported by the reference" not in page.text
    assert "The reference measured" not in page.text
    assert "“Averaged over languages” gives every language the same weight" in page.text
