"""Training steps of AlexNet and ResNet50: plain PyTorch with Adam against this package's models under `fit`."""

from collections.abc import Callable

import keras
import numpy as np
import torch
from torch.nn import functional as F

from experiments.benchmarks.timing import Row, Side, compare, take_turns
from keras_dnnts.backend import Adam, distribute
from keras_dnnts.studies.cifar.models import build_alexnet, build_resnet50
from tests.studies.cifar.models.torch_references import AlexNet, ResNet50

NETWORKS = {"AlexNet": (AlexNet, build_alexnet, 224), "ResNet50": (ResNet50, build_resnet50, 64)}
PLAIN, TUNED, OURS = "plain PyTorch", "PyTorch, channels-last, fused Adam", "keras_dnnts"

Train = Callable[[], object]
"""Trains on every batch once."""


def plain_training(network: torch.nn.Module, batches: list[tuple[torch.Tensor, torch.Tensor]], fused: bool) -> Train:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=fused or None)

    def train() -> None:
        loss_sum, correct = 0.0, 0
        for images, labels in batches:
            optimizer.zero_grad()
            logits = network(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            correct += (logits.argmax(dim=1) == labels).sum().item()

    return train


def our_training(model: keras.Model, images: np.ndarray, labels: np.ndarray, batch: int) -> Train:
    model = distribute(model)  # as the commands do
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(Adam(1e-4), loss, metrics=[keras.metrics.SparseCategoricalAccuracy()])
    return lambda: model.fit(images, labels, batch_size=batch, shuffle=False, verbose=0)


def build_sides(network: str, image_size: int, batch: int, steps: int) -> dict[str, Train]:
    plain, build, _ = NETWORKS[network]
    random = np.random.default_rng(0)
    images = random.normal(size=(steps * batch, image_size, image_size, 3)).astype("float32")
    labels = random.integers(0, 10, steps * batch)
    channels_last = torch.from_numpy(images).permute(0, 3, 1, 2)
    targets = torch.from_numpy(labels).split(batch)
    layouts = {
        layout: list(zip(channels_last.contiguous(memory_format=layout).split(batch), targets, strict=True))
        for layout in (torch.contiguous_format, torch.channels_last)
    }
    return {
        PLAIN: plain_training(plain(), layouts[torch.contiguous_format], fused=False),
        TUNED: plain_training(plain().to(memory_format=torch.channels_last), layouts[torch.channels_last], fused=True),
        OURS: our_training(build(image_size), images, labels.astype("int32"), batch),
    }


def measure(engine: str, quick: bool) -> list[Row]:
    """Time steps of 32 images of both networks, three a turn."""
    batch, steps, rows = 32, 1 if quick else 3, []
    for network, (_, _, image_size) in NETWORKS.items():
        trainings = build_sides(network, image_size, batch, steps)
        sides = {name: Side(train, steps) for name, train in trainings.items()}
        task = f"{network} step, {batch} images of {image_size}"
        rows += compare(task, engine, take_turns(sides, 3 if quick else 7), PLAIN, "s", 1.0)
    return rows
