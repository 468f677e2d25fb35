"""Images a second on one core: the reference's PIL transforms, one image at a time, against batched augmentation.

    KERAS_BACKEND=torch python experiments/benchmarks/augmentation.py --out augmentation.json

The sides take turns; the table shows medians. Takes about 10 seconds.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import click
import keras
import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from keras_dnnts.augment import augment_batch, draw_parameters, prepare_batch


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

    def augment(protocol: str) -> object:
        return augment_batch(on_device, draw_parameters(count, seed=0, epoch=0, batch=0), size, protocol)

    return {
        "PIL, one image at a time": lambda: next(iter(loader))[0],
        "batched, reference": lambda: augment("reference"),
        "batched, sound": lambda: augment("sound"),
        "batched, no augmentation": lambda: prepare_batch(on_device, size),
    }


def time_sides(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds a call, after one call that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, run in sides.items():
            start = time.perf_counter()
            # Reading one number waits for the whole batch, on engines that queue work.
            float(run()[0, 0, 0, 0])
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}


@click.command(context_settings={"show_default": True})
@click.option("--images", default=128, help="Images in a batch.")
@click.option("--size", default=224, help="Side of the result.")
@click.option("--repeats", default=15, help="Timed rounds.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the numbers as JSON.")
def main(images: int, size: int, repeats: int, out: Path | None) -> None:
    """Time the augmentation of random 32x32 images on one core."""
    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)
    seconds = time_sides(build_sides(pixels, size), repeats)
    pil_seconds = seconds["PIL, one image at a time"]
    click.echo(
        f"{keras.backend.backend()}, {platform.processor() or platform.machine()}, batches of {images} to {size}"
    )
    for name, value in seconds.items():
        click.echo(f"{name:26s}{images / value:8.0f} images/s{pil_seconds / value:7.2f} times PIL")
    if out:
        rates = {name: images / value for name, value in seconds.items()}
        out.write_text(
            json.dumps({"engine": keras.backend.backend(), "size": size, "images_per_second": rates}, indent=2)
        )


if __name__ == "__main__":
    main()
