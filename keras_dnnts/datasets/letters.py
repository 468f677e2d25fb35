"""From lines of text to letter indices: alphabets, normalisation, and the names data set made of both."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.alphabets import checked_alphabet, normalise
from keras_dnnts.errors import UserError


def encode(texts: Sequence[str], alphabet: str) -> tuple[np.ndarray, np.ndarray]:
    """Letter indices and lengths of N texts that hold no letter outside ``alphabet`` (:func:`normalise`).

    Returns:
        letters (N, T) int32, padded on the right with ``len(alphabet)``, where T is the longest length, and
        lengths (N,) int32.
    """
    index = {letter: i for i, letter in enumerate(alphabet)}
    lengths = np.array([len(text) for text in texts], dtype=np.int32)
    letters = np.full((len(texts), lengths.max(initial=0)), len(alphabet), dtype=np.int32)
    for row, text in zip(letters, texts, strict=True):
        row[: len(text)] = [index[letter] for letter in text]
    return letters, lengths


def names_dataset(lines: Mapping[str, Sequence[str]], alphabet: str, *, name: str, source: str) -> NamesDataset:
    """The data set of each category's lines, categories sorted and lines in order.

    Args:
        lines: the non-blank lines of every category.
        alphabet: the usable letters, each once.
        name, source: as in :class:`NamesDataset`.

    Raises:
        UserError: there are fewer than two categories, one has no usable name, or the alphabet is not one.
    """
    alphabet = checked_alphabet(alphabet)
    classes = tuple(sorted(lines))
    check_class_names(classes, source)
    if len(classes) < 2:
        raise UserError(f"{source}: {len(classes)} category found, but telling names apart takes at least two")
    texts: list[str] = []
    labels: list[int] = []
    for label, category in enumerate(classes):
        normalised = (normalise(line, alphabet) for line in lines[category])
        usable = [text for text in normalised if text.strip()]
        if not usable:
            raise UserError(f"{source}: category {category} has no name with a letter of the alphabet {alphabet!r}")
        texts += usable
        labels += [label] * len(usable)
    letters, lengths = encode(texts, alphabet)
    return NamesDataset(
        name=name,
        source=source,
        stand_in=False,
        content_hash=_content_hash(classes, alphabet, texts, labels),
        classes=classes,
        alphabet=alphabet,
        texts=tuple(texts),
        letters=letters,
        lengths=lengths,
        labels=np.array(labels, dtype=np.int32),
        skipped=sum(map(len, lines.values())) - len(texts),
    )


def check_class_names(classes: Sequence[str], source: str) -> None:
    """Refuse names that no file could hold: those of files that are not named in UTF-8.

    Raises:
        UserError: there is one.
    """
    for name in classes:
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise UserError(f"{source}: the name {name!r} is not UTF-8: rename the file or folder")


def _content_hash(classes: Sequence[str], alphabet: str, texts: Sequence[str], labels: Sequence[int]) -> str:
    content = json.dumps([classes, alphabet, texts, labels], ensure_ascii=True)
    return "sha256:" + hashlib.sha256(content.encode("ascii")).hexdigest()
