"""Steps of the fast recipe: a plain PyTorch loop of the same network, optimizer and augmentation, and `fit`."""

from collections.abc import Callable

import keras
import numpy as np
import torch
from torch.nn import functional as F

from experiments.benchmarks.timing import Row, Side, compare, take_turns
from keras_dnnts.backend import distribute
from keras_dnnts.studies.cifar.compiling import compile_model
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.image_batches import ImageBatches
from keras_dnnts.studies.cifar.models.airbench import CHANNELS_OF_BLOCKS
from keras_dnnts.studies.cifar.train import DTYPE_POLICIES, build_model

PLAIN, OURS = "plain PyTorch", "keras_dnnts"
STEPS = 2
MOMENTUM, OTHER_MOMENTUM = 0.8, 0.85


class PlainNet(torch.nn.Module):
    """The network, as one writes it in PyTorch, in channels-last order; weights are float32, maps of ``dtype``."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, inputs = dtype, 24
        self.whiten = torch.nn.Parameter(torch.randn(24, 3, 2, 2) / 12**0.5, requires_grad=False)
        self.bias = torch.nn.Parameter(torch.zeros(24))
        self.kernels, self.shifts = torch.nn.ParameterList(), torch.nn.ParameterList()
        for channels in CHANNELS_OF_BLOCKS:
            for size in (inputs, channels):
                kernel = torch.randn(channels, size, 3, 3) / (9 * size) ** 0.5
                self.kernels.append(kernel.to(memory_format=torch.channels_last))
                self.shifts.append(torch.zeros(channels))
                self.register_buffer(f"mean{len(self.shifts)}", torch.zeros(channels))
                self.register_buffer(f"variance{len(self.shifts)}", torch.ones(channels))
            inputs = channels
        self.head = torch.nn.Parameter(torch.randn(10, inputs))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of images (N, 3, H, W)."""
        maps = F.conv2d(images.to(self.dtype), self.whiten.to(self.dtype))
        maps = F.gelu(maps + self.bias.to(self.dtype)[:, None, None])
        for number, (kernel, shift) in enumerate(zip(self.kernels, self.shifts, strict=True), start=1):
            maps = F.conv2d(maps, kernel.to(self.dtype), padding=1)
            maps = F.max_pool2d(maps, 2) if number % 2 else maps
            mean, variance = getattr(self, f"mean{number}"), getattr(self, f"variance{number}")
            scale = torch.ones_like(shift)
            maps = F.gelu(F.batch_norm(maps, mean, variance, scale, shift, self.training, 0.4, 1e-5))
        features = maps.amax((2, 3)).float()
        return features @ self.head.T / features.shape[1]


def newton_schulz(matrix: torch.Tensor, steps: int = 3) -> torch.Tensor:
    """Muon's iteration as its authors wrote it."""
    matrix = matrix / (matrix.norm() + 1e-7)
    for _ in range(steps):
        square = matrix @ matrix.T
        matrix = 3.4445 * matrix + (-4.7750 * square + 2.0315 * square @ square) @ matrix
    return matrix


def plain_training(images: np.ndarray, labels: np.ndarray, batch: int, dtype: torch.dtype) -> Callable[[], object]:
    """A loop over all batches: flips and reflected shifts of normalised images, Muon for kernels, SGD for the rest."""
    network = PlainNet(dtype).train()
    others = [network.bias, *network.shifts, network.head]
    sgd = torch.optim.SGD(others, lr=1e-3, momentum=OTHER_MOMENTUM, nesterov=True)
    buffers = [torch.zeros_like(kernel) for kernel in network.kernels]
    normal = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    padded = F.pad(normal, (2, 2, 2, 2), mode="reflect").contiguous(memory_format=torch.channels_last)
    targets, size = torch.from_numpy(labels).long(), images.shape[1]
    offsets = torch.arange(size)

    def train() -> None:
        order = torch.randperm(len(images))
        for chosen in order.split(batch):
            moves, flips = torch.randint(0, 5, (2, len(chosen))), torch.rand(len(chosen)) < 0.5
            rows, columns = (move[:, None] + offsets for move in moves)
            columns = torch.where(flips[:, None], columns.flip(1), columns)
            inputs = padded.permute(0, 2, 3, 1)[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
            loss = F.cross_entropy(network(inputs.permute(0, 3, 1, 2)), targets[chosen], label_smoothing=0.1)
            loss.backward()
            sgd.step()
            with torch.no_grad():
                for kernel, buffer in zip(network.kernels, buffers, strict=True):
                    buffer.mul_(MOMENTUM).add_(kernel.grad)
                    moved = kernel.grad.add(buffer, alpha=MOMENTUM)
                    kernel.mul_(len(kernel) ** 0.5 / kernel.norm())
                    kernel.add_(newton_schulz(moved.reshape(len(moved), -1)).view(moved.shape), alpha=-0.01)
            network.zero_grad()

    return train


def our_training(images: np.ndarray, labels: np.ndarray, batch: int, precision: str) -> Callable[[], object]:
    """``fit`` of the package's model on the package's batches."""
    config = CifarConfig(recipe="fast", precision=precision, batch_size=batch)
    assert config.precision in DTYPE_POLICIES
    model = distribute(build_model(config, 10, 0))  # as the commands do
    compile_model(model, config, steps_per_epoch=10_000)
    batches = ImageBatches(
        (images, labels), batch, images.shape[1], shuffled=True, augmentation=config.augmentation or ()
    )
    keras.utils.set_random_seed(0)
    return lambda: model.fit(batches, shuffle=False, verbose=0)


def multiplications(size: int) -> float:
    """Multiplications and additions of a training step on one image, counted as in convolutions alone."""
    side, inputs, total = size - 1, 24, (size - 1) ** 2 * 12 * 24
    for channels in CHANNELS_OF_BLOCKS:
        total += side**2 * 9 * inputs * channels
        side //= 2
        total += side**2 * 9 * channels**2
        inputs = channels
    return 2 * 3 * total


def measure(engine: str, quick: bool) -> list[Row]:
    """Time steps of 500 images of 32 pixels in both precisions."""
    batch, random = 500, np.random.default_rng(0)
    images = random.integers(0, 256, (STEPS * batch, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 10, STEPS * batch).astype("int32")
    rows = []
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        sides = {
            PLAIN: Side(plain_training(images, labels, batch, dtype), STEPS),
            OURS: Side(our_training(images, labels, batch, precision), STEPS),
        }
        seconds = take_turns(sides, 1 if quick else 5)
        rows += compare(f"fast recipe's step, {batch} images, {precision}", engine, seconds, PLAIN, "s", 1.0)
        speed = batch * multiplications(32) / float(np.median(seconds[OURS])) / 1e9
        rows.append(Row(f"the same: operations of convolutions, {precision}", OURS, engine, speed, "GFLOP/s"))
    return rows
