"""Images a second: the reference's PIL transforms, one image at a time, against batched augmentation."""

from collections.abc import Callable

import keras
import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from experiments.benchmarks.timing import Row, Side, compare, take_turns
from keras_dnnts.studies.cifar.augment import augment_batch, draw_parameters, prepare_batch

PIL = "PIL, one image at a time"


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


def build_sides(images: np.ndarray, size: int) -> dict[str, Callable[[], object]]:
    count = len(images)
    loader = DataLoader(ReferenceImages(images, size), batch_size=count, shuffle=True)
    on_device = keras.ops.convert_to_tensor(images)

    def augment(resampling: str) -> object:
        return augment_batch(on_device, draw_parameters(count, seed=0, epoch=0, batch=0), size, resampling)

    return {
        PIL: lambda: next(iter(loader))[0],
        "batched, reference": lambda: augment("pil"),
        "batched, sound": lambda: augment("smooth"),
        "batched, no augmentation": lambda: prepare_batch(on_device, size),
    }


def measure(engine: str, quick: bool) -> list[Row]:
    """Time the augmentation of 128 random images of 32 to 224, in ms an image."""
    pixels = np.random.default_rng(0).integers(0, 256, (128, 32, 32, 3), dtype=np.uint8)
    # Reading one number waits for the whole batch, on engines that queue work.
    sides = {
        name: Side(lambda run=run: float(run()[0, 0, 0, 0]), len(pixels))
        for name, run in build_sides(pixels, 224).items()
    }
    return compare("augment an image to 224", engine, take_turns(sides, 5 if quick else 15), PIL, "ms", 1e3)
