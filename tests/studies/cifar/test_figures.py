"""CIFAR-10 figures show the result's own numbers; looked at through their artists, never their pixels."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_dnnts.figures import save_figures
from keras_dnnts.figures.comparison import plot_comparison, save_comparison
from keras_dnnts.studies.cifar.figures import (
    plot_activations,
    plot_embeddings,
    plot_history,
    plot_mistakes,
)
from tests.finished_runs import CLASSES, cifar_result


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_history_is_the_mean_over_the_seeds_that_still_ran():
    results = {"one": cifar_result(seeds=3, seed=1), "two": cifar_result(seeds=3, seed=2)}
    ax = plot_history(results, "loss")
    lines = iter(ax.lines)
    for result in results.values():
        for part in ("train", "validation"):
            expected = result.arrays[f"history_{part}_loss"]
            shown = next(lines).get_ydata()
            np.testing.assert_allclose(shown[:3], expected[:, :3].mean(axis=0))
            assert shown[3] == pytest.approx(expected[1:, 3].mean())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["one, training", "one, validation", "two, training", "two, validation"]


def test_mistakes_name_guess_and_truth():
    result = cifar_result()
    axes = plot_mistakes(result).get_figure().axes
    assert sum(bool(ax.images) for ax in axes) == 5
    truth, guess = (CLASSES[result.arrays[f"mistake_{side}"][1]] for side in ("truth", "guess"))
    assert f"truth: {truth}" in axes[1].get_title()
    assert f"guess: {guess}" in axes[1].get_title()
    np.testing.assert_array_equal(axes[1].images[0].get_array(), result.arrays["mistake_image"][1])


def test_every_image_stands_beside_its_maps():
    result = cifar_result()
    axes = plot_activations(result).get_figure(root=True).axes
    assert len(axes) == 2 * (1 + 2 * 3)
    assert [ax.get_title() for ax in axes if ax.get_title().strip()] == ["cat", "airplane"]
    second = axes[7:]
    np.testing.assert_array_equal(second[0].images[0].get_array(), result.arrays["activation_image"][1])
    np.testing.assert_array_equal(second[2].images[0].get_array(), result.arrays["activation_conv1"][1, ..., 1])
    np.testing.assert_array_equal(second[6].images[0].get_array(), result.arrays["activation_conv2"][1, ..., 2])
    assert second[4].texts[0].get_text() == "conv2, 3×3"


def test_embeddings_show_every_image_once_a_panel():
    result = cifar_result()
    left, right = plot_embeddings(result).get_figure().axes
    for ax, when, accuracy in ((left, "first", "25"), (right, "final", "50")):
        shown = np.concatenate([points.get_offsets() for points in ax.collections])
        order = np.argsort(result.arrays["embedding_label"], kind="stable")
        points = result.arrays[f"embedding_{when}"][order]
        # Moved and scaled alike in both directions.
        np.testing.assert_allclose(shown - shown[0], (points - points[0]) / np.ptp(points, axis=0).max(), atol=1e-12)
        assert (ax.get_xlim(), ax.get_aspect()) == (ax.get_ylim(), 1.0)
        assert accuracy in ax.get_title()
    assert [text.get_text() for text in left.get_figure().legends[0].get_texts()] == [*CLASSES]


def test_single_seed_has_its_interval_as_error_bar():
    result = cifar_result()
    ax = plot_comparison({"run": result}, {"test_accuracy": "test"})
    low, high = ax.containers[0].lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((45, 95))
    assert "95\xa0%" in ax.get_title()


@pytest.mark.parametrize("changes", [{}, {"seeds": 3}, {"mistakes": 0}])
def test_all_figures_are_written(tmp_path, changes):
    paths = save_figures(cifar_result(**changes), tmp_path / "figures")
    assert {path.stem for path in paths} == {"curves", "confusion_test", "mistakes", "activation_maps", "tsne"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths if path.suffix == ".png")
    assert len(paths) == 10


def test_a_model_without_taps_and_features_has_no_figure_of_them(tmp_path):
    result = cifar_result()
    arrays = {name: array for name, array in result.arrays.items() if not name.startswith(("activation", "embedding"))}
    paths = save_figures(dataclasses.replace(result, arrays=arrays), tmp_path)
    assert {path.stem for path in paths} == {"curves", "confusion_test", "mistakes"}


def test_the_losses_of_a_comparison_are_above_its_bars(tmp_path):
    runs = {"one": cifar_result(seed=1), "two": cifar_result(seed=2)}
    _, svg = save_comparison(runs, tmp_path / "comparison")
    text = svg.read_text(encoding="utf-8")
    assert "Loss · data: CIFAR-10" in text
    assert "validation accuracy" in text


def test_stand_in_data_reaches_the_titles():
    result = cifar_result(name="scikit-learn digits", stand_in=True)
    assert "stand-in" in plot_embeddings(result).get_figure().get_suptitle()
    assert "stand-in" in plot_activations(result).get_figure(root=True).get_suptitle()
