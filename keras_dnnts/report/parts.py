"""The parts a page is made of, from a result to plain values that a template writes down."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_dnnts.compare import METRIC_TITLES, format_metric
from keras_dnnts.reference import reported
from keras_dnnts.report import heat, text
from keras_dnnts.report.charts import Chart, Series, build_chart
from keras_dnnts.report.images import build_sprite, encode_maps, encode_photo
from keras_dnnts.results import Result

SIDES = {
    "names": {"held_out": "held-out names", "train": "training names"},
    "cifar": {"test": "test images"},
}
COUNTS = {"train": "Trained on", "validation": "Validated on", "test": "Tested on", "held_out": "Held out"}
MOST_CLASSES_IN_MATRIX = 30
MOST_FREQUENT = 8
MOST_LEADING = 4
EXAMPLES_BESIDE = 4
PLANE = 1000  # units a side of a t-SNE map


def list_measures(result: Result) -> list[dict[str, Any]]:
    """Every metric with its interval and the reference's number; accuracies with their places on a line, per cent."""
    reference = reported(result)
    rows = []
    for name, title in METRIC_TITLES[result.experiment].items():
        if (metric := result.metrics.get(name)) is None:
            continue
        interval, over = text.interval_of(metric)
        is_share, other = "accuracy" in name, reference.get(name)
        rows.append(
            {
                "title": title,
                "value": format_metric(name, metric),
                "interval": text.percent_range(interval) if interval and is_share else None,
                "over": over,
                "reference": None if other is None else text.percent(other) if is_share else f"{other:g}",
                "strip": place_on_line(metric.mean, interval, other, result) if is_share else None,
            }
        )
    return rows


def place_on_line(mean: float, interval: Any, reference: float | None, result: Result) -> dict[str, Any]:
    """The places of a share, its interval, the reference's and chance on a line from 0 to 100 per cent."""
    low, high = interval or (mean, mean)
    low, high = max(low, 0.0), min(high, 1.0)
    return {
        "dot": 100 * mean,
        "low": 100 * low,
        "length": 100 * (high - low),
        "reference": None if reference is None else 100 * reference,
        "chance": 100 / len(result.dataset["classes"]),
    }


def build_curves(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Charts of the curves of runs of one experiment, by label."""
    first = next(iter(results.values()))
    if first.experiment == "names":
        return [{"title": "Loss on the training names", "chart": _chart_updates(results)}]
    return [
        {"title": title, "chart": _chart_epochs(results, quantity)}
        for quantity, title in (("loss", "Loss"), ("accuracy", "Accuracy"))
    ]


def _chart_updates(results: Mapping[str, Result]) -> Chart:
    series = [
        Series(label, result.arrays["loss_step"], result.arrays["loss"], i)
        for i, (label, result) in enumerate(results.items())
    ]
    return build_chart(series, "updates", "mean loss of 1,000 updates, nats", lambda value: f"{value:g}")


def _chart_epochs(results: Mapping[str, Result], quantity: str) -> Chart:
    series = []
    for i, (label, result) in enumerate(results.items()):
        for j, (part, name) in enumerate((("train", "training"), ("validation", "validation"))):
            values = result.arrays[f"history_{part}_{quantity}"]
            alone = len(results) == 1
            series.append(
                Series(
                    name if alone else f"{label}, {name}",
                    np.arange(1, values.shape[1] + 1),
                    values,
                    colour=j if alone else i,
                    dashed=not alone and part == "train",
                )
            )
    if quantity == "loss":
        return build_chart(series, "epoch", "mean cross-entropy, nats", lambda value: f"{value:.4g}")
    return build_chart(series, "epoch", "accuracy", lambda value: text.percent(value, 0))


def build_confusions(result: Result, identity: str, most_bytes: int) -> list[dict[str, Any]]:
    """The confusion matrix and the most frequent confusions of every side that was measured."""
    sides = SIDES[result.experiment]
    return [
        _build_confusion(result, side, title, f"{identity}-{side}", most_bytes)
        for side, title in sides.items()
        if f"confusion_{side}" in result.arrays
    ]


def _build_confusion(result: Result, side: str, title: str, identity: str, most_bytes: int) -> dict[str, Any]:
    counts = result.arrays[f"confusion_{side}"].sum(axis=0)
    classes = result.dataset["classes"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    examples = _collect_examples(result, side)
    images = result.arrays.get(f"example_{side}_image")
    sprite = build_sprite(images, most_bytes) if images is not None and len(images) else None
    frequent = result.details["most_frequent_confusions"].get(side, [])[:MOST_FREQUENT]
    return {
        "id": identity,
        "title": title,
        "classes": classes,
        "rows": _build_rows(counts, shares, classes) if len(classes) <= MOST_CLASSES_IN_MATRIX else None,
        "sprite": sprite,
        "frequent": [_build_frequent(cell, classes, counts, examples) for cell in frequent],
        "seed": _name_seed(result),
        "data": {"classes": classes, "counts": counts.tolist(), "examples": examples, "sprite": _tiles(sprite)},
        "is_names": result.experiment == "names",
        "seeds": result.config["seeds"],
    }


def _build_rows(counts: np.ndarray, shares: np.ndarray, classes: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "truth": classes[i],
            "cells": [
                {
                    "guess": classes[j],
                    "count": int(counts[i, j]),
                    "level": heat.level(shares[i, j]),
                    "number": f"{100 * shares[i, j]:.0f}" if shares[i, j] > 0.005 else "",
                    "share": text.percent(shares[i, j], 1),
                }
                for j in range(len(classes))
            ],
        }
        for i in range(len(classes))
    ]


def _collect_examples(result: Result, side: str) -> dict[str, list[list[Any]]]:
    """By ``"truth,guess"``: [name or number of the image, confidence], the surest first."""
    arrays = result.arrays
    keys = [f"example_{side}_{part}" for part in ("truth", "guess", "confidence")]
    if any(key not in arrays for key in keys):
        return {}
    shown = arrays.get(f"example_{side}_name", np.arange(len(arrays[keys[0]]))).tolist()
    examples: dict[str, list[list[Any]]] = {}
    rows = zip(shown, *(arrays[key].tolist() for key in keys), strict=True)
    for what, truth, guess, confidence in rows:
        examples.setdefault(f"{truth},{guess}", []).append([what, round(confidence, 4)])
    return {cell: sorted(members, key=lambda member: -member[1]) for cell, members in examples.items()}


def _build_frequent(
    cell: dict[str, Any], classes: list[str], counts: np.ndarray, examples: dict[str, Any]
) -> dict[str, Any]:
    i, j = classes.index(cell["truth"]), classes.index(cell["guess"])
    return {
        "truth": cell["truth"],
        "guess": cell["guess"],
        "cell": f"{i},{j}",
        "share": text.percent(cell["fraction"]),
        "width": 100 * cell["fraction"],
        "count": int(counts[i, j]),
        "examples": [what for what, _ in examples.get(f"{i},{j}", [])[:EXAMPLES_BESIDE]],
    }


def list_recall(result: Result) -> dict[str, Any] | None:
    """The share right of each class, the best first, on every side; None where nothing is known."""
    sides = {side: title for side, title in SIDES[result.experiment].items() if result.details["recall"].get(side)}
    if not sides:
        return None
    recall = {side: result.details["recall"][side] for side in sides}
    first = recall[next(iter(sides))]
    order = sorted(first, key=lambda name: -1.0 if first[name] is None else first[name], reverse=True)
    counts = result.dataset["counts"].get("lines") or result.dataset["counts"].get("images") or {}
    return {
        "titles": list(sides.values()),
        "unit": "lines" if result.experiment == "names" else "images",
        "rows": [
            {"name": name, "count": counts.get(name), "shares": [_share(recall[side].get(name)) for side in sides]}
            for name in order
        ],
    }


def _share(value: float | None) -> dict[str, Any] | None:
    return None if value is None or math.isnan(value) else {"text": text.percent(value), "width": 100 * value}


def list_name_mistakes(result: Result) -> list[dict[str, Any]]:
    """The names a model was wrong about most confidently, a table for every side."""
    tables = []
    for side, title in SIDES["names"].items():
        parts = [f"mistake_{side}_{part}" for part in ("name", "truth", "guess", "confidence", "also")]
        if result.experiment != "names" or any(part not in result.arrays for part in parts):
            continue
        classes = result.dataset["classes"]
        rows = [
            {
                "name": name,
                "truth": classes[truth],
                "guess": classes[guess],
                "confidence": text.percent(confidence),
                "width": 100 * confidence,
                "also": also,
            }
            for name, truth, guess, confidence, also in zip(
                *(result.arrays[part].tolist() for part in parts), strict=True
            )
        ]
        if rows:
            tables.append({"title": title, "rows": rows, "shared": sum(row["also"] for row in rows)})
    return tables


def list_image_mistakes(result: Result) -> list[dict[str, Any]]:
    """The images a model was wrong about most confidently."""
    if "mistake_image" not in result.arrays:
        return []
    classes = result.dataset["classes"]
    names = ("mistake_image", "mistake_truth", "mistake_guess", "mistake_confidence")
    return [
        {
            "address": encode_photo(image),
            "truth": classes[truth],
            "guess": classes[guess],
            "confidence": text.percent(float(confidence), 0),
        }
        for image, truth, guess, confidence in zip(*(result.arrays[name] for name in names), strict=True)
    ]


def list_activations(result: Result) -> list[dict[str, Any]]:
    """The shown images, each with a strip of maps a layer."""
    arrays = result.arrays
    if "activation_image" not in arrays:
        return []
    layers = [name for name in arrays if name.startswith("activation_") and arrays[name].ndim == 4]
    layers.remove("activation_image")
    classes = result.dataset["classes"]
    return [
        {
            "address": encode_photo(image),
            "label": classes[label],
            "layers": [
                {
                    "name": layer.removeprefix("activation_").replace("_", " "),
                    "size": "×".join(map(str, arrays[layer].shape[1:3])),
                    "channels": arrays[layer].shape[3],
                    "address": encode_maps(arrays[layer][i]),
                }
                for layer in layers
            ],
        }
        for i, (image, label) in enumerate(zip(arrays["activation_image"], arrays["activation_label"], strict=True))
    ]


def build_embedding(result: Result, identity: str, most_bytes: int) -> dict[str, Any] | None:
    """Both t-SNE maps with thumbnails to show on hover, where they were saved."""
    if "embedding_label" not in result.arrays:
        return None
    labels, classes = result.arrays["embedding_label"], result.dataset["classes"]
    images = result.arrays.get("embedding_image")
    sprite = build_sprite(images, most_bytes) if images is not None else None
    maps = []
    for when, title in (("first", "After epoch 1"), ("final", "At the end")):
        places = _place_on_plane(result.arrays[f"embedding_{when}"])
        agreeing = result.details["neighbour_accuracy"][when]
        maps.append(
            {
                "title": title,
                "agreeing": text.percent(agreeing),
                "paths": [_dots(places[labels == label]) for label in range(len(classes))],
                "points": places.ravel().tolist(),
            }
        )
    return {
        "id": identity,
        "count": len(labels),
        "classes": classes,
        "colours": [_class_colour(i, len(classes)) for i in range(len(classes))],
        "maps": maps,
        "sprite": sprite,
        "seed": _name_seed(result),
        "data": {
            "classes": classes,
            "labels": labels.tolist(),
            "maps": [one.pop("points") for one in maps],
            "sprite": _tiles(sprite),
        },
    }


def _place_on_plane(points: np.ndarray) -> np.ndarray:
    """(N, 2) whole numbers from 0 to PLANE, proportions kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = PLANE / max(float((high - low).max()), 1e-9)
    return np.round((points - (low + high) / 2) * scale + PLANE / 2).astype(int)


def _dots(places: np.ndarray) -> str:
    return "".join(f"M{x} {y}h0" for x, y in places.tolist())


def _class_colour(i: int, count: int) -> str:
    if count <= 10:
        return f"var(--k{i})"
    return f"oklch({0.55 + 0.15 * (i % 3) / 2:.2f} 0.14 {360 * i / count:.0f})"


def list_readings(result: Result) -> dict[str, Any] | None:
    """What the model believes after every letter of a few names: the leading classes by letter, where it was saved."""
    for side, title in SIDES[result.experiment].items():
        parts = [f"reading_{side}_{part}" for part in ("name", "truth", "probability")]
        if all(part in result.arrays for part in parts):
            rows = zip(*(result.arrays[part] for part in parts), strict=True)
            names = [_read(str(name), int(truth), known, result.dataset["classes"]) for name, truth, known in rows]
            return {"title": title, "seed": _name_seed(result), "names": names}
    return None


def _read(name: str, truth: int, probabilities: np.ndarray, classes: list[str]) -> dict[str, Any]:
    known = probabilities[: len(name)]
    last = known[-1]
    guess = int(last.argmax())
    ranked = np.argsort(-known.max(axis=0), kind="stable").tolist()
    leading = list(dict.fromkeys([guess, truth, *ranked]))[:MOST_LEADING]
    return {
        "letters": list(name),
        "name": name,
        "truth": classes[truth],
        "guess": classes[guess],
        "is_right": guess == truth,
        "rows": [
            {
                "label": classes[label],
                "is_truth": label == truth,
                "cells": [
                    {"level": heat.level(share), "number": f"{100 * share:.0f}"} for share in known[:, label].tolist()
                ],
            }
            for label in sorted(leading, key=lambda label: -last[label])
        ],
    }


def describe_reproduction(result: Result) -> dict[str, Any]:
    """What repeats the run: commands, config, versions, machine and time."""
    environment, counts = result.environment, result.dataset["counts"]
    machine = environment.get("machine", {})
    versions = {"keras_dnnts": environment.get("keras_dnnts"), "python": environment.get("python")}
    versions |= environment.get("versions", {})
    facts = {
        "Data": f"{result.dataset['name']} ({result.dataset['source']})",
        "Content hash": result.dataset["content_hash"],
        **{title: _count(counts[name]) for name, title in COUNTS.items() if name in counts},
        "Parameters": f"{result.details['parameters']:,}",
        "Backend": " ".join(filter(None, (environment["backend"], environment.get("device")))),
        "Machine": ", ".join(
            filter(None, (machine.get("processor"), machine.get("system"), _cores(machine.get("cores"))))
        ),
        "Training time": _duration(sum(result.metrics["train_seconds"].values)) + f" ({text.count_seeds(result)})",
    }
    return {
        "command": text.command(result),
        "facts": {name: fact for name, fact in facts.items() if fact},
        "config": {name: value for name, value in result.config.items() if value is not None},
        "versions": {name: version for name, version in versions.items() if version},
    }


def _count(value: Any) -> str:
    unit = " lines" if isinstance(value, list) else " images"
    values = value if isinstance(value, list) else [value]
    low, high = min(values), max(values)
    return "" if not high else f"{low:,}{unit}" if low == high else f"{low:,} to {high:,}{unit}"


def _cores(cores: int | None) -> str | None:
    return None if cores is None else f"{cores} core{'s' if cores > 1 else ''}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _tiles(sprite: Any) -> dict[str, Any] | None:
    return None if sprite is None else {"columns": sprite.columns, "rows": sprite.rows}


def _name_seed(result: Result) -> str:
    return f"seed {result.details.get('illustrated_seed', result.config['seed'])}" if result.config["seeds"] > 1 else ""
