"""What a person sees of a run: a line a stage, and in between a bar a seed on a terminal, plain lines elsewhere."""

import textwrap
import threading
import time
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from keras_dnnts.metrics import PER_CENT, percent

SEPARATOR = " · "
INDENT = "  "
WIDEST_BAR, NARROWEST_BAR = 30, 8
PERCENTAGE_WIDTH = len(percent(1, 0))


class RunProgress:
    """Progress of a run's seeds through a known number of steps, with speed and time left. A context manager.

    Threads may share it. Lines are broken between facts where they would be wider than the console.

    Args:
        console: where to show it, or None to show nothing.

    Attributes:
        total, done: steps of all seeds.
    """

    def __init__(self, console: Console | None) -> None:
        self.console, self.total, self.done, self.unit = console, 0, 0, "steps"
        self.round_size: int | None = None
        self._steps = 0
        self._seeds: dict[str, _Seed] = {}
        self._lock = threading.Lock()
        self._bar = _make_bar(console) if console is not None and console.is_terminal else None
        self._drawn = False

    def plan(self, total: int, unit: str, round_size: int | None = None, seeds: int = 1) -> None:
        """Say what lies ahead.

        Args:
            total: number of steps of the whole run.
            unit: what a step is called, in the plural, e.g. ``"steps"`` or ``"images"``.
            round_size: number of steps that fill the bar, which then starts anew; None for all of a seed.
            seeds: number of seeds that share the steps.
        """
        self.total, self.unit, self.round_size = total, unit, round_size
        self._steps = total // seeds

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
            self._drawn = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._drawn = False
            self._bar.stop()

    @property
    def rows(self) -> int:
        """Number of the terminal's lines that bars take at this moment."""
        return len(self._bar.tasks) if self._bar and self._drawn else 0

    def stage(self, text: str) -> None:
        """Print a line that stays, such as what the run does from now on."""
        if self.console is not None:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def advance(self, steps: int, label: str, note: str, title: str = "") -> None:
        """Count ``steps`` more steps of a seed as done.

        Args:
            steps: how many.
            label: names the seed; empty for a run of one.
            note: how it goes; its facts have ``SEPARATOR`` between them.
            title: what is being done, such as the epoch.
        """
        with self._lock:
            self.done += steps
            seed = self._seeds.setdefault(label, _Seed())
            seed.advance(steps)
            if self._bar:
                self._draw(seed, label, note, title)

    def skip(self, steps: int, label: str = "") -> None:
        """Count ``steps`` of a seed as done in an earlier process, and not in its speed."""
        with self._lock:
            self.done += steps
            self._seeds.setdefault(label, _Seed()).skip(steps)

    def shorten(self, steps: int, label: str = "") -> None:
        """Take ``steps`` that a seed will not do off the total."""
        with self._lock:
            self.total -= steps
            if steps and label in self._seeds:
                self._remove(self._seeds[label])

    def line(self, text: str, label: str = "") -> None:
        """Print a line of a seed that stays."""
        if self.console is None:
            return
        seed = self._seeds.get(label)
        facts = [] if self._bar or seed is None else seed.speed_facts(self._steps, self.unit)
        names = [label.removesuffix(SEPARATOR)] if label else []
        self.stage(fit_line(SEPARATOR.join([*names, text, *facts]), self.console.width))

    def _draw(self, seed: "_Seed", label: str, note: str, title: str) -> None:
        assert self._bar and self.console
        if seed.done >= self._steps:
            self._remove(seed)
            return
        description = f"{label}{title}".removesuffix(SEPARATOR)
        filled = (seed.done - 1) % self.round_size + 1 if self.round_size else seed.done
        bar_width = min(WIDEST_BAR, max(NARROWEST_BAR, self.console.width // 4))
        room = self.console.width - cell_len(description) - bar_width - PERCENTAGE_WIDTH - 3
        note = _shorten([*note.split(SEPARATOR), *seed.speed_facts(self._steps, self.unit)], room)
        if seed.task is None:
            seed.task = self._bar.add_task("", total=self.round_size or self._steps, note="")
        self._bar.update(seed.task, completed=filled, description=description, note=note)

    def _remove(self, seed: "_Seed") -> None:
        if self._bar and seed.task is not None:
            self._bar.remove_task(seed.task)
            seed.task = None


class _Seed:
    """How far a seed is, and how fast it has become."""

    def __init__(self) -> None:
        self.done = 0
        self.task: TaskID | None = None
        self._speed: float | None = None
        self._began: tuple[float, int] | None = None

    def advance(self, steps: int) -> None:
        self.done += steps
        now = time.monotonic()
        if self._began is None:  # the first steps include compilation and would spoil the estimate
            self._began = (now, self.done)
        else:
            self._speed = (self.done - self._began[1]) / max(now - self._began[0], 1e-9)

    def skip(self, steps: int) -> None:
        self.done += steps
        if self._began is not None:
            self._began = (self._began[0], self._began[1] + steps)

    def speed_facts(self, steps: int, unit: str) -> list[str]:
        """Speed and time left, once they are known."""
        if not self._speed:
            return []
        left = max(steps - self.done, 0) / self._speed
        return [f"{self._speed:,.0f} {unit}/s", f"{format_seconds(left)} left"]


def _make_bar(console: Console) -> Progress:
    width = min(WIDEST_BAR, max(NARROWEST_BAR, console.width // 4))
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=width),
        TaskProgressColumn(f"[progress.percentage]{{task.percentage:>3.0f}}{PER_CENT}"),
        TextColumn("{task.fields[note]}", markup=False),
    )
    return Progress(*columns, console=console, transient=True)


def _shorten(facts: list[str], width: int) -> str:
    """As many facts as fit, the last of all, the time left, before the others."""
    while len(facts) > 1 and cell_len(SEPARATOR.join(facts)) > width:
        del facts[-2]
    text = SEPARATOR.join(facts)
    return text if cell_len(text) <= width else ""


def fit_line(text: str, width: int) -> str:
    """Break a line of facts that is wider than ``width`` between facts, or else between words; never within a word.

    >>> print(fit_line("epoch 1/50 · loss 2.3026 · accuracy 10.0%", 26))
    epoch 1/50 · loss 2.3026
      accuracy 10.0%
    """
    lines: list[str] = []
    for fact in text.split(SEPARATOR):
        longer = f"{lines[-1]}{SEPARATOR}{fact}" if lines else fact
        if cell_len(longer) <= width:
            lines[-1:] = [longer]
            continue
        room = max(width - len(INDENT), 1)
        words = textwrap.wrap(fact, room, break_long_words=False, break_on_hyphens=False) or [fact]
        lines += [f"{INDENT if lines or number else ''}{piece}" for number, piece in enumerate(words)]
    return "\n".join(lines)


def format_seconds(seconds: float) -> str:
    """Format a duration as ``m:ss`` or ``h:mm:ss``."""
    whole = max(round(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
