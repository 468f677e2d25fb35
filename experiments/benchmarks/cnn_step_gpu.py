"""Images a second on CUDA at 224: this package's models under `fit` against PyTorch, channels-last and compiled."""

import keras
import numpy as np
import torch
from torch.nn import functional as F

from experiments.benchmarks.cnn_step import NETWORKS, OURS, Train, our_training
from experiments.benchmarks.timing import Row, Side, compare, take_turns

PLAIN = "PyTorch, channels-last, torch.compile"
BATCH, SIZE = 128, 224
POLICIES = {torch.float32: "float32", torch.bfloat16: "mixed_bfloat16"}


def plain_training(network: torch.nn.Module, images: np.ndarray, labels: np.ndarray, dtype: torch.dtype) -> Train:
    network = torch.compile(network.cuda().to(memory_format=torch.channels_last))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    layout = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    batches = list(zip(layout.cuda().split(BATCH), torch.from_numpy(labels).cuda().split(BATCH), strict=True))

    def train() -> None:
        for batch, targets in batches:
            optimizer.zero_grad()
            with torch.autocast("cuda", dtype, enabled=dtype is not torch.float32):
                loss = F.cross_entropy(network(batch), targets)
            loss.backward()
            optimizer.step()
        torch.cuda.synchronize()

    return train


def measure(engine: str, quick: bool) -> list[Row]:
    """Time training in both precisions, data on the device on both sides."""
    steps, random, rows = 5 if quick else 20, np.random.default_rng(0), []
    images = random.random((steps * BATCH, SIZE, SIZE, 3), np.float32)
    labels = random.integers(0, 10, len(images))
    on_device = torch.from_numpy(images).cuda()
    for network, (plain, build, _) in NETWORKS.items():
        for dtype, policy in POLICIES.items():
            keras.config.set_dtype_policy(policy)
            sides = {
                PLAIN: Side(plain_training(plain(), images, labels, dtype), len(images)),
                OURS: Side(our_training(build(SIZE), on_device, torch.from_numpy(labels).cuda(), BATCH), len(images)),
            }
            task = f"{network}, image of {SIZE}, {policy}"
            rows += compare(task, engine, take_turns(sides, 3 if quick else 7), PLAIN, "ms", 1e3)
    keras.config.set_dtype_policy("float32")
    return rows
