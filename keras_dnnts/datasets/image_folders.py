"""A user's own images: a folder a class, on disk or in an archive."""

import contextlib
import io
import itertools
import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.archives import Member
from keras_dnnts.datasets.image_dataset import LabelledImages, build_image_dataset
from keras_dnnts.datasets.letters import check_class_names
from keras_dnnts.errors import UserError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

LARGEST_DECODED_BYTES = 16 * 2**30

# Only these of Pillow's decoders see the user's files: others start programs (EPS) or fetch what a file names.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_PARTS = ("train", "test")
_WANTED = "want <class>/<image> or train|test/<class>/<image>"
_DECODED_AT_ONCE = 64

Layout = dict[str, dict[str, list[PurePosixPath]]]
"""The images of each class of each part, sorted; a tree without parts is all ``train``."""


@dataclass
class _Tree:
    images: dict[PurePosixPath, np.ndarray] = field(default_factory=dict)
    folders: set[PurePosixPath] = field(default_factory=set)
    other_files: list[PurePosixPath] = field(default_factory=list)
    decoded_bytes: int = 0

    def add_image(self, path: PurePosixPath, image: np.ndarray, source: Path) -> None:
        if path in self.images:
            raise UserError(f"{source} holds {str(path)!r} twice: pack it anew")
        self.images[path] = image
        self.decoded_bytes += image.nbytes
        if self.decoded_bytes > LARGEST_DECODED_BYTES:
            raise UserError(f"{source} decodes to more than {LARGEST_DECODED_BYTES} bytes: choose a smaller image size")


def read_image_folders(members: Iterable[Member], source: Path, largest_side: int) -> ImageDataset:
    """Images in one folder a class, or in ``train`` and ``test`` each with such folders; below any folder around them.

    Every image becomes RGB, turned as its camera was held (EXIF); transparency is dropped, and of several frames the
    first is taken. An image whose shorter side exceeds ``largest_side`` is shrunk to that. Where all images then have
    one size, they keep it; otherwise each is cut centrally to a square and resized (bilinear) to the median of the
    shorter sides.

    Args:
        members: the tree, as :func:`keras_dnnts.datasets.archives.iterate_members` gives it.
        source: names it in errors and results.
        largest_side: pixels.

    Raises:
        UserError: an image is damaged; there is no image, one class only, a class without images, classes that differ
            between ``train`` and ``test``, or a file in a place where it means nothing.
    """
    tree = _read_tree(members, source, largest_side)
    _check_images(tree, source)
    layout = _find_layout(tree, source)
    images = _one_size(tree.images)
    parts = {part: _gather(classes, images) for part, classes in layout.items()}
    paths = {part: _list_paths(classes) for part, classes in layout.items()}
    name = source.name.split(".")[0] if source.is_file() else source.resolve().name
    classes = tuple(layout["train"])
    return build_image_dataset(
        name, str(source), classes, parts["train"], parts.get("test"), paths["train"], paths.get("test")
    )


def list_images(members: Iterable[Member], source: Path) -> Layout:
    """The images of each class of each part, by their paths; none is read.

    Args:
        members, source: as for :func:`read_image_folders`.

    Raises:
        UserError: as for :func:`read_image_folders`, but for what an image holds.
    """
    tree = _Tree()
    for member in members:
        if member.read is None:
            tree.folders.add(member.path)
        elif member.path.suffix.lower() in IMAGE_SUFFIXES:
            tree.add_image(member.path, np.empty(0, np.uint8), source)
        else:
            tree.other_files.append(member.path)
    _check_images(tree, source)
    return _find_layout(tree, source)


def _check_images(tree: _Tree, source: Path) -> None:
    if not tree.images:
        raise UserError(f"{source} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}): {_WANTED}")


def _read_tree(members: Iterable[Member], source: Path, largest_side: int) -> _Tree:
    tree = _Tree()

    def decode(item: tuple[PurePosixPath, bytes]) -> np.ndarray:
        path, data = item
        return decode_image(data, f"{source}: {str(path)!r}", largest_side)

    with ThreadPoolExecutor() as pool, strict_decoding():
        for batch in _in_batches(_image_files(members, tree)):
            for (path, _), image in zip(batch, pool.map(decode, batch), strict=True):
                tree.add_image(path, image, source)
    return tree


def _image_files(members: Iterable[Member], tree: _Tree) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The image files among ``members``; what else there is goes into ``tree``."""
    for member in members:
        if member.read is None:
            tree.folders.add(member.path)
        elif member.path.suffix.lower() in IMAGE_SUFFIXES:
            yield member.path, member.read()
        else:
            tree.other_files.append(member.path)


def _in_batches(files: Iterator[tuple[PurePosixPath, bytes]]) -> Iterator[list[tuple[PurePosixPath, bytes]]]:
    while batch := list(itertools.islice(files, _DECODED_AT_ONCE)):
        yield batch


@contextlib.contextmanager
def strict_decoding() -> Iterator[None]:
    """In here :func:`decode_image` refuses images of too many pixels, and nothing is printed about disorderly ones."""
    with warnings.catch_warnings():
        # Disorderly metadata do no harm here. Pillow warns above its limit of pixels, and fails above twice that.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode_image(data: bytes, name: str, largest_side: int) -> np.ndarray:
    """An image file's bytes as (H, W, 3) uint8, its shorter side at most ``largest_side``.

    Raises:
        UserError: the bytes are damaged, of an unknown format, or of more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            rgb = _to_rgb(image)
    except UnidentifiedImageError as error:
        raise UserError(f"{name} is damaged or no image of a known format: repair or remove it") from error
    # Pillow's decoders raise whatever a damaged file leads them to.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{name} cannot be decoded ({reason}): repair or remove it") from error
    if min(rgb.size) > largest_side:
        rgb = ImageOps.cover(rgb, (largest_side, largest_side), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError(f"{image.mode!r} pixels of 32 bits have no agreed white")
    if image.mode.startswith("I;16"):
        # Pillow would cut 16-bit grey off at 255.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = ImageOps.exif_transpose(image)  # cameras store how they were held, not the picture upright
    if "transparency" in image.info:
        image = image.convert("RGBA")
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _find_layout(tree: _Tree, source: Path) -> Layout:
    images_in: defaultdict[PurePosixPath, list[PurePosixPath]]
    images_in = defaultdict(list, {folder: [] for folder in tree.folders})
    for path in sorted(tree.images):
        images_in[path.parent].append(path)
    parts = _find_parts(tree, set(images_in), source)
    class_folders = {part: _subfolders(root, images_in) for part, root in parts.items()}
    _refuse_strays(tree, set(itertools.chain(*class_folders.values())), source)
    layout = {part: {folder.name: images_in[folder] for folder in folders} for part, folders in class_folders.items()}
    _refuse_odd_classes(layout, source)
    return layout


def _find_parts(tree: _Tree, folders: set[PurePosixPath], source: Path) -> dict[str, PurePosixPath]:
    """Where the class folders of each part lie."""
    above_all_images = PurePosixPath(os.path.commonpath(path.parent for path in tree.images)).parents
    root = PurePosixPath(os.path.commonpath(folders.difference(above_all_images)))
    tops = {folder.name for folder in _subfolders(root, folders)}
    if not tops:
        raise UserError(f"{source} has all its images in one folder ({str(root)!r}): {_WANTED}, of two classes or more")
    if not tops.issuperset(_PARTS):
        return {"train": root}
    if extra := sorted(tops.difference(_PARTS)):
        raise UserError(f"{source} has {extra[0]!r} beside 'train' and 'test': move its images into one of them")
    return {part: root / part for part in _PARTS}


def _subfolders(root: PurePosixPath, folders: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """The folders directly in ``root``, sorted, whether ``folders`` lists them or only what lies in them."""
    depth = len(root.parts)
    inside = {PurePosixPath(*folder.parts[: depth + 1]) for folder in folders if folder.is_relative_to(root)}
    return sorted(inside - {root})


def _refuse_strays(tree: _Tree, class_folders: set[PurePosixPath], source: Path) -> None:
    for path in sorted(tree.images):
        if path.parent not in class_folders:
            raise UserError(f"{source}: {str(path)!r} does not lie in a class folder: {_WANTED}")
    for path in sorted(tree.other_files):
        if path.parent in class_folders:
            raise UserError(f"{source}: {str(path)!r} lies among the images but is none by its name: move it away")


def _refuse_odd_classes(layout: Layout, source: Path) -> None:
    if odd := sorted(set(layout["train"]) ^ set(layout.get("test", layout["train"]))):
        raise UserError(f"{source}: class {odd[0]!r} is in only one of 'train' and 'test': both need the same classes")
    check_class_names([*layout["train"]], str(source))
    if len(layout["train"]) < 2:
        raise UserError(f"{source} has one class only ({', '.join(layout['train'])}): there is nothing to tell apart")
    for part, classes in layout.items():
        if empty := [name for name, images in classes.items() if not images]:
            raise UserError(f"{source}: class {empty[0]!r} has no images in its {part} folder: add some or remove it")


def _one_size(images: dict[PurePosixPath, np.ndarray]) -> dict[PurePosixPath, np.ndarray]:
    if len({image.shape for image in images.values()}) == 1:
        return images
    side = int(np.median([min(image.shape[:2]) for image in images.values()]))
    return {path: fit_image(image, side, side) for path, image in images.items()}


def fit_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An (H, W, 3) uint8 image cut centrally to the shape wanted and resized (bilinear) to (height, width, 3)."""
    return np.asarray(ImageOps.fit(Image.fromarray(image), (width, height), Image.Resampling.BILINEAR))


def _list_paths(classes: dict[str, list[PurePosixPath]]) -> np.ndarray:
    """The paths of images in the order of :func:`_gather`; bytes of a file name that are no text are escaped."""
    paths = itertools.chain(*classes.values())
    return np.array([os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths])


def _gather(classes: dict[str, list[PurePosixPath]], images: dict[PurePosixPath, np.ndarray]) -> LabelledImages:
    paths = list(itertools.chain(*classes.values()))
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), [len(members) for members in classes.values()])
    return np.stack([images[path] for path in paths]), labels
