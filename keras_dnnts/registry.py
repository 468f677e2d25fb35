"""Which studies there are. Each is a folder under ``studies/`` with a ``STUDY``; nothing else knows their names."""

import importlib
from typing import TYPE_CHECKING

from keras_dnnts.errors import UserError

if TYPE_CHECKING:
    from keras_dnnts.study import Study

_MODULES = {"names": "keras_dnnts.studies.names", "cifar": "keras_dnnts.studies.cifar"}
_registered: dict[str, "Study"] = {}


def register(study: "Study") -> None:
    """Make a study from outside this package known to this process."""
    _registered[study.name] = study


def study_names() -> tuple[str, ...]:
    """The names of all studies, this package's first."""
    return (*_MODULES, *(name for name in _registered if name not in _MODULES))


def find_study(name: str) -> "Study":
    """Return a study.

    Raises:
        UserError: there is none of this name.
    """
    if name in _registered:
        return _registered[name]
    if name not in _MODULES:
        raise UserError(f"there is no study {name!r}: use one of {', '.join(study_names())}")
    return importlib.import_module(_MODULES[name]).STUDY


def all_studies() -> list["Study"]:
    """All studies, in the order of :func:`study_names`."""
    return [find_study(name) for name in study_names()]
