"""Callbacks of training: one example at a time, where an epoch of ``fit`` is one chunk of updates, and in batches."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.metrics import percent
from keras_dnnts.running.callbacks.checkpoint import ModelState
from keras_dnnts.running.console import RunProgress


class LossHistory(keras.callbacks.Callback, ABC):
    """What is kept of every epoch of ``fit``: its mean loss and the time it took.

    Attributes:
        losses: mean loss of every finished epoch.
        seconds: how long each took.
        compile_seconds: how long the engine or the kernel compiled before that.
    """

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.compile_seconds = 0.0

    @property
    @abstractmethod
    def failed(self) -> bool:
        """Whether a loss was not finite."""

    @abstractmethod
    def step_after(self, epoch: int) -> int:
        """The number by which rows of the history name the end of an epoch of ``fit``, counted from 0."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def get_state(self) -> dict[str, Any]:
        """What :meth:`set_state` takes."""
        return {"losses": self.losses, "seconds": self.seconds, "compile_seconds": self.compile_seconds}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.losses, self.seconds = state["losses"], state["seconds"]
        self.compile_seconds += state.get("compile_seconds", 0.0)

    def _record(self, logs: dict[str, Any]) -> None:
        self.losses.append(float(logs["loss"]))
        self.seconds.append(time.perf_counter() - self._started)


class UpdateHistory(LossHistory):
    """Keep the mean loss of every chunk of updates and the time it took.

    Where a loss is not finite, training stops and the model goes back to where it was before that chunk.

    Args:
        updates: number of updates of the whole training.
        chunk_size: updates a chunk.
        learned: what the model had learned at the end of the last chunk.

    Attributes:
        failed_update: None, or the number (from 1) of the update whose loss was not finite.
    """

    def __init__(self, updates: int, chunk_size: int, learned: ModelState) -> None:
        super().__init__()
        self.updates, self.chunk_size, self.learned = updates, chunk_size, learned
        self.failed_update: int | None = None

    @property
    def failed(self) -> bool:
        """Whether a loss was not finite."""
        return self.failed_update is not None

    @property
    def updates_per_second(self) -> float:
        """Speed of the training loop."""
        return sum(self._size(chunk) for chunk in range(len(self.seconds))) / sum(self.seconds)

    def step_after(self, epoch: int) -> int:
        """The number of updates up to the end of a chunk."""
        return min((epoch + 1) * self.chunk_size, self.updates)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the chunk, or stop at a loss that is not finite."""
        assert logs is not None
        finite = int(logs["finite_updates"])
        if finite < self._size(epoch):
            self.failed_update = epoch * self.chunk_size + finite + 1
            self.learned.restore()
            self.model.stop_training = True
            return
        self._record(logs)

    def _size(self, chunk: int) -> int:
        return min(self.chunk_size, self.updates - chunk * self.chunk_size)


class SampleHistory(keras.callbacks.Callback):
    """Keep how well samples of names are classified, now and then.

    Args:
        history: stands before this in ``fit``'s callbacks.
        steps: after which of the history's that is measured.
        measure: shares by side, of the model as it is then.

    Attributes:
        measured: the shares by step.
    """

    async_safe = True

    def __init__(self, history: LossHistory, steps: Iterable[int], measure: Callable[[], tuple[float, ...]]) -> None:
        super().__init__()
        self.history, self.steps, self.measure = history, frozenset(steps), measure
        self.measured: dict[int, tuple[float, ...]] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure where it is time to; not within the history's seconds."""
        step = self.history.step_after(epoch)
        if step in self.steps and not self.history.failed:
            self.measured[step] = self.measure()

    def get_state(self) -> dict[str, Any]:
        """What :meth:`set_state` takes."""
        return {"steps": list(self.measured), "shares": list(self.measured.values())}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.measured = dict(zip(state["steps"], map(tuple, state["shares"]), strict=True))


class BatchHistory(LossHistory):
    """Keep the mean loss of every epoch of batches and the time it took.

    Where that loss is not finite, training stops and the model goes back to where it was before that epoch.

    Args:
        learned: what the model had learned at the end of the last epoch.
        members: number of networks whose losses ``fit`` sums; their mean is kept.

    Attributes:
        failed_epoch: None, or the number (from 1) of the epoch whose loss was not finite.
    """

    def __init__(self, learned: ModelState, members: int = 1) -> None:
        super().__init__()
        self.learned, self.members = learned, members
        self.failed_epoch: int | None = None

    @property
    def failed(self) -> bool:
        """Whether a loss was not finite."""
        return self.failed_epoch is not None

    def step_after(self, epoch: int) -> int:
        """The number of an epoch, counted from 1."""
        return epoch + 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch, or stop at a loss that is not finite."""
        assert logs is not None
        if not math.isfinite(logs["loss"]):
            self.failed_epoch = epoch + 1
            self.learned.restore()
            self.model.stop_training = True
            return
        self._record({"loss": self.mean_loss(logs)})

    def mean_loss(self, logs: dict[str, Any]) -> float:
        """The loss of one network, mean over them."""
        return float(logs["loss"]) / self.members


class BatchProgress(keras.callbacks.Callback):
    """Show progress after every batch, and a line every epoch.

    Args:
        progress: counts batches, of every seed as many an epoch as of the one that has the most.
        label: of the seed, for a person; may be empty.
        batches: number of batches an epoch.
        history: stands before this in ``fit``'s callbacks.
    """

    async_safe = True

    def __init__(self, progress: RunProgress, label: str, batches: int, history: BatchHistory) -> None:
        super().__init__()
        self.progress, self.label, self.batches, self.history = progress, label, batches, history
        self._logs: dict[str, Any] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Name the epoch."""
        self._title, self._left = f"epoch {epoch + 1}/{self.params['epochs']}", self.batches

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the batch before this one."""
        if batch > 0:
            self._advance(1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the latest mean."""
        self._logs = logs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count what is left and print the epoch's line."""
        if self.history.failed:
            return
        self._advance(self._left)
        self.progress.line(f"{self._title} · loss {self.history.losses[-1]:.4f}", self.label)

    def _advance(self, batches: int) -> None:
        self._left -= batches
        note = f"loss {self.history.mean_loss(self._logs):.4f}" if self._logs else ""
        self.progress.advance(batches, self.label, note, self._title)


class UpdateProgress(keras.callbacks.Callback):
    """Show progress after every chunk, and the reference's sample line every ``sample_every`` updates.

    A sample line says step, loss, name / guess and ✓ or ✗ (truth), all of that step's example before its own update.
    """

    async_safe = True

    def __init__(
        self, progress: RunProgress, label: str, dataset: NamesDataset, stream: np.ndarray, history: UpdateHistory
    ) -> None:
        super().__init__()
        self.progress, self.label, self.dataset, self.stream = progress, label, dataset, stream
        self.history = history
        self.sample_every = 5000

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance by one chunk."""
        assert logs is not None
        if self.history.failed:
            return
        before = epoch * self.history.chunk_size
        step = self.history.step_after(epoch)
        self.progress.advance(step - before, self.label, f"loss {logs['loss']:.4f}")
        if step // self.sample_every > before // self.sample_every or step == len(self.stream):
            self.progress.line(self._sample(step, logs["step_loss"], int(logs["guess"])), self.label)

    def _sample(self, step: int, loss: float, guess: int) -> str:
        example = self.stream[step - 1]
        truth = int(self.dataset.labels[example])
        classes = self.dataset.classes
        verdict = "✓" if guess == truth else f"✗ ({classes[truth]})"
        when = f"step {step} ({percent(step / len(self.stream), 0)})"
        return f"{when} · loss {loss:.4f} · {self.dataset.texts[example]} / {classes[guess]} {verdict}"
