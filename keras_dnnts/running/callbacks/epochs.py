"""Callbacks of training by epochs."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from keras_dnnts.metrics import percent
from keras_dnnts.running.callbacks.checkpoint import ModelState, assign_values, copy_values, to_host
from keras_dnnts.running.console import RunProgress, format_seconds
from keras_dnnts.running.memory import release_freed_memory
from keras_dnnts.running.seeding import seed_epoch
from keras_dnnts.running.together import share

LONG_RUN_SECONDS = 3600
TIMED_BATCHES = 5
PLAIN_LOSS = "cross_entropy"
"""The metric that is recorded as the loss where a model is compiled with it, since something else is minimised."""


class Batches(Protocol):
    """Examples in batches, which differ from epoch to epoch.

    Attributes:
        images: number of examples.
        batch_size: number of examples a batch; the last may have fewer.
    """

    images: int
    batch_size: int

    def __len__(self) -> int:
        """Number of batches."""

    def start_epoch(self, epoch: int) -> None:
        """Turn to an epoch, counted from 0."""


@dataclass(frozen=True)
class Epoch:
    """One epoch: its number from 1, the rate it began with, mean losses and accuracies over images, its duration.

    Without validation images, what was measured on them is NaN.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class EpochOrder(Protocol):
    """Examples whose order and whatever else is random in them are a function of the epoch."""

    def start_epoch(self, epoch: int) -> None:
        """Turn to an epoch, counted from 0."""


class EpochStart(keras.callbacks.Callback):
    """Make everything random in an epoch a pure function of seed and epoch: order, augmentation and dropout."""

    async_safe = True

    def __init__(self, seed: int, batches: Sequence[EpochOrder]) -> None:
        super().__init__()
        self.seed, self.batches = seed, batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Seed, and turn the batches to the epoch."""
        seed_epoch(self.model, self.seed, epoch)
        for batches in self.batches:
            batches.start_epoch(epoch)


class MemoryRelease(keras.callbacks.Callback):
    """Give freed memory back between training and validation, where it is kept (:mod:`keras_dnnts.running.memory`)."""

    async_safe = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validation, or training on images of another size, has ended."""
        release_freed_memory()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Training has ended."""
        release_freed_memory()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """What comes now is of other sizes."""
        release_freed_memory()


class LearningRateLog(keras.callbacks.Callback):
    """In the place of Keras's ``LearningRateScheduler`` where the optimizer itself changes its rate from step to step.

    Args:
        rate_of: the rate that an epoch, counted from 0, begins with.
    """

    async_safe = True

    def __init__(self, rate_of: Callable[[int], float]) -> None:
        super().__init__()
        self.rate_of = rate_of

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the rate to what is logged of the epoch."""
        assert logs is not None
        logs["learning_rate"] = self.rate_of(epoch)


class SharedLogs(keras.callbacks.Callback):
    """What is logged of an epoch, as the first of several processes has it: all of them decide alike.

    Stands before the callbacks that decide.
    """

    async_safe = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take the first process's numbers."""
        assert logs is not None
        logs.update(share({name: float(value) for name, value in logs.items()}))


class EpochHistory(keras.callbacks.Callback):
    """Keep every epoch's numbers. Needs ``LearningRateScheduler`` or :class:`LearningRateLog` before it.

    Where a training loss is not finite, training stops within the epoch, which is not recorded, and the model goes
    back to where it was before.

    Args:
        learned: what the model had learned at the end of the last epoch.
        stops_within_epoch: whether training stops at once, rather than at the end of the epoch.

    Attributes:
        epochs: every finished epoch.
        training_seconds: how long each took, validation left out.
        compile_seconds: how long the engine compiled before that.
        failed_epoch: None, or the number (from 1) of the epoch with a loss that was not finite.
    """

    async_safe = True

    def __init__(self, learned: ModelState, stops_within_epoch: bool = True) -> None:
        super().__init__()
        self.learned, self.stops_within_epoch = learned, stops_within_epoch
        self.epochs: list[Epoch] = []
        self.training_seconds: list[float] = []
        self.compile_seconds = 0.0
        self.failed_epoch: int | None = None
        self._trained: float | None = None

    @property
    def failed(self) -> bool:
        """Whether a training loss was not finite."""
        return self.failed_epoch is not None

    @property
    def epochs_per_second(self) -> float:
        """Speed of training alone."""
        return len(self.training_seconds) / sum(self.training_seconds)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._finite = True
        self._started, self._trained = time.perf_counter(), None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note a mean loss that is not finite any more. Runs in another thread, which must not touch the model."""
        assert logs is not None
        if not math.isfinite(logs["loss"]):
            self._finite = not self.stops_within_epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop after such a loss."""
        if not self._finite:
            self.model.stop_training = True

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Note when validation begins."""
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch, or go back to before it."""
        assert logs is not None
        if not math.isfinite(logs["loss"]):
            self.failed_epoch = epoch + 1
            self.learned.restore()
            self.model.stop_training = True
            return
        ended = time.perf_counter()
        self.epochs.append(
            Epoch(
                epoch=epoch + 1,
                learning_rate=float(logs["learning_rate"]),
                train_loss=_loss_of(logs),
                train_accuracy=float(logs["accuracy"]),
                validation_loss=_loss_of(logs, "val_"),
                validation_accuracy=float(logs.get("val_accuracy", math.nan)),
                seconds=ended - self._started,
            )
        )
        self.training_seconds.append((self._trained or ended) - self._started)

    def get_state(self) -> dict[str, Any]:
        """What :meth:`set_state` takes."""
        epochs = [dataclasses.astuple(epoch) for epoch in self.epochs]
        times = {"training_seconds": self.training_seconds, "compile_seconds": self.compile_seconds}
        return {"epochs": epochs, **times}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.epochs = [Epoch(*epoch) for epoch in state["epochs"]]
        self.training_seconds = state["training_seconds"]
        self.compile_seconds += state.get("compile_seconds", 0.0)


class EarlyStopping(keras.callbacks.Callback):
    """Stop as the reference does: when the validation loss has not gone strictly below its best for some epochs.

    Keras's callback of this name takes a first loss of NaN for the best, which nothing is below. Here the best starts
    at infinity, and NaN is no improvement.

    Args:
        patience: number of epochs in a row without improvement that ends training; 0 for training that none end.
        restore_best: whether the model ends with the weights of its best epoch rather than of its last.

    Attributes:
        best_epoch: number (from 1) of the epoch with the lowest validation loss; 0 while none is below infinity.
    """

    async_safe = True

    def __init__(self, patience: int, restore_best: bool) -> None:
        super().__init__()
        self.patience, self.restore_best = patience, restore_best
        self.best_epoch = 0
        self._best_loss = math.inf
        self._best_weights: list[Any] | None = None
        self._waited = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compare the epoch with the best one."""
        assert logs is not None
        loss = _loss_of(logs, "val_")
        if loss < self._best_loss:
            self._best_loss, self.best_epoch, self._waited = loss, epoch + 1, 0
            if self.restore_best:
                self._best_weights = copy_values(self.model.weights)
            return
        self._waited += 1
        if self.patience and self._waited >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Go back to the best weights."""
        if self._best_weights is not None:
            assign_values(self.model.weights, self._best_weights)

    def get_state(self) -> dict[str, Any]:
        """What :meth:`set_state` takes."""
        return {
            "best_epoch": self.best_epoch,
            "best_loss": float(self._best_loss),
            "best_weights": None if self._best_weights is None else to_host(self._best_weights),
            "waited": self._waited,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.best_epoch, self._best_loss = state["best_epoch"], state["best_loss"]
        self._best_weights, self._waited = state["best_weights"], state["waited"]


class FirstEpochSnapshot(keras.callbacks.Callback):
    """Keep what ``measure()`` returns after the first epoch, as ``value``."""

    async_safe = True

    def __init__(self, measure: Callable[[], np.ndarray]) -> None:
        super().__init__()
        self.measure = measure
        self.value: np.ndarray | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure once."""
        if epoch == 0:
            self.value = self.measure()

    def get_state(self) -> np.ndarray | None:
        """What :meth:`set_state` takes."""
        return self.value

    def set_state(self, state: np.ndarray | None) -> None:
        """Go on from there."""
        self.value = state


class EpochProgress(keras.callbacks.Callback):
    """Show progress after every batch, and a line every epoch; say early where a run will be long.

    Args:
        progress: counts training images.
        label: of what run, for a person; may be empty.
        batches: the training batches.
        history: stands before this in ``fit``'s callbacks.
    """

    # Losses arrive in another thread, so that the device need not wait for them; the bar moves in this one.
    async_safe = True

    def __init__(self, progress: RunProgress, label: str, batches: Batches, history: EpochHistory) -> None:
        super().__init__()
        self.progress, self.label, self.batches, self.history = progress, label, batches, history
        self._logs: dict[str, Any] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Name the epoch."""
        self._title = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._logs = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the batch before this one."""
        if batch > 0:
            self._advance(self.batches.batch_size)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the latest means, and time the first batches but for the very first, which includes compilation."""
        self._logs = logs
        if self.progress.done >= self.batches.images:
            return
        if batch == 0:
            self._first_arrival = time.perf_counter()
        elif batch == TIMED_BATCHES:
            self._warn_of_long_run((time.perf_counter() - self._first_arrival) / TIMED_BATCHES)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the last batch and print the epoch's line."""
        if self.history.failed:
            return
        self._advance(self.batches.images - (len(self.batches) - 1) * self.batches.batch_size)
        done = self.history.epochs[-1]
        loss, accuracy = f"{done.train_loss:.4f}", percent(done.train_accuracy)
        if not math.isnan(done.validation_loss):
            loss += f", val. {done.validation_loss:.4f}"
            accuracy += f", val. {percent(done.validation_accuracy)}"
        self.progress.line(f"{self._title} · loss {loss} · accuracy {accuracy}", self.label)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Take the epochs that early stopping saved off the total."""
        self.progress.shorten((self.params["epochs"] - len(self.history.epochs)) * self.batches.images, self.label)

    def _advance(self, images: int) -> None:
        logs = self._logs
        note = f"loss {logs['loss']:.4f} · accuracy {percent(logs['accuracy'])}" if logs else ""
        self.progress.advance(images, self.label, note, self._title)

    def _warn_of_long_run(self, batch_seconds: float) -> None:
        seconds = batch_seconds * self.progress.total / self.batches.batch_size
        if seconds > LONG_RUN_SECONDS:
            self.progress.line(
                f"this run may take {format_seconds(seconds)} on this device; "
                "fewer epochs, smaller images or fewer training images shorten it"
            )


def _loss_of(logs: dict[str, Any], part: str = "") -> float:
    return float(logs.get(f"{part}{PLAIN_LOSS}", logs.get(f"{part}loss", math.nan)))
