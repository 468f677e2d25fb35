"""What the reference, a public PyTorch notebook, reports, and on what."""

from typing import Any

from keras_dnnts.config import CifarConfig, NamesConfig
from keras_dnnts.results import Result

REPORTED: dict[str, dict[str, float]] = {
    "rnn": {"train_accuracy_by_class": 0.6530},
    "gru": {"train_accuracy_by_class": 0.5470},
    "lstm": {"train_accuracy_by_class": 0.5240},
    "alexnet": {"test_accuracy": 0.6246, "test_loss": 1.0807, "epochs_run": 19},
    "resnet50": {"test_accuracy": 0.7446, "test_loss": 0.7436, "epochs_run": 15},
}
"""By cell or architecture and metric. The accuracy of the names is over 1,000 draws from the training names."""

# Of the 18 files with the reference's letters, however they were read.
NAMES_CONTENT_HASH = "sha256:0111cd9d41f90753b372d68767ad9202ffc28576ac2e13adac049041ec29a731"
# The defaults are the reference's own.
SETTINGS = {
    "names": ("hidden_units", "iterations", "learning_rate"),
    "cifar": ("image_size", "train_images", "width", "epochs", "batch_size", "learning_rate", "step_factor"),
}


def reported(result: Result) -> dict[str, float]:
    """The reference's own numbers for a run's model, by metric."""
    return REPORTED[result.config["cell" if result.experiment == "names" else "arch"]]


def is_on_reference_data(result: Result) -> bool:
    """Whether a run had the very data of the reference."""
    if result.experiment == "names":
        return result.dataset["content_hash"] == NAMES_CONTENT_HASH
    return result.dataset["source"] == "tensorflow-datasets" and not result.dataset["stand_in"]


def changed_settings(result: Result) -> dict[str, tuple[Any, Any]]:
    """The settings in which a run departs from the reference: by name, (the run's, the reference's)."""
    own = result.config
    default = NamesConfig(cell=own["cell"]) if result.experiment == "names" else CifarConfig(arch=own["arch"])
    pairs = {name: (own[name], getattr(default, name)) for name in SETTINGS[result.experiment] if name in own}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
