"""``keras-dnnts doctor``: what there is to run with, and what is missing for what."""

import os
import platform

from keras_dnnts import __version__
from keras_dnnts.cli.options import default_backend, spell
from keras_dnnts.datasets.fetch import data_dir
from keras_dnnts.datasets.image_cache import cache_dir
from keras_dnnts.errors import UserError
from keras_dnnts.registry import all_studies
from keras_dnnts.running.doctor import (
    Engine,
    Extra,
    examine_engines,
    installed_version,
    list_extras,
    thread_settings,
)
from keras_dnnts.running.run import count_cores

PACKAGES = ("keras", "numpy", "numba", "scikit-learn", "matplotlib")


def print_diagnosis() -> None:
    """Print versions, engines with their devices, threads, caches, data sets and extras.

    Raises:
        UserError: the default engine cannot run here.
    """
    _print("keras_dnnts", f"{__version__}, Python {platform.python_version()} on {platform.platform()}")
    _print("packages", ", ".join(f"{name} {installed_version(name) or 'missing'}" for name in PACKAGES))
    settings = "".join(f", {name}={value}" for name, value in thread_settings().items())
    _print("threads", f"{count_cores()} of {os.cpu_count()} cores can be used{settings}")
    engines = examine_engines()
    for engine in engines:
        _print(f"engine {engine.name}", _describe_engine(engine))
    _print("cache", f"{cache_dir()} (decoded images), {data_dir()} (downloaded data)")
    for study in all_studies():
        for title, place in study.data_sets(False):
            _print(f"data of {study.name}", f"{title}: {UserError(place).spelled(_spell_of_data)}")
    for extra in list_extras():
        _print(f"extra {extra.name}", _describe_extra(extra))
    default = next(engine for engine in engines if engine.name == default_backend())
    if default.problem:
        raise UserError(f"{default.name}, the engine that runs use, {default.problem}")


def _print(what: str, said: str) -> None:
    print(f"{what:18}  {said}", flush=True)


def _spell_of_data(name: str) -> str:
    """Options of the command that lists data sets."""
    return f"keras-dnnts data {spell(name)}"


def _describe_engine(engine: Engine) -> str:
    version = f"{engine.version}: " if engine.version else ""
    return version + (engine.problem or ", ".join(engine.devices))


def _describe_extra(extra: Extra) -> str:
    use = UserError(extra.use).spelled(spell)
    if not extra.missing:
        return f"installed, for {use}"
    return f"{use} needs {', '.join(extra.missing)}: pip install 'keras_dnnts[{extra.name}]'"
