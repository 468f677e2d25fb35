"""Decoded images kept on disk, so that a second start takes seconds."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.archives import refuse_circles
from keras_dnnts.whole_files import remove_unfinished, write_whole

_FORMAT = 3
_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "train_paths", "test_paths")

logger = logging.getLogger("keras_dnnts")


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
    state = _digest(json.dumps(_fingerprint(source)))
    dataset = _load(path, state)
    if dataset is None:
        dataset = read()
        try:
            _save(path, state, dataset)
        except OSError as error:
            logger.info("decoded images are not kept in %s (%s)", path.parent, error)
    return dataset


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fingerprint(source: Path) -> list[tuple[str, int, int]]:
    files = _files_in(source)
    # What is missing or cannot be read is for ``read`` to complain of.
    with contextlib.suppress(OSError):
        states = [(str(file), file.stat()) for file in (source, *files)]
        return sorted((name, state.st_size, state.st_mtime_ns) for name, state in states)
    return []


def _files_in(source: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(source, followlinks=True):
        refuse_circles(Path(folder), source)
        yield from (Path(folder, name) for name in names)


def _load(path: Path, state: str) -> ImageDataset | None:
    """The data set in ``path`` if it was saved with ``state``; the file format's own checksums find damage."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about: dict[str, Any] = json.loads(str(archive["about"]))
            if about.pop("state") != state:
                return None
            arrays: dict[str, Any] = {name: archive.get(name) for name in _ARRAYS}
            return ImageDataset(**about | arrays | {"classes": tuple(about["classes"])})
    except FileNotFoundError:
        return None
    # Damage may show in the zip, in an array's header or in the JSON.
    except Exception as error:
        logger.info("%s cannot be used (%s): decoding the images again", path, error)
        return None


def _save(path: Path, state: str, dataset: ImageDataset) -> None:
    about = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    arrays = {name: array for name in _ARRAYS if (array := about.pop(name)) is not None}
    arrays["about"] = np.array(json.dumps(about | {"state": state}))
    path.parent.mkdir(parents=True, exist_ok=True)
    # One at a time, so that what killed processes left can be removed: it may be as large as the data.
    with filelock.FileLock(path.parent / ".lock"):
        remove_unfinished(path.parent)
        write_whole(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
