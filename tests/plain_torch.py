"""The names experiment in plain PyTorch: what every engine is compared with."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class Sizes:
    width: int
    hidden_units: int
    classes: int
    longest: int


@dataclass(frozen=True)
class Stream:
    """Examples in training order; whatever stands in ``letters`` after a name's length is junk."""

    letters: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray

    @property
    def x(self):
        return self.letters, self.lengths

    def __getitem__(self, rows):
        return Stream(self.letters[rows], self.lengths[rows], self.labels[rows])


def random_stream(sizes, examples, seed=0):
    random = np.random.default_rng(seed)
    letters = random.integers(0, sizes.width, (examples, sizes.longest), dtype=np.int32)
    lengths = random.integers(1, sizes.longest + 1, examples, dtype=np.int32)
    lengths[:2] = sizes.longest, 1
    labels = random.integers(0, sizes.classes, examples, dtype=np.int32)
    return Stream(letters, lengths, labels)


class PlainClassifier:
    """A recurrent layer and a linear layer with PyTorch's own random weights."""

    def __init__(self, cell, sizes, seed=0, dtype=torch.float32):
        torch.manual_seed(seed)
        # Drawn in float32 and then widened, so that a reference in float64 starts from the same weights.
        self.recurrent = CELLS[cell](sizes.width, sizes.hidden_units, batch_first=True).to(dtype)
        self.head = nn.Linear(sizes.hidden_units, sizes.classes).to(dtype)
        self.width, self.dtype = sizes.width, dtype

    @property
    def states(self):
        """Arguments of ``load_torch_weights``: both state dicts, as arrays of their own."""
        return [
            {name: value.numpy().copy() for name, value in module.state_dict().items()}
            for module in (self.recurrent, self.head)
        ]

    def weights(self):
        """Six arrays in the order of a ``build_char_rnn`` model."""
        recurrent, head = self.states
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        return [*(recurrent[name] for name in names), head["weight"].T, head["bias"]]

    def outputs(self, letters, length):
        """(time, units): the recurrent layer's output for one name."""
        rows = torch.eye(self.width, dtype=self.dtype)[torch.from_numpy(letters[:length]).long()]
        return self.recurrent(rows[None])[0][0]

    def log_probabilities(self, letters, length):
        return torch.log_softmax(self.head(self.outputs(letters, length)[-1]), -1)

    def predict(self, stream):
        """(N, classes): log-probabilities of every name, each computed on its own."""
        with torch.no_grad():
            return np.stack([self.log_probabilities(*example).numpy() for example in zip(*stream.x, strict=True)])

    def train(self, stream, learning_rate):
        """One update for every example; returns losses and guesses, each before its example's update."""
        parameters = [*self.recurrent.parameters(), *self.head.parameters()]
        losses, guesses = [], []
        for letters, length, label in zip(stream.letters, stream.lengths, stream.labels, strict=True):
            log_probabilities = self.log_probabilities(letters, length)
            loss = -log_probabilities[int(label)]
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter -= learning_rate * gradient
            losses.append(loss.item())
            guesses.append(int(log_probabilities.argmax()))
        return np.array(losses), np.array(guesses)
