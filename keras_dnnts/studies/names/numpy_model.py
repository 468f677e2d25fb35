"""A names model in NumPy: needs no engine, and one thread, so that it is fast on a busy machine too."""

import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from threadpoolctl import ThreadpoolController

from keras_dnnts.analysis import log_softmax

# Rows of a matrix product: enough to be fast, few enough that the gates of all of them stay in the cache.
BATCH_SIZE = 512

BEGINNINGS_AT_ONCE = 128  # likewise, of names of all lengths

State = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Beginnings:
    """The distinct beginnings of names, a letter longer each: what names share is computed once.

    Attributes:
        names: how many names there are.
        steps: for every number of letters: (B,) int numbers of the beginnings one letter shorter, (B,) int their next
            letters, (E,) int the names that end there, and (E,) int the numbers of the beginnings that these are.
    """

    names: int
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]

    @classmethod
    def of_names(cls, letters: np.ndarray, lengths: np.ndarray) -> Self:
        """The beginnings of names (N, T) int with lengths (N,) int."""
        numbers, width = np.zeros(len(letters), np.int64), int(letters.max()) + 1
        steps = []
        for t in range(int(lengths.max())):
            going = np.flatnonzero(lengths > t)
            keys, numbers[going] = np.unique(numbers[going] * width + letters[going, t], return_inverse=True)
            ends = np.flatnonzero(lengths == t + 1)
            steps.append((keys // width, keys % width, ends, numbers[ends]))
        return cls(len(letters), steps)


class NumpyNamesModel:
    """A trained names model, computed as :mod:`keras_dnnts.backend.cells` defines it.

    Args:
        cell: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        recurrent: the weights of :class:`.models.recurrent.Recurrent`, in its order and shapes.
        head: kernel (units, K) and bias (K,) of the dense layer behind it.
    """

    def __init__(self, cell: str, recurrent: list[np.ndarray], head: list[np.ndarray]) -> None:
        input_kernel, recurrent_kernel, input_bias, self._state_bias = recurrent
        self._step = _STEPS[cell]
        self._states = 2 if cell == "lstm" else 1
        self._units = recurrent_kernel.shape[1]
        # The steps take gates that are squashed by a sigmoid halved, which is exact.
        halved = np.repeat(np.array(_HALVED[cell], np.float32), self._units)
        # The product with a one-hot row is a row of the transposed kernel.
        self._from_letter = (np.ascontiguousarray(input_kernel.T) + input_bias) * halved
        self._recurrent = np.ascontiguousarray(recurrent_kernel.T) * halved
        self._state_bias = self._state_bias * halved
        self._head_kernel, self._head_bias = head

    def log_probabilities(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (N, K) float32 log-probabilities.

        Args:
            letters: (N, T) int letter indices, whatever they are after a name's length.
            lengths: (N,) int, each from 1 to T.
        """
        logits = np.empty((len(letters), len(self._head_bias)), np.float32)
        with _one_thread:
            for length in np.unique(lengths):
                for batch in _batches(np.flatnonzero(lengths == length)):
                    *_, last = self._states_after(letters[batch, :length])
                    logits[batch] = self._head(last)
        return log_softmax(logits)

    def log_probabilities_of(self, names: Beginnings) -> np.ndarray:
        """Return (N, K) float32 log-probabilities as :meth:`log_probabilities` does, but for rounding, in less time."""
        last = np.empty((names.names, self._units), np.float32)
        with _one_thread:
            state = tuple(np.zeros((1, self._units), np.float32) for _ in range(self._states))
            for parents, letters, ends, numbers in names.steps:
                state = self._extend(state, parents, letters)
                last[ends] = state[0][numbers]
            return log_softmax(self._head(last))

    def _extend(self, state: State, parents: np.ndarray, letters: np.ndarray) -> State:
        """The states after one letter more (B,) than the states of ``parents`` (B,)."""
        extended = tuple(np.empty((len(parents), self._units), np.float32) for _ in state)
        for start in range(0, len(parents), BEGINNINGS_AT_ONCE):
            rows = slice(start, start + BEGINNINGS_AT_ONCE)
            before = tuple(part[parents[rows]] for part in state)
            from_state = before[0] @ self._recurrent
            from_state += self._state_bias
            after = self._step(self._from_letter[letters[rows]], from_state, before)
            for whole, part in zip(extended, after, strict=True):
                whole[rows] = part
        return extended

    def read_letter_by_letter(self, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (N, T, K) float32 probabilities after every letter, NaN from a name's end on; arguments as above."""
        beyond = np.arange(letters.shape[1]) >= lengths[:, None]
        known = np.where(beyond, 0, letters)
        logits = np.empty((*letters.shape, len(self._head_bias)), np.float32)
        with _one_thread:
            for batch in _batches(np.arange(len(letters))):
                for t, after_letter in enumerate(self._states_after(known[batch])):
                    logits[batch, t] = self._head(after_letter)
        probabilities = np.exp(log_softmax(logits))
        probabilities[beyond] = np.nan
        return probabilities

    def _states_after(self, letters: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the states (n, units) after every letter of names (n, T) of one length."""
        state = tuple(np.zeros((len(letters), self._units), np.float32) for _ in range(self._states))
        for column in letters.T:
            state = self._step(self._from_letter[column], state[0] @ self._recurrent + self._state_bias, state)
            yield state[0]

    def _head(self, states: np.ndarray) -> np.ndarray:
        return states @ self._head_kernel + self._head_bias


class _OneThread:
    """Limits NumPy's products to one thread, from the first that enters to the last that leaves.

    They are small: on a busy machine, threads that wait for each other made them five times slower. The limit is the
    process's, so that whoever restored it on their own would bring back what another thread had set.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limits = _thread_pools().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limits.restore_original_limits()


_one_thread = _OneThread()


@functools.cache
def _thread_pools() -> ThreadpoolController:
    # To look for them takes milliseconds; NumPy's is loaded by now.
    return ThreadpoolController()


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, -(-len(rows) // BATCH_SIZE)) if len(rows) else []


def _sigmoid_of_twice(x: np.ndarray) -> np.ndarray:
    """The sigmoid of 2x, in its place, by tanh: exp overflows where a gate is shut."""
    return _from_tanh(np.tanh(x, out=x))


def _from_tanh(x: np.ndarray) -> np.ndarray:
    x *= np.float32(0.5)
    x += np.float32(0.5)
    return x


def _rnn_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> State:
    from_letter += from_state
    return (np.tanh(from_letter, out=from_letter),)


def _gru_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> State:
    units = state[0].shape[1]
    from_state[:, : 2 * units] += from_letter[:, : 2 * units]
    gates, new = _sigmoid_of_twice(from_state[:, : 2 * units]), from_state[:, 2 * units :]
    reset, update = gates[:, :units], gates[:, units:]
    new *= reset
    new += from_letter[:, 2 * units :]
    np.tanh(new, out=new)
    after = state[0] - new
    after *= update
    after += new
    return (after,)


def _lstm_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> State:
    from_letter += from_state
    np.tanh(from_letter, out=from_letter)
    input_gate, forget_gate, candidate, output_gate = np.split(from_letter, 4, axis=1)
    memory = _from_tanh(forget_gate) * state[1]
    candidate *= _from_tanh(input_gate)
    memory += candidate
    after = np.tanh(memory)
    after *= _from_tanh(output_gate)
    return (after, memory)


# By cell: the factors of its gates' parts, in their order; 0.5 for one that a sigmoid squashes.
_HALVED = {"rnn": (1.0,), "gru": (0.5, 0.5, 1.0), "lstm": (0.5, 0.5, 1.0, 0.5)}
_STEPS: dict[str, Callable[[np.ndarray, np.ndarray, State], State]] = {
    "rnn": _rnn_step,
    "gru": _gru_step,
    "lstm": _lstm_step,
}
