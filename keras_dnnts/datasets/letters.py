"""From lines of text to letter indices: alphabets, normalisation, and the names data set made of both."""

import hashlib
import json
import string
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.errors import UserError

REFERENCE_ALPHABET = string.ascii_letters + " .,;'"


def checked_alphabet(letters: str) -> str:
    """``letters`` in Unicode's composed form (NFC), each of them one usable letter.

    Raises:
        UserError: there are none, or one of them comes twice.
    """
    alphabet = unicodedata.normalize("NFC", letters)
    if not alphabet.strip():
        raise UserError("the alphabet has no letters: list every usable letter once, such as --letters abcdef")
    repeated = next((letter for letter in alphabet if alphabet.count(letter) > 1), None)
    if repeated is not None:
        raise UserError(f"the alphabet repeats the letter {repeated!r}: list every usable letter once")
    return alphabet


def normalise(text: str, alphabet: str) -> str:
    """``text`` reduced to the letters of ``alphabet``, which must be in composed form (:func:`checked_alphabet`).

    A letter of the alphabet stays as it is. Any other is replaced by those of its parts (NFD) that are in the alphabet:
    with :data:`REFERENCE_ALPHABET`, ``"Ślusàrski"`` gives ``"Slusarski"``.
    """
    return "".join(parts for _, parts in _letters_with_usable_parts(text, alphabet))


def ignored_letters(text: str, alphabet: str) -> list[str]:
    """The letters of ``text``, in its order and composed form, of which :func:`normalise` keeps nothing."""
    return [letter for letter, parts in _letters_with_usable_parts(text, alphabet) if not parts]


def _letters_with_usable_parts(text: str, alphabet: str) -> Iterator[tuple[str, str]]:
    for letter in unicodedata.normalize("NFC", text):
        parts = letter if letter in alphabet else unicodedata.normalize("NFD", letter)
        yield letter, "".join(part for part in parts if part in alphabet)


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
