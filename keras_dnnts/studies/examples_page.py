"""Single names and images: confident mistakes, names read letter by letter, what layers see."""

from typing import Any

import numpy as np

from keras_dnnts.report import heat, text
from keras_dnnts.report.images import encode_maps, encode_photo
from keras_dnnts.results import Result

MOST_LEADING = 4  # classes beside a name that is read


def list_name_mistakes(result: Result) -> list[dict[str, Any]]:
    """The names a model was wrong about most confidently, a table for every side."""
    tables = []
    for side, title in text.SIDES["names"].items():
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


def list_readings(result: Result) -> dict[str, Any] | None:
    """What the model believes after every letter of a few names: the leading classes by letter, where it was saved."""
    for side, title in text.SIDES[result.experiment].items():
        parts = [f"reading_{side}_{part}" for part in ("name", "truth", "probability")]
        if all(part in result.arrays for part in parts):
            rows = zip(*(result.arrays[part] for part in parts), strict=True)
            names = [_read(str(name), int(truth), known, result.dataset["classes"]) for name, truth, known in rows]
            return {"title": title, "seed": text.name_seed(result), "names": names}
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
