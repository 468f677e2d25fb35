"""Where runs execute when there is a cluster: the workers of a Dask scheduler, whatever started them.

Dask gives out the work and says when a worker has died; what a run needs to go on elsewhere lies in its folder, which
all workers must see.
"""

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from keras_dnnts import __version__
from keras_dnnts.errors import PassingError, UserError, option_name
from keras_dnnts.running.pools import Outcome
from keras_dnnts.running.run_directory import create_folder, remove_created

CLUSTER = option_name("cluster")
CONNECT_SECONDS = 10
WORKERS_SECONDS = 20  # until a scheduler without workers is given up
COUNT_SECONDS = 2.0  # between two looks at the number of workers
# Runs on different versions of these may differ, or cannot be read.
COMPARED = ("keras", "numpy", "numba", "torch", "jax", "tensorflow")


class ClusterPool:
    """The workers of a Dask scheduler.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.

    Raises:
        UserError: ``distributed`` is not installed, there is no scheduler, or it has no workers.
    """

    def __init__(self, address: str) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise UserError(f"{CLUSTER} needs distributed, which is not installed: pip install 'keras_dnnts[cluster]'")
        distributed = importlib.import_module("distributed")
        _silence()
        self.address = address
        try:
            self._client = distributed.Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False, name="keras-dnnts", direct_to_workers=False
            )
        except (OSError, ValueError, TimeoutError, RuntimeError) as error:
            raise UserError(
                f"{CLUSTER} {address}: no Dask scheduler answers there: start one with dask scheduler, or check the "
                "address, such as tcp://host:8786"
            ) from error
        self._killed = distributed.KilledWorker
        self._executor = self._client.get_executor(pure=False, retries=0)
        self._size, self._counted = 0, 0.0
        self._wait_for_workers()

    def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + WORKERS_SECONDS
        while not self.size:
            if time.monotonic() > deadline:
                self.close()
                advice = f"start some with dask worker {self.address}"
                raise UserError(f"{CLUSTER} {self.address}: the scheduler has no workers: {advice}")
            time.sleep(0.2)
            self._counted = 0.0

    @property
    def size(self) -> int:
        """The number of workers, which may come and go."""
        if time.monotonic() - self._counted >= COUNT_SECONDS:
            self._counted = time.monotonic()
            with suppress(OSError, TimeoutError):
                self._size = len(self._client.nthreads())
        return self._size

    def submit(self, work: Callable[..., Outcome], *arguments: Any) -> "Future[Outcome]":
        """See :class:`keras_dnnts.running.pools.Pool`."""
        return self._executor.submit(work, *arguments)

    def check(self) -> None:
        """See :class:`keras_dnnts.running.pools.Pool`."""
        if self._client.status != "running":
            raise PassingError(f"{CLUSTER} {self.address}: the scheduler is gone: start it and its workers again")

    def has_lost_worker(self, error: BaseException) -> bool:
        """See :class:`keras_dnnts.running.pools.Pool`."""
        return isinstance(error, self._killed | CancelledError)

    def close(self) -> None:
        """See :class:`keras_dnnts.running.pools.Pool`."""
        with suppress(OSError, TimeoutError, CancelledError):
            self._client.close(timeout=2)

    def check_workers(self, folder: Path, backend: str | None) -> None:
        """Check that every worker can make runs in a folder, which is created to see whether they see it.

        Args:
            folder: where runs will be.
            backend: the engine that they need; None for none.

        Raises:
            UserError: the first worker that cannot, and why; the folder is as it was.
        """
        here = describe_process()
        with _probe(folder) as (path, word):
            found = self._client.run(examine_worker, str(path), word, on_error="return")
        threads = self._client.nthreads()
        for worker, answer in sorted(found.items()):
            if problem := _find_problem(answer, here, threads.get(worker, 1), backend, folder):
                raise UserError(f"{CLUSTER} {self.address}: worker {worker}: {problem}")


def _silence() -> None:
    """Keep Dask's messages of a scheduler that is gone, which are many and come from threads, from the terminal."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _find_problem(answer: Any, here: Mapping[str, str], threads: int, backend: str | None, folder: Path) -> str | None:
    if isinstance(answer, BaseException):
        said = " ".join(str(answer).split())
        return f"cannot import keras_dnnts ({said}): install this version of it there"
    differing = [name for name in here if answer["versions"].get(name, here[name]) != here[name]]
    if differing:
        name = differing[0]
        return f"has {name} {answer['versions'][name]}, and here is {here[name]}: install the same versions"
    if backend is not None and backend not in answer["versions"]:
        return f"lacks {backend}: install it there"
    if answer["running"] not in (None, backend) and backend is not None:
        return f"already runs {answer['running']}, and a process runs one engine: restart it for {backend}"
    if threads > 1:
        return f"has {threads} threads, and a run takes a process: start it with --nthreads 1"
    if not answer["sees"]:
        return f"does not see {folder.absolute()}, or cannot write to it: use a folder on a file system that all share"
    return None


def describe_process() -> dict[str, str]:
    """Versions of what runs depend on, of what is installed."""
    versions = {"keras_dnnts": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
    for name in COMPARED:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def examine_worker(path: str, word: str) -> dict[str, Any]:
    """What a worker is, and whether it sees a file and can write beside it; called there."""
    sees = False
    with suppress(OSError):
        sees = Path(path).read_text(encoding="ascii") == word
        trial = Path(f"{path}-{os.getpid()}")
        trial.touch()
        trial.unlink()
    keras = sys.modules.get("keras")
    running = keras.backend.backend() if keras is not None else None
    return {"versions": describe_process(), "running": running, "sees": sees}


@contextmanager
def _probe(folder: Path) -> Iterator[tuple[Path, str]]:
    """A file in a folder, with a word in it that nobody else knows; both are gone afterwards."""
    word = secrets.token_hex(8)
    created = create_folder(folder)
    path = folder / f".unfinished-{word}"
    try:
        path.write_text(word, encoding="ascii")
        yield path.absolute(), word
    finally:
        path.unlink(missing_ok=True)
        remove_created(created)
