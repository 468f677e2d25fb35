"""``--dry-run``: the complete config, what data there are, and how large the model is. Downloads and writes nothing."""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator

from keras_dnnts.cli.options import spell
from keras_dnnts.config import Config
from keras_dnnts.errors import UserError
from keras_dnnts.registry import find_study
from keras_dnnts.running.runtime import choose_backend, keras_settings, start_engine


def print_plan(config: Config) -> None:
    """Print the config as TOML, with facts about data and model as comments.

    Raises:
        UserError: the data, the engine or the model cannot be used.
    """
    study = find_study(config.experiment)
    facts, classes = study.survey(config)
    config = dataclasses.replace(config, **study.foresee(config))
    if study.trains(config.to_dict()):
        choose_backend(config.backend, config.device, config.automatic_device)
        with _no_settings_written():
            start_engine()
            parameters = study.count_parameters(config, classes)
    else:
        parameters = study.count_parameters(config, classes)
    print(config.to_toml(), end="")
    size = "its size depends on the training data" if parameters is None else f"{parameters:,} parameters"
    for fact in (*facts, f"{study.model_title(config.to_dict())}: {size}"):
        print(f"# {UserError(fact).spelled(spell)}")


@contextlib.contextmanager
def _no_settings_written() -> Iterator[None]:
    """Keras writes its settings wherever there are none."""
    if keras_settings().is_file() or "keras" in sys.modules:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="keras-dnnts-") as folder:
        os.environ["KERAS_HOME"] = folder
        yield
