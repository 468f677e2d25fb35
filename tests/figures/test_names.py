"""Figures show the result's own numbers; looked at through their artists, never their pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_dnnts.figures.comparison import plot_comparison
from keras_dnnts.figures.confusion import plot_confusion
from keras_dnnts.figures.names import plot_training_loss, save_names_figures
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


def test_all_figures_are_written(tmp_path):
    paths = save_names_figures(names_result(seeds=1), tmp_path / "figures")
    assert {path.name for path in paths} == {"training_loss.png", "confusion_train.png", "confusion_held_out.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
