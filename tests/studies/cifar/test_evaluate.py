"""Analyses of images against straightforward computations of the same."""

import keras
import numpy as np
import pytest
import torch

from keras_dnnts.analysis import mean_cross_entropy, most_confident_mistakes, surest_examples
from keras_dnnts.studies.cifar.architectures import ARCHITECTURES
from keras_dnnts.studies.cifar.evaluate import (
    build_feature_extractor,
    compute_activations,
    embed,
    neighbour_accuracy,
    predict,
)
from keras_dnnts.studies.cifar.illustrate import make_thumbnails
from keras_dnnts.studies.cifar.image_batches import ImageBatches
from keras_dnnts.studies.cifar.models import alexnet, build_alexnet, resnet50

pytestmark = pytest.mark.every_engine


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_cross_entropy_equals_torch(rng):
    logits = rng.normal(0, 30, (50, 4)).astype(np.float32)
    labels = rng.integers(0, 4, 50)
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    assert mean_cross_entropy(logits, labels) == pytest.approx(expected.item())


@pytest.mark.one_engine
def test_surest_mistakes_come_first_and_right_guesses_never(rng):
    logits = rng.normal(0, 2, (40, 3)).astype(np.float32)
    labels = rng.integers(0, 3, 40)
    mistakes = most_confident_mistakes(logits, labels, most=5)

    probabilities = torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    sure = sorted((-max(p), i) for i, p in enumerate(probabilities) if p.argmax() != labels[i])[:5]
    assert mistakes.indices.tolist() == [i for _, i in sure]
    np.testing.assert_allclose(mistakes.confidences, [-p for p, _ in sure])
    np.testing.assert_array_equal(mistakes.guesses, logits.argmax(axis=1)[mistakes.indices])


@pytest.mark.one_engine
def test_no_mistakes_are_empty():
    assert len(most_confident_mistakes(np.eye(3, dtype=np.float32), np.arange(3)).indices) == 0


@pytest.mark.one_engine
def test_every_cell_gives_its_surest_examples(rng):
    logits = rng.normal(0, 2, (200, 3)).astype(np.float32)
    labels = rng.integers(0, 3, 200)
    probabilities = torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    surest = {}
    for i in np.argsort(-probabilities.max(axis=1)):
        surest.setdefault((labels[i], probabilities[i].argmax()), []).append(i)

    examples = surest_examples(logits, labels, most_a_cell=4, most=1000)
    np.testing.assert_array_equal(examples.guesses, probabilities[examples.indices].argmax(axis=1))
    np.testing.assert_allclose(examples.confidences, probabilities[examples.indices].max(axis=1))
    for (truth, guess), members in surest.items():
        cell = (labels[examples.indices] == truth) & (examples.guesses == guess)
        assert examples.indices[cell].tolist() == members[:4]
    assert len(examples.indices) == sum(min(4, len(members)) for members in surest.values())


@pytest.mark.one_engine
def test_with_too_many_examples_no_cell_gets_a_second_before_another_a_first(rng):
    logits, labels = rng.normal(size=(300, 3)).astype(np.float32), rng.integers(0, 3, 300)
    examples = surest_examples(logits, labels, most=13)
    cells = labels[examples.indices] * 3 + examples.guesses
    counts = np.bincount(cells, minlength=9)
    assert counts.sum() == 13
    assert set(counts) == {1, 2}


@pytest.mark.one_engine
def test_thumbnails_keep_proportion_and_colour():
    images = np.empty((2, 64, 48, 3), np.uint8)
    images[0], images[1] = (200, 10, 30), (5, 250, 90)
    thumbnails = make_thumbnails(images, 32)
    assert thumbnails.shape == (2, 32, 24, 3)
    assert (thumbnails == images[:, :1, :1]).all()
    assert make_thumbnails(images, 64) is images


@pytest.mark.one_engine
@pytest.mark.parametrize("count", [6, 60])
def test_neighbour_accuracy_leaves_each_point_out(rng, count):
    labels = rng.integers(0, 3, count)
    points = rng.normal(size=(count, 2)) + labels[:, None]
    right = 0
    for i in range(count):
        distances = np.linalg.norm(points - points[i], axis=1)
        distances[i] = np.inf
        nearest = np.argsort(distances)[: min(10, count - 1)]
        right += np.bincount(labels[nearest], minlength=3).argmax() == labels[i]
    assert neighbour_accuracy(points, labels) == pytest.approx(right / count)


@pytest.mark.one_engine
def test_features_that_are_all_alike_have_an_embedding(rng):
    """Of a network that has learned nothing: t-SNE ended the whole process over them."""
    features = np.repeat(rng.normal(size=(1, 5)).astype(np.float32), 12, axis=0)
    np.testing.assert_array_equal(embed(features, seed=0), np.zeros((12, 2)))


@pytest.mark.one_engine
def test_embedding_keeps_clusters_and_repeats(rng):
    labels = np.repeat([0, 1], 25)
    features = (rng.normal(size=(50, 30)) + 20 * labels[:, None]).astype(np.float32)
    points = embed(features, seed=3)
    assert points.shape == (50, 2)
    assert neighbour_accuracy(points, labels) == 1
    np.testing.assert_array_equal(points, embed(features, seed=3))


@pytest.fixture
def model(rng):
    model = build_alexnet(63, classes=3, width=0.1)
    model.set_weights([rng.normal(0, 0.1, weights.shape) for weights in model.get_weights()])
    return model


def test_activations_and_features_are_those_of_the_network(rng, model):
    images = rng.integers(0, 256, (5, 63, 63, 3), dtype=np.uint8)
    batches = ImageBatches((images, np.zeros(5, np.int32)), 2, 63)
    inputs = keras.ops.concatenate([batches[i][0] for i in range(3)])

    activations = compute_activations(model, ARCHITECTURES["alexnet"].taps, inputs, channels=4)
    assert list(activations) == ["conv1", "conv2", "conv4"]
    maps = keras.ops.convert_to_numpy(model.get_layer("conv1")(inputs))
    np.testing.assert_allclose(activations["conv1"], maps[..., :4], rtol=1e-4, atol=1e-5)

    features, logits = predict(build_feature_extractor(model), batches), predict(model, batches)
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_allclose(features @ kernel + bias, logits, rtol=1e-3, atol=1e-4)


@pytest.mark.one_engine
def test_config_knows_the_smallest_images_of_the_networks():
    for arch, module in (("alexnet", alexnet), ("resnet50", resnet50)):
        assert ARCHITECTURES[arch].minimum_image_size == module.MINIMUM_IMAGE_SIZE
