"""A user's own names: a folder of ``<Category>.txt`` files, one name a line."""

import codecs
import io
import unicodedata
from importlib.resources.abc import Traversable
from pathlib import Path

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.letters import MAX_LINE_LETTERS, names_dataset
from keras_dnnts.errors import UserError

SUFFIX = ".txt"
LARGEST_FILE_BYTES = 64 * 2**20


def load_text_folder(folder: Path, alphabet: str, name: str | None = None, raw: bool = False) -> NamesDataset:
    """The names in every ``<Category>.txt`` of a folder, in UTF-8; hidden and other files are ignored.

    Args:
        folder: where the files are.
        alphabet: the usable letters, each once.
        name: what results call the data; the folder's own name unless given.
        raw: names keep their spelling and the blanks around them.

    Raises:
        UserError: the folder or one of its files is missing, unreadable or not UTF-8, there are fewer than two
            categories, a line is longer than ``MAX_LINE_LETTERS``, or a category has no usable name.
    """
    name = name or folder.resolve().name
    files = _find_files(folder)
    lines = {category: read_lines(file) for category, file in files.items()}
    others = {category: file.name for category, file in files.items() if file.name != f"{category}{SUFFIX}"}
    return names_dataset(lines, alphabet, name=name, source=str(folder), raw=raw, files=others)


def read_categories(folder: Traversable) -> dict[str, list[str]]:
    """The lines of every ``<Category>.txt`` in ``folder``, by category, whose names are composed (NFC).

    Raises:
        UserError: as for :func:`load_text_folder`, except that any number of categories but none will do.
    """
    return {category: read_lines(file) for category, file in _find_files(folder).items()}


def _find_files(folder: Traversable) -> dict[str, Traversable]:
    try:
        files = [file for file in folder.iterdir() if file.name.lower().endswith(SUFFIX) and file.name[0] != "."]
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}: give a folder with a <Category>.txt for each category") from error
    if not files:
        raise UserError(f"{folder}: contains no .txt files: give a folder with a <Category>.txt for each category")
    by_category = {unicodedata.normalize("NFC", file.name[: -len(SUFFIX)]): file for file in files}
    if len(by_category) < len(files):
        twice = next(file for file in files if file not in by_category.values())
        raise UserError(f"{twice}: another file has the same category: merge the two")
    return by_category


def _read_limited(file: Traversable) -> bytes:
    try:
        # A pipe would be waited for, and a device never ends.
        if not file.is_file():
            raise UserError(f"{file}: is not a file, or is a broken link: give a folder of readable files")
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}: give a folder of readable files") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise UserError(f"{file}: has more than {LARGEST_FILE_BYTES} bytes: leave fewer names in it")
    return content


def read_lines(file: Traversable) -> list[str]:
    """The lines of a UTF-8 file, blank ones too, with or without a byte order mark, whatever its line ends.

    Raises:
        UserError: the file cannot be read, is not UTF-8, larger than ``LARGEST_FILE_BYTES``, or has a name longer than
            ``MAX_LINE_LETTERS``.
    """
    content = _read_limited(file)
    if problem := find_wrong_encoding(content):
        raise UserError(f"{file}: {problem}: save it as UTF-8")
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line_number = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}, line {line_number}: not UTF-8 (byte {error.start}): save it as UTF-8") from error
    lines = [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]
    for line_number, line in enumerate(lines, start=1):
        if len(line.strip()) > MAX_LINE_LETTERS:
            raise UserError(
                f"{file}, line {line_number}: {len(line)} letters, but a name has at most {MAX_LINE_LETTERS}"
            )
    return lines


def find_wrong_encoding(content: bytes) -> str | None:
    """Say what the bytes of a file are where they are plainly no UTF-8 text; None where they may be some."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is UTF-16"
    return "is UTF-16 or no text, since it has bytes of value 0" if b"\0" in content else None
