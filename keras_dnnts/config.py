"""Every knob of an experiment, its default and its check, in one frozen dataclass an experiment."""

import contextlib
import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import tomli_w

from keras_dnnts.datasets.letters import REFERENCE_ALPHABET, checked_alphabet
from keras_dnnts.errors import UserError

BACKENDS = ("torch", "jax", "tensorflow")
DEVICES = ("auto", "cpu", "cuda", "mps")
PROTOCOLS = ("sound", "reference")
CELLS = ("rnn", "gru", "lstm")
ENGINES = ("auto", "fused", "generic")
NAMES_DATASETS = ("auto", "names", "starter")
IMAGE_DATASETS = ("auto", "cifar10", "digits")
PRECISIONS = ("float32", "bfloat16")

# Beyond these, slips of the finger fill the memory or the disk, or never end.
MOST_SEEDS = 1_000
MOST_ITERATIONS = 100_000_000
MOST_HIDDEN_UNITS = 16_384
MOST_EPOCHS = 1_000_000
LARGEST_WIDTH = 8
LARGEST_IMAGE_SIZE = 4_096
LARGEST_TOML_BYTES = 2**20
MOST_SHOWN = 80  # characters of a wrong value
SEEDS_END = 2**32  # NumPy's and scikit-learn's
INTEGERS_END = 2**63  # TOML's


@dataclass(frozen=True)
class Architecture:
    """What the reference chose for an architecture, and the smallest images its strides leave anything of."""

    minimum_image_size: int
    learning_rate: float
    step_factor: float


ARCHITECTURES = {
    "alexnet": Architecture(minimum_image_size=63, learning_rate=1e-3, step_factor=1.0),
    "resnet50": Architecture(minimum_image_size=33, learning_rate=1e-4, step_factor=0.5),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every experiment has. ``seeds`` runs use seeds ``seed`` to ``seed + seeds - 1``.

    Raises:
        UserError: a value is out of its range; the message names the option.
    """

    experiment: ClassVar[str]

    protocol: str = "sound"
    data_dir: str | None = None
    seed: int = 0
    seeds: int = 1
    backend: str = "torch"
    device: str = "auto"
    checkpoint_seconds: float = 2.0

    def __post_init__(self) -> None:
        self._check_choice("protocol", PROTOCOLS)
        self._check_choice("backend", BACKENDS)
        self._check_choice("device", DEVICES)
        self._check_texts()
        self._check_at_least("seed", 0)
        self._check_between("seeds", 1, MOST_SEEDS)
        if self.seed + self.seeds > SEEDS_END:
            raise UserError(f"--seed is {self.seed}: seeds must stay below {SEEDS_END}")
        if not (math.isfinite(self.checkpoint_seconds) and self.checkpoint_seconds >= 0):
            raise UserError(f"--checkpoint-seconds is {self.checkpoint_seconds}: it must be a finite number, 0 or more")

    @property
    def model(self) -> str:
        """The cell or architecture that is trained."""
        raise NotImplementedError

    @property
    def all_seeds(self) -> range:
        """The seed of every run."""
        return range(self.seed, self.seed + self.seeds)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the experiment's name first."""
        return {"experiment": self.experiment, **dataclasses.asdict(self)}

    def to_toml(self) -> str:
        """TOML text that :func:`load_config` reads back; options that are not set are left out."""
        return tomli_w.dumps({name: value for name, value in self.to_dict().items() if value is not None})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Build the config from plain values.

        Raises:
            UserError: an unknown option, a value of the wrong type or out of its range; the message begins with
                ``where``.
        """
        types = {field.name: field.type for field in dataclasses.fields(cls)}
        for name, value in values.items():
            if name not in types:
                raise UserError(f"{where}: unknown option {_shown(name)}; known are {', '.join(types)}")
            if isinstance(value, int) and not -INTEGERS_END <= value < INTEGERS_END:
                raise UserError(f"{where}: {name} is a number of more than 64 bits")
            if not _fits(value, str(types[name])):
                raise UserError(f"{where}: {name} = {_shown(value)} is not of type {_type_name(types[name])}")
        try:
            return cls(**values)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise UserError(f"unknown {_option(name)} {_shown(value)}: use one of {', '.join(choices)}")

    def _check_texts(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, str):
                continue
            # Neither can be written to a file, nor the second be part of a path.
            if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in value):
                raise UserError(f"{_option(name)} is {_shown(value)}: it must be text that UTF-8 can hold, without NUL")
        if self.data_dir == "":
            raise UserError("--data-dir is empty: name a folder, or leave the option out")

    def _check_at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value < least:
            raise UserError(f"{_option(name)} is {value}: it must be at least {least}")

    def _check_between(self, name: str, least: int, most: int) -> None:
        self._check_at_least(name, least)
        if getattr(self, name) > most:
            raise UserError(f"{_option(name)} is {getattr(self, name)}: it must be at most {most}")

    def _check_positive(self, name: str) -> None:
        value = getattr(self, name)
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{_option(name)} is {value}: it must be a positive finite number")


@dataclass(frozen=True, kw_only=True)
class NamesConfig(Config):
    """The names experiment: one recurrent cell tells a surname's language.

    >>> from keras_dnnts import NamesConfig
    >>> print(NamesConfig(cell="lstm", seeds=5).to_toml().splitlines()[0])
    experiment = "names"
    """

    experiment: ClassVar[str] = "names"

    cell: str = "gru"
    dataset: str = "auto"
    letters: str = REFERENCE_ALPHABET
    held_out: float = 0.2
    hidden_units: int = 128
    iterations: int = 100_000
    learning_rate: float = 0.005
    engine: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("cell", CELLS)
        self._check_choice("dataset", NAMES_DATASETS)
        self._check_choice("engine", ENGINES)
        self._check_between("hidden_units", 1, MOST_HIDDEN_UNITS)
        self._check_between("iterations", 1, MOST_ITERATIONS)
        self._check_positive("learning_rate")
        checked_alphabet(self.letters)
        if not 0 < self.held_out < 1:
            raise UserError(f"--held-out is {self.held_out}: it must lie between 0 and 1")

    @property
    def model(self) -> str:
        """The recurrent cell."""
        return self.cell


@dataclass(frozen=True, kw_only=True)
class CifarConfig(Config):
    """The CIFAR-10 experiment: a convolutional network trained from scratch.

    ``learning_rate`` and ``step_factor`` are the architecture's own where they are not given; once built, a config
    holds the numbers.

    >>> from keras_dnnts import CifarConfig
    >>> CifarConfig(arch="resnet50").learning_rate
    0.0001
    """

    experiment: ClassVar[str] = "cifar"

    arch: str = "alexnet"
    dataset: str = "auto"
    dataset_name: str | None = None
    train_images: int | None = None
    image_size: int = 224
    width: float = 1.0
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float | None = None
    step_epochs: int = 5
    step_factor: float | None = None
    patience: int = 3
    precision: str = "float32"
    embedding_images: int = 2000
    checkpoint_seconds: float = 300.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("arch", tuple(ARCHITECTURES))
        self._check_choice("dataset", IMAGE_DATASETS)
        self._check_choice("precision", PRECISIONS)
        architecture = ARCHITECTURES[self.arch]
        for name in ("learning_rate", "step_factor"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(architecture, name))
            self._check_positive(name)
        self._check_positive("width")
        if self.width > LARGEST_WIDTH:
            raise UserError(f"--width is {self.width}: it must be at most {LARGEST_WIDTH}")
        self._check_between("epochs", 1, MOST_EPOCHS)
        for name in ("batch_size", "step_epochs", "patience"):
            self._check_at_least(name, 1)
        if self.train_images is not None:
            self._check_at_least("train_images", 1)
        self._check_at_least("embedding_images", 2)
        if self.image_size < architecture.minimum_image_size:
            raise UserError(
                f"--image-size {self.image_size} is too small for {self.arch}: "
                f"use at least {architecture.minimum_image_size}"
            )
        self._check_between("image_size", architecture.minimum_image_size, LARGEST_IMAGE_SIZE)
        self._check_last_rate()

    @property
    def model(self) -> str:
        """The architecture."""
        return self.arch

    def _check_last_rate(self) -> None:
        with contextlib.suppress(OverflowError):
            if math.isfinite(self.learning_rate_of(self.epochs - 1)):
                return
        raise UserError(
            f"--step-factor is {self.step_factor}: after {self.epochs} epochs no number could hold the learning rate"
        )

    def learning_rate_of(self, epoch: int) -> float:
        """The rate of an epoch, the first being 0: multiplied by ``step_factor`` after every ``step_epochs``."""
        assert self.learning_rate is not None and self.step_factor is not None
        return self.learning_rate * self.step_factor ** (epoch // self.step_epochs)


EXPERIMENTS: dict[str, type[Config]] = {"names": NamesConfig, "cifar": CifarConfig}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() and path.exists():
            raise UserError(f"{path}: is no file: name a TOML file, such as a run's config.toml")
        with path.open("rb") as file:
            content = file.read(LARGEST_TOML_BYTES + 1)
    except (OSError, ValueError) as error:  # the second for what no path can be
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > LARGEST_TOML_BYTES:
        raise UserError(f"{path}: has more than {LARGEST_TOML_BYTES} bytes: name an experiment's TOML file")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    # A number of many digits is a plain ValueError, and brackets within brackets end in the other.
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not TOML: {error}") from error


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read an experiment's TOML file; ``overrides`` replace its values.

    Raises:
        UserError: the file is missing, is not TOML, or holds what no experiment takes.

    >>> from pathlib import Path
    >>> from keras_dnnts import load_config
    >>> load_config(Path("runs/gru/config.toml"), {"cell": "rnn"}).model
    'rnn'
    """
    return config_from_dict({**_read_toml(path), **(overrides or {})}, where=str(path))


def config_from_dict(values: Mapping[str, Any], where: str) -> Config:
    """Build the config of the experiment that ``values`` name, as :meth:`Config.to_dict` gave them.

    Raises:
        UserError: as for :meth:`Config.from_dict`, or the experiment is not known.
    """
    options = dict(values)
    name = options.pop("experiment", None)
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise UserError(f"{where}: experiment = {_shown(name)}; use one of {', '.join(map(repr, EXPERIMENTS))}")
    return EXPERIMENTS[name].from_dict(options, where=where)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return f"a {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _fits(value: object, type_name: str) -> bool:
    if isinstance(value, bool):
        return "bool" in type_name
    kinds: dict[type, tuple[str, ...]] = {str: ("str",), int: ("int", "float"), float: ("float",)}
    allowed = kinds.get(type(value), ())
    return any(kind in type_name for kind in allowed) or (value is None and "None" in type_name)
