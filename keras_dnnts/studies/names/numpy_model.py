"""A names model in NumPy: needs no engine, and one thread, so that it is fast on a busy machine too."""

import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from threadpoolctl import ThreadpoolController

from keras_dnnts.analysis import log_softmax

# Rows of a matrix product: enough to be fast, few enough that the gates of all of them stay in the cache.
BATCH_SIZE = 512

PREFIXES_PER_BATCH = 128  # likewise, of names of all lengths

State = tuple[np.ndarray, ...]


class PrefixLevel(NamedTuple):
    """The B distinct prefixes of one length, each a letter longer than one of the level before.

    Attributes:
        parents: (B,) int numbers of the prefixes one letter shorter.
        letters: (B,) int their next letters.
        going: (G,) int the distinct numbers among ``parents``.
        places: (B,) int where those of ``parents`` are in ``going``.
        ends: (E,) int the names that end there.
        numbers: (E,) int the numbers of the prefixes that these are.
    """

    parents: np.ndarray
    letters: np.ndarray
    going: np.ndarray
    places: np.ndarray
    ends: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class Prefixes:
    """The distinct prefixes of names, by length: a prefix that names share is computed once.

    Attributes:
        names: how many names there are.
        steps: for every number of letters.
    """

    names: int
    steps: list[PrefixLevel]

    @classmethod
    def of_names(cls, letters: np.ndarray, lengths: np.ndarray) -> Self:
        """The prefixes of names (N, T) int with lengths (N,) int."""
        numbers, width = np.zeros(len(letters), np.int64), int(letters.max()) + 1
        steps = []
        for t in range(int(lengths.max())):
            going = np.flatnonzero(lengths > t)
            keys, numbers[going] = np.unique(numbers[going] * width + letters[going, t], return_inverse=True)
            ends, parents = np.flatnonzero(lengths == t + 1), keys // width
            steps.append(
                PrefixLevel(parents, keys % width, *np.unique(parents, return_inverse=True), ends, numbers[ends])
            )
        return cls(len(letters), steps)


class NumpyNamesModel:
    """A trained names model, computed as :mod:`keras_dnnts.backend.cells` defines it.

    Args:
        cell: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        recurrent: the weights of :class:`.models.recurrent.Recurrent`, in its order and shapes.
        head: kernel (units, K) and bias (K,) of the dense layer behind it.
    """

    def __init__(self, cell: str, recurrent: list[np.ndarray], head: list[np.ndarray]) -> None:
        input_kernel, recurrent_kernel, input_bias, state_bias = recurrent
        self._step = _STEPS[cell]
        self._states = 2 if cell == "lstm" else 1
        self._kept = _KEPT[cell]
        self._units = recurrent_kernel.shape[1]
        # By gate, so that the numbers of each lie together. The steps take gates that are squashed by a sigmoid halved,
        # which is exact.
        halved = np.array(_HALVED[cell], np.float32)[:, None, None]
        gates = len(halved)
        input_bias, state_bias = (bias.reshape(gates, 1, -1) for bias in (input_bias, state_bias))
        # The product with a one-hot row is a row of the transposed kernel.
        self._from_letter = (_transpose(input_kernel, gates) + input_bias) * halved
        self._recurrent = _transpose(recurrent_kernel, gates) * halved
        # State biases join the letters' part once; but a GRU first multiplies its candidate's by the reset gate.
        added = 2 if cell == "gru" else gates
        self._from_letter[:added] += (state_bias * halved)[:added]
        self._state_bias = state_bias[added:]
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

    def make_workspace(self, names: Prefixes) -> "Workspace":
        """Return the memory that :meth:`logits_of` needs for names, of any model of the same cell and size."""
        return Workspace(self._states, len(self._recurrent), self._units, names)

    def logits_of(self, names: Prefixes, workspace: "Workspace") -> np.ndarray:
        """Return (N, K) float32: log-probabilities but for what is the same for all classes, and rounding."""
        last, before, after = workspace.last, workspace.states, workspace.others
        for part in before:
            part[0] = 0
        with _one_thread:
            for step in names.steps:
                self._extend(before, step, after, workspace)
                last[step.ends] = after[0][step.numbers]
                before, after = after, before
            return self._head(last)

    def _extend(self, before: State, step: PrefixLevel, after: State, workspace: "Workspace") -> None:
        """Write the states of prefixes into the first rows of ``after``; ``before`` has those a letter shorter."""
        going = workspace.going[: len(step.going)]
        np.take(before[0], step.going, axis=0, out=going, mode="clip")
        products = self._from_state(going, workspace.products(len(going)))
        for start in range(0, len(step.parents), PREFIXES_PER_BATCH):
            rows = slice(start, start + PREFIXES_PER_BATCH)
            places, parents = step.places[rows], step.parents[rows]
            from_letter, from_state = workspace.gates(len(parents))
            np.take(products, places, axis=1, out=from_state, mode="clip")
            np.take(self._from_letter, step.letters[rows], axis=1, out=from_letter, mode="clip")
            state = tuple(part[start : start + len(parents)] for part in after)
            if self._kept is not None:
                np.take(before[self._kept], parents, axis=0, out=state[self._kept], mode="clip")
            self._step(from_letter, from_state, state)

    def _from_state(self, state: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """What states (n, units) add to the gates (gates, n, units) of the next letter."""
        product = np.matmul(state, self._recurrent, out=out)
        if len(self._state_bias):
            product[-len(self._state_bias) :] += self._state_bias
        return product

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
        """Yield the states (n, units) after every letter of names (n, T) of one length, all in the same memory."""
        state = tuple(np.zeros((len(letters), self._units), np.float32) for _ in range(self._states))
        for column in letters.T:
            self._step(self._from_letter[:, column], self._from_state(state[0]), state)
            yield state[0]

    def _head(self, states: np.ndarray) -> np.ndarray:
        return states @ self._head_kernel + self._head_bias


class Workspace:
    """Memory for the states and gates of names, which is kept from call to call, for taking it anew costs time.

    Args:
        states: number of arrays of a state.
        gates: number of gates of the cell.
        units: size of a state.
        names: for which it is enough.
    """

    def __init__(self, states: int, gates: int, units: int, names: Prefixes) -> None:
        self._shape = (gates, -1, units)
        most, going = (max(map(len, parts)) for parts in zip(*((s.parents, s.going) for s in names.steps), strict=True))
        self.last = np.empty((names.names, units), np.float32)
        self.going = np.empty((going, units), np.float32)
        self.states, self.others = (tuple(np.empty((most, units), np.float32) for _ in range(states)) for _ in range(2))
        self._products = np.empty(gates * going * units, np.float32)
        self._gates = np.empty((2, gates * PREFIXES_PER_BATCH * units), np.float32)

    def products(self, rows: int) -> np.ndarray:
        """(gates, rows, units) float32."""
        return self._products[: len(self._products) // len(self.going) * rows].reshape(self._shape)

    def gates(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Twice (gates, rows, units) float32."""
        one, other = self._gates[:, : self._gates.shape[1] // PREFIXES_PER_BATCH * rows]
        return one.reshape(self._shape), other.reshape(self._shape)


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


def _transpose(kernel: np.ndarray, gates: int) -> np.ndarray:
    """(gates, columns, units) of a kernel (gates * units, columns)."""
    return np.ascontiguousarray(kernel.reshape(gates, -1, kernel.shape[1]).transpose(0, 2, 1))


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, -(-len(rows) // BATCH_SIZE)) if len(rows) else []


def _sigmoid_of_twice(x: np.ndarray) -> np.ndarray:
    """The sigmoid of 2x, in its place, by tanh: exp overflows where a gate is shut."""
    return _from_tanh(np.tanh(x, out=x))


def _from_tanh(x: np.ndarray) -> np.ndarray:
    x *= np.float32(0.5)
    x += np.float32(0.5)
    return x


# A step writes the state after a letter in the place of the one before, and uses up what comes from letter and state,
# which is by gate.


def _rnn_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> None:
    from_letter += from_state
    np.tanh(from_letter[0], out=state[0])


def _gru_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> None:
    from_state[:2] += from_letter[:2]
    reset, update = _sigmoid_of_twice(from_state[:2])
    new, after = from_state[2], state[0]
    new *= reset
    new += from_letter[2]
    np.tanh(new, out=new)
    after -= new
    after *= update
    after += new


def _lstm_step(from_letter: np.ndarray, from_state: np.ndarray, state: State) -> None:
    from_letter += from_state
    input_gate, forget_gate, candidate, output_gate = np.tanh(from_letter, out=from_letter)
    after, cell_state = state
    cell_state *= _from_tanh(forget_gate)
    candidate *= _from_tanh(input_gate)
    cell_state += candidate
    np.tanh(cell_state, out=after)
    after *= _from_tanh(output_gate)


# By cell: the factors of its gates' parts, in their order; 0.5 for one that a sigmoid squashes.
_HALVED = {"rnn": (1.0,), "gru": (0.5, 0.5, 1.0), "lstm": (0.5, 0.5, 1.0, 0.5)}
# Which array of the state a step reads besides the product with the recurrent kernel; None for none.
_KEPT = {"rnn": None, "gru": 0, "lstm": 1}
_STEPS: dict[str, Callable[[np.ndarray, np.ndarray, State], None]] = {
    "rnn": _rnn_step,
    "gru": _gru_step,
    "lstm": _lstm_step,
}
