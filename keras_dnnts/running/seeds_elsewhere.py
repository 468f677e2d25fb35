"""Seeds of one run on many workers: each trains a seed in a folder of its own, and the run takes over what it found."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from keras_dnnts.errors import UserError
from keras_dnnts.results import Result
from keras_dnnts.running.console import SEPARATOR
from keras_dnnts.running.interruption import Interruption
from keras_dnnts.running.live import SECONDS, Progress
from keras_dnnts.running.pools import FINISHED, Outcome, Pool, Standing, run_all
from keras_dnnts.running.run import Run
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.worker import RunTask, as_outcome, finish_run, make_task

SEEDS = "seeds"  # among the checkpoints of the run: what is left of it goes with them
STOP = ".stop"


class SeedDirectory(RunDirectory):
    """The folder of one seed, which ends with what the seed found: the run of all seeds makes a result of it."""

    @property
    def is_finished(self) -> bool:
        """Whether the seed has been evaluated."""
        return self.checkpoints.done_seeds() > 0

    def save_result(self, result: Result) -> None:
        """Leave the seed's outcome where it is."""


@dataclass(frozen=True)
class SeedsElsewhere:
    """Trains a run's seeds on the workers of a pool, see :func:`keras_dnnts.running.run.run_study`."""

    pool: Pool

    def __call__(self, run: Run, seeds: Sequence[int]) -> None:
        """Train seeds, and leave their outcomes and models in the run's folder.

        Raises:
            Interrupted: it was asked for.
            UserError: seeds failed; the others are kept.
        """
        place = run.directory.checkpoints.folder / SEEDS
        place.mkdir(exist_ok=True)
        stop = place / STOP
        stop.unlink(missing_ok=True)
        tasks = {
            f"seed {seed}": make_task(replace(run.config, seed=seed, seeds=1), place / str(seed), stop, None)
            for seed in seeds
        }
        listener = _Listener(run, {seed: place / str(seed) for seed in seeds})
        with run.interruption.after_step():
            outcomes = run_all(self.pool, train_seed, tasks, run.interruption, listener, stop.touch)
        for seed in seeds:
            if (outcome := outcomes.get(f"seed {seed}")) and outcome.state == FINISHED:
                _take_over(run, place / str(seed), seed)
        for name, outcome in outcomes.items():
            if outcome.state != FINISHED:
                raise UserError(f"{name}: {outcome.line or 'it was stopped'}")
        listener.forget_steps()


def train_seed(task: RunTask) -> Outcome:
    """Train and evaluate one seed, on whatever worker."""

    def work(interruption: Interruption) -> str:
        finish_run(task, interruption, [_leave_to_the_run], SeedDirectory)
        return ""

    return as_outcome(task, work)


def _leave_to_the_run(folder: Path, progress: Progress) -> None:
    """Nothing more than the progress that is saved: the run of all seeds reads it and tells others."""


def _take_over(run: Run, folder: Path, seed: int) -> None:
    """Move a seed's model, and then its outcome, which says that it is done, into the run's folder."""
    for model in folder.glob(f"model-seed-{seed}.*"):
        model.replace(run.directory.path / model.name)
    run.directory.checkpoints.take_outcome(SeedDirectory(folder).checkpoints, seed)
    shutil.rmtree(folder, ignore_errors=True)


class _Listener:
    """Tells a person of seeds that ended, and those who follow the run how far the others are.

    Args:
        run: of all seeds.
        folders: of the seeds.
        seconds: between two looks at their progress.
    """

    def __init__(self, run: Run, folders: Mapping[int, Path], seconds: float = SECONDS) -> None:
        self._run, self._folders, self._seconds = run, folders, seconds
        self._done = dict.fromkeys(folders, 0)
        self._looked = time.monotonic()

    def begin(self, total: int, done: int, is_final: bool = False) -> None:
        """Nothing is to be said."""

    def tick(self, standing: Standing) -> None:
        """Pass on how far the seeds are, now and then."""
        if time.monotonic() - self._looked >= self._seconds:
            self._look()
            self._looked = time.monotonic()

    def ended(self, name: str, outcome: Outcome, standing: Standing) -> None:
        """Print a line."""
        facts = [name, outcome.state, f"{standing.finished} of {standing.total} done"]
        self._run.progress.stage(SEPARATOR.join(facts))

    def forget_steps(self) -> None:
        """Leave it to the run to count the steps of seeds that have ended."""
        self._count(dict.fromkeys(self._folders, 0))

    def _look(self) -> None:
        for seed, folder in self._folders.items():
            try:
                progress = Progress.load(folder)
            except (OSError, ValueError):  # there is none yet, or none that this version knows
                continue
            if rows := progress.rows.get(seed):  # before, the names of their columns are not known either
                self._run.live.take(seed, progress.columns, rows)
            self._count({seed: progress.done})

    def _count(self, done: Mapping[int, int]) -> None:
        for seed, steps in done.items():
            self._run.progress.skip(steps - self._done[seed], self._run.label(seed))
            self._done[seed] = steps
