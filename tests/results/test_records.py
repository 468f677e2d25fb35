"""Records read back what they write, and describe it to the format of results."""

import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.registry import find_study
from keras_dnnts.results.records import items_axis
from keras_dnnts.studies.cifar import illustrations as images
from keras_dnnts.studies.names import illustrations as names
from keras_dnnts.studies.names.reliability import reliability_axes
from keras_dnnts.studies.names.sampled import sampled_axes
from tests.report.illustrated import illustrated_cifar, illustrated_names


@pytest.mark.parametrize(
    ("make", "record", "prefix"),
    [
        (illustrated_names, names.NameMistakes, "mistake_held_out"),
        (illustrated_names, names.Names, "example_train"),
        (illustrated_names, names.Reading, "reading_held_out"),
        (illustrated_cifar, images.ImageMistakes, "mistake"),
        (illustrated_cifar, images.ImageExamples, "example_test"),
        (illustrated_cifar, images.Embedding, "embedding"),
        (illustrated_cifar, images.Activations, "activation"),
    ],
)
def test_what_is_read_is_written_again(make, record, prefix):
    arrays = make().arrays
    own = {name: array for name, array in arrays.items() if name.startswith(prefix)}
    written = record.require(arrays, prefix).to_arrays(prefix)
    assert written.keys() == own.keys()
    assert all(written[name] is own[name] for name in own)
    assert record.from_arrays({name: own[name] for name in list(own)[1:]}, prefix) is None
    with pytest.raises(UserError, match=prefix.replace("_", " ")):
        record.require({}, prefix)


def test_a_record_without_what_it_may_lack_is_whole():
    arrays = illustrated_names().arrays
    reading = names.Reading.require(arrays, "reading_held_out")
    assert reading.late_changes is None
    assert "reading_held_out_late_changes" not in reading.to_arrays("reading_held_out")


def test_axes_are_named_after_kind_and_part():
    assert items_axis("mistake") == "mistakes"
    assert items_axis("reading_held_out") == "readings_held_out"
    axes = names.illustration_axes(["train", "held_out"])
    assert axes["mistake_train_name"] == "text mistakes_train"
    assert axes["mistake_held_out_also"] == "flag mistakes_held_out"
    assert axes["example_train_confidence"] == "finite examples_train"
    assert axes["reading_held_out_probability"] == "float readings_held_out letters_held_out classes"
    assert axes["reading_train_late_changes"] == "finite ."
    assert names.axes_that_may_be_empty(["train"]) == {"mistakes_train"}
    needed, optional = images.illustration_axes()
    assert needed["mistake_image"] == "byte mistakes height width 3"
    assert optional["embedding_first"] == "finite embeddings 2"
    assert optional["embedding_image"] == "byte embeddings . . 3"
    assert optional["activation_?*"] == "finite activations . . ."
    assert not needed.keys() & optional.keys()


def test_a_model_without_taps_has_no_activations():
    arrays = illustrated_cifar().arrays
    without = {name: array for name, array in arrays.items() if not name.startswith("activation_conv")}
    assert images.Activations.from_arrays(without) is None


def test_studies_describe_just_these_arrays():
    study = find_study("names")
    by_part = (names.illustration_axes, names.count_axes, names.beside_axes, reliability_axes, sampled_axes)
    described = {name: axes for of_parts in by_part for name, axes in of_parts(study.parts).items()}
    assert study.result_format.optional == described | names.prior_axes()
    assert study.result_format.may_be_empty == names.axes_that_may_be_empty(study.parts)
    study = find_study("cifar")
    needed, optional = images.illustration_axes()
    assert needed.items() <= study.result_format.arrays.items()
    assert study.result_format.optional == optional
    assert study.result_format.may_be_empty == images.axes_that_may_be_empty()
