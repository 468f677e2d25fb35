"""The whole state of a training, kept at ends of epochs, and where it can go on from."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from keras_dnnts import backend
from keras_dnnts.running.checkpoints import State
from keras_dnnts.running.interruption import Interrupted, Interruption
from keras_dnnts.running.run import Run
from keras_dnnts.running.together import share

BYTES_A_SECOND = 100e6  # that a slow disk takes
WORTH = 10  # times the time that a save takes: so long a training is not to be lost


class Stateful(Protocol):
    """A callback that can go on where an equal one stopped."""

    def get_state(self) -> Any:
        """What ``set_state`` takes."""

    def set_state(self, state: Any) -> None:
        """Go on from there."""


class ModelState:
    """A copy of what a compiled model has learned: its weights and its optimizer's variables.

    It lies where the model computes, and is brought to the host only as :meth:`get_state`: AlexNet's is 0.7 GB.
    Layers' seed generators are left out: :class:`keras_dnnts.running.callbacks.EpochStart` sets them every epoch.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        model.optimizer.build(model.trainable_variables)
        self._weights, self._optimizer = copy_values(model.weights), copy_values(model.optimizer.variables)

    @property
    def bytes(self) -> int:
        """About how many bytes a saved copy has."""
        return 4 * sum(math.prod(variable.shape) for variable in (*self.model.weights, *self.model.optimizer.variables))

    def capture(self) -> None:
        """Copy what the model has learned so far."""
        self._weights = copy_values(self.model.weights, self._weights)
        self._optimizer = copy_values(self.model.optimizer.variables, self._optimizer)

    def restore(self) -> None:
        """Bring the model back to the copy."""
        assign_values(self.model.weights, self._weights)
        assign_values(self.model.optimizer.variables, self._optimizer)
        self.capture()  # JAX gives a step the memory of the values that it starts from

    def get_state(self) -> State:
        """What :meth:`set_state` takes."""
        return {"weights": to_host(self._weights), "optimizer": to_host(self._optimizer)}

    def set_state(self, state: State) -> None:
        """Bring copy and model to this state."""
        self._weights, self._optimizer = state["weights"], state["optimizer"]
        self.restore()


def copy_values(variables: Sequence[keras.Variable], earlier: Sequence[Any] | None = None) -> list[Any]:
    """Copies of variables' values, on their device, where possible in the memory of earlier copies of them."""
    return [backend.copy_value(*pair) for pair in zip(variables, earlier or [None] * len(variables), strict=True)]


def assign_values(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    """Give variables these values."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def to_host(values: Iterable[Any]) -> list[np.ndarray]:
    """Values as NumPy arrays."""
    return [ops.convert_to_numpy(value) for value in values]


class Checkpoint(keras.callbacks.Callback):
    """Save a training at ends of epochs, so that one restored from it goes on as if never interrupted.

    Where a person asks training to stop, it saves the end of the last epoch, unless that is saved already, and raises
    :class:`keras_dnnts.running.interruption.Interrupted`: within an epoch after the current step.

    It stands last in ``fit``'s callbacks.

    Args:
        learned: of the model that is trained; captured here at the end of every epoch.
        parts: the other callbacks whose state belongs to the training, by name.
        save: keeps a state.
        seconds: least time between two saves; the first comes that long after training begins.
        interruption: says when to stop.
        watch: called at the end of every epoch.

    Attributes:
        epochs: number of finished epochs.
        finished: whether training has come to its end.
    """

    async_safe = True

    def __init__(
        self,
        learned: ModelState,
        parts: Mapping[str, Stateful],
        save: Callable[[State], None],
        seconds: float,
        interruption: Interruption,
        watch: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__()
        self.learned, self.parts, self.save = learned, parts, save
        self.seconds, self.interruption, self.watch = seconds, interruption, watch
        self.epochs, self.finished = 0, False

    def restore(self, state: State | None) -> None:
        """Bring the model and all parts to a saved state; None leaves all as it is."""
        if state is None:
            return
        self.epochs, self.finished = state["epochs"], state["finished"]
        self.learned.set_state(state["learnt"])
        for name, part in self.parts.items():
            if name in state["parts"]:  # one of an earlier version has fewer
                part.set_state(state["parts"][name])

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._saved_epochs, self._saved_time = self.epochs, time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop between two steps where asked to."""
        self._stop_if_asked()

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop between two steps of validation where asked to."""
        self._stop_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Capture the epoch, and save it where it is time."""
        if any(getattr(part, "failed", False) for part in self.parts.values()):
            return
        self.learned.capture()
        self.epochs = epoch + 1
        self.watch()
        self.finished = self.model.stop_training or self.epochs == self.params["epochs"]
        if time.monotonic() - self._saved_time >= self._least_seconds():
            self._save()
        if not self.finished:
            self._stop_if_asked()

    def _least_seconds(self) -> float:
        """After how long a save is due: the end of training is kept sooner, for what comes after it may take long.

        But writing all that Adam keeps can take longer than that.
        """
        return min(self.seconds, WORTH * self.learned.bytes / BYTES_A_SECOND) if self.finished else self.seconds

    def _collect(self) -> State:
        parts = {name: part.get_state() for name, part in self.parts.items()}
        return {"epochs": self.epochs, "finished": self.finished, "learnt": self.learned.get_state(), "parts": parts}

    def _save(self) -> None:
        # Within an epoch, the copy and the parts are still those of the end of the last one.
        self.save(self._collect())
        self._saved_epochs, self._saved_time = self.epochs, time.monotonic()

    def _stop_if_asked(self) -> None:
        if self.interruption.requested:
            if self.epochs > self._saved_epochs:
                self._save()
            raise Interrupted


def restored_checkpoint(
    run: Run,
    seed: int,
    learned: ModelState,
    parts: Mapping[str, Stateful],
    columns: Sequence[str],
    rows: Callable[[], Sequence[Sequence[float | None]]],
) -> Checkpoint:
    """The checkpoint of a seed's training, which goes on where the run's folder says that it stopped.

    Args:
        run: in whose folder states are saved, with the seed's history.
        seed: that is trained.
        learned, parts: as for :class:`Checkpoint`; brought to the saved state, where there is one.
        columns: of the history.
        rows: returns those so far.
    """

    def save(state: State) -> None:
        run.directory.checkpoints.save_training(seed, state)
        run.save_history(seed, columns, rows())

    def watch() -> None:
        run.offer_history(seed, columns, rows)

    checkpoint = Checkpoint(learned, parts, save, run.config.checkpoint_seconds, run.interruption, watch)
    checkpoint.restore(share(run.directory.checkpoints.load_training(seed)))
    return checkpoint
