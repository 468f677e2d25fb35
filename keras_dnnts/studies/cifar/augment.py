"""Flip, crop, shift, rotate, resize, normalise: whole batches, on the training device.

The random draws are NumPy's and the same on every engine; applying them is apart, so that a batch can be repeated:
:func:`draw_parameters`, then :func:`augment_batch`. Per batch only the draws (a few kilobytes) cross to the device, so
a training set can stay there as bytes. Images that are not augmented go through :func:`prepare_batch`.
"""

import functools
import importlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_dnnts.backend import engine
from keras_dnnts.backend.augment import read_pixels
from keras_dnnts.random_streams import Purpose, random_stream

_engine = importlib.import_module(f"{engine.__name__}.augment")

CROP_PADDING = 4
MAX_SHIFT = 2
MAX_ANGLE = 15.0


@dataclass(frozen=True)
class AugmentParameters:
    """What happens to each of N images, in this order.

    Attributes:
        flip: (N,) bool, mirror left and right.
        dx, dy: (N,) int32 pixels by which the crop lies right of and below the image.
        angle: (N,) float32 degrees by which the crop is rotated about its centre, counter-clockwise.
        reflect: whether the image's mirror image fills what the crop gains, rather than zeros; then no angle counts.
    """

    flip: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    angle: np.ndarray
    reflect: bool = False

    def take(self, part: slice) -> "AugmentParameters":
        """Those of some of the images."""
        return AugmentParameters(self.flip[part], self.dx[part], self.dy[part], self.angle[part], self.reflect)


def draw_parameters(
    count: int,
    seed: int,
    epoch: int,
    batch: int,
    steps: Collection[str] = ("flip", "crop", "rotate"),
    flipped: np.ndarray | None = None,
) -> AugmentParameters:
    """Draw for ``count`` images: a pure function of (seed, epoch, batch), none of them negative.

    What is not among ``steps`` leaves the images as they are, and the draws of the other steps too. ``flip`` mirrors
    each image with a chance of a half. ``alternating_flip`` mirrors those that are ``flipped``, (N,) bool, in even
    epochs and the others in odd ones, so that two epochs in a row show every image both ways
    (https://arxiv.org/abs/2404.00498). ``crop`` moves by up to 4 pixels and fills with zeros, ``shift`` by up to 2 and
    fills with the mirror image.
    """
    rng = random_stream(seed, Purpose.AUGMENTATION, epoch, batch)
    shifts = rng.integers(-CROP_PADDING, CROP_PADDING, (2, count), dtype=np.int32, endpoint=True)
    flip = rng.random(count) < 0.5
    angle = rng.uniform(-MAX_ANGLE, MAX_ANGLE, count).astype(np.float32)
    moves = rng.integers(-MAX_SHIFT, MAX_SHIFT, (2, count), dtype=np.int32, endpoint=True)
    dx, dy = shifts if "crop" in steps else moves if "shift" in steps else np.zeros_like(shifts)
    if "alternating_flip" in steps:
        assert flipped is not None
        flip = flipped ^ (epoch % 2 == 1)
    elif "flip" not in steps:
        flip = np.zeros_like(flip)
    return AugmentParameters(
        flip=flip,
        dx=dx,
        dy=dy,
        angle=angle if "rotate" in steps else np.zeros_like(angle),
        reflect="shift" in steps,
    )


def draw_flipped(count: int, seed: int) -> np.ndarray:
    """Which of ``count`` training images ``alternating_flip`` mirrors in even epochs: (count,) bool."""
    return random_stream(seed, Purpose.FLIPS).random(count) < 0.5


def augment_batch(images: Any, parameters: AugmentParameters, size: int, resampling: str = "smooth") -> Any:
    """Flip, crop and rotate images as drawn, then do with them what :func:`prepare_batch` does.

    ``"smooth"`` resamples once for flip, crop and rotation together, by cubic convolution (R. Keys, 1981,
    https://doi.org/10.1109/TASSP.1981.1163711), and so keeps what a rotation brings in from beyond the crop.
    ``"pil"`` crops, then rotates with the nearest pixel, as PIL does to the pixel. Where the mirror image fills what a
    crop gains, pixels move as they are with either.

    Args:
        images: (N, H, W, 3) uint8 array or tensor.
        parameters: drawn for N images.
        size: S, the side of the result.
        resampling: ``"smooth"`` or ``"pil"``.

    Returns:
        (N, S, S, 3) float32 tensor in [-1, 1].
    """
    images = ops.convert_to_tensor(images)
    move = {"smooth": _move_smoothly, "pil": _move_as_pil}[resampling]
    return prepare_batch((_move_pixels if parameters.reflect else move)(images, parameters), size)


def prepare_batch(images: Any, size: int) -> Any:
    """Normalise (N, H, W, 3) pixels of 0 to 255 to [-1, 1] and resize them to (N, S, S, 3) float32, S being ``size``.

    The resize is PIL's bilinear one, without its rounding to whole pixel values: where it shrinks, the kernel widens
    with the step, so nothing aliases.
    """
    pixels = ops.cast(ops.convert_to_tensor(images), "float32") / 127.5 - 1.0
    _, height, width, _ = pixels.shape
    if height == width == size:
        return pixels
    column_weights = _engine.beside(pixels, _resize_weights(width, size))
    if size > height:
        neighbours = (_engine.beside(pixels, array) for array in _neighbours(height, size))
        return _engine.enlarge(pixels, *neighbours, column_weights)
    return _engine.resize(pixels, _engine.beside(pixels, _resize_weights(height, size)), column_weights)


def _move_smoothly(images: Any, parameters: AugmentParameters) -> Any:
    _, height, width, _ = images.shape
    matrices = _rotation(parameters.angle, height, width)
    matrices[:, 0, 2] += parameters.dx
    matrices[:, 1, 2] += parameters.dy
    matrices[parameters.flip, 0] *= -1
    matrices[parameters.flip, 0, 2] += width - 1
    x, y = _positions(_engine.beside(images, matrices.astype(np.float32)), height, width)
    return _engine.read_cubic(ops.cast(images, "float32"), x, y)


def _move_pixels(images: Any, parameters: AugmentParameters) -> Any:
    columns, rows = _crop_positions(images, parameters)
    _, height, width, _ = images.shape
    columns, rows = _reflect(columns, width), _reflect(rows, height)
    return read_pixels(images, _engine.beside(images, columns[:, None, :]), _engine.beside(images, rows[:, :, None]))


def _reflect(positions: np.ndarray, length: int) -> np.ndarray:
    """Positions up to ``length - 1`` beyond either end of an axis, mirrored at its first and last pixel."""
    positions = np.abs(positions)
    return np.where(positions < length, positions, 2 * (length - 1) - positions)


def _crop_positions(images: Any, parameters: AugmentParameters) -> tuple[np.ndarray, np.ndarray]:
    """The columns (N, W) and rows (N, H), int32, of the image that a flipped and cropped one shows."""
    _, height, width, _ = images.shape
    columns = np.arange(width, dtype=np.int32) + parameters.dx[:, None]
    columns = np.where(parameters.flip[:, None], width - 1 - columns, columns)
    return columns, np.arange(height, dtype=np.int32) + parameters.dy[:, None]


def _move_as_pil(images: Any, parameters: AugmentParameters) -> Any:
    _, height, width, _ = images.shape
    columns, rows = _crop_positions(images, parameters)
    cropped = read_pixels(images, _engine.beside(images, columns[:, None, :]), _engine.beside(images, rows[:, :, None]))
    # PIL steps through the image in 16.16 fixed point. Doing the same picks the same pixels on every engine.
    matrices = _rotation(parameters.angle, height, width)
    matrices[:, :, 2] += 0.5
    matrices = np.floor(matrices * 65536 + 0.5).astype(np.int32)
    x, y = _positions(_engine.beside(images, matrices), height, width)
    return read_pixels(cropped, ops.right_shift(x, 16), ops.right_shift(y, 16))


def _rotation(angle: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, 2, 3) float64 matrices that take a pixel (x, y, 1) of the rotated image to where it was before."""
    radians = np.deg2rad(angle.astype(np.float64))
    cosine, sine = np.cos(radians), np.sin(radians)
    centre = np.array([width - 1, height - 1]) / 2
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], 1)
    return np.concatenate([turn, (centre - turn @ centre)[:, :, None]], 2)


def _positions(matrices: Any, height: int, width: int) -> tuple[Any, Any]:
    """Where (N, 2, 3) matrices take the pixels of an image: x and y, each (N, height, width)."""
    column = ops.arange(width, dtype=matrices.dtype)
    row = ops.arange(height, dtype=matrices.dtype)[:, None]
    matrices = matrices[..., None, None]
    x, y = (matrices[:, i, 0] * column + matrices[:, i, 1] * row + matrices[:, i, 2] for i in range(2))
    return x, y


@functools.cache
def _neighbours(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The weights of :func:`_resize_weights` for a target no smaller, of which each row has two at most.

    Returns:
        the lower and the higher position in the source, (target,) int32, and the weight of the higher, float32.
    """
    positions = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = np.floor(positions).astype(np.int32)
    return low, np.minimum(low + 1, source - 1), (positions - low).astype(np.float32)


@functools.cache
def _resize_weights(source: int, target: int) -> np.ndarray:
    """(target, source) float32 triangle weights of half-pixel-centred resizing, every row summing to 1."""
    step = source / target
    centres = (np.arange(target) + 0.5) * step - 0.5
    distances = np.abs(np.arange(source) - centres[:, None])
    weights = np.maximum(1 - distances / max(step, 1.0), 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
