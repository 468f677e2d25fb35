"""What a names study adds to the page: loss curves, confident mistakes, names read letter by letter."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from keras_dnnts.errors import option_name
from keras_dnnts.report import heat, text
from keras_dnnts.report.charts import Series, build_chart
from keras_dnnts.report.page import render_part
from keras_dnnts.report.sections import Section
from keras_dnnts.results import Result
from keras_dnnts.studies.names.beside import list_scores, write_scores
from keras_dnnts.studies.names.data_page import build_data_section
from keras_dnnts.studies.names.findings import (
    SAMPLED_Y_LABEL,
    X_LABEL,
    Y_LABEL,
    state_left_out,
    state_reading,
    title_loss,
    title_sampled,
)
from keras_dnnts.studies.names.illustrations import NameMistakes, Reading, list_places
from keras_dnnts.studies.names.reading import ReadName, summarise_reading
from keras_dnnts.studies.names.reliability import find_reliability, state_error
from keras_dnnts.studies.names.reliability_page import build_reliability
from keras_dnnts.studies.names.sampled import SAMPLE_SIZE, STEP, find_sampled
from keras_dnnts.studies.names.words import find_words

PACKAGE = "keras_dnnts.studies.names"


def build_curves(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """The charts of the losses of runs by label and of accuracies on samples, of networks; none without a network."""
    trained = {label: result for label, result in results.items() if "loss" in result.arrays}
    if not trained:
        return []
    series = [
        Series(label, result.arrays["loss_step"], result.arrays["loss"], i)
        for i, (label, result) in enumerate(results.items())
        if label in trained
    ]
    chart = build_chart(series, X_LABEL, Y_LABEL, lambda value: f"{value:g}")
    return [{"title": title_loss(trained), "chart": chart}, *_chart_sampled(results)]


def _chart_sampled(results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """The chart of accuracies on samples of names during training; none where no run has measured them."""
    series, known = [], {}
    for i, (label, result) in enumerate(results.items()):
        if sampled := find_sampled(result):
            known[label] = result
        for place, (part, values) in enumerate(sampled.items()):
            name = result.parts[part] if len(results) == 1 else f"{label}, {result.parts[part]}"
            colour = place if len(results) == 1 else i
            series.append(Series(name, result.arrays[STEP], values, colour, dashed=part == "train"))
    if not series:
        return []
    chart = build_chart(series, X_LABEL, SAMPLED_Y_LABEL, lambda value: text.percent(value, 0))
    return [{"title": title_sampled(known), "chart": chart}]


def list_notes(result: Result) -> list[str]:
    """How accuracies are averaged, what the reference's are of where the page shows them, and what samples are."""
    words = find_words(result.dataset)
    notes = [
        f"“Averaged over {words.several}” gives every {words.one} the same weight, “over all names” every distinct "
        "name the same."
    ]
    if text.reported(result):
        notes.append("The reference measured 1,000 draws from the names it was trained on.")
    if find_sampled(result):
        notes.append(
            f"During training, accuracy was measured on at most {SAMPLE_SIZE} distinct names of each part, always the "
            "same ones, under the natural prior; training did not depend on it."
        )
    return notes


def list_summary(result: Result) -> list[str]:
    """Class priors and baselines, and the letters that were left out, for the end of a run."""
    return list(filter(None, [*write_scores(result), state_left_out(result, option_name("letters"))]))


def build_sections(result: Result) -> list[Section]:
    """The data, the names a model was wrong about most confidently, and those it was seen reading, as far as saved."""
    sections = [build_data_section(result), *_build_beside(result), *build_reliability(result)]
    if tables := _list_mistakes(result):
        sections.append(Section("Most confident mistakes", _render_mistakes(result, tables)))
    if readings := _list_readings(result):
        sections.append(Section("Letter by letter", render_part(PACKAGE, "readings.html.jinja", readings=readings)))
    return sections


def _render_mistakes(result: Result, tables: list[dict[str, Any]]) -> Markup:
    return render_part(PACKAGE, "mistakes.html.jinja", tables=tables, words=find_words(result.dataset))


def _build_beside(result: Result) -> list[Section]:
    scores = list_scores(result)
    if not scores:
        return []
    part = next(iter(result.parts))
    rows = [
        {"label": one.label, "by_class": text.percent(one.by_class), "overall": text.percent(one.overall)}
        for one in scores
    ]
    error = None if find_reliability(result) else state_error(result, part)
    about = {"part": result.parts[part], "words": find_words(result.dataset)}
    body = render_part(PACKAGE, "beside.html.jinja", **about, rows=rows, error=error)
    return [Section("Class priors and baselines", body)]


def _list_mistakes(result: Result) -> list[dict[str, Any]]:
    """A table for every part of the data."""
    classes, tables = result.dataset["classes"], []
    for part, title in result.study.parts.items():
        mistakes = NameMistakes.from_arrays(result.arrays, f"mistake_{part}")
        if mistakes is None or not len(mistakes.name):
            continue
        columns = (mistakes.name, mistakes.truth, mistakes.guess, mistakes.confidence, mistakes.also)
        places = list_places(mistakes.line, mistakes.truth, classes, result.dataset.get("files", {}))
        rows = [
            {
                "name": name,
                "truth": classes[truth],
                "guess": classes[guess],
                "confidence": text.percent(confidence),
                "width": 100 * confidence,
                "also": also,
                "place": place,
            }
            for name, truth, guess, confidence, also, place in zip(
                *(column.tolist() for column in columns), places, strict=True
            )
        ]
        tables.append({"title": title, "rows": rows, "shared": sum(row["also"] for row in rows)})
    return tables


def _list_readings(result: Result) -> dict[str, Any] | None:
    """What the model believes after every letter of a few names of the most telling part that was read."""
    classes = result.dataset["classes"]
    for part in result.study.parts:
        reading = Reading.from_arrays(result.arrays, f"reading_{part}")
        if reading is not None:
            places = list_places(reading.line, reading.truth, classes, result.dataset.get("files", {}))
            rows = zip(reading.name.tolist(), reading.truth.tolist(), reading.probability, places, strict=True)
            names = [_show_reading(summarise_reading(*row), place, classes) for *row, place in rows]
            return {"finding": state_reading(result, part, reading), "names": names}
    return None


def _show_reading(one: ReadName, place: str | None, classes: list[str]) -> dict[str, Any]:
    return {
        "letters": list(one.name),
        "name": one.name,
        "place": place,
        "truth": classes[one.truth],
        "guess": classes[one.guess],
        "is_right": one.guess == one.truth,
        "rows": [
            {
                "label": "others" if label is None else classes[label],
                "is_truth": label == one.truth,
                "cells": [{"level": heat.level(share / 100), "number": share or ""} for share in row],
            }
            for label, row in zip(one.labels, one.percents.tolist(), strict=True)
        ],
    }
