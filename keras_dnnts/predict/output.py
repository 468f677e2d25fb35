"""Predictions as a table, JSON or CSV, written a block at a time, so that a pipe's reader need not wait for all."""

import csv
import json
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from rich.cells import cell_len

from keras_dnnts.metrics import percent
from keras_dnnts.predict import Prediction
from keras_dnnts.running.saved_models import SavedModel

FORMAT_VERSION = 1
WIDEST_INPUT, WIDEST_CLASS = 40, 30

Blocks = Iterable[list[Prediction]]
Writer = Callable[[Blocks, SavedModel, int, TextIO, str | None], None]
"""Takes, last, which class frequencies the answers assume, where the study's can be chosen."""


def write_table(blocks: Blocks, saved: SavedModel, top: int, out: TextIO, prior: str | None = None) -> None:
    """Write a line an input, in columns as wide as the first block needs."""
    widths: list[int] = []
    for block in blocks:
        rows = [_table_row(prediction) for prediction in block]
        if not widths:
            widest_class = min(max(map(_width, saved.classes)), WIDEST_CLASS)
            widest_input = min(max(_width(row[0]) for row in rows), WIDEST_INPUT)
            widths = [widest_input, *[widest_class, len(percent(1))] * top]
        out.writelines(_align(row, widths) for row in rows)
        out.flush()


def write_json(blocks: Blocks, saved: SavedModel, top: int, out: TextIO, prior: str | None = None) -> None:
    """Write one JSON document, a prediction a line."""
    head: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "experiment": saved.config.experiment,
        "model": saved.result.model_name,
        "seed": saved.seed,
        "classes": list(saved.classes),
    }
    if prior is not None:
        head["prior"] = prior
    out.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "predictions": [')
    separator = "\n"
    for block in blocks:
        for prediction in block:
            out.write(separator + json.dumps(_to_dict(prediction), ensure_ascii=False, allow_nan=False))
            separator = ",\n"
        out.flush()
    out.write("\n]}\n")
    out.flush()


def write_csv(blocks: Blocks, saved: SavedModel, top: int, out: TextIO, prior: str | None = None) -> None:
    """Write a header and a row an input: input, what was read of a text, problem, classes, and the prior."""
    writer = csv.writer(out, lineterminator="\n")
    ranked = [f"{what}_{rank}" for rank in range(1, top + 1) for what in ("class", "probability")]
    columns: list[str] = []
    for block in blocks:
        if not columns:
            reads_text = block[0].read_as is not None
            columns = ["input", *(["read_as", "ignored"] if reads_text else []), "problem", *ranked]
            columns += [] if prior is None else ["prior"]
            writer.writerow(columns)
        for prediction in block:
            row = [prediction.input]
            if reads_text:
                row += [prediction.read_as or "", "".join(prediction.ignored)]
            row.append(prediction.problem or "")
            cells = [cell for guess in prediction.guesses for cell in guess]
            cells += [""] * (2 * top - len(cells))
            writer.writerow([*row, *cells, *([] if prior is None else [prior])])
        out.flush()


WRITERS: dict[str, Writer] = {"table": write_table, "json": write_json, "csv": write_csv}


def _to_dict(prediction: Prediction) -> dict[str, Any]:
    plain: dict[str, Any] = {"input": prediction.input}
    if prediction.read_as is not None:
        plain |= {"read_as": prediction.read_as, "ignored": list(prediction.ignored)}
    guesses = [{"class": name, "probability": probability} for name, probability in prediction.guesses]
    return plain | {"problem": prediction.problem, "guesses": guesses}


def _table_row(prediction: Prediction) -> list[str]:
    cells = [_printable(prediction.input)]
    for name, probability in prediction.guesses:
        cells += [_printable(name), f"{percent(probability):>{len(percent(1))}}"]
    if note := _note(prediction):
        cells.append(note)
    return cells


def _note(prediction: Prediction) -> str:
    ignored = f"ignored: {' '.join(map(_printable, prediction.ignored))}" if prediction.ignored else ""
    if prediction.problem:
        return "; ".join(filter(None, (prediction.problem, ignored)))
    read_otherwise = prediction.read_as is not None and prediction.read_as != prediction.input
    return "; ".join(filter(None, (f"read as {prediction.read_as}" if read_otherwise else "", ignored)))


def _align(cells: list[str], widths: list[int]) -> str:
    padded = [_pad(cell, width) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, *cells[len(widths) :]]).rstrip() + "\n"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _printable(text: str) -> str:
    # A name from elsewhere must not move the terminal's cursor.
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "�" for letter in text)
