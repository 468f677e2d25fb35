"""Updates of per-example training on one core: the reference's plain PyTorch loop against this package's engines.

    KERAS_BACKEND=torch python experiments/benchmarks/per_example.py --data-dir NAMES --out per_example.json

The sides take turns in one process; a ratio compares the two times of one turn, and the table shows medians of the
ratios and their extremes. Compilation is left out, what `fit` itself costs is not. Takes about two minutes.
"""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import click
import numpy as np
import torch
from torch import nn

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.bundled import load_starter_names
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.datasets.letters import REFERENCE_ALPHABET
from keras_dnnts.datasets.stream import draw_examples
from keras_dnnts.models import build_char_rnn, compile_char_rnn
from keras_dnnts.runtime import describe_environment

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
PLAIN = "plain PyTorch"
WIDTH, HIDDEN_UNITS, LEARNING_RATE = len(REFERENCE_ALPHABET) + 1, 128, 0.005
SECONDS_A_TURN = 0.5

Train = Callable[[int], object]
"""Makes that many updates."""


class PlainClassifier(nn.Module):
    """The notebook's network."""

    def __init__(self, cell: str, classes: int) -> None:
        super().__init__()
        self.recurrent = CELLS[cell](WIDTH, HIDDEN_UNITS)
        self.head = nn.Linear(HIDDEN_UNITS, classes)
        self.log_softmax = nn.LogSoftmax(dim=1)

    def forward(self, line: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.recurrent(line)
        return self.log_softmax(self.head(outputs[-1]))


def plain_training(cell: str, dataset: NamesDataset) -> Train:
    """The notebook's loop."""
    lines: list[list[str]] = [[] for _ in dataset.classes]
    for text, label in zip(dataset.texts, dataset.labels, strict=True):
        lines[label].append(text)
    model, loss_function = PlainClassifier(cell, len(dataset.classes)), nn.NLLLoss()

    def train(updates: int) -> None:
        total = 0.0
        for _ in range(updates):
            label = random.randrange(len(lines))
            line = one_hot_line(random.choice(lines[label]), dataset.alphabet)
            model.zero_grad()
            loss = loss_function(model(line), torch.tensor([label]))
            loss.backward()
            for parameter in model.parameters():
                parameter.data.add_(parameter.grad, alpha=-LEARNING_RATE)
            total += loss.item()

    return train


def one_hot_line(text: str, alphabet: str) -> torch.Tensor:
    line = torch.zeros(len(text), 1, WIDTH)
    for step, letter in enumerate(text):
        line[step, 0, alphabet.index(letter)] = 1
    return line


def engine_training(cell: str, engine: str, dataset: NamesDataset, chunk: int) -> Train:
    """``fit`` on examples drawn the same way."""
    model = build_char_rnn(cell, WIDTH, len(dataset.classes), HIDDEN_UNITS)
    compile_char_rnn(model, LEARNING_RATE, engine)

    def train(updates: int) -> None:
        drawn = draw_examples(dataset.labels, updates, seed=0)
        x = dataset.letters[drawn], dataset.lengths[drawn]
        model.fit(x, dataset.labels[drawn], batch_size=chunk, shuffle=False, verbose=0)

    return train


def time_sides(sides: dict[str, Train], chunk: int, turns: int) -> dict[str, np.ndarray]:
    """Seconds an update of every side in every turn."""
    updates = {name: chunk * chunks_of_a_turn(train, chunk) for name, train in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, train in sides.items():
            seconds[name].append(seconds_of(train, updates[name]) / updates[name])
    return {name: np.array(values) for name, values in seconds.items()}


def chunks_of_a_turn(train: Train, chunk: int) -> int:
    train(chunk)  # compiles
    return max(1, round(SECONDS_A_TURN / seconds_of(train, chunk)))


def seconds_of(train: Train, updates: int) -> float:
    start = time.perf_counter()
    train(updates)
    return time.perf_counter() - start


def summarise(cell: str, seconds: dict[str, np.ndarray]) -> list[dict]:
    """One row a side."""
    rows = []
    for name, values in seconds.items():
        ratios = seconds[PLAIN] / values
        rows.append(
            {
                "cell": cell,
                "engine": name,
                "microseconds_an_update": 1e6 * float(np.median(values)),
                "times_plain": float(np.median(ratios)),
                "least": float(ratios.min()),
                "most": float(ratios.max()),
            }
        )
    return rows


def markdown_table(rows: list[dict], environment: dict, dataset: NamesDataset) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in environment["versions"].items())
    lines = [
        f"Keras on {environment['backend']}, one core of {environment['machine']['processor']}, {dataset.name}",
        f"({versions})",
        "",
        "| cell | engine | µs an update | times plain PyTorch | extremes |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        extremes = f"{row['least']:.1f} to {row['most']:.1f}"
        cells = (
            row["cell"],
            row["engine"],
            f"{row['microseconds_an_update']:.0f}",
            f"{row['times_plain']:.1f}",
            extremes,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command(context_settings={"show_default": True})
@click.option("--cells", multiple=True, type=click.Choice(list(CELLS)), default=list(CELLS), help="Repeat for several.")
@click.option("--steps", default=1000, help="Updates in a chunk, one step of `fit`.")
@click.option("--turns", default=9, help="Timed turns of every side.")
@click.option("--data-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), help="<Category>.txt files.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save as JSON, and as Markdown beside it.")
def main(cells: tuple[str, ...], steps: int, turns: int, data_dir: Path | None, out: Path | None) -> None:
    """Time the reference's loop and the engines on the same names (default: the starter names)."""
    torch.set_num_threads(1)
    dataset = load_text_folder(data_dir, REFERENCE_ALPHABET) if data_dir else load_starter_names(REFERENCE_ALPHABET)
    rows = []
    for cell in cells:
        engines = {engine: engine_training(cell, engine, dataset, steps) for engine in ("generic", "fused")}
        seconds = time_sides({PLAIN: plain_training(cell, dataset), **engines}, steps, turns)
        rows += summarise(cell, seconds)
    environment = describe_environment()
    table = markdown_table(rows, environment, dataset)
    click.echo(table)
    if out:
        content = {"environment": environment, "dataset": dataset.name, "chunk": steps, "turns": turns, "rows": rows}
        out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        out.with_suffix(".md").write_text(table + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
