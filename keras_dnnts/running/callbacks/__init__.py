"""Keras callbacks of both experiments."""

from keras_dnnts.running.callbacks.checkpoint import Checkpoint, ModelState
from keras_dnnts.running.callbacks.epochs import (
    EarlyStopping,
    Epoch,
    EpochHistory,
    EpochProgress,
    EpochStart,
    FirstEpochSnapshot,
)
from keras_dnnts.studies.names.callbacks import UpdateHistory, UpdateProgress

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "Epoch",
    "EpochHistory",
    "EpochProgress",
    "EpochStart",
    "FirstEpochSnapshot",
    "ModelState",
    "UpdateHistory",
    "UpdateProgress",
]
