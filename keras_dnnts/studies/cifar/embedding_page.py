"""The t-SNE maps, with thumbnails to show on hover."""

from typing import Any

import numpy as np

from keras_dnnts.report import text
from keras_dnnts.report.images import build_sprite
from keras_dnnts.results import Result

PLANE = 1000  # units a side of a map


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
        "seed": text.name_seed(result),
        "data": {
            "classes": classes,
            "labels": labels.tolist(),
            "maps": [one.pop("points") for one in maps],
            "sprite": None if sprite is None else sprite.grid,
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
