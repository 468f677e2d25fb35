"""Where runs execute when there are several: processes here. What a process did comes back as a value.

A pool gives out :class:`concurrent.futures.Future`; everything else (what waits, what is tried again, what is shown)
knows nothing of where a run executes.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import filelock
from joblib.externals import loky

from keras_dnnts.running.interruption import Interruption

FINISHED, FAILED, INTERRUPTED = "finished", "failed", "interrupted"
MOST_ATTEMPTS = 3  # of a run whose worker died
POLL_SECONDS = 0.2
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
IDLE_SECONDS = 120  # until a worker without work ends, such as one whose parent was killed
LINEAR_ALGEBRA_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        state: ``finished``, ``failed`` or ``interrupted``.
        line: why it failed, or what it found in a few words.
        warnings: what was said meanwhile that a person should know.
        seconds: how long it took.
    """

    state: str
    line: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


class Pool(Protocol):
    """Workers, each a process."""

    @property
    def size(self) -> int:
        """The number of workers at this moment."""

    def submit(self, work: Callable[..., Outcome], *arguments: Any) -> "Future[Outcome]":
        """Have a worker do something that can be pickled."""

    def check(self) -> None:
        """Raise a UserError where the workers are out of reach for good."""

    def has_lost_worker(self, error: BaseException) -> bool:
        """Whether a future's exception means that its worker died, so that another one may succeed."""

    def close(self) -> None:
        """Let the workers go, whatever they do."""


class LocalPool:
    """Processes on this machine, which keep what they have imported and compiled.

    Args:
        workers: how many; the cores are shared out among them.
        cores: how many there are.
        gpus: those there are, see :func:`visible_gpus`; of several, each worker gets one.
    """

    def __init__(self, workers: int, cores: int, gpus: Sequence[str] = ()) -> None:
        self.size = workers
        self._threads = max(1, cores // workers)
        self._gpus = tuple(gpus) if len(gpus) > 1 else ()
        self._locks = tempfile.TemporaryDirectory(prefix="keras-dnnts-")
        self._executor = self._start()

    def _start(self) -> Any:
        environment = worker_environment(self._threads)
        return loky.ProcessPoolExecutor(
            self.size,
            timeout=IDLE_SECONDS,
            initializer=_become_worker,
            initargs=(self._gpus, self._locks.name),
            env=environment,
        )

    def submit(self, work: Callable[..., Outcome], *arguments: Any) -> "Future[Outcome]":
        """See :class:`Pool`."""
        try:
            return self._executor.submit(work, *arguments)
        except BrokenExecutor:  # one that has lost a worker takes nothing more
            self._executor.shutdown(wait=False, kill_workers=True)
            self._executor = self._start()
            return self._executor.submit(work, *arguments)

    def check(self) -> None:
        """See :class:`Pool`: processes here are never out of reach."""

    def has_lost_worker(self, error: BaseException) -> bool:
        """See :class:`Pool`."""
        return isinstance(error, BrokenProcessPool | BrokenExecutor | CancelledError)

    def close(self) -> None:
        """See :class:`Pool`."""
        self._executor.shutdown(wait=True, kill_workers=True)
        self._locks.cleanup()


def _become_worker(gpus: Sequence[str], locks: str) -> None:
    # A terminal sends Ctrl-C to all processes; the one that gave out the work says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if gpus:
        os.environ[VISIBLE_GPUS] = claim_gpu(gpus, Path(locks))


def claim_gpu(gpus: Sequence[str], locks: Path) -> str:
    """A GPU that no other worker has, until this process ends; any, where there are more workers than GPUs."""
    for gpu in gpus:
        lock = filelock.FileLock(locks / re.sub(r"\W", "-", gpu))
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(blocking=False)
            _held.append(lock)
            return gpu
    return gpus[os.getpid() % len(gpus)]


_held: list[Any] = []  # a lock that nothing refers to is released


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; starts no engine."""
    if (chosen := os.environ.get(VISIBLE_GPUS)) is not None:
        return tuple(filter(None, map(str.strip, chosen.split(","))))
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(map(str, range(len(found)))) if listed.returncode == 0 else ()


def worker_environment(threads: int) -> dict[str, str]:
    """What limits the threads of a worker's libraries; whatever is set already is the user's and stays."""
    limits = {name: str(threads) for name in LINEAR_ALGEBRA_THREADS}
    if threads == 1:
        limits["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return {name: os.environ.get(name, value) for name, value in limits.items()}


@dataclass
class Standing:
    """How far a pool is with its tasks."""

    total: int
    running: int = 0
    workers: int = 1
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """The number of tasks that finished."""
        return self._count(FINISHED)

    @property
    def failed(self) -> int:
        """The number of tasks that failed."""
        return self._count(FAILED)

    def _count(self, state: str) -> int:
        return sum(outcome.state == state for outcome in self.outcomes.values())

    @property
    def seconds_left(self) -> float | None:
        """An estimate from those that ended so far; None before there is one."""
        took = [outcome.seconds for outcome in self.outcomes.values()]
        if not took:
            return None
        return (self.total - len(took)) * sum(took) / len(took) / max(self.workers, 1)


class _Nobody:
    """Hears of a pool's progress and says nothing."""

    def begin(self, total: int, done: int, is_final: bool = False) -> None:
        """Tasks are about to begin, of which some are done already."""

    def ended(self, name: str, outcome: Outcome, standing: Standing) -> None:
        """A task ended."""

    def tick(self, standing: Standing) -> None:
        """Time passes."""


NOBODY = _Nobody()


def run_all(
    pool: Pool,
    work: Callable[[Any], Outcome],
    tasks: Mapping[str, Any],
    interruption: Interruption,
    listener: Any = NOBODY,
    stop: Callable[[], None] = lambda: None,
) -> dict[str, Outcome]:
    """Have a pool do all tasks, those whose worker died once more elsewhere; return what became of each by name.

    Args:
        pool: of workers.
        work: done with each task; errors are part of its outcome.
        tasks: by name.
        interruption: where it is requested, nothing more is begun, and what runs is awaited.
        listener: told what ended and how far everything is.
        stop: called once where an interruption is requested, to tell the workers.

    Raises:
        UserError: the workers are out of reach.
    """
    waiting, running = deque(tasks), dict[Future, str]()
    attempts, standing = Counter[str](), Standing(len(tasks))
    stopped = False
    while running or (waiting and not interruption.requested):
        standing.workers = pool.size
        while waiting and len(running) < pool.size and not interruption.requested:
            name = waiting.popleft()
            running[pool.submit(work, tasks[name])] = name
        if interruption.requested and not stopped:
            stopped = True
            stop()
        standing.running = len(running)
        listener.tick(standing)
        done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
        pool.check()
        for name, outcome in _collect(pool, done, running, attempts):
            if outcome is None:
                waiting.appendleft(name)
            else:
                standing.outcomes[name] = outcome
                standing.running = len(running)
                listener.ended(name, outcome, standing)
    return standing.outcomes


def _collect(
    pool: Pool, done: Iterable[Future], running: dict[Future, str], attempts: Counter[str]
) -> Iterable[tuple[str, Outcome | None]]:
    """What became of tasks; None of those that are to be tried again."""
    for future in done:
        name = running.pop(future)
        try:
            yield name, future.result()
        except (Exception, CancelledError) as error:
            attempts[name] += 1
            if not pool.has_lost_worker(error):
                yield name, Outcome(FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}")
            elif attempts[name] < MOST_ATTEMPTS:
                yield name, None
            else:
                yield name, Outcome(FAILED, f"its worker died {MOST_ATTEMPTS} times: there may be too little memory")
