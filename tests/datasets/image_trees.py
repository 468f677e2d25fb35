"""Trees of image files for the tests: ``{path: bytes}``, written as a folder or packed."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_dnnts.errors import UserError

Tree = dict[str, bytes]


def random_image(seed, height=5, width=7):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image, image_format="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, image_format)
    return file.getvalue()


def small_tree(parts=("train/", "test/")) -> Tree:
    """Three images of "cat", two of "dog" in each part; every image is another one."""
    names = [f"{part}{name}.png" for part in parts for name in ("dog/b", "cat/3", "cat/1", "dog/a", "cat/2")]
    return {name: encoded(random_image(seed)) for seed, name in enumerate(names)}


def write_folder(folder: Path, tree: Tree) -> Path:
    for name, data in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def pack_tar(path: Path, tree: Tree, mode="w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in tree.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def pack_zip(path: Path, tree: Tree) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in tree.items():
            archive.writestr(name, data)
    return path


def complaint_about(read, source: Path) -> str:
    """The one line in which ``read(source)`` names what is wrong with ``source``."""
    with pytest.raises(UserError) as caught:
        read(source)
    message = str(caught.value)
    assert str(source) in message
    assert "\n" not in message
    return message
