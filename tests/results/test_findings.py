"""Titles say what the result holds, and claim nothing where it is not clear."""

import dataclasses

import numpy as np
import pytest

from keras_dnnts.results import Metric
from keras_dnnts.results.findings import shorten, state_accuracy, state_confusion, state_ranking
from keras_dnnts.studies.cifar.findings import state_epochs, state_mistakes, state_neighbours
from keras_dnnts.studies.cifar.illustrations import EMBEDDING, MISTAKE, Embedding, ImageMistakes
from keras_dnnts.studies.names.findings import state_names_loss
from tests.finished_runs import cifar_result, names_result


def with_metrics(result, **metrics):
    return dataclasses.replace(result, metrics=result.metrics | metrics)


def test_accuracy_and_what_is_confused_most():
    result = with_metrics(names_result(seeds=2), held_out_accuracy_by_class=Metric((0.4, 0.5), ((0.35, 0.9),) * 2))
    confusions = [{"truth": "A", "guess": "B", "fraction": 0.25}, {"truth": "B", "guess": "C", "fraction": 0.2}]
    result = dataclasses.replace(result, details={"most_frequent_confusions": {"held_out": confusions}})
    weighting = "each language weighted equally"
    assert state_accuracy(result, "held_out") == f"GRU: 45.0 ± 7.1 % right on held-out names, {weighting}"
    assert state_confusion(result, "held_out") == "most often confused: A → B (25 % of them)"
    assert state_confusion(result, "train") is None


def test_what_may_be_chance_is_called_so():
    result = with_metrics(names_result(seeds=1), held_out_accuracy_by_class=Metric((0.35,), ((0.3, 0.4),)))
    assert state_accuracy(result, "held_out").endswith("\nno better than chance")


def test_a_loss_that_does_not_fall_is_only_named():
    result = names_result(seeds=2)
    falling = result.arrays | {"loss": np.array([[3.0, 2.0, 1.0], [2.5, 2.0, 1.5]])}
    assert "from 2.75 to 1.25 nats" in state_names_loss(dataclasses.replace(result, arrays=falling))
    rising = result.arrays | {"loss": np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 1.5]])}
    assert state_names_loss(dataclasses.replace(result, arrays=rising)) == "GRU: training loss"


def test_best_epoch():
    result = with_metrics(cifar_result(), best_epoch=Metric((3.0,)), epochs_run=Metric((6.0,)))
    assert state_epochs(result) == "AlexNet: validation loss lowest after epoch 3 of 6"
    assert "after 2.5 of 6.0 epochs" in state_epochs(
        with_metrics(cifar_result(seeds=2), best_epoch=Metric((3.0, 2.0)), epochs_run=Metric((6.0, 6.0)))
    )


@pytest.mark.parametrize(("final", "says"), [(0.9, "drew apart"), (0.27, "features"), (0.01, "further apart after")])
def test_neighbours_drew_apart_only_where_the_difference_is_clear(final, says):
    result = cifar_result()
    result.details["neighbour_accuracy"] = {"first": 0.25, "final": final}
    result.arrays["embedding_label"] = np.zeros(100, np.int64)
    result.arrays.update({f"embedding_{when}": np.zeros((100, 2)) for when in ("first", "final")})
    said = state_neighbours(result, Embedding.require(result.arrays, EMBEDDING))
    assert says in said
    assert ("apart" in said) == (says != "features")


def test_surest_mistakes():
    none = cifar_result(mistakes=0)
    assert "every test image right" in state_mistakes(none, ImageMistakes.require(none.arrays, MISTAKE))
    result = cifar_result()
    result.arrays["mistake_confidence"] = np.array([0.834, 0.5, 0.4, 0.3, 0.2])
    assert "up to 83 % sure" in state_mistakes(result, ImageMistakes.require(result.arrays, MISTAKE))


def test_a_run_is_ahead_only_of_all_others_over_several_seeds():
    def run(*accuracies, **changes):
        result = names_result(seeds=len(accuracies), **changes)
        return with_metrics(result, held_out_accuracy_by_class=Metric(accuracies, ((0.1, 0.9),) * len(accuracies)))

    low, high, wide = run(0.40, 0.41, 0.42), run(0.50, 0.51, 0.52), run(0.30, 0.45, 0.65)
    assert (
        state_ranking({"low": low, "high": high})
        == "high is ahead in accuracy on held-out names, each language weighted equally"
    )
    assert state_ranking({"low": low, "high": high, "wide": wide}).startswith("No run is shown to be ahead")
    assert state_ranking({"low": low, "high": run(0.9)}) is None
    assert state_ranking({"low": low}) is None
    assert state_ranking({"low": low, "high": run(0.50, 0.51, 0.52, content_hash="sha256:2")}) is None


def test_wide_letters_count_twice():
    assert shorten("日" * 8) == "日" * 8
    assert shorten("日" * 9) == "日" * 7 + "…"
    assert shorten("a\tb") == "a b"
