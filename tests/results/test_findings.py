"""Titles say what the result holds, and claim nothing where it is not clear."""

import dataclasses

import numpy as np
import pytest

from keras_dnnts.results import Metric
from keras_dnnts.results.findings import (
    shorten,
    state_accuracy,
    state_confusion,
    state_failure,
    state_recall,
    state_result,
    whole_percent,
)
from keras_dnnts.studies.cifar.findings import state_epochs, state_mistakes, state_neighbours
from keras_dnnts.studies.cifar.illustrations import EMBEDDING, MISTAKE, Embedding, ImageMistakes
from keras_dnnts.studies.names.findings import state_names_loss
from tests.finished_runs import cifar_result, names_result


def with_metrics(result, **metrics):
    return dataclasses.replace(result, metrics=result.metrics | metrics)


def with_confusions(result, part, counts, **arrays):
    counts = np.repeat(np.array(counts)[None], result.config["seeds"], axis=0)
    return dataclasses.replace(result, arrays=result.arrays | {f"confusion_{part}": counts} | arrays)


def test_accuracy_and_what_is_confused_most_often():
    result = with_metrics(names_result(seeds=2), held_out_accuracy_by_class=Metric((0.4, 0.5), ((0.35, 0.9),) * 2))
    result = with_confusions(result, "held_out", [[3, 6, 0], [40, 160, 0], [0, 0, 9]])
    assert (
        state_accuracy(result, "held_out") == "GRU: 45.0 ± 7.1\xa0% accuracy on held-out names, averaged over languages"
    )
    assert state_confusion(result, "held_out") == (
        "most frequent confusion: bird → airplane (80 times, 20\N{NO-BREAK SPACE}% of the row)"
    )
    assert state_confusion(with_confusions(result, "held_out", np.eye(3, dtype=int)), "held_out") is None


def test_a_run_that_learned_nothing_says_so_and_how_the_loss_went():
    result = with_metrics(names_result(seeds=1), held_out_accuracy_by_class=Metric((0.34,), ((0.3, 0.4),)))
    result = with_confusions(result, "held_out", [[3, 6, 0], [40, 160, 0], [0, 0, 9]])
    said = "no better than always answering bird"
    falling = dataclasses.replace(result, arrays=result.arrays | {"loss": np.array([[1.2, 1.05]])})
    assert state_failure(falling) == said
    assert state_result(falling) == f"GRU is {said}"
    assert state_confusion(falling, "held_out") is None
    rising = dataclasses.replace(result, arrays=result.arrays | {"loss": np.array([[1.05, 8862.3]])})
    assert state_failure(rising) == f"{said}; the loss rose from 1.05 to 8,862"
    assert state_accuracy(rising, "held_out").endswith(f"\n{said}; the loss rose from 1.05 to 8,862")
    better = with_metrics(rising, held_out_accuracy_by_class=Metric((0.5,), ((0.45, 0.6),)))
    assert state_failure(better) is None
    assert state_result(better) == "GRU names the language of 50\N{NO-BREAK SPACE}% of unseen surnames"


def test_a_run_is_judged_by_the_prior_that_its_headline_is_about():
    result = with_metrics(names_result(seeds=1), held_out_accuracy_by_class=Metric((0.34,), ((0.3, 0.4),)))
    result = with_confusions(result, "held_out", [[3, 6, 0], [40, 160, 0], [0, 0, 9]])
    better = with_metrics(result, held_out_accuracy_by_class_even=Metric((0.6,), ((0.5, 0.7),)))
    assert state_failure(better) is None and state_result(better).startswith("GRU names the language of 60")
    assert "no better than always answering bird" in state_accuracy(better, "held_out")  # its matrix's answers
    worse = with_metrics(result, held_out_accuracy_by_class_even=Metric((0.36,), ((0.32, 0.4),)))
    assert (state_failure(worse) or "").startswith("no better than always answering bird")


@pytest.mark.parametrize(
    ("source", "classes", "said"),
    [
        ("bundled", ("One", "Two", "Three"), "language of 60\N{NO-BREAK SPACE}% of unseen surnames"),
        ("a/folder", ("Czech", "Greek", "Irish"), "language of 60\N{NO-BREAK SPACE}% of unseen surnames"),
        ("a/folder", ("Czech", "Greek", "Elvish"), "category of 60\N{NO-BREAK SPACE}% of unseen names"),
    ],
)
def test_classes_of_your_own_data_are_categories(source, classes, said):
    result = with_metrics(
        names_result(seeds=1, classes=classes, source=source), held_out_accuracy_by_class=Metric((0.6,), ((0.5, 0.7),))
    )
    several, question = (
        ("languages", "Which language is this surname from?")
        if "language" in said
        else ("categories", "Which category does this name belong to?")
    )
    assert state_result(result) == f"GRU names the {said}"
    assert state_accuracy(result, "held_out").endswith(f"averaged over {several}")
    assert result.study.question == question
    assert several in " ".join(result.study.notes(result))


def test_the_first_heading_is_the_finding_of_the_study():
    result = with_metrics(cifar_result(), test_accuracy=Metric((0.6246,), ((0.61, 0.63),)))
    assert state_result(result) == "AlexNet recognises 62\N{NO-BREAK SPACE}% of test images"
    trained = with_metrics(names_result(seeds=2, protocol="reference"), train_accuracy_by_class=Metric((0.58, 0.6)))
    assert "59\N{NO-BREAK SPACE}% of the surnames it was trained on" in state_result(trained)


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "0"), (0.004, "0.4"), (0.1234, "12"), (0.996, "99.6"), (1.0, "100"), (0.9949, "99")]
)
def test_whole_per_cent_say_neither_none_nor_all_of_what_is_not(share, said):
    assert whole_percent(share) == f"{said}\N{NO-BREAK SPACE}%"


def test_recall_of_many_classes_is_short():
    result = cifar_result(classes=tuple(f"species {i}" for i in range(250)))
    assert len(state_recall(result, "test")) < 200
    assert "of 250 classes" in state_recall(result, "test")
    assert state_recall(cifar_result(), "test").count("%") == 3


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


@pytest.mark.parametrize(("final", "says"), [(0.9, "moved apart"), (0.27, "features"), (0.01, "further apart after")])
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
    assert "every test image classified correctly" in state_mistakes(none, ImageMistakes.require(none.arrays, MISTAKE))
    result = cifar_result()
    result.arrays["mistake_confidence"] = np.array([0.834, 0.5, 0.4, 0.3, 0.2])
    assert "(confidence up to 83\xa0%)" in state_mistakes(result, ImageMistakes.require(result.arrays, MISTAKE))


def test_wide_letters_count_twice():
    assert shorten("日" * 8) == "日" * 8
    assert shorten("日" * 9) == "日" * 7 + "…"
    assert shorten("a\tb") == "a b"
