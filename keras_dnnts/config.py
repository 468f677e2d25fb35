"""Every knob of an experiment, its default and its check, in one frozen dataclass an experiment."""

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
        self._check_at_least("seed", 0)
        self._check_at_least("seeds", 1)
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
                raise UserError(f"{where}: unknown option {name!r}; known are {', '.join(types)}")
            if not _fits(value, str(types[name])):
                raise UserError(f"{where}: {name} = {value!r} is not of type {types[name]}")
        try:
            return cls(**values)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise UserError(f"unknown {_option(name)} {value!r}: use one of {', '.join(choices)}")

    def _check_at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value < least:
            raise UserError(f"{_option(name)} is {value}: it must be at least {least}")

    def _check_positive(self, name: str) -> None:
        value = getattr(self, name)
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"{_option(name)} is {value}: it must be a positive finite number")


@dataclass(frozen=True, kw_only=True)
class NamesConfig(Config):
    """The names experiment: one recurrent cell tells a surname's language."""

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
        self._check_at_least("hidden_units", 1)
        self._check_at_least("iterations", 1)
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
    checkpoint_seconds: float = 120.0

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
        for name in ("epochs", "batch_size", "step_epochs", "patience"):
            self._check_at_least(name, 1)
        if self.train_images is not None:
            self._check_at_least("train_images", 1)
        self._check_at_least("embedding_images", 2)
        if self.image_size < architecture.minimum_image_size:
            raise UserError(
                f"--image-size {self.image_size} is too small for {self.arch}: "
                f"use at least {architecture.minimum_image_size}"
            )

    @property
    def model(self) -> str:
        """The architecture."""
        return self.arch

    def learning_rate_of(self, epoch: int) -> float:
        """The rate of an epoch, the first being 0: multiplied by ``step_factor`` after every ``step_epochs``."""
        assert self.learning_rate is not None and self.step_factor is not None
        return self.learning_rate * self.step_factor ** (epoch // self.step_epochs)


EXPERIMENTS: dict[str, type[Config]] = {"names": NamesConfig, "cifar": CifarConfig}


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read an experiment's TOML file; ``overrides`` replace its values.

    Raises:
        UserError: the file is missing, is not TOML, or holds what no experiment takes.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: is not TOML: {error}") from error
    return config_from_dict({**values, **(overrides or {})}, where=str(path))


def config_from_dict(values: Mapping[str, Any], where: str) -> Config:
    """Build the config of the experiment that ``values`` name, as :meth:`Config.to_dict` gave them.

    Raises:
        UserError: as for :meth:`Config.from_dict`, or the experiment is not known.
    """
    options = dict(values)
    name = options.pop("experiment", None)
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise UserError(f"{where}: experiment = {name!r}; use one of {', '.join(map(repr, EXPERIMENTS))}")
    return EXPERIMENTS[name].from_dict(options, where=where)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _fits(value: object, type_name: str) -> bool:
    if isinstance(value, bool):
        return "bool" in type_name
    kinds: dict[type, tuple[str, ...]] = {str: ("str",), int: ("int", "float"), float: ("float",)}
    allowed = kinds.get(type(value), ())
    return any(kind in type_name for kind in allowed) or (value is None and "None" in type_name)
