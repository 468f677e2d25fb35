"""Two studies in Keras 3: CNNs trained from scratch on CIFAR-10, recurrent cells trained on surnames.

Importing this package makes torch Keras's backend unless ``KERAS_BACKEND`` names another one. It imports no engine:
what is listed below is imported from its module once it is asked for.
"""

import importlib
import os
from typing import Any

from keras_dnnts.registry import PUBLIC

__version__ = "0.2.0"

os.environ.setdefault("KERAS_BACKEND", "torch")

_MODULES = {
    "analysis": (
        "count_confusions",
        "late_changes",
        "mean_cross_entropy",
        "measure_accuracy",
        "most_confident_mistakes",
        "most_frequent_confusions",
    ),
    "config": ("load_config",),
    "datasets.image_split": ("select_parts", "split_images"),
    "datasets.images": ("load_image_dataset",),
    "datasets.splits": ("split_names",),
    "errors": ("UserError",),
    "figures": ("save_figures",),
    "figures.comparison": ("plot_comparison",),
    "figures.confusion": ("plot_confusion",),
    "library": ("compare_runs", "ensemble_runs", "export_model", "run", "write_report"),
    "results": ("Result", "load_result"),
    **PUBLIC,
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
