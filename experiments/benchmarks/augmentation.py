"""Images a second: the reference's PIL transforms, one image at a time, against batched augmentation.

Each side has a process of its own, for how memory is kept, which differs, changes both. They take turns on one core.
"""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from experiments.benchmarks.timing import Row, Side, compare, take_turns
from keras_dnnts.studies.cifar.augment import augment_batch, draw_parameters, prepare_batch

PIL = "PIL, one image at a time"
BATCH, SIZE = 128, 224


class ReferenceImages(Dataset):
    """CIFAR-10 as the notebook serves it: torchvision's transforms, draws and checks included, on PIL images."""

    def __init__(self, images: np.ndarray, size: int) -> None:
        self.images = images
        self.size = size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return normalise(to_tensor(self.transform(Image.fromarray(self.images[index])))), 0

    def transform(self, image: Image.Image) -> Image.Image:
        if torch.rand(1) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        width, height = image.size
        image = ImageOps.expand(image, border=4, fill=0)
        top = torch.randint(0, 9, size=(1,)).item()
        left = torch.randint(0, 9, size=(1,)).item()
        image = image.crop((left, top, left + width, top + height))
        angle = float(torch.empty(1).uniform_(-15.0, 15.0).item())
        image = image.rotate(angle, Image.Resampling.NEAREST, fillcolor=(0, 0, 0))
        return image.resize((self.size, self.size), Image.Resampling.BILINEAR)


def to_tensor(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image, copy=True))
    return pixels.permute((2, 0, 1)).contiguous().to(torch.float32).div(255)


def normalise(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    mean, deviation = torch.as_tensor([0.5] * 3), torch.as_tensor([0.5] * 3)
    if (deviation == 0).any():
        raise ValueError("a standard deviation of zero")
    return tensor.sub_(mean.view(-1, 1, 1)).div_(deviation.view(-1, 1, 1))


class InProcessOfItsOwn:
    """The reference's loader in a plain Python process; a call makes one batch there."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "experiments.benchmarks.augmentation"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._ask, self._answers = self._process.stdin, self._process.stdout

    def __call__(self) -> None:
        print(flush=True, file=self._ask)
        if not self._answers.readline():
            raise RuntimeError("the process with the reference's loader has ended")

    def close(self) -> None:
        self._ask.close()
        self._process.wait()


def serve_reference() -> None:
    """For every line on stdin make a batch, and answer with a line."""
    torch.set_num_threads(1)
    loader = DataLoader(ReferenceImages(random_images(), SIZE), batch_size=BATCH, shuffle=True)
    for _ in sys.stdin:
        print(float(next(iter(loader))[0][0, 0, 0, 0]), flush=True)


def random_images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (BATCH, 32, 32, 3), dtype=np.uint8)


def batched() -> dict[str, Callable[[], Any]]:
    on_device = keras.ops.convert_to_tensor(random_images())

    def augment(resampling: str) -> Any:
        return augment_batch(on_device, draw_parameters(BATCH, seed=0, epoch=0, batch=0), SIZE, resampling)

    return {
        "batched, reference": lambda: augment("pil"),
        "batched, sound": lambda: augment("smooth"),
        "batched, no augmentation": lambda: prepare_batch(on_device, SIZE),
    }


def measure(engine: str, quick: bool) -> list[Row]:
    """Time the augmentation of 128 random images of 32 to 224, in ms an image."""
    reference = InProcessOfItsOwn()
    # Reading one number waits for the whole batch, on engines that queue work.
    runs = {name: lambda run=run: float(run()[0, 0, 0, 0]) for name, run in batched().items()}
    sides = {name: Side(run, BATCH) for name, run in {PIL: reference, **runs}.items()}
    try:
        return compare("augment an image to 224", engine, take_turns(sides, 5 if quick else 15), PIL, "ms", 1e3)
    finally:
        reference.close()


if __name__ == "__main__":
    serve_reference()
