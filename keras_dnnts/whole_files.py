"""Files that are whole or not there: written beside their place, brought to the disk, renamed."""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".unfinished-"


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file by ``write(file)``, so that ``path`` holds its old content or the whole new one, whatever happens.

    Raises:
        OSError: it cannot be written; ``path`` is as it was, and nothing lies beside it.
    """
    with whole_file(path) as unfinished, unfinished.open("xb") as file:
        write(file)


def write_whole_text(path: Path, text: str) -> None:
    """:func:`write_whole` of text in UTF-8, line ends as they are."""
    write_whole(path, lambda file: file.write(text.encode("utf-8")))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path in the same folder and with the same suffix to write to, which becomes ``path`` at the end of the block.

    Where the block fails, what it wrote is removed. Only a process that is killed leaves it behind, see
    :func:`remove_unfinished`.
    """
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}{path.suffix}")
    try:
        yield unfinished
        _bring_to_disk(unfinished)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    # The name is in the folder, which has its own way to the disk.
    _bring_folder_to_disk(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left half written in ``folder``; only for its one writer."""
    for file in folder.glob(f"{UNFINISHED}*"):
        file.unlink(missing_ok=True)


def _bring_to_disk(file: Path) -> None:
    # Opened for writing since some systems flush nothing else.
    descriptor = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bring_folder_to_disk(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Not every file system can do this for a folder; those that can report real failures otherwise.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
