"""Reading and resizing images on torch: its own grid sampling, and memory that is quick to fill."""

import numpy as np
import torch
from torch.nn import functional as F

CACHED_NUMBERS = 640_000  # float32, twice of which fit into the caches of a core


def beside(images: torch.Tensor, array: np.ndarray) -> torch.Tensor:
    """A small array as a tensor where the images are, without waiting for the work queued there."""
    tensor = torch.from_numpy(array)
    if images.is_cuda:
        tensor = tensor.pin_memory()
    return tensor.to(images.device, non_blocking=True)


def read_cubic(images: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cubic convolution of (N, H, W, C) float32 images at float32 positions x, y (N, h, w); zeros outside.

    Beside strong edges it overshoots: the result is held within the pixel range, 0 to 255.
    """
    _, height, width, _ = images.shape
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    values = F.grid_sample(images.permute(0, 3, 1, 2), grid, mode="bicubic", align_corners=False)
    return values.clamp_(0.0, 255.0).permute(0, 2, 3, 1)


def resize(images: torch.Tensor, row_weights: torch.Tensor, column_weights: torch.Tensor) -> torch.Tensor:
    """Weighted sums over rows, then columns: (N, H, W, C) images by (S, H) and (T, W) weights to (N, S, T, C)."""
    count, _, _, channels = images.shape
    rows, columns = len(row_weights), len(column_weights)
    tall = _empty((count, rows, columns * channels), images.device)
    # On a CPU, what lies between the two passes stays in the cache.
    step = 16 if images.device.type == "cpu" else count
    for part, tall_part in zip(images.split(step), tall.split(step), strict=True):
        torch.bmm(row_weights.expand(len(part), -1, -1), _resize_columns(part, column_weights), out=tall_part)
    return tall.view(count, rows, columns, channels)


def enlarge(
    images: torch.Tensor, low: torch.Tensor, high: torch.Tensor, share: torch.Tensor, column_weights: torch.Tensor
) -> torch.Tensor:
    """See :func:`keras_dnnts.backend.augment.enlarge`."""
    count, _, _, channels = images.shape
    rows, row = len(low), len(column_weights) * channels
    tall = _empty((count, rows, row), images.device)
    # On a CPU, a part of the result and its neighbours stay in the cache.
    step = max(1, CACHED_NUMBERS // (rows * row)) if images.device.type == "cpu" else count
    neighbours = _empty((min(step, count), rows, row), images.device)
    for part, tall_part in zip(images.split(step), tall.split(step), strict=True):
        wide = _resize_columns(part, column_weights)
        torch.index_select(wide, 1, low, out=tall_part)
        lower = torch.index_select(wide, 1, high, out=neighbours[: len(part)])
        tall_part.lerp_(lower, share[:, None])
    return tall.view(count, rows, len(column_weights), channels)


def _resize_columns(images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted sums over columns: (N, H, W, C) images by (T, W) weights to (N, H, T * C)."""
    _, height, width, channels = images.shape
    wide = images.permute(0, 3, 1, 2).reshape(-1, width) @ weights.T
    wide = wide.view(-1, channels, height, len(weights)).permute(0, 2, 3, 1)
    return wide.reshape(-1, height, len(weights) * channels)


def _empty(shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    # Unlike torch, NumPy asks the system for huge pages: page by page, fresh memory takes longer to get than to fill.
    if device.type == "cpu":
        return torch.from_numpy(np.empty(shape, np.float32))
    return torch.empty(shape, device=device)
