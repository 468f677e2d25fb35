"""A config: every knob of a study, its default, its check and its help, in one frozen dataclass a study."""

import dataclasses
import functools
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import tomli_w

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.registry import find_study, study_names

BACKENDS = ("torch", "jax", "tensorflow")
DEVICES = ("auto", "cpu", "cuda", "mps")

# Beyond these, slips of the finger fill the memory or the disk, or never end.
MOST_SEEDS = 1_000
LARGEST_TOML_BYTES = 2**20
MOST_SHOWN = 80  # characters of a wrong value
SEEDS_END = 2**32  # NumPy's and scikit-learn's
INTEGERS_END = 2**63  # TOML's
SHOWN_HASH = 19  # characters of a content hash in a message


class OtherDataError(UserError):
    """The data are not those that a config names by their hash."""


@dataclass(frozen=True)
class Option:
    """What the command line says of a field, and what values it takes.

    Attributes:
        help: a phrase.
        section: the heading of the command's help it stands under.
        choices: the values, where there are few.
        suggestions: some of the values, where there are more.
        at_least, at_most: the ends of its range, which belong to it.
        above, below: likewise, which do not.
        default: what the help says the default is; None for the field's own.
        is_path: whether it names a file or a folder.
        results_depend: whether another value gives other results.
    """

    help: str
    section: str
    choices: tuple[str, ...] | None = None
    suggestions: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    default: str | None = None
    is_path: bool = False
    results_depend: bool = True

    def check(self, name: str, value: Any) -> None:
        """Check a value that is set.

        Raises:
            UserError: it is none of the choices, or out of the range.
        """
        if self.choices is not None:
            for one in value if isinstance(value, tuple) else (value,):
                if one not in self.choices:
                    raise UserError(f"unknown {option_name(name)} {shown(one)}: use one of {', '.join(self.choices)}")
        if isinstance(value, int | float) and (wanted := self._wants(value)):
            raise UserError(f"{option_name(name)} is {value}: it must be {wanted}")

    def _wants(self, value: float) -> str | None:
        if not math.isfinite(value):
            return "a finite number"
        if self.above is not None and self.below is not None and not self.above < value < self.below:
            return f"between {self.above:g} and {self.below:g}"
        if self.above == 0 and not value > 0:
            return "a positive finite number"
        if self.at_least is not None and value < self.at_least:
            return f"at least {self.at_least}"
        if self.at_most is not None and value > self.at_most:
            return f"at most {self.at_most}"
        return None


def option(default: Any, help: str, section: str, /, **how: Any) -> Any:
    """A field of a config with its :class:`Option`, from which the command line follows."""
    return dataclasses.field(default=default, metadata={"option": Option(help, section, **how)})


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every study has. ``seeds`` runs use seeds ``seed`` to ``seed + seeds - 1``.

    Attributes:
        experiment: the study's name.
        model_option: the field that names the model.
        renamed: today's name of fields that had another one.

    Raises:
        UserError: a value is out of its range; the message names the option.
    """

    experiment: ClassVar[str]
    model_option: ClassVar[str]
    renamed: ClassVar[Mapping[str, str]] = {}
    _given: ClassVar[frozenset[str]] = frozenset()

    data_dir: str | None = option(None, "Your own data.", "Data", is_path=True, results_depend=False)
    content_hash: str | None = option(
        None,
        "Hash that the data must have, as in a run's config.toml; other data are refused.",
        "Data",
        default="any data",
        results_depend=False,
    )
    seed: int = option(0, "First seed.", "Training", at_least=0)
    seeds: int = option(1, "Number of independent runs.", "Training", at_least=1, at_most=MOST_SEEDS)
    backend: str = option("torch", "Keras backend.", "Engine", choices=BACKENDS)
    device: str = option("auto", "Where to compute.", "Engine", choices=DEVICES)
    checkpoint_seconds: float = option(
        2.0, "Minimum seconds between checkpoints.", "Output", at_least=0, results_depend=False
    )

    def __post_init__(self) -> None:
        for name, about in self.options().items():
            value = getattr(self, name)
            _check_text(name, value)
            if value is not None:
                about.check(name, value)
        if self.data_dir == "":
            raise UserError(f"{option_name('data_dir')} is empty: name a folder, or leave the option out")
        if self.seed + self.seeds > SEEDS_END:
            raise UserError(f"{option_name('seed')} is {self.seed}: seeds must stay below {SEEDS_END}")

    def is_given(self, name: str) -> bool:
        """Whether an option was given a value, rather than a default that was chosen for it."""
        return name in self._given

    def _note_given(self) -> None:
        """Remember which options are given: to be called before defaults take the place of None."""
        given = frozenset(name for name in self.options() if getattr(self, name) is not None)
        object.__setattr__(self, "_given", given)

    @classmethod
    def options(cls) -> dict[str, Option]:
        """What every field takes, by name."""
        return {field.name: field.metadata["option"] for field in dataclasses.fields(cls)}

    @classmethod
    def types(cls) -> dict[str, str]:
        """The type of every field, as it is written, by name."""
        kinds = {field.name: field.type for field in dataclasses.fields(cls)}
        return {name: kind.__name__ if isinstance(kind, type) else str(kind) for name, kind in kinds.items()}

    @property
    def model(self) -> str:
        """The model that is trained."""
        return getattr(self, self.model_option)

    @property
    def automatic_device(self) -> str | None:
        """What the device ``"auto"`` means in a process of this package's; None: an accelerator if there is one."""
        return None

    @property
    def all_seeds(self) -> range:
        """The seed of every run."""
        return range(self.seed, self.seed + self.seeds)

    def resolved(self, content_hash: str, **taken: Any) -> Self:
        """The config that repeats a run on the same data, from any folder.

        Args:
            content_hash: of the data that were read.
            taken: what was taken where the config leaves the choice, by field.
        """
        data_dir = None if self.data_dir is None else os.path.abspath(self.data_dir)  # noqa: PTH100  keeps links
        return dataclasses.replace(self, data_dir=data_dir, content_hash=content_hash, **taken)

    def check_data(self, content_hash: str) -> None:
        """Check that the data are those that the config names, where it does.

        Raises:
            OtherDataError: they are others.
        """
        if self.content_hash is not None and self.content_hash != content_hash:
            wanted = shown(self.content_hash[:SHOWN_HASH])[1:-1]
            raise OtherDataError(
                f"the data are not those of this config (content hash {content_hash[:SHOWN_HASH]}…, not {wanted}…): "
                f"put them back, or name their location with {option_name('data_dir')}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the study's name first."""
        values = {name: getattr(self, name) for name in self.options()}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {"experiment": self.experiment, **plain}

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
        types = cls.types()
        checked = {}
        for name, value in cls.with_present_names(values, where).items():
            if name not in types:
                raise UserError(f"{where}: unknown option {shown(name)}; known options: {', '.join(types)}")
            if isinstance(value, int) and not -INTEGERS_END <= value < INTEGERS_END:
                raise UserError(f"{where}: {name} is a number of more than 64 bits")
            if isinstance(value, list) and "tuple" in types[name]:
                value = tuple(value)
            if not _fits(value, types[name]):
                raise UserError(f"{where}: {name} = {shown(value)} is not of type {_type_name(types[name])}")
            checked[name] = value
        try:
            return cls(**checked)
        except UserError as error:
            raise UserError(f"{where}: {error.args[0]}") from error

    @classmethod
    def with_present_names(cls, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Plain values under today's names of their fields.

        Raises:
            UserError: a field has one value under an old name and another one under today's.
        """
        present = dict(values)
        for old, new in cls.renamed.items():
            if old in present:
                value = present.pop(old)
                if present.setdefault(new, value) != value:
                    raise UserError(
                        f"{where}: {old} is {shown(value)} and {new} is {shown(present[new])}: leave one out"
                    )
        return present


C = TypeVar("C", bound=Config)


def take_old_names(config: type[C]) -> type[C]:
    """Let a config be made with fields' old names as well: a decorator of its class."""
    init = config.__init__

    @functools.wraps(init)
    def with_present_names(self: Config, **values: Any) -> None:
        init(self, **config.with_present_names(values, config.__name__))

    config.__init__ = with_present_names  # type: ignore[misc, assignment]
    return config


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a study's TOML file; ``overrides`` replace its values.

    Raises:
        UserError: the file is missing, is not TOML, or holds an option that no study has.

    >>> from pathlib import Path
    >>> from keras_dnnts import load_config
    >>> load_config(Path("runs/gru/config.toml"), {"model": "rnn"}).model
    'rnn'
    """
    return config_from_dict({**read_toml(path), **(overrides or {})}, where=str(path))


def config_from_dict(values: Mapping[str, Any], where: str) -> Config:
    """Build the config of the study that ``values`` name, as :meth:`Config.to_dict` gave them.

    Raises:
        UserError: as for :meth:`Config.from_dict`, or the study is not known.
    """
    options = dict(values)
    return config_class(options.pop("experiment", None), where).from_dict(options, where=where)


def config_class(name: Any, where: str) -> type[Config]:
    """The config of a study.

    Raises:
        UserError: there is none of this name; the message begins with ``where``.
    """
    if not isinstance(name, str) or name not in study_names():
        raise UserError(f"{where}: experiment = {shown(name)}; use one of {', '.join(map(repr, study_names()))}")
    return find_study(name).config


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        UserError: it is missing, too large, or not TOML.
    """
    try:
        if not path.is_file() and path.exists():
            raise UserError(f"{path}: is not a file: name a TOML file, such as a run's config.toml")
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


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts; a value is TOML's, or else a text.

    Raises:
        UserError: one has no name.
    """
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UserError(f"{option_name('set')} {setting}: is not NAME=VALUE, such as learning_rate=0.01")
        try:
            values[name] = tomllib.loads(f"value = {text}")["value"]
        except (tomllib.TOMLDecodeError, ValueError):
            values[name] = text.strip()
    return values


def shown(value: object) -> str:
    """A wrong value as a message shows it."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return f"a {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _check_text(name: str, value: Any) -> None:
    # Neither can be written to a file, nor the second be part of a path.
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in value):
        raise UserError(f"{option_name(name)} is {shown(value)}: it must be text that UTF-8 can hold, without NUL")


def _type_name(annotation: str) -> str:
    return "list of str | None" if "tuple" in annotation else annotation


def _fits(value: object, type_name: str) -> bool:
    if isinstance(value, bool):
        return "bool" in type_name
    if isinstance(value, tuple):
        return "tuple" in type_name and all(isinstance(one, str) for one in value)
    kinds: dict[type, tuple[str, ...]] = {str: ("str",), int: ("int", "float"), float: ("float",)}
    allowed = kinds.get(type(value), ())
    if "tuple" in type_name:
        return value is None
    return any(kind in type_name for kind in allowed) or (value is None and "None" in type_name)
