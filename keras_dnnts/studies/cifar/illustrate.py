"""Picks the single images that a report shows beside its numbers: arrays in, arrays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from keras import ops
from PIL import Image

from keras_dnnts.analysis import most_confident_mistakes, surest_examples
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.studies.cifar.augment import prepare_batch
from keras_dnnts.studies.cifar.evaluate import compute_activations, embed
from keras_dnnts.studies.cifar.illustrations import (
    EMBEDDING,
    EXAMPLE,
    MISTAKE,
    TRAINED_ON,
    Activations,
    AugmentedImages,
    Embedding,
    ImageExamples,
    ImageMistakes,
)
from keras_dnnts.studies.cifar.image_batches import ImageBatches

THUMBNAIL_SIDE = 32  # pixels
AUGMENTED_SIDE = 96
SHOWN_AUGMENTED = 12


@dataclass(frozen=True)
class ImageSet:
    """Images to choose from.

    Attributes:
        images: (N, H, W, 3) uint8.
        labels: (N,) int.
        paths: (N,) str, their files within the data; None where they have none.
    """

    images: np.ndarray
    labels: np.ndarray
    paths: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> Self:
        """Some of them, by index."""
        paths = None if self.paths is None else self.paths[chosen]
        return type(self)(self.images[chosen], self.labels[chosen], paths)


def draw(images: ImageSet, most: int, seed: int) -> ImageSet:
    """Up to ``most`` images at random, in their order."""
    order = random_stream(seed, Purpose.EMBEDDED_IMAGES).permutation(len(images.labels))
    return images.take(np.sort(order[:most]))


def draw_one_a_class(images: ImageSet, most: int, seed: int) -> ImageSet:
    """An image of each of up to ``most`` classes at random, in the order of the images."""
    order = random_stream(seed, Purpose.SHOWN_IMAGES).permutation(len(images.labels))
    first = np.unique(images.labels[order], return_index=True)[1]
    return images.take(np.sort(order[np.sort(first)[:most]]))


def show_mistakes(test: ImageSet, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Pick the test images that a model was wrong about most confidently.

    Args:
        test: N images.
        logits: (N, K) float32.

    Returns:
        The arrays of :class:`ImageMistakes` under ``mistake``.
    """
    mistakes = most_confident_mistakes(logits, test.labels)
    shown = test.take(mistakes.indices)
    return ImageMistakes(shown.images, shown.labels, mistakes.guesses, mistakes.confidences, shown.paths).to_arrays(
        MISTAKE
    )


def list_mistakes(arrays: Mapping[str, np.ndarray], classes: Sequence[str]) -> list[dict[str, Any]]:
    """What :func:`show_mistakes` picked as plain values, with the files of the images; empty where they have none."""
    mistakes = ImageMistakes.require(arrays, MISTAKE)
    if mistakes.path is None:
        return []
    columns = (mistakes.path, mistakes.truth, mistakes.guess, mistakes.confidence)
    return [
        {"image": path, "truth": classes[truth], "guess": classes[guess], "confidence": confidence}
        for path, truth, guess, confidence in zip(*(column.tolist() for column in columns), strict=True)
    ]


def show_activations(model: Any, taps: Sequence[str], shown: ImageSet, image_size: int) -> dict[str, np.ndarray]:
    """Compute what some layers make of a few images.

    Args:
        model: a functional model.
        taps: names of its layers; there may be none.
        shown: M images.
        image_size: pixels a side of what the model takes.

    Returns:
        The arrays of :class:`Activations` under ``activation``; none for a model without taps.
    """
    if not taps:
        return {}
    maps = compute_activations(model, taps, prepare_batch(shown.images, image_size))
    return Activations(shown.images, shown.labels, maps, shown.paths).to_arrays()


def show_embeddings(features: Mapping[str, np.ndarray], embedded: ImageSet, seed: int) -> dict[str, np.ndarray]:
    """Place images on t-SNE maps.

    Args:
        features: (M, D) float32 of the images, by ``"first"`` and ``"final"``.
        embedded: M images.
        seed: of the run.

    Returns:
        The arrays of :class:`Embedding` under ``embedding``.
    """
    places = {when: embed(values, seed) for when, values in features.items()}
    return Embedding(
        label=embedded.labels, image=make_thumbnails(embedded.images), path=embedded.paths, **places
    ).to_arrays(EMBEDDING)


def show_images(test: ImageSet, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Pick the test images of every cell of the confusion matrix that a report shows.

    Args:
        test: N images.
        logits: (N, K) float32.

    Returns:
        The arrays of :class:`ImageExamples` under ``example_test``.
    """
    picked = surest_examples(logits, test.labels)
    shown = test.take(picked.indices)
    return ImageExamples(
        image=make_thumbnails(shown.images),
        truth=shown.labels.astype(np.int64),
        guess=picked.guesses,
        confidence=picked.confidences,
        path=shown.paths,
    ).to_arrays(EXAMPLE)


def show_augmented(batches: ImageBatches) -> dict[str, np.ndarray]:
    """Keep the first training images of the first epoch as the network got them, turned back to bytes.

    Args:
        batches: of training.

    Returns:
        The arrays of :class:`AugmentedImages` under ``augmented``.
    """
    batches.start_epoch(0)
    images, labels = [], []
    for number in range(min(len(batches), -(-SHOWN_AUGMENTED // batches.batch_size))):
        of_batch, labels_of_batch = batches[number]
        images.append(ops.convert_to_numpy(of_batch))
        labels.append(ops.convert_to_numpy(labels_of_batch))
    pixels = np.concatenate(images)[:SHOWN_AUGMENTED].astype(np.float32)
    shown = np.clip(np.round(127.5 * (pixels + 1)), 0, 255).astype(np.uint8)
    return AugmentedImages(
        make_thumbnails(shown, AUGMENTED_SIDE), np.concatenate(labels)[:SHOWN_AUGMENTED].astype(np.int64)
    ).to_arrays(TRAINED_ON)


def make_thumbnails(images: np.ndarray, most: int = THUMBNAIL_SIDE) -> np.ndarray:
    """Shrink images (N, H, W, 3) uint8 to at most ``most`` pixels a side, in proportion; smaller ones stay."""
    height, width = images.shape[1:3]
    scale = min(1.0, most / max(height, width))
    if scale == 1 or not len(images):
        return images
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)) for image in images])
