"""Every knob of the names study."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_dnnts.config import Config, option, shown, take_old_names
from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET, checked_alphabet
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import is_own_model
from keras_dnnts.studies.names.members import read_members

PROTOCOLS = ("sound", "reference")
CELLS = ("rnn", "gru", "lstm")
# Fitted in seconds, in NumPy and scikit-learn: by name, how titles write them.
BASELINES = {
    "majority": "Majority class",
    "naive-bayes": "Naive Bayes",
    "markov": "Markov model",
    "ngram-logistic": "Logistic regression on letter n-grams",
}
# Trained in batches, beside weights of letter n-grams: by name, how titles write them.
BATCHED = {"char-cnn": "Char-CNN", "bi-gru": "Bi-GRU"}
MODELS = (*CELLS, *BATCHED, *BASELINES)
SCHEDULES = ("constant", "linear", "cosine")
DRAWN_CLASSES = ("even", "root", "natural")
DRAWN_FROM = ("lines", "names")
ENGINES = ("auto", "fused", "generic")
SOURCES = ("auto", "names", "starter")

# Beyond these, slips of the finger fill the memory, or never end.
MOST_ITERATIONS = 100_000_000
MOST_HIDDEN_UNITS = 16_384
MOST_EPOCHS = 1_000_000
LARGEST_BATCH = 1_000_000
MOST_MEMBERS = 100
LONGEST_NGRAM = 3  # the shortest names have three symbols


@dataclass(frozen=True)
class NetworkSettings:
    """How networks are trained one example at a time, with what holds where nothing is given."""

    hidden_units: int = 128
    iterations: int = 100_000
    learning_rate: float = 0.02
    schedule: str = "linear"
    draw_classes: str = "even"
    draw_from: str = "lines"
    engine: str = "auto"


@dataclass(frozen=True)
class BatchedSettings:
    """How networks are trained in batches, with what holds where nothing is given."""

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 0.005
    members: int = 1
    ngrams: int = 3


NETWORK_DEFAULTS = dataclasses.asdict(NetworkSettings())
# What the notebook did, where that differs: the defaults were chosen by validation names (see RESULTS.md).
REFERENCE_DEFAULTS = NETWORK_DEFAULTS | {"learning_rate": 0.005, "schedule": "constant"}
BATCHED_DEFAULTS = dataclasses.asdict(BatchedSettings())


@dataclass(frozen=True)
class BatchedSizes:
    """The layers of networks that are trained in batches: numbers of units, and widths of convolutions in letters."""

    embedding: int = 32
    filters: int = 96
    widths: tuple[int, ...] = (1, 2, 3, 4)
    units: int = 64


BATCHED_SIZES = BatchedSizes()


def _of_networks(name: str, help: str, section: str, /, **how: Any) -> Any:
    groups = {"": NETWORK_DEFAULTS, " (protocol reference)": REFERENCE_DEFAULTS, " (in batches)": BATCHED_DEFAULTS}
    defaults: dict[str, str] = {}
    for of_what, group in groups.items():
        if name in group and str(group[name]) not in defaults:
            defaults[str(group[name])] = of_what if defaults else ""
    return option(None, help, section, default=", ".join(map("".join, defaults.items())), **how)


@take_old_names
@dataclass(frozen=True, kw_only=True)
class NamesConfig(Config):
    """The names study: a network or a baseline classifies surnames by language.

    What a model does not have, such as ``learning_rate`` of a baseline or ``iterations`` of a network that is trained
    in batches, is None.

    >>> from keras_dnnts import NamesConfig
    >>> print(NamesConfig(model="lstm", seeds=5).to_toml().splitlines()[0])
    experiment = "names"
    """

    experiment: ClassVar[str] = "names"
    model_option: ClassVar[str] = "model"
    renamed: ClassVar[Mapping[str, str]] = {"cell": "model"}

    model: str = option(  # type: ignore[assignment]
        "gru",
        f"Recurrent cell ({', '.join(CELLS)}), network trained in batches ({', '.join(BATCHED)}), baseline "
        f"({', '.join(BASELINES)}), or your own model: FILE.py:FUNCTION.",
        "Model",
        suggestions=MODELS,
    )
    protocol: str = option("sound", "Training and test protocol; see below.", "Training", choices=PROTOCOLS)
    dataset: str = option(
        "auto",
        "Real names, bundled starter names, or auto: the real ones if cached or downloadable, else starter names.",
        "Data",
        choices=SOURCES,
    )
    data_dir: str | None = option(
        None,
        "Your own data: a folder of <Category>.txt files, one name per line.",
        "Data",
        is_path=True,
        results_depend=False,
    )
    letters: str = option(REFERENCE_ALPHABET, "Letters that the model reads.", "Data", default="the reference's 57")
    held_out: float = option(0.2, "Fraction of the distinct names held out (protocol sound).", "Data", above=0, below=1)
    select: bool = option(
        False,
        "Split the training names again, by the same rules, train on one part and measure on the other (validation "
        "names): to choose settings without looking at held-out names.",
        "Data",
    )
    logistic_beside: bool = option(
        False,
        "Also show what logistic regression on letter n-grams scores on the run's own splits (seconds for each seed).",
        "Data",
    )
    hidden_units: int | None = _of_networks(
        "hidden_units", "Recurrent units.", "Model", at_least=1, at_most=MOST_HIDDEN_UNITS
    )
    iterations: int | None = _of_networks(
        "iterations", "Number of updates, of one example each.", "Training", at_least=1, at_most=MOST_ITERATIONS
    )
    epochs: int | None = _of_networks(
        "epochs",
        f"Passes over the distinct training names ({', '.join(BATCHED)}).",
        "Training",
        at_least=1,
        at_most=MOST_EPOCHS,
    )
    batch_size: int | None = _of_networks(
        "batch_size", f"Names per update ({', '.join(BATCHED)}).", "Training", at_least=1, at_most=LARGEST_BATCH
    )
    members: int | None = _of_networks(
        "members",
        "Networks that are trained on each split, from different initial weights, and answer with their mean "
        f"probabilities ({', '.join(BATCHED)}).",
        "Model",
        at_least=1,
        at_most=MOST_MEMBERS,
    )
    ngrams: int | None = _of_networks(
        "ngrams",
        f"Letters of the longest n-grams that have weights beside the network ({', '.join(BATCHED)}); 0 is none.",
        "Model",
        at_least=0,
        at_most=LONGEST_NGRAM,
    )
    learning_rate: float | None = _of_networks(
        "learning_rate",
        f"Step size of weight -= rate * gradient, or AdamW's largest ({', '.join(BATCHED)}).",
        "Training",
        above=0,
    )
    schedule: str | None = _of_networks(
        "schedule",
        "Learning-rate schedule: constant, or falling to zero over the run, linearly or as a cosine.",
        "Training",
        choices=SCHEDULES,
    )
    draw_classes: str | None = _of_networks(
        "draw_classes",
        "How often a class is drawn: even (equally), natural (by its number of examples) or root (by its square root).",
        "Training",
        choices=DRAWN_CLASSES,
    )
    draw_from: str | None = _of_networks(
        "draw_from",
        "What is drawn within a class: lines (each copy of a name counts) or distinct names.",
        "Training",
        choices=DRAWN_FROM,
    )
    engine: str | None = _of_networks(
        "engine",
        "fused: one compiled kernel, on the CPU; generic: automatic differentiation, on any device.",
        "Engine",
        choices=ENGINES,
    )

    def __post_init__(self) -> None:
        self._note_given()
        super().__post_init__()
        models = [model for _, model in read_members(self.model)] or [self.model]
        if not {*models} <= {*MODELS} and not is_own_model(self.model):
            raise UserError(
                f"unknown {option_name('model')} {shown(self.model)}: use one of {', '.join(MODELS)}, or "
                "FILE.py:FUNCTION"
            )
        if self.select and self.protocol == "reference":
            raise UserError(
                f"{option_name('select')}: {option_name('protocol')} reference holds no names out, so there is nothing "
                "to keep from a choice: leave one of them out"
            )
        self._settle_training()
        checked_alphabet(self.letters, self.is_raw)

    def _settle_training(self) -> None:
        """Give a model its defaults of what was left out, and nothing of what it does not have."""
        trained = trains({"model": self.model})
        one_at_a_time = REFERENCE_DEFAULTS if self.protocol == "reference" else NETWORK_DEFAULTS
        defaults = {} if not trained else BATCHED_DEFAULTS if self.is_batched else one_at_a_time
        for name in filter(self.is_given, NETWORK_DEFAULTS | BATCHED_DEFAULTS):
            if name not in defaults:
                why = "" if trained else "is no network and "
                raise UserError(
                    f"{option_name(name)} {getattr(self, name)}: {option_name('model')} {self.model} {why}has no such "
                    "setting: leave it out"
                )
        for name, default in defaults.items():
            if not self.is_given(name):
                object.__setattr__(self, name, default)

    @property
    def cell(self) -> str:
        """The model, as the field was called."""
        return self.model

    @property
    def settings(self) -> NetworkSettings:
        """How the network is trained; only of one that is trained one example at a time."""
        return NetworkSettings(**{name: getattr(self, name) for name in NETWORK_DEFAULTS})

    @property
    def batched_settings(self) -> BatchedSettings:
        """How the network is trained; only of one that is trained in batches."""
        return BatchedSettings(**{name: getattr(self, name) for name in BATCHED_DEFAULTS})

    @property
    def automatic_device(self) -> str | None:
        """The CPU for updates after single examples: each waits for the one before it, far longer on a GPU."""
        return None if self.is_batched else "cpu"

    @property
    def is_batched(self) -> bool:
        """Whether the model is a network that is trained in batches."""
        return self.model in BATCHED

    @property
    def is_baseline(self) -> bool:
        """Whether the model is fitted at once, without an engine."""
        return self.model in BASELINES

    @property
    def is_ensemble(self) -> bool:
        """Whether the model is those of finished runs, put together."""
        return bool(read_members(self.model))

    @property
    def is_raw(self) -> bool:
        """Whether names keep their spelling and the blanks around them."""
        return self.protocol == "reference"

    @property
    def alphabet(self) -> str:
        """The usable letters as names are spelled."""
        return checked_alphabet(self.letters, self.is_raw)


def title_of(config: Mapping[str, Any]) -> str:
    """How titles write a config's model."""
    model = config["model"]
    if members := read_members(model):
        titles = [(weight, title_of({"model": member})) for weight, member in members]
        differ = len({weight for weight, _ in titles}) > 1
        return " + ".join(f"{weight:.3g} × {title}" if differ and weight != 1 else title for weight, title in titles)
    if model in BATCHED:
        averaged = config.get("members") or 1
        without = " without n-grams" if config.get("ngrams") == 0 else ""
        return BATCHED[model] + without + (f" ({averaged} averaged)" if averaged > 1 else "")
    return BASELINES.get(model) or (model.upper() if model in CELLS else model.rpartition(":")[2])


def trains(config: Mapping[str, Any]) -> bool:
    """Whether a config's model is a network, trained on an engine."""
    return config["model"] not in BASELINES and not read_members(config["model"])
