"""What each technique of the fast CIFAR-10 recipe is worth, and the sweeps that led to it, on validation images.

    python -m experiments.cifar_ablation techniques --data-dir CIFAR --epochs 4
    python -m experiments.cifar_ablation optimizer --data-dir CIFAR --epochs 4
    python -m experiments.cifar_ablation settings --data-dir CIFAR

Every condition changes one thing about the recipe and is trained on the training part (35,000 images) alone; the test
images are not used to choose. Runs that are finished in --runs are used again.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np

# What a condition changes: options of the recipe; "variant" is one of the networks below.
TECHNIQUES: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "first layer trained from a random start, not whitened": {"variant": "random-first-layer"},
    "convolutions start as PyTorch's, not as the identity": {"variant": "no-identity"},
    "AdamW in place of Muon, rate 0.003": {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.01},
    "AdamW in place of Muon, rate 0.01": {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.01},
    "flips drawn anew every epoch, not alternating": {"augmentation": ("flip", "shift")},
    "no flips": {"augmentation": ("shift",)},
    "no shifts": {"augmentation": ("alternating_flip",)},
    "no label smoothing": {"label_smoothing": 0.0},
    "rate falls by epoch, not by step": {"schedule": "linear"},
    "constant rate": {"schedule": "constant"},
    "all images of 32 pixels, a quarter more computation": {"initial_image_size": 32},
    "weights averaged, decay 0.95": {"weight_averaging": 0.95},
    "float32": {"precision": "float32"},
}
# The three main numbers of the optimizer, each lower and higher than the recipe's 0.08, 0.8 and 0.001.
OPTIMIZER: dict[str, dict[str, Any]] = {
    "the recipe": {},
    **{f"rate {rate}": {"learning_rate": rate} for rate in (0.05, 0.12)},
    **{f"momentum {momentum}": {"momentum": momentum} for momentum in (0.7, 0.9)},
    **{f"weight decay {decay}": {"weight_decay": decay} for decay in (0.0005, 0.002)},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    **{f"rate of biases {rate}": {"bias_learning_rate": rate} for rate in (0.025, 0.1)},
    **{f"rate of the dense layer {rate}": {"dense_learning_rate": rate} for rate in (0.5, 2.0)},
    "momentum 0.6, rate 0.12": {"momentum": 0.6, "learning_rate": 0.12},
    "label smoothing 0.2": {"label_smoothing": 0.2},
    "batches of 250, rate 0.057": {"batch_size": 250, "learning_rate": 0.057},
    "batches of 1000, rate 0.113": {"batch_size": 1000, "learning_rate": 0.113},
    "width 0.9, 9 epochs": {"width": 0.9, "epochs": 9},
    "width 1.2, 6 epochs": {"width": 1.2, "epochs": 6},
}
# Computation, beside the recipe's: a network of width w takes about w**1.8 times as much an image.
BUDGETS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "6 epochs": {"epochs": 6},
    "width 0.85": {"width": 0.85},
    "width 0.75, 10 epochs": {"width": 0.75, "epochs": 10},
    "images from 20 pixels, 7 epochs": {"initial_image_size": 20, "epochs": 7},
    "16 epochs": {"epochs": 16},
    "24 epochs": {"epochs": 24},
    "width 1.25, 16 epochs": {"width": 1.25, "epochs": 16},
    "width 1.25, 16 epochs, label smoothing 0.2": {"width": 1.25, "epochs": 16, "label_smoothing": 0.2},
    "width 1.5, 11 epochs": {"width": 1.5, "epochs": 11},
}
GROUPS = {"techniques": TECHNIQUES, "optimizer": OPTIMIZER, "settings": SETTINGS, "budgets": BUDGETS}


def build_random_first_layer(image_size: int, classes: int, width: float, seed: int) -> Any:
    """The network with a first layer that is trained like the others, from PyTorch's initial weights."""
    from keras_dnnts.backend.initializers import SeededUniform
    from keras_dnnts.studies.cifar.models.airbench import WHITENED, build_airbench

    model = build_airbench(image_size, classes, width, seed)
    layer = model.get_layer(WHITENED)
    layer.trainable = True
    layer.kernel.assign(SeededUniform(12**-0.5, (seed, 1000))(layer.kernel.shape))
    return model


def build_without_identity(image_size: int, classes: int, width: float, seed: int) -> Any:
    """The network whose 3x3 convolutions all start from PyTorch's initial weights."""
    from keras_dnnts.backend.initializers import SeededUniform
    from keras_dnnts.studies.cifar.models.airbench import WHITENED, build_airbench

    model = build_airbench(image_size, classes, width, seed)
    for number, layer in enumerate(model.layers):
        if hasattr(layer, "kernel") and len(layer.kernel.shape) == 4 and layer.name != WHITENED:
            bound = float(np.prod(layer.kernel.shape[:3])) ** -0.5
            layer.kernel.assign(SeededUniform(bound, (seed, 1000 + number))(layer.kernel.shape))
    return model


def run_condition(name: str, changes: Mapping[str, Any], options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train one seed of a condition, unless it is finished in its folder; return what it found."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras_dnnts import CifarConfig, load_result, run
    from keras_dnnts.studies.cifar.architectures import ARCHITECTURES

    airbench, knobs = ARCHITECTURES["airbench"], dict(changes)
    variants = {
        "random-first-layer": dataclasses.replace(airbench, build=build_random_first_layer, adapt=None),
        "no-identity": dataclasses.replace(airbench, build=build_without_identity),
    }
    if variant := knobs.pop("variant", None):
        ARCHITECTURES["airbench"] = variants[variant]
    config = CifarConfig(recipe="fast", **{**options, **knobs})
    if not is_finished(folder, config):
        shutil.rmtree(folder, ignore_errors=True)
        run(config, folder)
    result = load_result(folder)
    return {"name": name, **{metric: value.values[0] for metric, value in result.metrics.items()}}


def is_finished(folder: Path, config: Any) -> bool:
    """Whether a folder has a finished run of a config, but for what the data and this machine settle."""
    from keras_dnnts import load_result

    if not (folder / "results.json").exists():
        return False
    known, asked = load_result(folder).config, config.to_dict()
    settled = ("data_dir", "content_hash", "precision", "batch_size", "device")
    return all(known.get(name) == value for name, value in asked.items() if name not in settled)


def print_table(found: list[dict[str, Any]], metric: str) -> None:
    """Mean and standard deviation of each condition, and its difference from the first, paired by seed."""
    names = list(dict.fromkeys(one["name"] for one in found))
    values = {name: 100 * np.array([one[metric] for one in found if one["name"] == name]) for name in names}
    seconds = {name: np.mean([one["train_seconds"] for one in found if one["name"] == name]) for name in names}
    print(f"| condition | {metric.replace('_', ' ')} | difference | seeds | train seconds |\n|---|---|---|---|---|")
    for name in names:
        deviation = f" ± {values[name].std(ddof=1):.2f}" if len(values[name]) > 1 else ""
        difference = "" if len(values[name]) != len(values[names[0]]) else (values[name] - values[names[0]]).mean()
        shown = f"{difference:+.2f}" if name != names[0] and difference != "" else ""
        print(
            f"| {name} | {values[name].mean():.2f}{deviation} | {shown} | {len(values[name])} | {seconds[name]:.0f} |"
        )


@click.command()
@click.argument("group", type=click.Choice(list(GROUPS)))
@click.option("--data-dir", required=True, help="CIFAR-10, as keras-dnnts cifar takes it.")
@click.option("--epochs", default=None, type=int, help="Of every condition; the recipe's by default.")
@click.option("--seeds", default=3)
@click.option("--jobs", default=1, help="Runs at a time.")
@click.option("--device", default="auto")
@click.option("--limit-seconds", default=None, type=float, help="Start no run after that long.")
@click.option("--runs", default="runs/ablation", type=Path)
@click.option("--add", multiple=True, help="NAME=VALUE for every run.")
def main(
    group: str,
    data_dir: str,
    epochs: int | None,
    seeds: int,
    jobs: int,
    device: str,
    limit_seconds: float | None,
    runs: Path,
    add: tuple[str, ...],
) -> None:
    """Run a group of conditions and print its table."""
    from keras_dnnts.config import parse_settings

    began, found = time.monotonic(), []
    shared = {"data_dir": data_dir, "train_on": "part", "multi_crop": False, "device": device, "embedding_images": 30}
    shared |= parse_settings(add) | ({"epochs": epochs} if epochs else {})
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = []
        for seed in range(seeds):
            for number, (name, changes) in enumerate(GROUPS[group].items()):
                folder = runs / f"{group}-{number:02d}-{seed}"
                futures.append(pool.submit(run_condition, name, changes, {**shared, "seed": seed}, folder))
        for future in futures:
            left = None if limit_seconds is None else max(0.0, limit_seconds - (time.monotonic() - began))
            with contextlib.suppress(TimeoutError):
                found.append(future.result(left))
        if limit_seconds is not None and len(found) < len(futures):
            for future in futures:
                future.cancel()
    print_table(found, "validation_accuracy")


if __name__ == "__main__":
    main()
