"""Keras callbacks that studies share."""

from keras_dnnts.running.callbacks.checkpoint import Checkpoint, ModelState, Stateful, restored_checkpoint
from keras_dnnts.running.callbacks.epochs import (
    EarlyStopping,
    Epoch,
    EpochHistory,
    EpochProgress,
    EpochStart,
    FirstEpochSnapshot,
    LearningRateLog,
    MemoryRelease,
    SharedLogs,
)

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "Epoch",
    "EpochHistory",
    "EpochProgress",
    "EpochStart",
    "FirstEpochSnapshot",
    "LearningRateLog",
    "MemoryRelease",
    "ModelState",
    "SharedLogs",
    "Stateful",
    "restored_checkpoint",
]
