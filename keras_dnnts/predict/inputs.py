"""Names from arguments, files and pipes; images from files and folders."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_dnnts.errors import UserError

STDIN = "-"


def read_names(inputs: Sequence[str], file: Path | None, stdin: BinaryIO) -> Iterator[str]:
    """Yield names: the arguments, ``-`` among them being the lines of ``stdin``, then the lines of ``file``.

    With neither, the lines of ``stdin``. Blank lines are no names.

    Raises:
        UserError: there is nothing to read, ``file`` cannot be read, or a line is not UTF-8.
    """
    if not inputs and file is None:
        if stdin.isatty():
            raise UserError("nothing to predict: give names, --file FILE, or pipe names in, one a line")
        inputs = [STDIN]
    for text in inputs:
        if text == STDIN:
            yield from _read_lines(stdin, "stdin")
        else:
            # The bytes of an argument may be no text at all.
            yield text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if file is not None:
        with _open(file) as lines:
            yield from _read_lines(lines, str(file))


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise UserError(f"--file {file}: cannot be read ({error.strerror}); name a file with a name a line") from error


def _read_lines(lines: BinaryIO, where: str) -> Iterator[str]:
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            text = line.decode("utf-8")
            # As in text mode, "\n", "\r\n" and "\r" end lines; unlike there, a wrong byte's line is known.
            for name in (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\n").split("\r"):
                if name.strip():
                    yield name
    except UnicodeDecodeError as error:
        raise UserError(f"{where}, line {number}: not UTF-8 (byte {error.start} of it); convert it to UTF-8") from error
    except OSError as error:
        raise UserError(f"{where}, after line {number}: cannot be read ({error.strerror})") from error


def read_images(inputs: Sequence[str], height: int, width: int, largest_side: int) -> tuple[list[str], np.ndarray]:
    """Read image files, and all image files in folders, as a data set of images of this shape is read.

    Args:
        inputs: files and folders.
        height, width: of the images a model was trained on, before they were resized for it.
        largest_side: pixels; what the run's ``--image-size`` was.

    Returns:
        the files' paths, those of a folder sorted, and images (N, height, width, 3) uint8.

    Raises:
        UserError: a path cannot be read, a folder holds no images, an image is damaged, or together they are too large.
    """
    # Pillow takes a while to import, and names do without.
    from keras_dnnts.datasets.image_folders import (
        LARGEST_DECODED_BYTES,
        decode_image,
        fit_image,
        strict_decoding,
    )

    paths = [path for text in inputs for path in _find_images(Path(text))]
    if len(paths) * height * width * 3 > LARGEST_DECODED_BYTES:
        raise UserError(f"{len(paths)} images decode to more than {LARGEST_DECODED_BYTES} bytes: predict fewer at once")

    def read(path: Path) -> np.ndarray:
        image = decode_image(_read_bytes(path), str(path), largest_side)
        return image if image.shape[:2] == (height, width) else fit_image(image, height, width)

    with ThreadPoolExecutor() as pool, strict_decoding():
        return [str(path) for path in paths], np.stack(list(pool.map(read, paths)))


def _find_images(path: Path) -> list[Path]:
    from keras_dnnts.datasets.archives import iterate_members
    from keras_dnnts.datasets.image_folders import IMAGE_SUFFIXES

    if not path.is_dir():
        return [path]
    found = [path / member.path for member in iterate_members(path) if member.read is not None]
    images = sorted(file for file in found if file.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise UserError(f"{path}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); name another folder or a file")
    return images


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); name an image or a folder of images") from error
