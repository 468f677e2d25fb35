"""Reading images at given positions, and resizing them, in ``keras.ops``.

JAX and TensorFlow compile these as they are; :mod:`keras_dnnts.backend.torch.augment` has PyTorch's own operations.
Beside ``read_cubic``, ``resize`` and ``enlarge``, an engine's ``augment`` module offers ``beside(images, array)``: a
small NumPy array as a tensor on the images' device, without waiting for the work queued there.
"""

from typing import Any

from keras import ops

CUBIC_SHARPNESS = -0.75


def read_pixels(images: Any, x: Any, y: Any) -> Any:
    """Pixels of (N, H, W, C) images at int32 columns x and rows y, together (N, h, w); zeros outside the image."""
    count, height, width, channels = images.shape
    # Operators alone: given a Python number, most of keras.ops copy it to the device, and on CUDA that waits.
    column, row = x % width, y % height
    inside = (column == x) & (row == y)
    image = ops.arange(count, dtype="int32")[:, None, None]
    pixels = ops.take(ops.reshape(images, (-1, channels)), (image * height + row) * width + column, axis=0)
    return pixels * ops.cast(inside[..., None], images.dtype)


def read_cubic(images: Any, x: Any, y: Any) -> Any:
    """Cubic convolution of (N, H, W, C) float32 images at float32 positions x, y (N, h, w); zeros outside.

    Beside strong edges it overshoots: the result is held within the pixel range, 0 to 255.
    """
    left, top = ops.floor(x), ops.floor(y)
    columns, rows = ops.cast(left, "int32"), ops.cast(top, "int32")
    column_weights, row_weights = _cubic_weights(x - left), _cubic_weights(y - top)
    values = sum(
        (row_weights[i] * column_weights[j])[..., None] * read_pixels(images, columns + j - 1, rows + i - 1)
        for i in range(4)
        for j in range(4)
    )
    return ops.clip(values, 0.0, 255.0)


def _cubic_weights(fraction: Any) -> tuple[Any, Any, Any, Any]:
    """Weights of the pixels at -1, 0, 1 and 2 for a position ``fraction`` past pixel 0."""
    a = CUBIC_SHARPNESS

    def near(t: Any) -> Any:
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t: Any) -> Any:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return far(1 + fraction), near(fraction), near(1 - fraction), far(2 - fraction)


def resize(images: Any, row_weights: Any, column_weights: Any) -> Any:
    """Weighted sums over rows, then columns: (N, H, W, C) images by (S, H) and (T, W) weights to (N, S, T, C)."""
    count, height, _, channels = images.shape
    rows, columns = len(row_weights), len(column_weights)
    wide = ops.matmul(ops.swapaxes(images, 2, 3), ops.transpose(column_weights))
    wide = ops.reshape(ops.swapaxes(wide, 2, 3), (count, height, columns * channels))
    # With one copy of the weights an image, the result needs no transposing.
    tall = ops.matmul(ops.broadcast_to(row_weights, (count, rows, height)), wide)
    return ops.reshape(tall, (count, rows, columns, channels))


def enlarge(images: Any, low: Any, high: Any, share: Any, column_weights: Any) -> Any:
    """Resize to rows between two neighbours each: (N, H, W, C) images to (N, S, T, C), S rows and T columns.

    Nearly all of the time goes into writing the result. In :func:`resize` it goes into multiplying by weights that, for
    an enlarged image, are nearly all zeros.

    Args:
        images: (N, H, W, C) float32.
        low, high: (S,) int32, the rows that lie beside each row of the result.
        share: (S,) float32, the weight of the row ``high``, from 0 to 1; that of ``low`` is the rest.
        column_weights: (T, W) float32, as for :func:`resize`.
    """
    count, height, _, channels = images.shape
    rows, columns = len(low), len(column_weights)
    wide = ops.matmul(ops.swapaxes(images, 2, 3), ops.transpose(column_weights))
    wide = ops.reshape(ops.swapaxes(wide, 2, 3), (count, height, columns * channels))
    upper, lower = ops.take(wide, low, axis=1), ops.take(wide, high, axis=1)
    return ops.reshape(upper + (lower - upper) * share[:, None], (count, rows, columns, channels))
