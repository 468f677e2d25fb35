"""What a page, a figure and the terminal say of a run on images."""

import dataclasses

import pytest

from keras_dnnts.studies.cifar.findings import state_copies, state_missing_classes
from tests.finished_runs import cifar_result


def with_data(**about):
    result = cifar_result()
    return dataclasses.replace(result, dataset=result.dataset | about)


def test_classes_without_images_are_one_line():
    missing = {"validation": ["bird", "cat"], "test": [f"class {i}" for i in range(250)]}
    line = state_missing_classes(with_data(missing_classes=missing))
    assert line.startswith("Classes without a validation image: bird, cat; without a test image: class 0, class 1, ")
    assert line.endswith("class 11 and 238 more")
    assert state_missing_classes(cifar_result()) is None


@pytest.mark.parametrize(
    ("copies", "lines"),
    [
        (
            (6, 3, 0),
            ["3 test images are copies of training images (10\xa0% of them): correct answers there may be memorised"],
        ),
        ((4, 0, 0, 2), ["2 validation images are copies of training images"]),
        ((5, 0, 2), ["5 images have identical copies", "2 images have a copy of another class"]),
    ],
)
def test_copies_are_said(copies, lines):
    about = dict(zip(("images", "of_training_images", "of_other_classes", "validation"), copies, strict=False))
    said = state_copies(with_data(copies=about))
    assert [line.startswith(start) for line, start in zip(said, lines, strict=True)] == [True] * len(lines)
    assert state_copies(cifar_result()) == []
