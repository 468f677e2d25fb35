"""What a trained network does with images, as numbers: a model and images in, arrays out."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from scipy import stats
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from keras_dnnts import backend
from keras_dnnts.random_streams import Purpose, derive_seed
from keras_dnnts.studies.cifar.architectures import PENULTIMATE
from keras_dnnts.studies.cifar.image_batches import FixedViews, ImageBatches

NEIGHBOURS = 10
PERPLEXITY = 30.0
VIEWS = ((0.5, 0), (0.25, -1), (0.25, 1))
"""Of multi-crop evaluation: each one's share, and by how many pixels it is moved down and right."""


def predict(model: Any, batches: Any) -> np.ndarray:
    """Return a model's outputs (N, D) float32 for :class:`keras_dnnts.studies.cifar.image_batches.ImageBatches` of N
    images.
    """
    return np.asarray(model.predict(backend.batches_of_one_size(batches), verbose=0), np.float32)


def predict_views(model: Any, batches: ImageBatches) -> np.ndarray:
    """Return a model's mean outputs (N, D) float32 over six views of each image, as airbench94 weighs them.

    The image counts for a half, and the image moved by one pixel up and left, and down and right, for a quarter each;
    half of either is its mirror image (https://arxiv.org/abs/2404.00498).
    """
    total: Any = 0.0
    for share, offset in VIEWS:
        for flip in (False, True):
            total = total + share / 2 * predict(model, FixedViews(batches, flip, offset))
    return total


def has_features(model: keras.Model) -> bool:
    """Whether a network has a layer ``pre_logits``, whose output the embedding shows."""
    return any(layer.name == PENULTIMATE for layer in model.layers)


def build_feature_extractor(model: keras.Model) -> keras.Model:
    """Build a model that shares the weights of a network and returns what its last layer gets, (N, D).

    >>> from keras_dnnts import build_alexnet, build_feature_extractor
    >>> build_feature_extractor(build_alexnet(image_size=64, width=0.05)).output_shape
    (None, 205)
    """
    return keras.Model(model.inputs, model.get_layer(PENULTIMATE).output)


def compute_activations(
    model: keras.Model, layers: Sequence[str], images: Any, channels: int = 8
) -> dict[str, np.ndarray]:
    """Return the first channels of layers' outputs by name, each (N, h, w, channels) float32.

    Args:
        model: a functional model with these layers.
        layers: their names.
        images: (N, S, S, 3) float32, as the model takes them.
        channels: number of channels; a layer with fewer gives all.

    >>> import numpy as np
    >>> from keras_dnnts import build_alexnet, compute_activations
    >>> images = np.zeros((2, 64, 64, 3), "float32")
    >>> compute_activations(build_alexnet(image_size=64, width=0.2), ["conv1"], images)["conv1"].shape
    (2, 15, 15, 8)
    """
    outputs = {name: model.get_layer(name).output for name in layers}
    activations = keras.Model(model.inputs, outputs).predict_on_batch(images)
    return {name: np.asarray(maps[..., :channels], np.float32) for name, maps in activations.items()}


def embed(features: np.ndarray, seed: int) -> np.ndarray:
    """Place features (N, D) float32 on a plane by t-SNE (https://jmlr.org/papers/v9/vandermaaten08a.html).

    Features that are all alike come to lie at 0.

    Returns:
        (N, 2) float32.

    >>> import numpy as np
    >>> from keras_dnnts import embed
    >>> embed(np.random.default_rng(0).normal(size=(20, 5)), seed=0).shape
    (20, 2)
    """
    if not np.ptp(features, axis=0).any():
        return np.zeros((len(features), 2), np.float32)  # all in one place: there is nothing to tell apart
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    state = derive_seed(seed, Purpose.EMBEDDING)
    return TSNE(init="pca", perplexity=perplexity, random_state=state).fit_transform(features.astype(np.float32))


def neighbour_accuracy(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the fraction of points (N, D) whose label (N,) int most of the 10 nearest others have; a tie goes to the
    lower label.

    >>> import numpy as np
    >>> from keras_dnnts import neighbour_accuracy
    >>> labels = np.repeat([0, 1], 20)
    >>> neighbour_accuracy(np.random.default_rng(0).normal(size=(40, 2)) + 9 * labels[:, None], labels)
    1.0
    """
    count = min(NEIGHBOURS, len(points) - 1)
    neighbours = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(return_distance=False)
    votes = stats.mode(labels[neighbours], axis=1).mode
    return float((votes == labels).mean())
