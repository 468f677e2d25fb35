"""Convolutions of small maps by im2col: one matrix product, where oneDNN's own convolutions are slow.

oneDNN lays out a kernel anew in every call and works on rows of pixels: in bfloat16, for 3x3 kernels of 512 channels
over maps of 2x2 pixels, it takes five times as long as copying every window into a row of one matrix and multiplying.
"""

import functools
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

SMALL = 16  # output pixels of an image
SMALL_WITH_AMX, FILTERS_WITH_AMX = 49, 128  # there oneDNN fills tiles with 16 pixels of a row


def is_small(pixels: int, filters: int) -> bool:
    """Whether in bfloat16, on this CPU, a convolution to so many pixels and filters is faster by im2col."""
    return pixels <= SMALL or (pixels <= SMALL_WITH_AMX and filters >= FILTERS_WITH_AMX and _has_amx())


class Im2colConvolution(torch.autograd.Function):
    """A convolution of (N, H, W, C) maps with a (rows, columns, C, filters) kernel whose memory is OHWI."""

    @staticmethod
    def forward(
        ctx: Any, maps: torch.Tensor, kernel: torch.Tensor, strides: tuple[int, int], padding: int
    ) -> torch.Tensor:
        """Return (N, H', W', filters) maps."""
        windows = _windows(maps, kernel.shape[:2], strides, (padding, padding))
        ctx.save_for_backward(windows, kernel)
        ctx.shape, ctx.strides, ctx.padding = maps.shape, strides, padding
        return F.linear(windows, kernel.permute(3, 0, 1, 2).flatten(1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        """Return the gradients of maps and kernel."""
        windows, kernel = ctx.saved_tensors
        rows, columns, channels, filters = kernel.shape
        of_maps = of_kernel = None
        if ctx.needs_input_grad[0]:
            of_maps = _transposed(gradient, kernel, ctx.shape, ctx.strides, ctx.padding)
        if ctx.needs_input_grad[1]:
            of_kernel = gradient.reshape(-1, filters).T @ windows.reshape(-1, windows.shape[-1])
            of_kernel = of_kernel.view(filters, rows, columns, channels).permute(1, 2, 3, 0)
        return of_maps, of_kernel, None, None


def _transposed(
    gradient: torch.Tensor, kernel: torch.Tensor, shape: torch.Size, strides: tuple[int, int], padding: int
) -> torch.Tensor:
    """The gradient, dilated by the strides, convolved with the kernel rotated by 180 degrees."""
    rows, columns, *_ = kernel.shape
    _, height, width, _ = shape
    # Maps may have last rows and columns that were in no window.
    places = height + 2 * padding - rows + 1, width + 2 * padding - columns + 1
    dilated = gradient.new_zeros(len(gradient), *places, gradient.shape[-1])
    dilated[:, :: strides[0], :: strides[1]] = gradient
    windows = _windows(dilated, (rows, columns), (1, 1), (rows - 1 - padding, columns - 1 - padding))
    rotated = torch.cat([kernel[i, j].T for i in reversed(range(rows)) for j in reversed(range(columns))])
    return windows @ rotated


def _windows(
    maps: torch.Tensor, size: tuple[int, int], strides: tuple[int, int], padding: tuple[int, int]
) -> torch.Tensor:
    """Every window of (N, H, W, C) maps with zeros around them: (N, H', W', rows * columns * C)."""
    (rows, columns), (down, right) = size, strides
    padded = F.pad(maps, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    height, width = padded.shape[1] - rows + 1, padded.shape[2] - columns + 1
    pixels = [padded[:, i : i + height : down, j : j + width : right] for i in range(rows) for j in range(columns)]
    return torch.cat(pixels, dim=-1)


@functools.cache
def _has_amx() -> bool:
    find = getattr(torch.cpu, "get_capabilities", None)  # torch 2.13 has it, 2.11 has not
    return find is not None and bool(find().get("amx_bf16"))
