"""Downloads, checks and keeps data sets through tensorflow-datasets: without TensorFlow, and without long waits."""

import contextlib
import importlib
import io
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import filelock

from keras_dnnts.errors import UserError, option_name

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

# For the whole preflight: a request's own timeout holds for each address of a host, and not for looking them up.
PREFLIGHT_SECONDS = 3.0
# Reading one by one is slow, and all at once fills the memory.
EXAMPLES_AT_ONCE = 1000
NOT_DOWNLOADED = f"not downloaded ({option_name('fetch')})"

logger = logging.getLogger("keras_dnnts")


class OutOfReachError(UserError):
    """The data cannot be downloaded here and now, through no fault in what the user gave."""


def import_tfds() -> ModuleType:
    """tensorflow-datasets, imported late: it takes a second, and its record format has no wheels on some platforms.

    Raises:
        OutOfReachError: it cannot be imported.
    """
    try:
        importlib.import_module("array_record.python.array_record_module")
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise OutOfReachError(
            f"downloads need tensorflow-datasets with array_record, which cannot be imported here ({error}): "
            f"use {option_name('data_dir')} with your own copy, or the bundled data"
        ) from error


def import_builder(path: str) -> "type[DatasetBuilder]":
    """Return the builder at ``"package.module:name"``; other sources of data do without what it imports.

    Raises:
        OutOfReachError: tensorflow-datasets cannot be imported.
    """
    import_tfds()
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def data_dir() -> Path:
    """Where data sets are kept: ``TFDS_DATA_DIR``, else tensorflow-datasets' own ``~/tensorflow_datasets``.

    Raises:
        OutOfReachError: neither is known.
    """
    try:
        return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    except RuntimeError as error:
        raise OutOfReachError("there is no home folder to keep data in: set TFDS_DATA_DIR to a folder") from error


def manual_dir() -> Path:
    """Where a file put by hand, under its own name, is checked and used in place of a download."""
    return data_dir() / "downloads" / "manual"


def is_cached(builder_class: "type[DatasetBuilder]") -> bool:
    """Whether the builder's data lie prepared in :func:`data_dir`, so that reading them needs no network."""
    # Preparing ends in renaming a finished folder, so the folder is never there half made.
    return builder_class(data_dir=data_dir()).data_path.exists()


def is_ready(builder: str) -> bool:
    """Whether the data of the builder at ``"package.module:name"`` can be read here and now, without the network."""
    try:
        return is_cached(import_builder(builder))
    except OutOfReachError:
        return False


def find_place(builder_class: "type[DatasetBuilder]") -> str:
    """Where the builder's data lie, or how to get them, for a person."""
    return str(data_dir() / builder_class.name) if is_cached(builder_class) else NOT_DOWNLOADED


def prepared_builder(builder_class: "type[DatasetBuilder]", url: str) -> "DatasetBuilder":
    """The builder of data that lie prepared in :func:`data_dir`, downloaded first where they do not.

    Without network, put the files in :func:`manual_dir`; they are checked like downloads.

    Args:
        builder_class: a ``GeneratorBasedBuilder`` that prepares without TensorFlow, in a folder of its own with a
            ``checksums.tsv`` of all its files.
        url: one of its files, asked for first to find out in seconds whether there is a network.

    Raises:
        OutOfReachError: the download could not begin, or broke off.
        UserError: a file has the wrong checksum, or :func:`data_dir` cannot be written.
    """
    if not is_cached(builder_class):
        if not _lies_in_manual_dir(builder_class):
            _preflight(url)
        with _keeping_data(), _only_preparer(builder_class):
            # While this process waited, another one may have prepared them.
            if not is_cached(builder_class):
                logger.info("preparing %s in %s", builder_class.name, data_dir())
                _remove_unfinished(builder_class)
                _prepare(builder_class)
    # A builder that saw no data when it was made does not notice what another process prepares.
    return builder_class(data_dir=data_dir())


def read_examples(builder: "DatasetBuilder", split: str) -> Iterator[dict[str, Any]]:
    """The examples of a prepared builder's split, in the order they were prepared in.

    Raises:
        UserError: what lies in the cache is damaged.
    """
    try:
        source = builder.as_data_source(split=split)
        for start in range(0, len(source), EXAMPLES_AT_ONCE):
            yield from source.__getitems__(range(start, min(start + EXAMPLES_AT_ONCE, len(source))))
    except RuntimeError as error:
        cause = str(error).partition("\n")[0]
        raise UserError(f"{builder.data_dir} is damaged ({cause}): delete that folder and run again") from error


def _lies_in_manual_dir(builder_class: "type[DatasetBuilder]") -> bool:
    return all((manual_dir() / info.filename).is_file() for info in builder_class.url_infos.values())


def _preflight(url: str) -> None:
    """Asks for ``url`` once, since tensorflow-datasets tries for minutes to reach a host that does not answer."""
    import requests

    status: Future[int] = Future()

    def request() -> None:
        try:
            status.set_result(requests.head(url, timeout=PREFLIGHT_SECONDS, allow_redirects=True).status_code)
        except requests.RequestException as error:
            status.set_exception(error)

    threading.Thread(target=request, daemon=True).start()
    try:
        code = status.result(timeout=PREFLIGHT_SECONDS)
        problem = "" if code == requests.codes.ok else f"HTTP status {code}"
    except TimeoutError:
        problem = f"no answer within {PREFLIGHT_SECONDS:g} s"
    except requests.RequestException as error:
        problem = type(error).__name__
    if problem:
        raise OutOfReachError(
            f"cannot download {url} ({problem}): check the network, or put the files by hand in {manual_dir()}"
        )


@contextlib.contextmanager
def _keeping_data() -> Iterator[None]:
    try:
        data_dir().mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(
            f"cannot keep data in {data_dir()} ({error}): set TFDS_DATA_DIR to a folder that can be written"
        ) from error


@contextlib.contextmanager
def _only_preparer(builder_class: "type[DatasetBuilder]") -> Iterator[None]:
    """Waits until no other process prepares these data; the system itself frees the lock of a process that dies."""
    lock = filelock.FileLock(data_dir() / f".{builder_class.name}.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        logger.warning("waiting for another process that prepares %s in %s", builder_class.name, data_dir())
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _remove_unfinished(builder_class: "type[DatasetBuilder]") -> None:
    """Removes what a preparer that was killed left; only for the one preparer."""
    scratch = data_dir().glob(f"{_scratch_prefix(builder_class)}*")
    for folder in (*scratch, *(data_dir() / builder_class.name).glob("incomplete.*")):
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(builder_class: "type[DatasetBuilder]") -> None:
    import requests
    from tensorflow_datasets.core.download import DownloadConfig, DownloadError
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    builder = builder_class(data_dir=data_dir())
    config = DownloadConfig(manual_dir=manual_dir(), force_checksums_validation=True, try_download_gcs=False)
    try:
        with _scratch_folder(builder_class) as downloads, _quiet_tfds():
            builder.download_and_prepare(download_dir=downloads, download_config=config, file_format="array_record")
    except NonMatchingChecksumError as error:
        what = str(error).splitlines()[0].rstrip(":")
        raise UserError(f"{what}: replace the file if you put it there by hand, else try again later") from error
    except (requests.RequestException, DownloadError) as error:
        raise OutOfReachError(f"the download of {builder.name} failed ({error}): try again") from error
    except OSError:
        # Where a process that takes no lock has just prepared the same data, its copy is as good.
        if not builder.data_path.exists():
            raise


def _scratch_folder(builder_class: "type[DatasetBuilder]") -> "tempfile.TemporaryDirectory[str]":
    """A folder for downloads of which nothing stays, whole, broken or wrong."""
    # Downloads still under way when another one fails may write while the folder is being removed.
    prefix = _scratch_prefix(builder_class)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=data_dir(), ignore_cleanup_errors=True)


def _scratch_prefix(builder_class: "type[DatasetBuilder]") -> str:
    return f"incomplete.{builder_class.name}."


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """Keeps tensorflow-datasets' announcements off stdout, and its progress bars off what is no terminal."""
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        yield
