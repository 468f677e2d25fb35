"""Figures show the result's own numbers; looked at through their artists, never their pixels."""

import dataclasses
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_dnnts.figures import save_figures
from keras_dnnts.figures.comparison import plot_comparison
from keras_dnnts.figures.confusion import plot_confusion
from keras_dnnts.studies.names.figures import plot_sampled, plot_training_loss
from keras_dnnts.studies.names.reading_figure import plot_reading
from tests.finished_runs import names_result


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_loss_curves_are_means_over_seeds():
    results = {"one": names_result(seed=1), "two": names_result(seed=2)}
    ax = plot_training_loss(results)
    for line, result in zip(ax.lines, results.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), result.arrays["loss"].mean(axis=0))
        np.testing.assert_array_equal(line.get_xdata(), result.arrays["loss_step"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert "nats" in ax.get_ylabel()


def test_confusion_matrix_is_normalised_by_row_and_named():
    counts = np.array([[3, 1], [0, 5]])
    ax = plot_confusion(counts, ["Elvish", "x" * 60], "title")
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "Elvish"
    assert len(labels[1]) <= 16
    assert sorted(text.get_text() for text in ax.texts) == ["100", "25", "75"]


def test_comparison_bars_are_percentages_with_error_bars():
    results = {"a": names_result(seed=1), "b": names_result(seed=2)}
    ax = plot_comparison(results, {"held_out_accuracy_by_class": "held-out"})
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx([100 * r.metrics["held_out_accuracy_by_class"].mean for r in results.values()])


def test_stand_in_data_reaches_the_titles(tmp_path):
    result = names_result(name="starter names", stand_in=True)
    assert "stand-in" in plot_training_loss({"GRU": result}).get_title()
    assert "reference protocol" in plot_training_loss({"GRU": names_result(protocol="reference")}).get_title()


def test_long_titles_stay_within_the_figure():
    result = names_result(seeds=10, model="bi-gru", name="starter names", stand_in=True)
    config = result.config | {"ngrams": 0, "members": 3, "select": True}
    sampled = {
        f"sampled_accuracy_{part}": np.linspace([0.125] * 10, [0.75] * 10, 4).T for part in ("train", "held_out")
    }
    arrays = result.arrays | sampled | {"sampled_step": result.arrays["loss_step"]}
    result = dataclasses.replace(result, config=config, arrays=arrays)
    for ax in (plot_training_loss({result.model_name: result}), plot_sampled(result)):
        figure = ax.get_figure()
        figure.draw_without_rendering()
        title = ax.title.get_window_extent()
        assert figure.bbox.x0 <= title.x0 and title.x1 <= figure.bbox.x1
        assert title.y1 <= figure.bbox.y1


def read_names(result):
    """The result with two names read: "ab", which is A, and "cba", which is B and guessed C."""
    probability = np.full((2, 3, 3), np.nan, np.float32)
    probability[0, :2] = [[0.2, 0.5, 0.3], [0.6, 0.36, 0.04]]
    probability[1] = [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.125, 0.25, 0.625]]
    arrays = {
        "name": np.array(["ab", "cba"]),
        "truth": np.array([0, 1]),
        "probability": probability,
        "late_changes": np.array([0.25, 0.75, 1]),
    }
    return dataclasses.replace(
        result, arrays=result.arrays | {f"reading_held_out_{name}": array for name, array in arrays.items()}
    )


def test_reading_shows_the_classes_most_probable_at_the_end_on_top():
    left, right = plot_reading(read_names(names_result(classes=tuple("ABC")))).get_figure().axes
    np.testing.assert_allclose(left.images[0].get_array(), [[20, 60], [50, 36], [30, 4]])
    np.testing.assert_allclose(right.images[0].get_array(), [[70, 40, 63], [20, 30, 25], [10, 30, 12]])
    for ax, title, letters, classes in (
        (left, "ab → A ✓", "ab", "ABC"),
        (right, "cba → C (truth: B)", "cba", "CBA"),
    ):
        assert ax.get_title(loc="left") == title
        assert "".join(text.get_text() for text in ax.get_xticklabels()) == letters
        assert "".join(text.get_text() for text in ax.get_yticklabels()) == classes
    bold = [text.get_text() for ax in (left, right) for text in ax.get_yticklabels() if text.get_weight() == "bold"]
    assert bold == ["A", "B"]
    assert "seed 0: the last letter still changes 25\xa0%" in left.get_figure().get_suptitle()
    alone = plot_reading(read_names(names_result(seeds=1))).get_figure().get_suptitle()
    assert "seed" not in alone


def test_reading_has_a_row_for_every_class_that_leads_and_one_for_all_others():
    beliefs = np.full((6, 7), 0.02, np.float32)
    for letter, label in enumerate((0, 1, 2, 3, 4)):
        beliefs[letter, label] = 0.9
    beliefs[5, 6], beliefs[5, 5] = 0.5, 0.4
    beliefs = np.pad(beliefs, ((0, 0), (0, 2)), constant_values=0.01)
    result = read_names(names_result(classes=tuple("ABCDEFGHI")))
    shown = {"name": np.array(["xyzxyz"]), "truth": np.array([5]), "probability": beliefs[None]}
    arrays = result.arrays | {f"reading_held_out_{name}": array for name, array in shown.items()}
    (ax,) = [ax for ax in plot_reading(dataclasses.replace(result, arrays=arrays)).get_figure().axes if ax.axison]
    assert ax.get_title(loc="left") == "xyzxyz → G (truth: F)"
    assert [text.get_text() for text in ax.get_yticklabels()] == [*"GFABCDE", "others"]
    assert ax.images[0].get_array().sum(axis=0).tolist() == [100] * 6


def test_all_figures_are_written(tmp_path):
    stems = {"training_loss", "confusion_train", "confusion_held_out"}
    for result, expected in ((names_result(seeds=1), stems), (read_names(names_result()), stems | {"reading"})):
        paths = save_figures(result, tmp_path / "figures")
        assert {path.name for path in paths} == {f"{stem}{kind}" for stem in expected for kind in (".png", ".svg")}
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths if path.suffix == ".png")
        assert all(b"</svg>" in path.read_bytes() for path in paths if path.suffix == ".svg")


def test_same_result_same_files(tmp_path):
    first, second = (save_figures(names_result(), tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_class_names_are_never_markup(tmp_path):
    classes = ("$x^2", "a < b & c", "日本語", "two\nlines")
    paths = save_figures(names_result(classes=classes), tmp_path / "figures")
    svg = next(path for path in paths if path.name == "confusion_train.svg")
    texts = [element.text for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"$x^2", "a < b & c", "日本語", "two lines"} <= set(texts)


def test_figure_that_fails_costs_only_itself(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("no ink")

    whole = {path.name for path in save_figures(names_result(), tmp_path / "whole")}
    monkeypatch.setattr("keras_dnnts.studies.names.figures.plot_training_loss", fail)
    drawn = {path.name for path in save_figures(names_result(), tmp_path / "figures")}
    assert drawn == whole - {"training_loss.png", "training_loss.svg"}
    (record,) = caplog.records
    assert record.getMessage() == f"{tmp_path / 'figures' / 'training_loss'} cannot be drawn: no ink"


def test_a_range_over_seeds_is_counted_where_all_runs_have_as_many():
    several, one = names_result(seeds=5), names_result(seeds=1)
    assert "mean and range of 5 seeds" in plot_training_loss({"a": several, "b": several}).get_title()
    assert "mean and range of seeds" in plot_training_loss({"a": several, "b": one}).get_title()
    assert "range" not in plot_training_loss({"a": one, "b": one}).get_title()
