"""What a names study adds to the page: loss curves, confident mistakes, names read letter by letter."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_dnnts.errors import option_name
from keras_dnnts.report import heat, text
from keras_dnnts.report.charts import Series, build_chart
from keras_dnnts.report.page import render_part
from keras_dnnts.report.sections import Section
from keras_dnnts.results import Result
from keras_dnnts.studies.names.findings import state_left_out, state_names_loss
from keras_dnnts.studies.names.illustrations import NameMistakes, Reading

PACKAGE = "keras_dnnts.studies.names"
MOST_LEADING = 4  # classes beside a name that is read


def build_curves(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """The chart of the losses of runs by label."""
    series = [
        Series(label, result.arrays["loss_step"], result.arrays["loss"], i)
        for i, (label, result) in enumerate(results.items())
    ]
    chart = build_chart(
        series, "updates (one name each)", "mean loss of 1,000 updates (nats)", lambda value: f"{value:g}"
    )
    title = state_names_loss(next(iter(results.values()))) if len(results) == 1 else "Training loss"
    return [{"title": title, "chart": chart}]


def list_notes(result: Result) -> list[str]:
    """How the accuracies are weighted, and what the reference's are of where the page shows them."""
    notes = ["Averaged over languages, every language weighs the same; over all names, every distinct name does."]
    if text.reported(result):
        notes.append("The reference measured 1,000 draws from the names it was trained on.")
    if left_out := state_left_out(result, "--letters"):
        notes.append(f"{left_out}.")
    return notes


def list_summary(result: Result) -> list[str]:
    """The letters that were left out, for the end of a run."""
    return list(filter(None, [state_left_out(result, option_name("letters"))]))


def build_sections(result: Result) -> list[Section]:
    """The names a model was wrong about most confidently, and those it was seen reading, where they were saved."""
    sections = []
    if tables := _list_mistakes(result):
        sections.append(Section("Most confidently wrong", render_part(PACKAGE, "mistakes.html.jinja", tables=tables)))
    if readings := _list_readings(result):
        sections.append(Section("Letter by letter", render_part(PACKAGE, "readings.html.jinja", readings=readings)))
    return sections


def _list_mistakes(result: Result) -> list[dict[str, Any]]:
    """A table for every part of the data."""
    classes, tables = result.dataset["classes"], []
    for part, title in result.study.parts.items():
        mistakes = NameMistakes.from_arrays(result.arrays, f"mistake_{part}")
        if mistakes is None or not len(mistakes.name):
            continue
        columns = (mistakes.name, mistakes.truth, mistakes.guess, mistakes.confidence, mistakes.also)
        rows = [
            {
                "name": name,
                "truth": classes[truth],
                "guess": classes[guess],
                "confidence": text.percent(confidence),
                "width": 100 * confidence,
                "also": also,
            }
            for name, truth, guess, confidence, also in zip(*(column.tolist() for column in columns), strict=True)
        ]
        tables.append({"title": title, "rows": rows, "shared": sum(row["also"] for row in rows)})
    return tables


def _list_readings(result: Result) -> dict[str, Any] | None:
    """What the model believes after every letter of a few names of the most telling part that was read."""
    classes = result.dataset["classes"]
    for part, title in result.study.parts.items():
        reading = Reading.from_arrays(result.arrays, f"reading_{part}")
        if reading is not None:
            rows = zip(reading.name.tolist(), reading.truth.tolist(), reading.probability, strict=True)
            names = [_read(name, truth, beliefs, classes) for name, truth, beliefs in rows]
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
