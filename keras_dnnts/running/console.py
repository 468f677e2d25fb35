"""What a person sees of a run: a progress bar on a terminal, plain lines elsewhere."""

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn


class RunProgress:
    """Progress of a run through a known number of steps, with speed and time left. A context manager.

    Threads may share it.

    Args:
        console: where to show it, or None to show nothing.
    """

    def __init__(self, console: Console | None) -> None:
        self.console, self.total, self.unit = console, 0, "steps"
        self.round_size: int | None = None
        self.done = 0
        self._lock = threading.Lock()
        self._speed_text = ""
        self._began: tuple[float, int] | None = None
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
        )
        on_terminal = console is not None and console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True) if on_terminal else None
        self._task: TaskID | None = None

    def plan(self, total: int, unit: str, round_size: int | None = None) -> None:
        """Say what lies ahead.

        Args:
            total: number of steps of the whole run.
            unit: what a step is called, in the plural, e.g. ``"steps"`` or ``"images"``.
            round_size: number of steps that fill the bar, which then starts anew; None for all of them.
        """
        self.total, self.unit, self.round_size = total, unit, round_size
        self._task = self._bar.add_task("", total=round_size or total, note="") if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, steps: int, label: str, note: str) -> None:
        """Count ``steps`` more steps as done; ``label`` and ``note`` say of what and how it goes."""
        with self._lock:
            self._advance(steps, label, note)

    def skip(self, steps: int) -> None:
        """Count ``steps`` as done in an earlier process, and not in the speed."""
        with self._lock:
            self.done += steps
            if self._began is not None:
                self._began = (self._began[0], self._began[1] + steps)

    def _advance(self, steps: int, label: str, note: str) -> None:
        self.done += steps
        now = time.monotonic()
        if self._began is None:  # the first steps include compilation and would spoil the estimate
            self._began = (now, self.done)
        else:
            speed = (self.done - self._began[1]) / max(now - self._began[0], 1e-9)
            left = (self.total - self.done) / speed
            self._speed_text = f" · {speed:,.0f} {self.unit}/s · {format_seconds(left)} left"
        if self._bar and self._task is not None:
            filled = (self.done - 1) % self.round_size + 1 if self.round_size else self.done
            self._bar.update(self._task, completed=filled, description=label, note=note + self._speed_text)

    def shorten(self, steps: int) -> None:
        """Take ``steps`` that will not be done off the total."""
        with self._lock:
            self.total -= steps

    def line(self, text: str) -> None:
        """Print a line that stays."""
        if self.console is not None:
            suffix = "" if self._bar else self._speed_text
            self.console.print(text + suffix, highlight=False, markup=False, soft_wrap=True)


def format_seconds(seconds: float) -> str:
    """Format a duration as ``m:ss`` or ``h:mm:ss``."""
    whole = max(round(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
