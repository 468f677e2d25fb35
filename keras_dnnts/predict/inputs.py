"""Names from arguments, files and pipes; images from files and folders."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_dnnts.errors import UserError

STDIN = "-"


def read_images(inputs: Sequence[str], height: int, width: int, largest_side: int) -> tuple[list[str], np.ndarray]:
    """Read image files, and all image files in folders, as a data set of images of this shape is read.

    Args:
        inputs: files and folders.
        height, width: of the images a model was trained on, before they were resized for it.
        largest_side: pixels; what the run's ``image_size`` was.

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
