"""Decoded images, and what else takes long to find out about them, kept on disk: a second start takes seconds."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import numpy as np

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.archives import file_state, iterate_members
from keras_dnnts.errors import UserError
from keras_dnnts.whole_files import UNFINISHED, remove_unfinished, write_whole

_FORMAT = 4
_FILES = "images-*.npz"
_FACTS = "facts-*.json"
_ARRAYS = tuple(f"{part}_{what}" for part in ("train", "validation", "test") for what in ("images", "labels", "paths"))

_found: dict[Path, tuple[str, Any]] = {}  # what this process has found out, by the file that is to keep it

logger = logging.getLogger("keras_dnnts")


class CachedImages(NamedTuple):
    """A file of decoded images.

    Attributes:
        path: the file.
        source: the folder or archive the images were read from; empty where the file does not say.
        bytes: the file's size.
    """

    path: Path
    source: str
    bytes: int


def cache_dir() -> Path:
    """Where decoded images are kept: ``KERAS_DNNTS_CACHE``, else ``keras_dnnts`` in the user's cache folder."""
    if own := os.environ.get("KERAS_DNNTS_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "keras_dnnts"


def cached(source: Path, options: dict[str, int], read: Callable[[], ImageDataset]) -> ImageDataset:
    """What ``read`` gives, or gave when it last read ``source`` as it is now: with these names, sizes and times.

    A source has one file in :func:`cache_dir` for each ``options``, replaced when the source has changed. A file that
    is damaged is made anew; a cache that cannot be written is done without.

    Args:
        source: the file or folder that ``read`` reads.
        options: what else the outcome depends on.
        read: reads ``source``.
    """
    identity = json.dumps([_FORMAT, str(source), str(source.absolute()), options])
    try:
        path = cache_dir() / f"images-{_digest(identity)[:16]}.npz"
    except RuntimeError as error:  # there is no home folder
        logger.info("decoded images are not kept (%s)", error)
        return read()
    state = _fingerprint(source)
    dataset = _load(path, state) if state else None
    if dataset is None:
        dataset = read()
        if state:
            _keep(path, {"state": state, "location": str(source.absolute())}, dataset)
    return dataset


def remembered(source: Path, what: str, find: Callable[[], Any], keep: bool) -> Any:
    """What ``find`` says of ``source``, or said when it last looked at it as it is now.

    Args:
        source: what ``find`` looks at. Of a folder nothing is kept: to see whether one has changed takes as long.
        what: names the kind of thing, with all that the outcome depends on beside ``source``.
        find: gives what JSON can hold.
        keep: whether other processes are to know it, from a file in :func:`cache_dir`; this one does.
    """
    try:
        path = cache_dir() / f"facts-{_digest(json.dumps([_FORMAT, str(source.absolute()), what]))[:16]}.json"
        state = None if source.is_dir() else _fingerprint(source)
    except (OSError, RuntimeError):  # whatever is wrong with the source, looking at it says
        return find()
    if state is None:
        return find()
    if _found.get(path, (None,))[0] != state:
        _found[path] = state, find() if (kept := _read_facts(path, state)) is None else kept["found"]
    _, found = _found[path]
    if keep and _read_facts(path, state) is None:
        about = json.dumps({"state": state, "location": str(source.absolute()), "found": found})
        _write(path, lambda file: file.write(about.encode()))
    return found


def _read_facts(path: Path, state: str) -> dict[str, Any] | None:
    about = _read_about(path)
    return about if about.get("state") == state and "found" in about else None


def cached_images() -> list[CachedImages]:
    """Every file of decoded images in :func:`cache_dir`, the largest first; none where there is no such folder."""
    found = [_describe(path) for path in _cache_files() if not path.match(_FACTS)]
    return sorted((one for one in found if one is not None), key=lambda one: (-one.bytes, one.path))


def clear_image_cache() -> int:
    """Remove every file of decoded images, and say how many bytes that frees.

    Raises:
        UserError: one cannot be removed.
    """
    if not _cache_files():
        return 0
    folder = cache_dir()
    try:
        with filelock.FileLock(folder / ".lock"):
            remove_unfinished(folder)
            freed = sum(path.stat().st_size for path in _cache_files())
            for path in _cache_files():
                path.unlink()
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be cleared ({error.strerror}): remove {_FILES} and {_FACTS} in it by hand"
        ) from error
    return freed


def _cache_files() -> list[Path]:
    # Without a home folder, or in one that may not be read, nothing is kept.
    with contextlib.suppress(OSError, RuntimeError):
        folder = cache_dir()
        return sorted([*folder.glob(_FILES), *folder.glob(_FACTS), *folder.glob(f"{UNFINISHED}*")])
    return []


def _describe(path: Path) -> CachedImages | None:
    try:
        size = path.stat().st_size
    except OSError:  # another process has just removed it
        return None
    about = _read_about(path)
    return CachedImages(path, about.get("location") or about.get("source") or "", size)


def _read_about(path: Path) -> dict[str, Any]:
    """What a file says of itself; empty for a damaged one."""
    with contextlib.suppress(Exception):
        if path.match(_FACTS):
            about = json.loads(path.read_text(encoding="utf-8"))
        else:
            with np.load(path, allow_pickle=False) as archive:
                about = json.loads(str(archive["about"]))
        return about if isinstance(about, dict) else {}
    return {}


def _remove_orphans(folder: Path) -> None:
    """Remove the files whose source is gone, and those of earlier versions, which nothing reads."""
    for path in (*folder.glob(_FILES), *folder.glob(_FACTS)):
        location = _read_about(path).get("location")
        if location is None or not os.path.lexists(location):
            path.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fingerprint(source: Path) -> str | None:
    """A digest of the names, sizes and times of all that is read; None where that cannot be told.

    What is missing or cannot be read is for ``read`` to complain of.
    """
    try:
        if not source.is_dir():
            return _digest(json.dumps(file_state(source)))
        states = {
            str(member.path): member.read and file_state(source / member.path) for member in iterate_members(source)
        }
    except (OSError, UserError):
        return None
    return _digest(json.dumps(states))


def _load(path: Path, state: str) -> ImageDataset | None:
    """The data set in ``path`` if it was saved with ``state``; the file format's own checksums find damage."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about: dict[str, Any] = json.loads(str(archive["about"]))
            if about.pop("state") != state:
                return None
            del about["location"]
            arrays: dict[str, Any] = {name: archive.get(name) for name in _ARRAYS}
            left_out = tuple((str(path), str(problem)) for path, problem in about["left_out"])
            return ImageDataset(**about | arrays | {"classes": tuple(about["classes"]), "left_out": left_out})
    except FileNotFoundError:
        return None
    # Damage may show in the zip, in an array's header or in the JSON.
    except Exception as error:
        logger.info("%s cannot be used (%s): decoding the images again", path, error)
        return None


def _keep(path: Path, about: dict[str, str], dataset: ImageDataset) -> None:
    fields = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    arrays = {name: array for name in _ARRAYS if (array := fields.pop(name)) is not None}
    arrays["about"] = np.array(json.dumps(fields | about))
    _write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def _write(path: Path, write: Callable[[Any], Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One at a time, so that what killed processes left can be removed: it may be as large as the data.
        with filelock.FileLock(path.parent / ".lock"):
            remove_unfinished(path.parent)
            _remove_orphans(path.parent)
            write_whole(path, write)
    except OSError as error:
        logger.info("%s is not kept in %s (%s)", path.name, path.parent, error)
