"""What others see of a run while it runs: a small record of its progress, told from a thread of its own."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keras_dnnts.errors import UserError
from keras_dnnts.results.unfinished import CHECKPOINTS
from keras_dnnts.whole_files import write_whole_text

logger = logging.getLogger("keras_dnnts")

PROGRESS = "progress.json"  # beside the checkpoints, and gone with them
FIRST_SECONDS = 2.0  # until the first record; shorter trainings have none
SECONDS = 10.0  # between two records
RUNNING, STOPPED = "running", "stopped"

Rows = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        state: ``running``, or ``stopped`` before its end.
        written: when this was so, in seconds since 1970.
        dataset: its ``name``, ``source`` and ``classes``.
        done, total: steps of all seeds.
        unit: what a step is called, in the plural.
        columns: of the history, the first an epoch or the number of updates.
        rows: of the history, by seed; None for what was not measured.
        note: why it has stopped, where that is known.
    """

    state: str
    written: float
    dataset: dict[str, Any]
    done: int
    total: int
    unit: str
    columns: list[str] = field(default_factory=list)
    rows: dict[int, Rows] = field(default_factory=dict)
    note: str = ""

    def save(self, folder: Path) -> None:
        """Save it in the folder of an unfinished run."""
        write_whole_text(folder / CHECKPOINTS / PROGRESS, json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> "Progress":
        """Read what :meth:`save` wrote.

        Raises:
            OSError: there is none.
            ValueError: it is damaged.
        """
        path = folder / CHECKPOINTS / PROGRESS
        plain = json.loads(path.read_text(encoding="utf-8"))
        try:
            rows = {int(seed): rows for seed, rows in plain.pop("rows").items()}
            return cls(**plain, rows=rows)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: is no record of progress") from error


Listener = Callable[[Path, Progress], object]


class Live:
    """Tells listeners how a run goes, at most every ``seconds``; training itself waits for none of them.

    Args:
        listeners: called with the run's folder and its progress, which is saved there. One that fails costs a warning
            and is called no more.
        seconds: between two calls.
        first: seconds until the first call; None is ``FIRST_SECONDS``, or ``seconds`` where that is less.
    """

    def __init__(
        self, listeners: Sequence[Listener] = (), seconds: float = SECONDS, first: float | None = None
    ) -> None:
        self._listeners, self._seconds = list(listeners), seconds
        self._first = min(FIRST_SECONDS, seconds) if first is None else first
        self._columns: list[str] = []
        self._rows: dict[int, Rows] = {}
        self._heard: set[int] = set()
        self._ended = threading.Event()
        self._told = False

    def offer(self, seed: int, columns: Sequence[str], rows: Callable[[], Rows]) -> None:
        """Have a seed's rows so far at hand; they are collected only where somebody will soon be told."""
        if self._listeners and seed not in self._heard:
            self.take(seed, columns, rows())

    def take(self, seed: int, columns: Sequence[str], rows: Rows) -> None:
        """Keep a seed's rows so far."""
        if self._listeners:
            self._heard.add(seed)
            # Rows that are kept never change: what trains goes on to lengthen its own list.
            self._columns, self._rows[seed] = list(columns), list(rows)

    @contextmanager
    def follow(self, describe: Callable[[], dict[str, Any]], folder: Path, check: Callable[[], None]) -> Iterator[None]:
        """Tell the listeners of a run while the block lasts, and that it stopped where the block fails.

        Args:
            describe: returns the fields of :class:`Progress` that the run itself knows.
            folder: of the run.
            check: raises where another process has taken the folder over.
        """
        if not self._listeners:
            yield
            return
        thread = threading.Thread(target=self._follow, args=(describe, folder, check), daemon=True)
        thread.start()
        note, state = "", STOPPED
        try:
            yield
            state = RUNNING
        except UserError as error:
            note = str(error)
            raise
        finally:
            self._ended.set()
            thread.join()
            if state == STOPPED and self._told:
                self._try(describe, folder, check, state, note)

    def _follow(self, describe: Callable[[], dict[str, Any]], folder: Path, check: Callable[[], None]) -> None:
        wait = self._first
        while True:
            gathering = min(1.0, wait / 10)
            if self._ended.wait(wait - gathering):
                return
            self._heard.clear()
            if self._ended.wait(gathering) or not self._try(describe, folder, check, RUNNING):
                return
            wait = self._seconds

    def _try(
        self,
        describe: Callable[[], dict[str, Any]],
        folder: Path,
        check: Callable[[], None],
        state: str,
        note: str = "",
    ) -> bool:
        """Tell every listener once; whether to go on."""
        with suppress(UserError):  # the folder is another process's, as training will find out
            check()
            progress = Progress(
                state,
                time.time(),
                columns=self._columns,
                rows=dict(sorted(self._rows.copy().items())),
                note=note,
                **describe(),
            )
            try:
                progress.save(folder)
            except OSError as error:
                logger.warning("%s: progress cannot be saved: %s", folder, error.strerror or error)
                return False
            self._told = True
            for listener in [*self._listeners]:
                self._tell(listener, folder, progress)
            return True
        return False

    def _tell(self, listener: Listener, folder: Path, progress: Progress) -> None:
        try:
            listener(folder, progress)
        except Exception as error:  # training goes on without it
            self._listeners.remove(listener)
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning("%s: the run cannot be shown while it runs: %s", folder, reason)
