"""Two studies in Keras 3: CNNs trained from scratch on CIFAR-10, recurrent cells trained on surnames.

Importing this package makes torch Keras's backend unless ``KERAS_BACKEND`` names another one. It imports no engine:
what is listed below is imported from its module once it is asked for.
"""

import importlib
import os
from typing import Any

__version__ = "0.1.0"

os.environ.setdefault("KERAS_BACKEND", "torch")

_MODULES = {
    "analysis": (
        "build_feature_extractor",
        "compute_activations",
        "count_confusions",
        "embed",
        "late_changes",
        "mean_cross_entropy",
        "measure_accuracy",
        "most_confident_mistakes",
        "most_frequent_confusions",
        "neighbour_accuracy",
        "predict_log_probabilities",
        "read_letter_by_letter",
    ),
    "config": ("CifarConfig", "NamesConfig", "load_config"),
    "datasets.image_split": ("select_parts", "split_images"),
    "datasets.images": ("load_image_dataset",),
    "studies.names.data": ("load_names_dataset",),
    "datasets.splits": ("split_names",),
    "studies.names.stream": ("draw_examples",),
    "errors": ("UserError",),
    "figures": ("save_figures",),
    "studies.cifar.figures": (
        "plot_activations",
        "plot_curves",
        "plot_embeddings",
        "plot_history",
        "plot_mistakes",
        "plot_test_confusion",
    ),
    "figures.comparison": ("plot_comparison",),
    "figures.confusion": ("plot_confusion",),
    "studies.names.figures": ("plot_names_confusion", "plot_training_loss"),
    "studies.names.reading_figure": ("plot_reading",),
    "studies.cifar.image_batches": ("ImageBatches",),
    "library": ("predict_names", "run_cifar", "run_names"),
    "models": (
        "PerExampleModel",
        "build_alexnet",
        "build_char_rnn",
        "build_resnet50",
        "compile_char_rnn",
        "load_torch_weights",
        "load_torchvision_weights",
    ),
    "results": ("Result", "load_result"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
