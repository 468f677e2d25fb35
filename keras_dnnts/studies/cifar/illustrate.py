"""Picks the single images that a report shows beside its numbers: arrays in, arrays out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_dnnts.analysis import most_confident_mistakes, surest_examples
from keras_dnnts.datasets.image_dataset import LabelledImages
from keras_dnnts.studies.cifar.augment import prepare_batch
from keras_dnnts.studies.cifar.evaluate import compute_activations, embed
from keras_dnnts.studies.cifar.illustrations import (
    EMBEDDING,
    EXAMPLE,
    MISTAKE,
    Activations,
    Embedding,
    ImageExamples,
    ImageMistakes,
)

THUMBNAIL_SIDE = 32  # pixels


def show_mistakes(test: LabelledImages, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Pick the test images that a model was wrong about most confidently.

    Args:
        test: N images (N, H, W, 3) uint8 and labels (N,) int.
        logits: (N, K) float32.

    Returns:
        The arrays of :class:`ImageMistakes` under ``mistake``.
    """
    images, labels = test
    mistakes = most_confident_mistakes(logits, labels)
    shown = mistakes.indices
    return ImageMistakes(images[shown], labels[shown], mistakes.guesses, mistakes.confidences).to_arrays(MISTAKE)


def show_activations(model: Any, taps: Sequence[str], shown: LabelledImages, image_size: int) -> dict[str, np.ndarray]:
    """Compute what some layers make of a few images.

    Args:
        model: a functional model.
        taps: names of its layers; there may be none.
        shown: images (M, H, W, 3) uint8 and labels (M,) int.
        image_size: pixels a side of what the model takes.

    Returns:
        The arrays of :class:`Activations` under ``activation``; none for a model without taps.
    """
    if not taps:
        return {}
    images, labels = shown
    return Activations(images, labels, compute_activations(model, taps, prepare_batch(images, image_size))).to_arrays()


def show_embeddings(features: Mapping[str, np.ndarray], embedded: LabelledImages, seed: int) -> dict[str, np.ndarray]:
    """Place images on t-SNE maps.

    Args:
        features: (M, D) float32 of the images, by ``"first"`` and ``"final"``.
        embedded: images (M, H, W, 3) uint8 and labels (M,) int.
        seed: of the run.

    Returns:
        The arrays of :class:`Embedding` under ``embedding``.
    """
    images, labels = embedded
    places = {when: embed(values, seed) for when, values in features.items()}
    return Embedding(label=labels, image=make_thumbnails(images), **places).to_arrays(EMBEDDING)


def show_images(test: LabelledImages, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Pick the test images of every cell of the confusion matrix that a report shows.

    Args:
        test: N images (N, H, W, 3) uint8 and labels (N,) int.
        logits: (N, K) float32.

    Returns:
        The arrays of :class:`ImageExamples` under ``example_test``.
    """
    images, labels = test
    picked = surest_examples(logits, labels)
    return ImageExamples(
        image=make_thumbnails(images[picked.indices]),
        truth=labels[picked.indices].astype(np.int64),
        guess=picked.guesses,
        confidence=picked.confidences,
    ).to_arrays(EXAMPLE)


def make_thumbnails(images: np.ndarray, most: int = THUMBNAIL_SIDE) -> np.ndarray:
    """Shrink images (N, H, W, 3) uint8 to at most ``most`` pixels a side, in proportion; smaller ones stay."""
    height, width = images.shape[1:3]
    scale = min(1.0, most / max(height, width))
    if scale == 1 or not len(images):
        return images
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)) for image in images])
