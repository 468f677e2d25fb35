"""Runs that have no results yet: what their folders hold, and the command that resumes them."""

import shlex
from pathlib import Path

from keras_dnnts.config import Config, load_config
from keras_dnnts.errors import UserError
from keras_dnnts.own_models import is_own_model
from keras_dnnts.registry import find_study

CONFIG, CHECKPOINTS = "config.toml", "checkpoints"


def resume_command(folder: Path, config: Config) -> str:
    """The command that resumes the run in a folder.

    >>> from keras_dnnts import NamesConfig
    >>> resume_command(Path("runs/gru"), NamesConfig())
    'keras-dnnts names --resume runs/gru'
    """
    if weights := find_study(config.experiment).member_weights(config.to_dict()):  # it takes seconds to do again
        return f"keras-dnnts ensemble {'RUN ' * len(weights)}--out {shlex.quote(str(folder))} --overwrite"
    command = f"keras-dnnts {config.experiment} --resume {shlex.quote(str(folder))}"
    if is_own_model(config.model):  # its code is never run but where it is named
        command += f" --{config.model_option} {shlex.quote(config.model)}"
    return command


def explain_missing_results(folder: Path) -> str:
    """Why a folder without results holds no finished run, and what to do."""
    if (folder / CHECKPOINTS).is_dir():
        try:
            command = resume_command(folder, load_config(folder / CONFIG))
        except UserError:
            command = ""
        if command:
            return f"{folder}: its run was interrupted, or has not finished yet; resume with: {command}"
    return f"{folder}: holds no finished run; name the folder of one"
