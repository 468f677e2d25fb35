"""Results as a finished run leaves them, without training."""

from typing import Any

import numpy as np

from keras_dnnts import CifarConfig, NamesConfig
from keras_dnnts.results import Metric, Result

CLASSES = ("airplane", "bird", "cat")


def names_result(seeds: int = 3, seed: int = 0, classes: tuple[str, ...] = CLASSES, **changes: Any) -> Result:
    """A names result of random numbers; ``changes`` replace options of the config and entries of the data set."""
    rng = np.random.default_rng(seed)
    config = NamesConfig(seeds=seeds, **{k: changes.pop(k) for k in ("model", "cell", "protocol") if k in changes})
    sides = ("train", "held_out") if config.protocol == "sound" else ("train",)
    metrics = {}
    for side in sides:
        metrics[f"{side}_accuracy_by_class"] = _accuracy(rng, seeds)
        metrics[f"{side}_accuracy"] = _accuracy(rng, seeds)
    counts = {
        "lines": dict.fromkeys(classes, 50),
        "distinct_names": dict.fromkeys(classes, 40),
        "skipped": 0,
        "train": [120] * seeds,
        "held_out": [30] * seeds,
    }
    return Result(
        experiment="names",
        config=config.to_dict(),
        dataset=_dataset("names", classes, counts) | changes,
        environment={"backend": "torch"},
        metrics=metrics
        | {
            "final_loss": Metric(tuple(rng.random(seeds))),
            "train_seconds": Metric(tuple(100 * rng.random(seeds))),
            "steps_per_second": Metric(tuple(1000 * rng.random(seeds))),
        },
        details={"parameters": 1234, **_by_class(rng, sides, classes)},
        arrays={
            "loss": 3 * rng.random((seeds, 4)),
            "loss_step": np.arange(1, 5) * 1000,
            **{f"confusion_{side}": rng.integers(0, 50, (seeds, len(classes), len(classes))) for side in sides},
        },
    )


def cifar_result(
    seeds: int = 1, seed: int = 0, mistakes: int = 5, classes: tuple[str, ...] = CLASSES, **changes: Any
) -> Result:
    """A CIFAR-10 result of random numbers, of whose seeds the first stopped early; ``changes`` as above."""
    rng = np.random.default_rng(seed)
    config = CifarConfig(seeds=seeds, **{k: changes.pop(k) for k in ("arch", "recipe") if k in changes})
    history = {"learning_rate": np.full((seeds, 4), 1e-3)}
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        history[name] = rng.random((seeds, 4))
    if seeds > 1:
        for values in history.values():
            values[0, 3] = np.nan
    truth = rng.integers(0, 3, mistakes)
    losses = ("test_loss", "validation_loss", "train_loss")
    numbers = (*losses, "validation_accuracy", "train_seconds", "images_per_second")
    metrics = {name: Metric(tuple(rng.random(seeds))) for name in numbers}
    metrics |= {name: Metric((3.0, *(4.0,) * (seeds - 1))) for name in ("epochs_run", "best_epoch")}
    counts = {"images": dict.fromkeys(classes, 50), "train": 100, "validation": 20, "test": 30}
    neighbours = {"first": 0.25, "final": 0.5}
    return Result(
        experiment="cifar",
        config=config.to_dict(),
        dataset=_dataset("CIFAR-10", classes, counts) | changes,
        environment={"backend": "torch"},
        metrics=metrics | {"test_accuracy": _accuracy(rng, seeds)},
        details={
            "parameters": 1,
            **_by_class(rng, ("test",), classes),
            "illustrated_seed": 0,
            "neighbour_accuracy": neighbours,
        },
        arrays={
            **{f"history_{name}": values for name, values in history.items()},
            "confusion_test": rng.integers(0, 9, (seeds, len(classes), len(classes))),
            "mistake_image": rng.integers(0, 256, (mistakes, 8, 8, 3), dtype=np.uint8),
            "mistake_truth": truth,
            "mistake_guess": (truth + 1) % 3,
            "mistake_confidence": rng.random(mistakes),
            "activation_image": rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8),
            "activation_label": np.array([2, 0]),
            "activation_conv1": rng.random((2, 5, 5, 3)),
            "activation_conv2": rng.random((2, 3, 3, 3)),
            "embedding_label": rng.integers(0, 3, 20),
            "embedding_first": rng.random((20, 2)),
            "embedding_final": rng.random((20, 2)),
        },
    )


def _accuracy(rng: np.random.Generator, seeds: int) -> Metric:
    return Metric(tuple(rng.uniform(0.5, 0.8, seeds)), ((0.45, 0.95),) * seeds)


def _dataset(name: str, classes: tuple[str, ...], counts: dict[str, Any]) -> dict[str, Any]:
    about = {
        "name": name,
        "source": "tensorflow-datasets",
        "stand_in": False,
        "content_hash": "sha256:1",
        "classes": list(classes),
    }
    return about | {"counts": counts}


def _by_class(rng: np.random.Generator, parts: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    recall = {part: dict(zip(classes, rng.random(len(classes)).tolist(), strict=True)) for part in parts}
    confusion = {"truth": classes[0], "guess": classes[1], "fraction": 0.25}
    return {"recall": recall, "most_frequent_confusions": {part: [confusion] for part in parts}}
