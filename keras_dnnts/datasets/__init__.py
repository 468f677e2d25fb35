"""Where examples come from. Every source ends in one of two dataclasses: NumPy arrays and where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


def file_of(category: str, files: Mapping[str, str]) -> str:
    """The name of a category's file: ``<Category>.txt``, or what ``files`` says, such as ``Greek.TXT``."""
    return files.get(category, f"{category}.txt")


@dataclass(frozen=True)
class NamesDataset:
    """Names as letter indices, one row a line of the source (copies kept).

    Attributes:
        name: what results and titles call it, e.g. ``"names"`` or ``"starter names"``.
        source: where it came from, for a person: ``"tensorflow-datasets"``, ``"bundled"`` or a folder's path.
        stand_in: True where it stands in for the real data because that was out of reach.
        content_hash: ``"sha256:<hex>"`` over classes, alphabet and every (text, label) in order.
        classes: K class names, sorted.
        alphabet: the usable letters; letter ``i`` of it has index ``i``.
        texts: N names as they are read: in one spelling and reduced to the alphabet, none empty.
        letters: (N, T) int32 letter indices, padded on the right with ``len(alphabet)``.
        lengths: (N,) int32, at least 1.
        labels: (N,) int32 indices into ``classes``.
        line_numbers: (N,) int32, the line of each in its category's file, from 1.
        skipped: number of non-blank lines left out because none of their letters is usable.
        left_out: how often each letter that is not in the alphabet was left out, the most frequent first.
        left_out_lines: number of lines with such a letter, those that were skipped among them.
        files: the name of a category's file, where it is not ``<Category>.txt``.
    """

    name: str
    source: str
    stand_in: bool
    content_hash: str
    classes: tuple[str, ...]
    alphabet: str
    texts: tuple[str, ...]
    letters: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    line_numbers: np.ndarray
    skipped: int
    left_out: Mapping[str, int]
    left_out_lines: int
    files: Mapping[str, str] = field(default_factory=dict)

    def place(self, line: int) -> str:
        """The file and the line that a name came from, such as ``"Greek.txt:17"``."""
        return f"{file_of(self.classes[self.labels[line]], self.files)}:{self.line_numbers[line]}"


@dataclass(frozen=True)
class ImageDataset:
    """Images of one size with their labels.

    Attributes:
        name, source, stand_in, content_hash: as for :class:`NamesDataset`.
        classes: K class names in label order.
        train_images: (N, H, W, 3) uint8 RGB.
        train_labels: (N,) int32 indices into ``classes``.
        test_images: (M, H, W, 3) uint8, or None where the source has no test part (it is then split off).
        test_labels: (M,) int32, or None with ``test_images``.
        train_paths: (N,) str, the images' files within the source; None where they have none.
        test_paths: (M,) str, likewise.
        validation_images: (V, H, W, 3) uint8, or None where the source has no validation part.
        validation_labels: (V,) int32, or None with ``validation_images``.
        validation_paths: (V,) str, as ``train_paths``.
        left_out: files that could not be used, each with its problem, where these were to be left out.
    """

    name: str
    source: str
    stand_in: bool
    content_hash: str
    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray | None
    test_labels: np.ndarray | None
    train_paths: np.ndarray | None = None
    test_paths: np.ndarray | None = None
    validation_images: np.ndarray | None = None
    validation_labels: np.ndarray | None = None
    validation_paths: np.ndarray | None = None
    left_out: tuple[tuple[str, str], ...] = ()
