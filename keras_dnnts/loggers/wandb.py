"""A run for Weights & Biases, where its own settings say: ``WANDB_MODE``, ``WANDB_PROJECT``, ``WANDB_DIR``, …"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from keras_dnnts.loggers.history import Points
from keras_dnnts.results import Result
from keras_dnnts.running.run_directory import FIGURES, TENSORBOARD

SECONDS_TO_BEGIN = 10.0  # ninety are W&B's own


def open_log(folder: Path, experiment: str, config: Mapping[str, Any], identity: str | None) -> "WandbLog":
    """Begin a W&B run whose config is the run's, or go on with it.

    Raises:
        ConnectionError: nobody is logged in.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    settings = wandb.Settings(silent=True, console="off", init_timeout=SECONDS_TO_BEGIN)
    mode = os.environ.get("WANDB_MODE", "online")
    # W&B would ask for the key on the terminal, in the middle of a run.
    if mode == "online" and not wandb.login(prompt=False, verify=False):
        raise ConnectionError("nobody is logged in: wandb login, or set WANDB_MODE=offline")
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", f"keras_dnnts-{experiment}"),
        name=folder.resolve().name,
        id=identity,
        resume="allow" if identity else None,
        config=dict(config),
        settings=settings,
    )
    return WandbLog(run, folder)


class WandbLog:
    """See :class:`keras_dnnts.loggers.Log`.

    Curves are ``seed_<seed>/<name>`` by ``seed_<seed>/step``. The summary holds the final numbers: ``<name>``, the mean
    over seeds, and ``<name>_sd`` where there are several. Figures are images, and the run's files an artefact.
    """

    def __init__(self, run: Any, folder: Path) -> None:
        self.identity: str = run.id
        self._run, self._folder = run, folder
        self._defined: set[int] = set()

    def add(self, seed: int, points: Points) -> None:
        """Log points of a seed's curves."""
        prefix = f"seed_{seed}/"
        if seed not in self._defined:
            self._run.define_metric(f"{prefix}*", step_metric=f"{prefix}step")
            self._defined.add(seed)
        for step, numbers in points:
            self._run.log({f"{prefix}step": step, **{f"{prefix}{name}": value for name, value in numbers.items()}})

    def finish(self, result: Result, last: Mapping[int, int]) -> str:
        """Log what the run found, and its files; return where the W&B run is."""
        for name, metric in result.metrics.items():
            self._run.summary[name] = metric.mean
            if metric.sd is not None:
                self._run.summary[f"{name}_sd"] = metric.sd
        figures = {path.stem: wandb.Image(str(path)) for path in sorted((self._folder / FIGURES).glob("*.png"))}
        if figures:
            self._run.log(figures)
        self._run.log_artifact(self._files())
        where = self._run.dir if self._run.offline else self._run.url
        self._run.finish()
        return str(where)

    def stop(self) -> None:
        """Say that the run was stopped."""
        self._run.finish(exit_code=1)

    def _files(self) -> wandb.Artifact:
        files = wandb.Artifact(f"run-{self.identity}", type="run")
        for path in sorted(self._folder.iterdir()):
            if path.name == TENSORBOARD or path.name.startswith("."):
                continue
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    files.add_file(str(file), name=file.relative_to(self._folder).as_posix())
        return files
