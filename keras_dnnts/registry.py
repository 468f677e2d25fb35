"""Which studies there are. Each is a folder under ``studies/`` with a ``STUDY``; nothing else knows their names."""

import importlib
from typing import TYPE_CHECKING

from keras_dnnts.errors import UserError

if TYPE_CHECKING:
    from keras_dnnts.study import Study

_MODULES = {"names": "keras_dnnts.studies.names", "cifar": "keras_dnnts.studies.cifar"}

# What the package offers of each study under its own name, by module.
PUBLIC = {
    "studies.names.config": ("NamesConfig",),
    "studies.names.data": ("load_names_dataset",),
    "studies.names.evaluate": ("predict_log_probabilities", "read_letter_by_letter"),
    "studies.names.figures": ("plot_names_confusion", "plot_reading", "plot_training_loss"),
    "studies.names.library": ("predict_names", "run_names"),
    "studies.names.models": ("PerExampleModel", "build_char_rnn", "compile_char_rnn", "load_torch_weights"),
    "studies.names.stream": ("draw_examples",),
    "studies.cifar.config": ("CifarConfig",),
    "studies.cifar.evaluate": ("build_feature_extractor", "compute_activations", "embed", "neighbour_accuracy"),
    "studies.cifar.figures": (
        "plot_activations",
        "plot_curves",
        "plot_embeddings",
        "plot_history",
        "plot_mistakes",
        "plot_test_confusion",
    ),
    "studies.cifar.image_batches": ("ImageBatches",),
    "studies.cifar.library": ("predict_images", "run_cifar"),
    "studies.cifar.models": ("build_airbench", "build_alexnet", "build_resnet50", "load_torchvision_weights"),
}

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
