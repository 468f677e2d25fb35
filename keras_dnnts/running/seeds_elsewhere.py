"""Seeds of one run on many workers: each trains a seed in a folder of its own, and the run takes over what it found."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from keras_dnnts.errors import UserError
from keras_dnnts.results import Result
from keras_dnnts.running.console import SEPARATOR
from keras_dnnts.running.interruption import Interruption
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
        with run.interruption.after_step():
            outcomes = run_all(self.pool, train_seed, tasks, run.interruption, _Listener(run), stop.touch)
        for seed in seeds:
            if (outcome := outcomes.get(f"seed {seed}")) and outcome.state == FINISHED:
                _take_over(run, place / str(seed), seed)
        for name, outcome in outcomes.items():
            if outcome.state != FINISHED:
                raise UserError(f"{name}: {outcome.line or 'it was stopped'}")


def train_seed(task: RunTask) -> Outcome:
    """Train and evaluate one seed, on whatever worker."""

    def work(interruption: Interruption) -> str:
        finish_run(task, interruption, SeedDirectory)
        return ""

    return as_outcome(task, work)


def _take_over(run: Run, folder: Path, seed: int) -> None:
    """Move a seed's model, and then its outcome, which says that it is done, into the run's folder."""
    for model in folder.glob(f"model-seed-{seed}.*"):
        model.replace(run.directory.path / model.name)
    run.directory.checkpoints.take_outcome(SeedDirectory(folder).checkpoints, seed)
    shutil.rmtree(folder, ignore_errors=True)


class _Listener:
    """Tells a person of seeds that ended."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def begin(self, total: int, done: int, is_final: bool = False) -> None:
        """Nothing is to be said."""

    def tick(self, standing: Standing) -> None:
        """Nothing is to be said."""

    def ended(self, name: str, outcome: Outcome, standing: Standing) -> None:
        """Print a line."""
        facts = [name, outcome.state, f"{standing.finished} of {standing.total} done"]
        self._run.progress.stage(SEPARATOR.join(facts))
