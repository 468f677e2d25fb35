"""What the CIFAR-10 study adds to the page: curves, confident mistakes, t-SNE maps, what layers see."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_dnnts.metrics import PER_CENT
from keras_dnnts.report import text
from keras_dnnts.report.charts import Chart, Series, build_chart
from keras_dnnts.report.images import build_sprite, encode_maps, encode_photo
from keras_dnnts.report.page import render_part, sprite_style
from keras_dnnts.report.sections import MOST_BYTES, Section
from keras_dnnts.results import Result
from keras_dnnts.studies.cifar.data_page import build_data_sections
from keras_dnnts.studies.cifar.findings import (
    state_activations,
    state_epochs,
    state_map,
    state_mistakes,
    state_neighbours,
)
from keras_dnnts.studies.cifar.illustrations import (
    ACTIVATION,
    EMBEDDING,
    MAPS,
    MISTAKE,
    Activations,
    Embedding,
    ImageMistakes,
)

PACKAGE = "keras_dnnts.studies.cifar"
PLANE = 1000  # units a side of a map


def build_curves(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Charts of the losses and accuracies of runs by label, the first with what a single run's show."""
    charts: list[dict[str, Any]] = [
        {"title": title, "chart": _chart_epochs(results, quantity)}
        for quantity, title in (("loss", "Loss"), ("accuracy", "Accuracy"))
    ]
    if len(results) == 1:
        charts[0]["finding"] = state_epochs(*results.values())
    return charts


def build_sections(result: Result) -> list[Section]:
    """The most confident mistakes, t-SNE maps, what layers see; and the data, which are shown first."""
    sections, seed = [], text.name_seed(result)
    mistakes = ImageMistakes.from_arrays(result.arrays, MISTAKE)
    if mistakes is not None:
        shown = _list_mistakes(result, mistakes)
        body = render_part(PACKAGE, "mistakes.html.jinja", mistakes=shown, seed=seed)
        sections.append(Section(state_mistakes(result, mistakes), body, short="Most confident mistakes"))
    if embedding := _describe_embedding(result, "embedding", MOST_BYTES):
        sections.append(_embedding_section(embedding, with_intro=True))
    activations = Activations.from_arrays(result.arrays, ACTIVATION)
    if activations is not None:
        images = _list_activations(result, activations)
        body = render_part(PACKAGE, "activations.html.jinja", activations=images, seed=seed)
        sections.append(Section(state_activations(result, activations), body, short="Activation maps"))
    return sections + build_data_sections(result)


def build_comparison_sections(result: Result, identity: str, most_bytes: int) -> list[Section]:
    """The t-SNE maps of one of several runs."""
    embedding = _describe_embedding(result, f"{identity}-embedding", most_bytes)
    if embedding is None:
        return []
    return [_embedding_section(embedding, with_intro=False)]


def _chart_epochs(results: Mapping[str, Result], quantity: str) -> Chart:
    series = []
    alone = len(results) == 1
    for i, (label, result) in enumerate(results.items()):
        for j, (part, name) in enumerate((("train", "training"), ("validation", "validation"))):
            values = result.arrays[f"history_{part}_{quantity}"]
            if np.isnan(values).all():
                continue  # a run without validation
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
        return build_chart(series, "epoch", "mean cross-entropy (nats)", lambda value: f"{value:.4g}")
    return build_chart(series, "epoch", "accuracy", lambda value: f"{100 * value:.3g}{PER_CENT}")


def _list_mistakes(result: Result, mistakes: ImageMistakes) -> list[dict[str, Any]]:
    classes, paths = result.dataset["classes"], _list_paths(mistakes.path, len(mistakes.image))
    rows = zip(mistakes.image, mistakes.truth, mistakes.guess, mistakes.confidence, paths, strict=True)
    return [
        {
            "address": encode_photo(image),
            "truth": classes[truth],
            "guess": classes[guess],
            "confidence": text.percent(float(confidence), 0),
            "path": path,
        }
        for image, truth, guess, confidence, path in rows
    ]


def _list_paths(paths: np.ndarray | None, count: int) -> list[str | None]:
    """The files of images within the data; None where they have none."""
    return [None] * count if paths is None else paths.tolist()


def _list_activations(result: Result, activations: Activations) -> list[dict[str, Any]]:
    """The shown images, each with a strip of maps a layer."""
    classes, paths = result.dataset["classes"], _list_paths(activations.path, len(activations.image))
    return [
        {
            "address": encode_photo(image),
            "label": classes[label],
            "path": paths[i],
            "layers": [
                {
                    "name": layer.replace("_", " "),
                    "size": "×".join(map(str, maps.shape[1:3])),
                    "channels": maps.shape[3],
                    "address": encode_maps(maps[i]),
                }
                for layer, maps in activations.maps.items()
            ],
        }
        for i, (image, label) in enumerate(zip(activations.image, activations.label, strict=True))
    ]


def _embedding_section(embedding: dict[str, Any], with_intro: bool) -> Section:
    body = render_part(PACKAGE, "embedding.html.jinja", one=embedding, with_intro=with_intro)
    style = sprite_style(embedding["id"], embedding["sprite"])
    return Section(embedding["finding"], body, style, short="t-SNE maps")


def _describe_embedding(result: Result, identity: str, most_bytes: int) -> dict[str, Any] | None:
    """Both t-SNE maps with thumbnails to show on hover, where they were saved."""
    embedding, classes = Embedding.from_arrays(result.arrays, EMBEDDING), result.dataset["classes"]
    if embedding is None:
        return None
    sprite = None if embedding.image is None else build_sprite(embedding.image, most_bytes)
    places = {when: _place_on_plane(embedding.place(when)) for when in MAPS}
    return {
        "id": identity,
        "finding": state_neighbours(result, embedding),
        "count": len(embedding.label),
        "classes": classes,
        "named": embedding.named_classes(),
        "colours": [_class_colour(i, len(classes)) for i in range(len(classes))],
        "maps": [
            {
                "title": state_map(result, when),
                "paths": [_dots(places[when][embedding.label == label]) for label in range(len(classes))],
            }
            for when in MAPS
        ],
        "sprite": sprite,
        "seed": text.name_seed(result),
        "data": {
            "classes": classes,
            "labels": embedding.label.tolist(),
            "maps": [points.ravel().tolist() for points in places.values()],
            "sprite": None if sprite is None else sprite.grid,
            "paths": None if embedding.path is None else embedding.path.tolist(),
        },
    }


def _place_on_plane(places: np.ndarray) -> np.ndarray:
    """(N, 2) whole numbers from 0 to PLANE; down the page instead of up."""
    return np.round(PLANE * (places * (1, -1) + (0, 1))).astype(int)


def _dots(places: np.ndarray) -> str:
    return "".join(f"M{x} {y}h0" for x, y in places.tolist())


def _class_colour(i: int, count: int) -> str:
    if count <= 10:
        return f"var(--k{i})"
    return f"oklch({0.55 + 0.15 * (i % 3) / 2:.2f} 0.14 {360 * i / count:.0f})"
