"""From lines of text to letter indices: alphabets, normalisation, and the names data set made of both."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_dnnts.datasets import NamesDataset, file_of
from keras_dnnts.datasets.alphabets import checked_alphabet, is_usable, read_name
from keras_dnnts.errors import UserError, option_name

# Every name is padded to the longest: one line of running text among many names would fill the memory.
MAX_LINE_LETTERS = 200
MOST_SHOWN = 10  # letters that a message lists


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


def names_dataset(
    lines: Mapping[str, Sequence[str]],
    alphabet: str,
    *,
    name: str,
    source: str,
    raw: bool = False,
    files: Mapping[str, str] | None = None,
) -> NamesDataset:
    """The data set of each category's lines, categories sorted and lines in order.

    Args:
        lines: all lines of every category's file; blank ones hold no name.
        alphabet: the usable letters, each once.
        name, source: as in :class:`NamesDataset`.
        raw: names keep their spelling and the blanks around them, as the reference reads them.
        files: the name of each category's file, where it is not ``<Category>.txt``.

    Raises:
        UserError: there are fewer than two categories, one has no usable name or one that is too long, or the alphabet
            is not one.
    """
    alphabet = checked_alphabet(alphabet, raw)
    classes = tuple(sorted(lines))
    check_class_names(classes, source)
    if len(classes) < 2:
        raise UserError(f"{source}: {len(classes)} category found, but at least two are needed")
    read = [_read_category(lines[category], alphabet, raw) for category in classes]
    for category, one in zip(classes, read, strict=True):
        _check_category(category, file_of(category, files or {}), one, source)
    texts = [text for one in read for text in one.texts]
    labels = [label for label, one in enumerate(read) for _ in one.texts]
    letters, lengths = encode(texts, alphabet)
    left_out = sum((one.left_out for one in read), Counter[str]())
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
        line_numbers=np.array([number for one in read for number in one.numbers], dtype=np.int32),
        skipped=sum(one.skipped for one in read),
        left_out=dict(left_out.most_common()),
        left_out_lines=sum(one.left_out_lines for one in read),
        files=dict(files or {}),
    )


@dataclass
class _Category:
    """What is read of a category's lines, by the names that :class:`NamesDataset` has for it."""

    texts: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    skipped: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    left_out_lines: int = 0


def _read_category(lines: Sequence[str], alphabet: str, raw: bool) -> _Category:
    category = _Category()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        text, left_out = read_name(line, alphabet, raw)
        category.left_out.update(left_out)
        category.left_out_lines += bool(left_out)
        if is_usable(line, text):
            category.texts.append(text)
            category.numbers.append(number)
        else:
            category.skipped += 1
    return category


def _check_category(name: str, file: str, category: _Category, source: str) -> None:
    """Refuse a category without a name, or with one that is too long as it is read.

    Raises:
        UserError: it has.
    """
    if category.texts:
        longest, number = max(zip(map(len, category.texts), category.numbers, strict=True))
        if longest > MAX_LINE_LETTERS:
            problem = f"{longest} letters and blanks, but a name has at most {MAX_LINE_LETTERS}"
            raise UserError(f"{source}: {file}, line {number}: {problem}")
        return
    if not category.skipped:
        raise UserError(f"{source}: category {name} has no names: write one per line in {file}, or remove the file")
    found = " ".join(map(show_letter, dict(category.left_out.most_common(MOST_SHOWN))))
    raise UserError(
        f"{source}: category {name} has no name with a letter of the alphabet, but {found}: list all letters that are "
        f"to be read with {option_name('letters')}"
    )


def describe_left_out(letters: Mapping[str, int], lines: int, option: str) -> str:
    """Say which letters were left out, how often and of how many lines, and what keeps them; empty where none was."""
    if not letters:
        return ""
    ranked = sorted(letters.items(), key=lambda pair: -pair[1])
    shown = ", ".join(f"{show_letter(letter)} {count:,}" for letter, count in ranked[:MOST_SHOWN])
    more = f" and {len(ranked) - MOST_SHOWN:,} others" if len(ranked) > MOST_SHOWN else ""
    where = f"in {lines:,} line{'s' if lines != 1 else ''}"
    return f"Letters left out: {shown}{more} ({where}); add them with {option}"


def show_letter(letter: str) -> str:
    """A letter as a message shows it: one that is invisible alone by its number."""
    if letter == " ":
        return "space"
    return letter if letter.isprintable() and not unicodedata.combining(letter) else f"U+{ord(letter):04X}"


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
