"""The single names and images a report shows beside its numbers: arrays in, arrays out."""

from collections import Counter
from typing import Any

import numpy as np
from PIL import Image

from keras_dnnts.analysis import late_changes, most_confident_mistakes, read_letter_by_letter, surest_examples
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.image_dataset import LabelledImages
from keras_dnnts.random_streams import Purpose, random_stream

MOST_MISTAKES = 20
MOST_READ = 1000
READ_OF_A_KIND = 3
LONGEST_READ = 16  # letters: what fits beside another name
THUMBNAIL_SIDE = 32  # pixels


def show_names(dataset: NamesDataset, lines: np.ndarray, log_probabilities: np.ndarray, side: str) -> dict:
    """Pick the names of one side that a report shows; copies are shown once.

    Args:
        dataset: all N names.
        lines: the side's, of the N.
        log_probabilities: (N, K) float32.
        side: ``"train"`` or ``"held_out"``.

    Returns:
        ``mistake_<side>_…`` and ``example_<side>_…`` arrays by name: ``name`` str, ``truth`` and ``guess`` int64,
        ``confidence`` float64; of mistakes also ``also``, bool: the name occurs in the guessed class too.
    """
    first = {(dataset.labels[line], dataset.texts[line]): line for line in lines[::-1].tolist()}
    distinct = np.array(sorted(first.values()), np.int64)
    labels, logits = dataset.labels[distinct].astype(np.int64), log_probabilities[distinct]
    arrays = {}
    for kind, picked in (
        ("mistake", most_confident_mistakes(logits, labels, MOST_MISTAKES)),
        ("example", surest_examples(logits, labels)),
    ):
        shown = distinct[picked.indices]
        arrays[f"{kind}_{side}_name"] = np.array([dataset.texts[line] for line in shown], np.str_)
        arrays[f"{kind}_{side}_truth"] = labels[picked.indices]
        arrays[f"{kind}_{side}_guess"] = picked.guesses
        arrays[f"{kind}_{side}_confidence"] = picked.confidences
    names, guesses = arrays[f"mistake_{side}_name"].tolist(), arrays[f"mistake_{side}_guess"].tolist()
    known = set(zip(dataset.texts, dataset.labels.tolist(), strict=True))
    arrays[f"mistake_{side}_also"] = np.array([pair in known for pair in zip(names, guesses, strict=True)], bool)
    return arrays


def show_reading(model: Any, dataset: NamesDataset, lines: np.ndarray, side: str) -> dict[str, np.ndarray]:
    """Read distinct names of one side letter by letter, and pick some at random: as many right as wrong if there are.

    Args:
        model: a trained model of :func:`keras_dnnts.models.build_char_rnn`.
        dataset: all names.
        lines: the side's.
        side: ``"train"`` or ``"held_out"``.

    Returns:
        ``reading_<side>_name`` (M,) str, ``…_truth`` (M,) int64 and ``…_probability`` (M, T, K) float32 after every
        letter, NaN from a name's end on: M names, those the model gets right first. ``…_late_changes`` (T,) float64:
        the share of up to 1,000 names whose guess still changed within their last t + 1 letters.
    """
    first = {(dataset.labels[line], dataset.texts[line]): line for line in lines[::-1].tolist()}
    read = random_stream(0, Purpose.READ_NAMES).permutation(sorted(first.values()))[:MOST_READ]
    labels, lengths = dataset.labels[read].astype(np.int64), dataset.lengths[read]
    probabilities = read_letter_by_letter(model, dataset.letters[read, : lengths.max()], lengths)
    guesses = probabilities[np.arange(len(read)), lengths - 1].argmax(axis=1)
    fits = lengths <= LONGEST_READ
    right, wrong = (
        _take_across(np.flatnonzero(chosen & (fits if (chosen & fits).any() else True)), labels, READ_OF_A_KIND)
        for chosen in (guesses == labels, guesses != labels)
    )
    shown = np.concatenate([right, wrong])
    return {
        f"reading_{side}_name": np.array([dataset.texts[line] for line in read[shown]], np.str_),
        f"reading_{side}_truth": labels[shown],
        f"reading_{side}_probability": probabilities[shown, : lengths[shown].max()],
        f"reading_{side}_late_changes": late_changes(probabilities, lengths),
    }


def _take_across(candidates: np.ndarray, labels: np.ndarray, most: int) -> np.ndarray:
    """Up to ``most`` of the candidates in their order, no label twice before every label is there."""
    turns, times = [], Counter[int]()
    for label in labels[candidates].tolist():
        turns.append(times[label])
        times[label] += 1
    return candidates[np.argsort(turns, kind="stable")[:most]]


def show_images(test: LabelledImages, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Pick the test images of every confusion cell that a report shows.

    Returns:
        ``example_test_image`` (M, h, w, 3) uint8 thumbnails, ``…_truth`` and ``…_guess`` (M,) int64,
        ``…_confidence`` (M,) float64.
    """
    images, labels = test
    picked = surest_examples(logits, labels)
    return {
        "example_test_image": make_thumbnails(images[picked.indices]),
        "example_test_truth": labels[picked.indices].astype(np.int64),
        "example_test_guess": picked.guesses,
        "example_test_confidence": picked.confidences,
    }


def make_thumbnails(images: np.ndarray, most: int = THUMBNAIL_SIDE) -> np.ndarray:
    """Shrink images (N, H, W, 3) uint8 to at most ``most`` pixels a side, in proportion; smaller ones stay."""
    height, width = images.shape[1:3]
    scale = min(1.0, most / max(height, width))
    if scale == 1 or not len(images):
        return images
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)) for image in images])
