"""Exact per-example SGD for the package's recurrent models as one compiled CPU kernel, for every engine.

One driver runs forward pass, softmax head, back-propagation through time and update for a whole chunk of examples; a
cell adds a forward and a backward of a few lines. An example of T letters streams the recurrent matrix 2T - 2 times
through the caches: T - 1 times forwards, and as often backwards, the last of which also applies its T - 1 rank-one
updates. A product reads four rows at a time, an update changes two.

Two rules keep it fast: constants are float32 (``1 - x`` would promote to float64), and sizes are ints in the kernel's
closure, known when it compiles. The closure holds nothing else, or Numba's disk cache would never hit.
"""

import functools
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np

from keras_dnnts.backend.cells import CELLS

# Reassociation and fused multiply-adds vectorise the loops. "nnan" and "ninf" stay out: a loss that is not finite must
# come out as such.
FAST = {"fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"}, "error_model": "numpy"}
ROWS = 4  # of the recurrent matrix, in one pass of a product
UPDATED = 32  # rows that stay in the L1 cache while they are updated, two at a time
LANES = 8  # hidden units are filled up to a multiple of this: float32 in an AVX register
TERMS = 3  # time steps whose outer products an update adds in one pass, after a first of up to one more
ALIGNMENT = 64  # bytes: a cache line and an AVX-512 register

logger = logging.getLogger("keras_dnnts")
f32 = np.float32
HALF, ONE = f32(0.5), f32(1)


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """``numba.njit``, whatever ``NUMBA_DISABLE_JIT`` says: as plain Python the kernel would run for days."""

    def compile_function(function: Callable) -> Any:
        before, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, 0
        try:
            return numba.njit(**options, **FAST)(function)
        finally:
            numba.config.DISABLE_JIT = before

    return compile_function


inline = compiled(inline="always")
# Inlined by LLVM. A function called by its symbol would, in the process that compiles, be the copy compiled on its own,
# and in one that loads the kernel from the disk cache the copy within it: vectorised otherwise, with other roundings.
included = compiled(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by compiled code alone


@included
def tanh(x):
    """Rational approximation with an error of 3e-7 (the one Eigen uses): unlike libm's, it vectorises."""
    x = f32(-7.9) if x < f32(-7.9) else x
    x = f32(7.9) if x > f32(7.9) else x
    square = x * x
    p = f32(-2.76076847742355e-16)
    p = p * square + f32(2.00018790482477e-13)
    p = p * square + f32(-8.60467152213735e-11)
    p = p * square + f32(5.12229709037114e-08)
    p = p * square + f32(1.48572235717979e-05)
    p = p * square + f32(6.37261928875436e-04)
    p = p * square + f32(4.89352455891786e-03)
    q = f32(1.19825839466702e-06)
    q = q * square + f32(1.18534705686654e-04)
    q = q * square + f32(2.26843463243900e-03)
    q = q * square + f32(4.89352518554385e-03)
    return x * p / q


@included
def sigmoid(x):
    """Logistic function through tanh."""
    return HALF * tanh(HALF * x) + HALF


# The workspace has one row a time step (row 0 is the zero state), each of these blocks of H = units floats:
#
#     state | memory | d state | d memory | from_input: gates blocks | from_state: gates blocks (GRU only)
#
# A cell gets two adjacent rows as one flat array: the previous step's at 0, its own at ``row``. Its forward turns
# pre-activations into activations in place and leaves the new state; its backward turns activations into the gradients
# of the pre-activations in place and adds what flows straight to the previous state and memory. RNN and LSTM keep the
# sum of both pre-activations in from_input.


@inline
def rnn_forward(pair, row, units):
    """h = tanh(a)."""
    a = row + 4 * units
    for j in range(units):
        pair[row + j] = tanh(pair[a + j])


@inline
def rnn_backward(pair, row, units):
    """da = dh (1 - h^2)."""
    d_state, a = row + 2 * units, row + 4 * units
    for j in range(units):
        h = pair[row + j]
        pair[a + j] = pair[d_state + j] * (ONE - h * h)
        pair[2 * units + j] = f32(0)


@inline
def gru_forward(pair, row, units):
    """r, z = sigmoid(a + b); n = tanh(a + r b); h = n + z (h' - n)."""
    a = row + 4 * units
    b = a + 3 * units
    for j in range(units):
        r = sigmoid(pair[a + j] + pair[b + j])
        z = sigmoid(pair[a + units + j] + pair[b + units + j])
        n = tanh(pair[a + 2 * units + j] + r * pair[b + 2 * units + j])
        pair[a + j] = r
        pair[a + units + j] = z
        pair[a + 2 * units + j] = n
        pair[row + j] = n + z * (pair[j] - n)


@inline
def gru_backward(pair, row, units):
    """Gradients of both pre-activations; the old state also gets dh z."""
    d_state, a = row + 2 * units, row + 4 * units
    b = a + 3 * units
    for j in range(units):
        r = pair[a + j]
        z = pair[a + units + j]
        n = pair[a + 2 * units + j]
        dh = pair[d_state + j]
        dn = dh * (ONE - z) * (ONE - n * n)
        dz = dh * (pair[j] - n) * z * (ONE - z)
        dr = dn * pair[b + 2 * units + j] * r * (ONE - r)
        pair[a + j] = dr
        pair[b + j] = dr
        pair[a + units + j] = dz
        pair[b + units + j] = dz
        pair[a + 2 * units + j] = dn
        pair[b + 2 * units + j] = dn * r
        pair[2 * units + j] = dh * z


@inline
def lstm_forward(pair, row, units):
    """c = f c' + i g; h = o tanh(c)."""
    a = row + 4 * units
    for j in range(units):
        i = sigmoid(pair[a + j])
        f = sigmoid(pair[a + units + j])
        g = tanh(pair[a + 2 * units + j])
        o = sigmoid(pair[a + 3 * units + j])
        c = f * pair[units + j] + i * g
        pair[a + j] = i
        pair[a + units + j] = f
        pair[a + 2 * units + j] = g
        pair[a + 3 * units + j] = o
        pair[row + units + j] = c
        pair[row + j] = o * tanh(c)


@inline
def lstm_backward(pair, row, units):
    """Gradients of the four pre-activations; the old memory gets dc f."""
    memory, d_state, d_memory, a = row + units, row + 2 * units, row + 3 * units, row + 4 * units
    for j in range(units):
        i = pair[a + j]
        f = pair[a + units + j]
        g = pair[a + 2 * units + j]
        o = pair[a + 3 * units + j]
        tanh_c = tanh(pair[memory + j])
        dh = pair[d_state + j]
        dc = pair[d_memory + j] + dh * o * (ONE - tanh_c * tanh_c)
        pair[a + j] = dc * g * i * (ONE - i)
        pair[a + units + j] = dc * pair[units + j] * f * (ONE - f)
        pair[a + 2 * units + j] = dc * i * (ONE - g * g)
        pair[a + 3 * units + j] = dh * tanh_c * o * (ONE - o)
        pair[2 * units + j] = f32(0)
        pair[3 * units + j] = dc * f


@included
def add_product(out, vector, matrix, rows, columns):
    """out += vector @ matrix, matrix (rows, columns)."""
    for k in range(0, rows, ROWS):
        v0, v1, v2, v3 = vector[k], vector[k + 1], vector[k + 2], vector[k + 3]
        m0, m1, m2, m3 = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
        for j in range(columns):
            out[j] += v0 * m0[j] + v1 * m1[j] + v2 * m2[j] + v3 * m3[j]


@included
def add_product_transposed(out, matrix, vector, rows, columns):
    """out += matrix @ vector, matrix (rows, columns)."""
    for k in range(0, rows, ROWS):
        m0, m1, m2, m3 = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
        s0, s1, s2, s3 = f32(0), f32(0), f32(0), f32(0)
        for j in range(columns):
            v = vector[j]
            s0 += m0[j] * v
            s1 += m1[j] * v
            s2 += m2[j] * v
            s3 += m3[j] * v
        out[k] += s0
        out[k + 1] += s1
        out[k + 2] += s2
        out[k + 3] += s3


@included
def update_rows(matrix, sums, work, block, first, last, t, terms, rate, columns):
    """Rows first to last -= rate * ``terms`` outer products, from time step t on; before, sums += rows @ gradient[t].

    ``sums`` may be empty, where nothing is wanted of them. ``terms`` is a number in the caller's code, from 1 to 4:
    what depends on it is left out when that is compiled.
    """
    g0, g1 = work[t, block : block + columns], work[t + 1, block : block + columns]
    g2, g3 = work[t + 2, block : block + columns], work[t + 3, block : block + columns]
    h0, h1, h2, h3 = work[t - 1], work[t], work[t + 1], work[t + 2]
    for k in range(first, last, 2):
        a0, a1, a2, a3 = rate * h0[k], rate * h1[k], rate * h2[k], rate * h3[k]
        b0, b1, b2, b3 = rate * h0[k + 1], rate * h1[k + 1], rate * h2[k + 1], rate * h3[k + 1]
        row0, row1 = matrix[k], matrix[k + 1]
        s0, s1 = f32(0), f32(0)
        for j in range(columns):
            x, y, g = row0[j], row1[j], g0[j]
            s0 += x * g
            s1 += y * g
            x -= a0 * g
            y -= b0 * g
            if terms > 1:
                x -= a1 * g1[j]
                y -= b1 * g1[j]
            if terms > 2:
                x -= a2 * g2[j]
                y -= b2 * g2[j]
            if terms > 3:
                x -= a3 * g3[j]
                y -= b3 * g3[j]
            row0[j] = x
            row1[j] = y
        if len(sums):
            sums[k] += s0
            sums[k + 1] += s1


@included
def last_product_and_update(matrix, work, block, steps, rate, units, columns):
    """d state[1] += matrix @ gradient[2]; matrix -= rate * sum over t of outer(state[t - 1], gradient[t])."""
    d_state, nothing = work[1, 2 * units : 3 * units], work[1, :0]
    terms = steps - 1
    first_terms = terms if terms <= TERMS + 1 else (terms - 2) % TERMS + 2
    for k in range(0, units, UPDATED):
        last = min(k + UPDATED, units)
        if first_terms == 1:
            update_rows(matrix, d_state, work, block, k, last, 2, 1, rate, columns)
        elif first_terms == 2:
            update_rows(matrix, d_state, work, block, k, last, 2, 2, rate, columns)
        elif first_terms == 3:
            update_rows(matrix, d_state, work, block, k, last, 2, 3, rate, columns)
        else:
            update_rows(matrix, d_state, work, block, k, last, 2, 4, rate, columns)
        for t in range(2 + first_terms, steps + 1, TERMS):
            update_rows(matrix, nothing, work, block, k, last, t, TERMS, rate, columns)


@included
def head_step(state, d_state, kernel, bias, logits, label, rate, units):
    """Dense layer, log-softmax, loss, and their backward and update; fills d_state, returns (loss, guess)."""
    classes = kernel.shape[0]
    guess, largest = 0, f32(-np.inf)
    for i in range(classes):
        row, total = kernel[i], f32(0)
        for j in range(units):
            total += row[j] * state[j]
        logits[i] = total + bias[i]
        if logits[i] > largest:
            guess, largest = i, logits[i]
    normaliser = f32(0)
    for i in range(classes):
        normaliser += f32(math.exp(logits[i] - largest))
    loss = f32(math.log(normaliser)) + largest - logits[label]
    d_state[:] = f32(0)
    for i in range(classes):
        gradient = f32(math.exp(logits[i] - largest)) / normaliser
        if i == label:
            gradient -= ONE
        row, step = kernel[i], rate * gradient
        bias[i] -= step
        for j in range(units):
            d_state[j] += row[j] * gradient
            row[j] -= step * state[j]
    return loss, guess


@included
def offsets(gates, units):
    """Floats of all gates, where from_state begins, and of a whole row of the workspace; from_input begins at 4 H."""
    columns = gates * units
    from_state = 4 * units + (columns if gates == 3 else 0)
    return columns, from_state, from_state + columns


@included
def run_forward(name, steps, kernel, recurrent, bias, recurrent_bias, work, gates, units):
    """Fill the workspace with the states of an example, and the activations that lead to them."""
    columns, from_state, row = offsets(gates, units)
    flat = work.ravel()
    for t in range(1, steps + 1):
        a = work[t, 4 * units : 4 * units + columns]
        b = work[t, from_state : from_state + columns]
        weights = kernel[name[t - 1]]
        for j in range(columns):
            if gates == 3:
                a[j] = weights[j] + bias[j]
                b[j] = recurrent_bias[j]
            else:
                a[j] = weights[j] + bias[j] + recurrent_bias[j]
        if t > 1:
            add_product(b, work[t - 1, :units], recurrent, units, columns)
        pair = flat[(t - 1) * row : (t + 1) * row]
        if gates == 1:
            rnn_forward(pair, row, units)
        elif gates == 3:
            gru_forward(pair, row, units)
        else:
            lstm_forward(pair, row, units)


@included
def run_backward(steps, rate, recurrent, work, gates, units):
    """Turn the activations into the gradients of the pre-activations, and update the recurrent matrix on the way."""
    columns, from_state, row = offsets(gates, units)
    flat = work.ravel()
    work[steps, 3 * units : 4 * units] = f32(0)
    for t in range(steps, 0, -1):
        pair = flat[(t - 1) * row : (t + 1) * row]
        if gates == 1:
            rnn_backward(pair, row, units)
        elif gates == 3:
            gru_backward(pair, row, units)
        else:
            lstm_backward(pair, row, units)
        if t > 2:
            d_previous = work[t - 1, 2 * units : 3 * units]
            gradient = work[t, from_state : from_state + columns]
            add_product_transposed(d_previous, recurrent, gradient, units, columns)
        elif t == 2:
            last_product_and_update(recurrent, work, from_state, steps, rate, units, columns)


@included
def update_input(name, steps, rate, kernel, bias, recurrent_bias, work, gates, units):
    """Update the rows of the input kernel that an example's letters choose, and both biases."""
    columns, from_state, _ = offsets(gates, units)
    for t in range(1, steps + 1):
        weights = kernel[name[t - 1]]
        a = work[t, 4 * units : 4 * units + columns]
        b = work[t, from_state : from_state + columns]
        for j in range(columns):
            weights[j] -= rate * a[j]
            bias[j] -= rate * a[j]
            recurrent_bias[j] -= rate * b[j]


_VECTOR, _MATRIX = numba.float32[::1], numba.float32[:, ::1]
_INDICES = numba.int32[::1]
# letters, lengths and labels; the six weights; the rate; workspace, losses and guesses
SIGNATURE = (
    *(numba.int32[:, ::1], _INDICES, _INDICES, _VECTOR),
    *(_MATRIX, _MATRIX, _VECTOR, _VECTOR, _MATRIX, _VECTOR),
    *(_MATRIX, _VECTOR, _INDICES),
)

NOT_KEPT = "the compiled kernel cannot be kept for later runs: set NUMBA_CACHE_DIR to a folder that can be written"


def build_kernel(gates: int, units: int) -> Callable:
    """Return the compiled chunk update for a cell of ``gates`` gates; compiling takes seconds once a machine."""
    return _build_kernel(gates, _padded(units))


@functools.cache
def _build_kernel(gates: int, units: int) -> Callable:
    def update_each(
        letters, lengths, labels, rates, kernel, recurrent, bias, recurrent_bias, head, head_bias, work, losses, guesses
    ):
        logits = np.empty(head.shape[0], f32)
        for i in range(letters.shape[0]):
            name, steps, rate = letters[i], lengths[i], rates[i]
            run_forward(name, steps, kernel, recurrent, bias, recurrent_bias, work, gates, units)
            state, d_state = work[steps, :units], work[steps, 2 * units : 3 * units]
            losses[i], guesses[i] = head_step(state, d_state, head, head_bias, logits, labels[i], rate, units)
            run_backward(steps, rate, recurrent, work, gates, units)
            update_input(name, steps, rate, kernel, bias, recurrent_bias, work, gates, units)

    return _compile_kernel(update_each)


def _compile_kernel(update_each: Callable) -> Any:
    """The kernel, from Numba's disk cache where it is there and whole, compiled otherwise."""
    for attempt in (_compile_cached, _compile_cached, _compile_uncached):
        kernel = attempt(update_each)
        if kernel is not None:
            break
    return kernel


def _compile_cached(update_each: Callable) -> Any:
    """None where the cache cannot be used; what was damaged in it is removed."""
    try:
        kernel = compiled(cache=True, nogil=True)(update_each)
    except RuntimeError:  # Numba knows of no folder that can be written
        return None
    try:
        kernel.compile(SIGNATURE)
    # A file that is cut off or holds anything else makes pickle and LLVM raise whatever it leads them to.
    except Exception as error:
        if kernel.signatures:  # it is compiled, and only could not be kept
            logger.warning(NOT_KEPT)
            return kernel
        logger.info("the kernels kept in %s cannot be used (%s): compiling again", kernel.stats.cache_path, error)
        _remove_cached(Path(kernel.stats.cache_path))
        return None
    return kernel


def _remove_cached(folder: Path) -> None:
    try:
        for path in folder.glob("*.update_each-*.nb[ci]"):
            path.unlink(missing_ok=True)
    except OSError as error:
        logger.info("%s cannot be emptied (%s)", folder, error)


def _compile_uncached(update_each: Callable) -> Any:
    logger.warning(NOT_KEPT)
    kernel = compiled(nogil=True)(update_each)
    kernel.compile(SIGNATURE)
    return kernel


def update_each(
    cell: str,
    weights: Sequence[np.ndarray],
    letters: np.ndarray,
    lengths: np.ndarray,
    labels: np.ndarray,
    learning_rate: float | np.ndarray,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Update weights once for every example of a chunk, in order.

    Args:
        cell: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        weights: the arrays of a ``build_char_rnn`` model in its order, float32: input kernel
            (gates * units, width), recurrent kernel (gates * units, units), two biases (gates * units,), head kernel
            (units, classes), head bias (classes,). They are not changed.
        letters: (K, T) int32, each below width.
        lengths: (K,) int32 from 1 to T.
        labels: (K,) int32.
        learning_rate: step size of the plain update, or (K,) one for each example.

    Returns:
        New weights in the same order, losses (K,) float32 and guesses (K,) int32, both before each example's update.

    Raises:
        ValueError: for a letter, length or label outside these ranges.
    """
    gates, units = CELLS[cell].gates, weights[1].shape[1]
    packed = _pack(weights, units)
    kernel, recurrent, *_, head_bias = packed
    padded = len(recurrent)
    blocks = 4 + gates + (gates if cell == "gru" else 0)
    work = _aligned(np.zeros((letters.shape[1] + ROWS, blocks * padded), f32))
    losses, guesses = np.empty(len(letters), f32), np.empty(len(letters), np.int32)
    # Copies, for arrays that are read-only (JAX's are) would have a kernel compiled of their own.
    letters, lengths, labels = (np.array(array, np.int32, order="C") for array in (letters, lengths, labels))
    _check_indices(letters, lengths, labels, width=len(kernel), classes=len(head_bias))
    rates = np.array(np.broadcast_to(learning_rate, labels.shape), f32)
    build_kernel(gates, units)(letters, lengths, labels, rates, *packed, work, losses, guesses)
    return _unpack(packed, units), losses, guesses


def _padded(units: int) -> int:
    return -(-units // LANES) * LANES


def _pack(weights: Sequence[np.ndarray], units: int) -> list[np.ndarray]:
    """Copies as the kernel reads them: matrices transposed, units that stay zero added behind those of every gate."""
    kernel, recurrent, bias, recurrent_bias, head, head_bias = weights
    missing = _padded(units) - units

    def widen(array: np.ndarray) -> np.ndarray:
        by_gate = array.reshape(*array.shape[:-1], -1, units)
        padded = np.pad(by_gate, [(0, 0)] * array.ndim + [(0, missing)])
        return _aligned(padded.reshape(*array.shape[:-1], -1))

    rows = np.pad(recurrent.T, ((0, missing), (0, 0)))
    return [*map(widen, (kernel.T, rows, bias, recurrent_bias, head.T)), _aligned(head_bias)]


def _unpack(packed: Sequence[np.ndarray], units: int) -> list[np.ndarray]:
    """The weights in their order and shapes, without the added units."""

    def narrow(array: np.ndarray) -> np.ndarray:
        by_gate = array.reshape(*array.shape[:-1], -1, _padded(units))
        return by_gate[..., :units].reshape(*array.shape[:-1], -1)

    kernel, recurrent, bias, recurrent_bias, head = map(narrow, packed[:5])
    return [kernel.T, recurrent[:units].T, bias, recurrent_bias, head.T, packed[5]]


def _check_indices(letters: np.ndarray, lengths: np.ndarray, labels: np.ndarray, width: int, classes: int) -> None:
    # The kernel checks no bounds: with an index outside its arrays it would write into memory that is not its own.
    longest = letters.shape[1]
    read = letters[np.arange(longest) < lengths[:, None]]
    for name, values, low, high in (
        ("letters", read, 0, width - 1),
        ("lengths", lengths, 1, longest),
        ("labels", labels, 0, classes - 1),
    ):
        if values.min(initial=low) < low or values.max(initial=high) > high:
            raise ValueError(f"{name} must lie between {low} and {high}, got {values.min()} to {values.max()}")


def _aligned(array: np.ndarray) -> np.ndarray:
    """Return a C-ordered float32 copy that starts on a cache line."""
    memory = np.empty(array.size * 4 + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    copy = memory[start : start + array.size * 4].view(f32).reshape(array.shape)
    copy[...] = array
    return copy
