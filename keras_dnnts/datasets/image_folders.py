"""A user's own images: a folder a class, on disk or in an archive."""

import contextlib
import io
import itertools
import os
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.archives import Member, UnusableFileError
from keras_dnnts.datasets.image_dataset import LabelledImages, build_image_dataset
from keras_dnnts.datasets.letters import check_class_names
from keras_dnnts.errors import UserError, option_name

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp"),
        *(".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
# Images all the same, which their owner does not expect to be told are none.
_OTHER_FORMATS = frozenset(
    {
        *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".svg", ".eps", ".ico", ".icns", ".tga", ".pcx", ".exr"),
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf"),
    }
)

LARGEST_DECODED_BYTES = 16 * 2**30

# Only these of Pillow's decoders see the user's files: others start programs (EPS) or fetch what a file names.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_PARTS = ("train", "validation", "test")
_PHOTOMETRIC = 262  # the tag of TIFF that says whether 0 is white
_PART_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_WANTED = "expected <class>/<image> or train|val|test/<class>/<image>"
_MISPLACED = "is not in a class folder"
_DECODED_AT_ONCE = 64
_MOST_NAMED = 10

Layout = dict[str, dict[str, list[PurePosixPath]]]
"""The images of each class of ``train`` and, where there are such folders, of ``validation`` and ``test``, sorted."""
_ReadFile = tuple[PurePosixPath, bytes | UnusableFileError]


@dataclass
class _Tree:
    """What lies in a source.

    Attributes:
        images: by path; None for one that cannot be used.
        problems: why a file or folder cannot be used, by path.
    """

    source: Path
    images: dict[PurePosixPath, np.ndarray | None] = field(default_factory=dict)
    folders: set[PurePosixPath] = field(default_factory=set)
    other_files: list[PurePosixPath] = field(default_factory=list)
    problems: dict[PurePosixPath, str] = field(default_factory=dict)
    decoded_bytes: int = 0

    def add_image(self, path: PurePosixPath, image: np.ndarray | UnusableFileError) -> None:
        if path in self.images:
            raise UserError(f"{self.source} holds {str(path)!r} twice: pack it again")
        if isinstance(image, UnusableFileError):
            self.images[path] = None
            self.problems[path] = image.problem
            return
        self.images[path] = image
        self.decoded_bytes += image.nbytes
        if self.decoded_bytes > LARGEST_DECODED_BYTES:
            raise UserError(
                f"{self.source} decodes to more than {LARGEST_DECODED_BYTES} bytes: choose a smaller image size"
            )

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        return tuple((_as_text(path), self.problems[path]) for path in sorted(self.problems, key=_order))


def read_image_folders(
    members: Iterable[Member], source: Path, largest_side: int, skip_bad: bool = False
) -> ImageDataset:
    """Images in one folder a class, or in ``train``, ``val`` and ``test`` each with such folders; below any folder.

    Every image becomes RGB with 8 bits a channel, turned as its camera was held (EXIF), over white where it is
    transparent; of several frames the first is taken. An image whose shorter side exceeds ``largest_side`` is shrunk to
    that. Where all images then have one size, they keep it; otherwise each is cut centrally to a square and resized
    (bilinear) to the median of the shorter sides. Names of classes in several Unicode forms are one name.

    Args:
        members: the tree, as :func:`keras_dnnts.datasets.archives.iterate_members` gives it.
        source: names it in errors and results.
        largest_side: pixels.
        skip_bad: leave out files that cannot be used, rather than refuse them all.

    Raises:
        UserError: files are damaged, or in places where they mean nothing; there is no image, one class only, a class
            without images, or classes that differ between the parts.
    """
    tree = _read_tree(members, source, largest_side)
    layout = _find_layout(tree, skip_bad)
    kept = itertools.chain(*(paths for classes in layout.values() for paths in classes.values()))
    images = _one_size({path: image for path in kept if (image := tree.images[path]) is not None})
    parts = {part: _gather(classes, images) for part, classes in layout.items()}
    paths = {part: _list_paths(classes) for part, classes in layout.items()}
    name = source.name.split(".")[0] if source.is_file() else source.resolve().name
    return build_image_dataset(
        name,
        str(source),
        tuple(layout["train"]),
        parts["train"],
        parts.get("test"),
        paths["train"],
        paths.get("test"),
        validation=parts.get("validation"),
        validation_paths=paths.get("validation"),
        left_out=tree.left_out,
    )


def list_images(
    members: Iterable[Member], source: Path, skip_bad: bool = False
) -> tuple[Layout, tuple[tuple[str, str], ...]]:
    """The images of each class of each part, by their paths, and what is left out with its problem; none is read.

    Args:
        members, source, skip_bad: as for :func:`read_image_folders`.

    Raises:
        UserError: as for :func:`read_image_folders`, but for what an image holds.
    """
    tree = _Tree(source)
    for path, _ in _image_files(members, tree):
        tree.add_image(path, np.empty(0, np.uint8))
    return _find_layout(tree, skip_bad), tree.left_out


def measure_shorter_sides(members: Iterable[Member], wanted: Collection[PurePosixPath]) -> list[int]:
    """The shorter sides, in pixels, of the images at some paths, as their headers give them; none is decoded.

    Files whose headers cannot be read are left out.
    """
    sides = []
    with strict_decoding():
        for member in members:
            if member.read is None or member.path not in wanted:
                continue
            # Whatever is wrong with a file is said once it is decoded.
            with contextlib.suppress(Exception), Image.open(io.BytesIO(member.read()), formats=_FORMATS) as image:
                sides.append(min(image.size))
    return sides


def _read_tree(members: Iterable[Member], source: Path, largest_side: int) -> _Tree:
    tree = _Tree(source)

    def decode(item: _ReadFile) -> np.ndarray | UnusableFileError:
        path, data = item
        try:
            return data if isinstance(data, UnusableFileError) else decode_image(data, str(path), largest_side)
        except UnusableFileError as error:
            return error

    with ThreadPoolExecutor() as pool, strict_decoding():
        for batch in _in_batches((path, _read(read)) for path, read in _image_files(members, tree)):
            for (path, _), image in zip(batch, pool.map(decode, batch), strict=True):
                tree.add_image(path, image)
    return tree


def _image_files(members: Iterable[Member], tree: _Tree) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """The image files among ``members``; what else there is goes into ``tree``."""
    for member in members:
        if member.problem is not None:
            tree.problems[member.path] = member.problem
        elif member.read is None:
            tree.folders.add(member.path)
        elif member.path.suffix.lower() in IMAGE_SUFFIXES:
            yield member.path, member.read
        else:
            tree.other_files.append(member.path)


def _read(read: Callable[[], bytes]) -> bytes | UnusableFileError:
    try:
        return read()
    except UnusableFileError as error:
        return error


def _in_batches(files: Iterator[_ReadFile]) -> Iterator[list[_ReadFile]]:
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
        UnusableFileError: the bytes are damaged, of an unknown format, or of more pixels than
            ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    if not data:
        raise UnusableFileError(name, "is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            rgb = _to_rgb(image)
    except UnidentifiedImageError as error:
        raise UnusableFileError(name, "is damaged or not an image in a known format") from error
    # Pillow's decoders raise whatever a damaged file leads them to.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnusableFileError(name, f"cannot be decoded ({reason})") from error
    if min(rgb.size) > largest_side:
        rgb = ImageOps.cover(rgb, (largest_side, largest_side), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    stored = _Stored.of(image)
    image = ImageOps.exif_transpose(image)  # cameras store how they were held, not the picture upright
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = stored.narrow(image)
    elif (key := image.info.get("transparency")) is not None:
        image.info["transparency"] = stored.narrow_key(key)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


@dataclass(frozen=True)
class _Stored:
    """What a file says of its pixels, which Pillow forgets when it turns or converts them.

    Attributes:
        image_format: Pillow's name.
        raw_mode: Pillow's name of how pixels are stored.
        zero_is_white: whether 0 is white rather than black.
    """

    image_format: str | None
    raw_mode: str
    zero_is_white: bool

    @classmethod
    def of(cls, image: Image.Image) -> "_Stored":
        tiles = getattr(image, "tile", None)
        how = tiles[0][3] if tiles else None
        raw_mode = how[0] if isinstance(how, tuple) and how else how
        zero_is_white = image.format == "TIFF" and image.getexif().get(_PHOTOMETRIC) == 0
        return cls(image.format, str(raw_mode), zero_is_white)

    def narrow(self, image: Image.Image) -> Image.Image:
        """Grey of up to 16 bits brought to 8: the upper ones. Pillow would cut it off at 255."""
        if image.mode == "F" or (image.mode == "I" and self.image_format not in ("PPM", "PNG")):
            raise ValueError("pixels of 32 bits, and numbers with a sign or a point, have no agreed white")
        values = np.asarray(image)
        grey = (values >> (4 if self.raw_mode == "I;12" else 8)).astype(np.uint8)
        if self.zero_is_white:
            grey = 255 - grey
        key = image.info.get("transparency")
        if key is None:
            return Image.fromarray(grey)
        return Image.fromarray(np.dstack([grey, np.where(values == key, 0, 255).astype(np.uint8)]))

    def narrow_key(self, key: Any) -> Any:
        """The transparent grey or colour of a PNG, of the file's depth, in 8 bits as the pixels are."""
        if isinstance(key, int):
            return key * {"L;2": 85, "L;4": 17}.get(self.raw_mode, 1)
        return tuple(value >> 8 for value in key) if self.raw_mode == "RGB;16B" else key


def _find_layout(tree: _Tree, skip_bad: bool) -> Layout:
    """The images that can be used, by part and class. Files that cannot are refused, or added to the tree's problems.

    Raises:
        UserError: see :func:`read_image_folders`.
    """
    if not tree.images:
        if tree.problems:
            raise _refusal(tree)
        raise UserError(f"{tree.source} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}): {_WANTED}")
    _note_folders_named_as_images(tree)
    images_in: defaultdict[PurePosixPath, list[PurePosixPath]]
    images_in = defaultdict(list, {folder: [] for folder in tree.folders})
    for path in tree.images:
        images_in[path.parent].append(path)
    parts = _find_parts(tree, set(images_in))
    class_folders = {part: _subfolders(root, images_in) for part, root in parts.items()}
    _note_strays(tree, set(itertools.chain(*class_folders.values())))
    if tree.problems and not skip_bad:
        raise _refusal(tree)
    layout: Layout = {}
    for part, folders in class_folders.items():
        classes: defaultdict[str, list[PurePosixPath]] = defaultdict(list)
        for folder in sorted(folders, key=_order):
            classes[_normal(folder.name)] += [path for path in images_in[folder] if path not in tree.problems]
        layout[part] = {name: sorted(paths, key=_order) for name, paths in classes.items()}
    _refuse_odd_classes(layout, {part: root.name for part, root in parts.items()}, tree.source)
    return layout


def _normal(name: str) -> str:
    """A name in one Unicode form, whichever the system that wrote it prefers."""
    return unicodedata.normalize("NFC", name)


def _order(path: PurePosixPath) -> tuple[list[str], str]:
    return [_normal(part) for part in path.parts], str(path)


def _find_parts(tree: _Tree, folders: set[PurePosixPath]) -> dict[str, PurePosixPath]:
    """Where the class folders of each part lie."""
    above_all_images = PurePosixPath(os.path.commonpath(path.parent for path in tree.images)).parents
    root = PurePosixPath(os.path.commonpath(folders.difference(above_all_images)))
    tops = {folder.name for folder in _subfolders(root, folders)}
    if not tops:
        raise UserError(
            f"{tree.source} has all its images in one folder ({str(root)!r}): {_WANTED}, of two classes or more"
        )
    found = {name: part for name in sorted(tops) if (part := _PART_OF.get(name.lower()))}
    if len(set(found.values())) < 2 or (set(found.values()) == {"validation", "test"} and found.keys() != tops):
        return {"train": root}
    if "train" not in found.values():
        raise UserError(f"{tree.source} has {_quoted(found)} but no 'train': rename the folder of training images")
    if extra := sorted(tops.difference(found)):
        raise UserError(
            f"{tree.source} has {_quoted(extra)} beside {_quoted(found)}: move these images into one of them, "
            "or rename the folder to train, val or test"
        )
    if len(found) > len(set(found.values())):
        raise UserError(f"{tree.source} has {_quoted(found)}, two folders for the same part: merge them, or rename one")
    for name in found:
        if not any(path.is_relative_to(root / name) for path in tree.images):
            raise UserError(f"{tree.source}: {name}/ holds no images: add some, or remove the folder")
    return {part: root / name for part in _PARTS for name in found if found[name] == part}


def _quoted(names: Iterable[str]) -> str:
    *first, last = (repr(name) for name in names)
    return f"{', '.join(first)} and {last}" if first else last


def _subfolders(root: PurePosixPath, folders: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """The folders directly in ``root``, sorted, whether ``folders`` lists them or only what lies in them."""
    depth = len(root.parts)
    inside = {PurePosixPath(*folder.parts[: depth + 1]) for folder in folders if folder.is_relative_to(root)}
    return sorted(inside - {root})


def _note_folders_named_as_images(tree: _Tree) -> None:
    """A folder without images that is called ``cat.jpg`` is no class."""
    above_images = {folder for path in tree.images for folder in path.parents}
    for folder in sorted(tree.folders - above_images):
        if folder.suffix.lower() in IMAGE_SUFFIXES:
            tree.folders.remove(folder)
            tree.problems[folder] = "is a folder, not an image"


def _note_strays(tree: _Tree, class_folders: set[PurePosixPath]) -> None:
    for path in tree.images:
        if path.parent not in class_folders:
            tree.problems[path] = _MISPLACED
    for path in tree.other_files:
        if path.parent in class_folders:
            suffix = path.suffix.lower()
            is_other = suffix in _OTHER_FORMATS
            tree.problems[path] = f"is in an unsupported format ({suffix})" if is_other else "is not an image file"


def _refusal(tree: _Tree) -> UserError:
    """All that is wrong with files, in a line: finding them one a start would decode all images each time."""
    problems = [f"{path!r} {problem}" for path, problem in tree.left_out]
    more = f", and {len(problems) - _MOST_NAMED:,} more" if len(problems) > _MOST_NAMED else ""
    count = f"{len(problems):,} files cannot be used: " if len(problems) > 1 else ""
    wanted = f" ({_WANTED})" if _MISPLACED in tree.problems.values() else ""
    it = "them" if count else "it"
    advice = f"repair or remove {it}, or leave {it} out with {option_name('skip_bad')}"
    return UserError(f"{tree.source}: {count}{'; '.join(problems[:_MOST_NAMED])}{more}{wanted}: {advice}")


def _refuse_odd_classes(layout: Layout, folder_names: dict[str, str], source: Path) -> None:
    for part in layout:
        for one, other in ((part, "train"), ("train", part)):
            if odd := sorted(set(layout[one]) - set(layout[other])):
                names = f"{folder_names[one]!r}, not in {folder_names[other]!r}"
                raise UserError(
                    f"{source}: class {odd[0]!r} is in only one of the parts, {names}: each needs all classes"
                )
    check_class_names([*layout["train"]], str(source))
    if len(layout["train"]) < 2:
        raise UserError(f"{source} has only one class ({', '.join(layout['train'])}): at least two are needed")
    for part, classes in layout.items():
        if empty := [name for name, images in classes.items() if not images]:
            where = folder_names[part] if len(layout) > 1 else "train"
            raise UserError(f"{source}: class {empty[0]!r} has no images in its {where} folder: add some or remove it")


def _one_size(images: dict[PurePosixPath, np.ndarray]) -> dict[PurePosixPath, np.ndarray]:
    if len({image.shape for image in images.values()}) == 1:
        return images
    side = int(np.median([min(image.shape[:2]) for image in images.values()]))
    return {path: fit_image(image, side, side) for path, image in images.items()}


def fit_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An (H, W, 3) uint8 image cut centrally to the shape wanted and resized (bilinear) to (height, width, 3)."""
    return np.asarray(ImageOps.fit(Image.fromarray(image), (width, height), Image.Resampling.BILINEAR))


def _list_paths(classes: dict[str, list[PurePosixPath]]) -> np.ndarray:
    """The paths of images in the order of :func:`_gather`."""
    return np.array([_as_text(path) for path in itertools.chain(*classes.values())])


def _as_text(path: PurePosixPath) -> str:
    """A path that any file can hold: bytes of a file name that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _gather(classes: dict[str, list[PurePosixPath]], images: dict[PurePosixPath, np.ndarray]) -> LabelledImages:
    paths = list(itertools.chain(*classes.values()))
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), [len(members) for members in classes.values()])
    return np.stack([images[path] for path in paths]), labels
