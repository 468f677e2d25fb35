"""What may change where a run is resumed: nothing that its results depend on."""

from collections.abc import Mapping
from typing import Any

from keras_dnnts.config import Config
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import check_code, is_own_model
from keras_dnnts.running.run_directory import RunDirectory


def resumed_config(directory: RunDirectory, experiment: str, given: Mapping[str, Any]) -> Config:
    """The config to resume a run with: its own, with new values for options that change no result.

    Args:
        directory: of the run.
        experiment: the study that resumes it.
        given: options by name. A model of a person's own must be among them.

    Raises:
        UserError: the run is another study's, or an option would change its results.
    """
    config = directory.config()
    resume = f"{option_name('resume')} {directory.path}"
    if config.experiment != experiment:
        raise UserError(f"{resume}: is a run of {config.experiment}: use keras-dnnts {config.experiment}")
    settled = directory.settled()
    changed = {name: value for name, value in given.items() if name not in settled or settled[name] != value}
    values = {name: value for name, value in config.to_dict().items() if name in config.options()}
    asked = type(config).from_dict({**values, **changed}, where=resume)
    own = is_own_model(config.model)
    for name, about in config.options().items():
        was, value = getattr(config, name), getattr(asked, name)
        may_move = own and name == config.model_option  # then its content counts
        if name in changed and about.results_depend and value != was and not may_move:
            advice = "leave the option out, or start a new run"
            raise UserError(f"{resume}: was started with {option_name(name)} {was}, not with {value}: {advice}")
    if own:
        check_code(config, given.get(config.model_option), directory.path)
    return asked
