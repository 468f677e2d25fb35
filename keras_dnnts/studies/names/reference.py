"""What the reference, a public PyTorch notebook, reports of names, and on what."""

from collections.abc import Mapping
from typing import Any

from keras_dnnts.studies.names.config import REFERENCE_DEFAULTS
from keras_dnnts.study import NOTEBOOK_TITLE, NOTEBOOK_URL

REPORTED = {
    "rnn": {"train_accuracy_by_class": 0.6530},
    "gru": {"train_accuracy_by_class": 0.5470},
    "lstm": {"train_accuracy_by_class": 0.5240},
}
"""By cell and metric. The accuracy is over 1,000 draws from the training names."""

# Of the 18 files with the reference's letters, from wherever they were read: line by line as they are, and without the
# blanks around ten of the names.
CONTENT_HASHES = (
    "sha256:0111cd9d41f90753b372d68767ad9202ffc28576ac2e13adac049041ec29a731",
    "sha256:5eed7135cc15a1cd4c41c9bd1ceac9207e618f044234c23e21d4fd64945d55c1",
)
SETTINGS = ("hidden_units", "iterations", "learning_rate", "schedule", "draw_classes", "draw_from")


class NamesReference:
    """The notebook's names part, see :class:`keras_dnnts.study.Reference`."""

    title, url = NOTEBOOK_TITLE, NOTEBOOK_URL

    def reported(self, config: Mapping[str, Any]) -> dict[str, float]:
        """The reported numbers for a config's cell, by metric; empty for another model."""
        return REPORTED.get(config["model"], {})

    def has_data_of(self, dataset: Mapping[str, Any]) -> bool:
        """Whether a run had the very data."""
        return dataset["content_hash"] in CONTENT_HASHES

    def changed_settings(self, config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The settings in which a run departs from it: by name, (the run's, the reference's)."""
        pairs = {name: (config[name], REFERENCE_DEFAULTS[name]) for name in SETTINGS if name in config}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def measured_on(self) -> str:
        """What its accuracies were measured on, in words."""
        return "names it was trained on"
