"""The confusion matrix, and the examples its cells open."""

from typing import Any

import numpy as np

from keras_dnnts.analysis import most_frequent_confusions
from keras_dnnts.report import heat, text
from keras_dnnts.report.images import build_sprite
from keras_dnnts.results import Result
from keras_dnnts.results.findings import MOST_WRITTEN, state_confusion, write_cell

MOST_FREQUENT = 8
EXAMPLES_BESIDE = 4


def build_confusions(result: Result, identity: str, most_bytes: int) -> list[dict[str, Any]]:
    """The confusion matrix and the most frequent confusions of every part of the data that was measured."""
    return [
        _build_confusion(result, part, title, f"{identity}-{part}", most_bytes)
        for part, title in result.study.parts.items()
        if f"confusion_{part}" in result.arrays
    ]


def _build_confusion(result: Result, part: str, title: str, identity: str, most_bytes: int) -> dict[str, Any]:
    counts = result.arrays[f"confusion_{part}"].sum(axis=0)
    classes = result.dataset["classes"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    examples = _collect_examples(result, part)
    images = result.arrays.get(f"example_{part}_image")
    sprite = build_sprite(images, most_bytes) if images is not None and len(images) else None
    frequent = most_frequent_confusions(counts, classes, MOST_FREQUENT)
    return {
        "id": identity,
        "title": title,
        "finding": state_confusion(result, part),
        "classes": classes,
        "rows": _build_rows(counts, shares, classes) if len(classes) <= MOST_WRITTEN else None,
        "sprite": sprite,
        "frequent": [_build_frequent(cell, classes, examples) for cell in frequent],
        "seed": text.name_seed(result),
        "data": {
            "classes": classes,
            "counts": counts.tolist(),
            "examples": examples,
            "sprite": None if sprite is None else sprite.grid,
            "paths": _list_paths(result, part),
        },
        "seeds": result.config["seeds"],
    }


def _list_paths(result: Result, part: str) -> list[str] | None:
    """The files of the example images; None where they have none."""
    paths = result.arrays.get(f"example_{part}_path")
    return None if paths is None else paths.tolist()


def _build_rows(counts: np.ndarray, shares: np.ndarray, classes: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "truth": classes[i],
            "cells": [
                {
                    "guess": classes[j],
                    "count": int(counts[i, j]),
                    "level": heat.level(shares[i, j]),
                    "number": write_cell(shares[i, j]),
                    "share": text.percent(shares[i, j], 1),
                }
                for j in range(len(classes))
            ],
        }
        for i in range(len(classes))
    ]


def _collect_examples(result: Result, part: str) -> dict[str, list[list[Any]]]:
    """By ``"truth,guess"``: [name or number of the image, confidence], the surest first."""
    names, images, truth, guess, confidence = (
        result.arrays.get(f"example_{part}_{what}") for what in ("name", "image", "truth", "guess", "confidence")
    )
    if truth is None or guess is None or confidence is None or (names is None and images is None):
        return {}
    shown = np.arange(len(truth)) if names is None else names
    examples: dict[str, list[list[Any]]] = {}
    for what, i, j, share in zip(*(one.tolist() for one in (shown, truth, guess, confidence)), strict=True):
        examples.setdefault(f"{i},{j}", []).append([what, round(share, 4)])
    return {cell: sorted(members, key=lambda member: -member[1]) for cell, members in examples.items()}


def _build_frequent(cell: dict[str, Any], classes: list[str], examples: dict[str, Any]) -> dict[str, Any]:
    place = f"{classes.index(cell['truth'])},{classes.index(cell['guess'])}"
    return {
        "truth": cell["truth"],
        "guess": cell["guess"],
        "share": text.percent(cell["fraction"]),
        "count": cell["count"],
        "examples": [what for what, _ in examples.get(place, [])[:EXAMPLES_BESIDE]],
    }
