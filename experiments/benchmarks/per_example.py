"""Updates of per-example training: the reference's plain PyTorch loop against this package's engines.

Compilation is left out, what `fit` itself costs is not.
"""

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from experiments.benchmarks.timing import Row, Side, compare, seconds_of, take_turns
from keras_dnnts.backend import fused
from keras_dnnts.backend.cells import CELLS as SIZES
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.studies.names.models import build_char_rnn, compile_char_rnn
from keras_dnnts.studies.names.stream import draw_examples

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
PLAIN, BARE, SWEEPS = "plain PyTorch", "fused, without fit", "its sweeps alone"
WIDTH, HIDDEN_UNITS, LEARNING_RATE = len(REFERENCE_ALPHABET) + 1, 128, 0.005
CHUNK = 1000
fused_add, fused_add_transposed = fused.add_product, fused.add_product_transposed

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


def plain_training(cell: str, dataset: NamesDataset, device: str = "cpu") -> Train:
    """The notebook's loop."""
    lines: list[list[str]] = [[] for _ in dataset.classes]
    for text, label in zip(dataset.texts, dataset.labels, strict=True):
        lines[label].append(text)
    model, loss_function = PlainClassifier(cell, len(dataset.classes)).to(device), nn.NLLLoss()

    def train(updates: int) -> None:
        total = 0.0
        for _ in range(updates):
            label = random.randrange(len(lines))
            line = one_hot_line(random.choice(lines[label]), dataset.alphabet)
            model.zero_grad()
            loss = loss_function(model(line.to(device)), torch.tensor([label], device=device))
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


def engine_training(cell: str, engine: str, dataset: NamesDataset) -> Train:
    """``fit`` on examples drawn the same way."""
    model = build_char_rnn(cell, WIDTH, len(dataset.classes), HIDDEN_UNITS)
    compile_char_rnn(model, LEARNING_RATE, engine)

    def train(updates: int) -> None:
        drawn = draw_examples(dataset.labels, updates, seed=0)
        x = dataset.letters[drawn], dataset.lengths[drawn]
        model.fit(x, dataset.labels[drawn], batch_size=CHUNK, shuffle=False, verbose=0)

    return train


def bare_training(cell: str, dataset: NamesDataset) -> Train:
    """The fused kernel without ``fit``, called for as many updates at a time, always from the same weights."""
    weights = build_char_rnn(cell, WIDTH, len(dataset.classes), HIDDEN_UNITS).get_weights()

    def train(updates: int) -> None:
        for lines in np.split(draw_examples(dataset.labels, updates, seed=0), updates // CHUNK):
            examples = dataset.letters[lines], dataset.lengths[lines], dataset.labels[lines]
            fused.update_each(cell, weights, *examples, LEARNING_RATE)

    return train


def sweeps_alone(cell: str, dataset: NamesDataset) -> Train:
    """The limit: as many readings of the recurrent matrix as the fused kernel makes, in products, and nothing else."""
    columns = SIZES[cell].gates * HIDDEN_UNITS
    matrix = fused._aligned(np.zeros((HIDDEN_UNITS, columns)))
    state, gates = fused._aligned(np.zeros(HIDDEN_UNITS)), fused._aligned(np.zeros(columns))

    @fused.compiled()
    def sweep(lengths, matrix, state, gates, units, columns):
        for length in lengths:
            for _ in range(length - 1):
                fused_add(gates, state, matrix, units, columns)
                fused_add_transposed(state, matrix, gates, units, columns)

    def train(updates: int) -> None:
        lengths = dataset.lengths[draw_examples(dataset.labels, updates, seed=0)]
        sweep(lengths, matrix, state, gates, HIDDEN_UNITS, columns)

    return train


def updates_of_a_turn(train: Train, seconds: float) -> int:
    """As many as take that long; what a call costs once (TensorFlow's ``fit``: 0.1 s) is then spread over them."""
    train(CHUNK)  # compiles
    chunks = 1
    for _ in range(2):
        chunks = max(1, round(chunks * seconds / seconds_of(lambda chunks=chunks: train(chunks * CHUNK))))
    return chunks * CHUNK


def measure(engine: str, dataset: NamesDataset, quick: bool) -> list[Row]:
    """Time the updates of every cell."""
    rows = []
    for cell in CELLS:
        trainings = {PLAIN: plain_training(cell, dataset)}
        trainings |= {kind: engine_training(cell, kind, dataset) for kind in ("generic", "fused")}
        trainings |= {BARE: bare_training(cell, dataset), SWEEPS: sweeps_alone(cell, dataset)}
        sides = {}
        for name, train in trainings.items():
            updates = updates_of_a_turn(train, 0.2 if quick else 2)
            sides[name] = Side(lambda train=train, updates=updates: train(updates), updates)
        seconds = take_turns(sides, 3 if quick else 9)
        rows += compare(f"{cell.upper()} update", engine, seconds, PLAIN, "µs", 1e6)
        for side, limit in (("fused", BARE), (BARE, SWEEPS)):
            pair = {side: seconds[side], limit: seconds[limit]}
            rows += compare(f"{cell.upper()} update, share of: {limit}", engine, pair, limit, "µs", 1e6)[:1]
    return rows
