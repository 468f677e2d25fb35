"""What the reference, a public PyTorch notebook, reports of CIFAR-10, and on what. Numbers stand with the networks."""

from collections.abc import Mapping
from typing import Any

from keras_dnnts.studies.cifar.architectures import ARCHITECTURES
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.study import NOTEBOOK_TITLE, NOTEBOOK_URL

SETTINGS = (
    "image_size",
    "train_images",
    "width",
    "epochs",
    "batch_size",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "schedule",
    "step_epochs",
    "step_factor",
    "label_smoothing",
    "augmentation",
    "resampling",
    "initial_image_size",
    "train_on",
    "weights",
    "weight_averaging",
    "evaluation",
    "patience",
    "precision",
)
"""Of which the defaults are the reference's own."""


class CifarReference:
    """The notebook's CIFAR-10 part, see :class:`keras_dnnts.study.Reference`."""

    title, url = NOTEBOOK_TITLE, NOTEBOOK_URL

    def reported(self, config: Mapping[str, Any]) -> dict[str, float]:
        """The reported numbers for a config's network, by metric; empty for another network."""
        architecture = None if config.get("pretrained") else ARCHITECTURES.get(config["arch"])
        return dict(architecture.reported) if architecture else {}

    def has_data_of(self, dataset: Mapping[str, Any]) -> bool:
        """Whether a run had the very data."""
        return dataset["source"] == "tensorflow-datasets" and not dataset["stand_in"]

    def changed_settings(self, config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The settings in which a run departs from it: by name, (the run's, the reference's)."""
        default = CifarConfig(arch=config["arch"], recipe="reference").to_dict()
        pairs = {name: (_plain(config[name]), _plain(default[name])) for name in SETTINGS if name in config}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def measured_on(self) -> str:
        """What its accuracies were measured on, in words."""
        return "augmented test images"


def _plain(value: Any) -> Any:
    return (", ".join(value) or "none") if isinstance(value, list) else value
