"""Training steps of AlexNet and ResNet50: plain PyTorch with Adam against this package's models under `fit`.

    KERAS_BACKEND=torch python -m experiments.benchmarks.cnn_step --out cnn_step.json

The sides take turns in one process; a ratio compares the two times of one turn, and the table shows medians of the
ratios and their extremes. First steps, which compile and allocate, are left out. Takes about four minutes on one core.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import click
import keras
import numpy as np
import torch
from torch.nn import functional as F

from keras_dnnts.backend import Adam
from keras_dnnts.models import build_alexnet, build_resnet50
from keras_dnnts.runtime import describe_environment
from tests.models.torch_references import AlexNet, ResNet50

NETWORKS = {"alexnet": (AlexNet, build_alexnet, 224), "resnet50": (ResNet50, build_resnet50, 64)}
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


def time_sides(sides: dict[str, Train], steps: int, turns: int) -> dict[str, np.ndarray]:
    """Seconds a step of every side in every turn, after one turn that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns + 1):
        for name, train in sides.items():
            start = time.perf_counter()
            train()
            seconds[name].append((time.perf_counter() - start) / steps)
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def summarise(network: str, image_size: int, batch: int, seconds: dict[str, np.ndarray]) -> list[dict]:
    """One row a side."""
    rows = []
    for name, values in seconds.items():
        ratios = values / seconds[PLAIN]
        rows.append(
            {
                "network": network,
                "image_size": image_size,
                "batch": batch,
                "side": name,
                "seconds_a_step": float(np.median(values)),
                "images_per_second": batch / float(np.median(values)),
                "ratio_to_plain": float(np.median(ratios)),
                "least": float(ratios.min()),
                "most": float(ratios.max()),
            }
        )
    return rows


def markdown_table(rows: list[dict], environment: dict, threads: int) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in environment["versions"].items())
    lines = [
        f"Keras on {environment['backend']}, {threads} thread(s) of {environment['machine']['processor']}, float32",
        f"({versions})",
        "",
        "| network | side | seconds a step | images/s | time against plain PyTorch | extremes |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            f"{row['network']}, {row['batch']} images of {row['image_size']}",
            row["side"],
            f"{row['seconds_a_step']:.3f}",
            f"{row['images_per_second']:.1f}",
            f"{row['ratio_to_plain']:.2f}",
            f"{row['least']:.2f} to {row['most']:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command(context_settings={"show_default": True})
@click.option(
    "--networks", multiple=True, type=click.Choice(list(NETWORKS)), default=list(NETWORKS), help="Repeatable."
)
@click.option("--image-size", type=int, help="Side of the images; default: 224 for AlexNet, 64 for ResNet50.")
@click.option("--batch", default=32, help="Images in a step.")
@click.option("--steps", default=3, help="Steps in a turn.")
@click.option("--turns", default=7, help="Timed turns of every side.")
@click.option("--threads", default=1, help="Threads of PyTorch.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save as JSON, and as Markdown beside it.")
def main(
    networks: tuple[str, ...],
    image_size: int | None,
    batch: int,
    steps: int,
    turns: int,
    threads: int,
    out: Path | None,
) -> None:
    """Time training steps on random images of both networks."""
    torch.set_num_threads(threads)
    rows = []
    for network in networks:
        size = image_size or NETWORKS[network][2]
        rows += summarise(network, size, batch, time_sides(build_sides(network, size, batch, steps), steps, turns))
    environment = describe_environment()
    table = markdown_table(rows, environment, threads)
    click.echo(table)
    if out:
        content = {"environment": environment, "threads": threads, "steps": steps, "turns": turns, "rows": rows}
        out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        out.with_suffix(".md").write_text(table + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
