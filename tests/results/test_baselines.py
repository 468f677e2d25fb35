"""What always giving the same answer scores, by the measure."""

import dataclasses

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from keras_dnnts.results.baselines import find_baseline, find_rise_of_loss
from tests.finished_runs import cifar_result, names_result

COUNTS = np.array([[[5, 1, 2], [10, 40, 2], [1, 1, 1]]])


def baseline(result, name):
    return find_baseline(result, result.study.kind(name))


def with_arrays(result, **arrays):
    return dataclasses.replace(result, arrays=result.arrays | arrays)


def test_it_is_scikit_learn_s_most_frequent_class():
    labels = np.repeat(range(3), COUNTS[0].sum(axis=1))
    constant = DummyClassifier(strategy="most_frequent").fit(labels[:, None], labels).predict(labels[:, None])
    found = baseline(with_arrays(cifar_result(), confusion_test=COUNTS), "test_accuracy")
    assert (found.label, found.share) == ("bird", pytest.approx(accuracy_score(labels, constant)))
    names = with_arrays(names_result(seeds=1), confusion_held_out=COUNTS)
    averaged = baseline(names, "held_out_accuracy_by_class")
    assert averaged.share == pytest.approx(balanced_accuracy_score(labels, constant))
    assert baseline(names, "held_out_accuracy").share == pytest.approx(found.share)
    assert baseline(names, "final_loss") is None


def test_over_all_names_copies_count_once():
    result = with_arrays(
        names_result(seeds=1), confusion_held_out=COUNTS, distinct_held_out=np.array([[6.0, 3.0, 3.0]])
    )
    found = baseline(result, "held_out_accuracy")
    assert (found.label, found.share) == ("airplane", 0.5)
    assert baseline(result, "held_out_accuracy_by_class").share == pytest.approx(1 / 3)


def test_a_class_without_examples_cannot_be_averaged_over():
    counts = COUNTS.copy()
    counts[:, 2] = 0
    result = with_arrays(names_result(seeds=1), confusion_held_out=counts)
    assert baseline(result, "held_out_accuracy_by_class").share == 0.5


def test_of_a_part_without_counts_the_whole_data_count():
    result = cifar_result()
    counts = result.dataset["counts"] | {"images": {"airplane": 10, "bird": 20, "cat": 50}}
    result = dataclasses.replace(result, dataset=result.dataset | {"counts": counts})
    found = baseline(result, "validation_accuracy")
    assert (found.label, found.share) == ("cat", 0.625)
    assert baseline(with_arrays(result, confusion_test=np.zeros((1, 3, 3), int)), "test_accuracy") is None


@pytest.mark.parametrize(
    ("losses", "rise"),
    [
        ([[2.0, 1.0, 3.0], [1.0, np.nan, np.nan]], None),
        ([[0.9, 0.5, 1.0], [0.8, 9.0, np.nan]], (0.85, 5.0)),
        ([[1.0], [1.0]], None),
        ([[1.12], [1.15]], None),  # ln 3 is 1.10
        ([[0.9, 1.0], [0.9, 0.9]], None),
        ([[9000.0, 8862.0]], (np.log(3), 8862.0)),
        ([[355.0, 358.0]], (np.log(3), 358.0)),
        ([[0.5, np.inf]], (0.5, np.inf)),
    ],
)
def test_the_loss_rose_where_it_did_in_every_seed(losses, rise):
    found = find_rise_of_loss(with_arrays(names_result(), loss=np.array(losses)))
    assert found == (rise if rise is None else pytest.approx(rise))
