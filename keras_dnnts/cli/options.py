"""Options of commands, from the fields of configs."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from keras_dnnts.config import BACKENDS, Config, Option, parse_settings
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.registry import all_studies
from keras_dnnts.study import Study

SECTIONS = ("Data", "Model", "Training", "Engine", "Output")
OUTPUT = "Output"
# Options of all studies that a model which is fitted at once has no use for.
OF_TRAINING = ("backend", "device", "checkpoint_seconds")
# Options of `run`, beside the models', that replace what its file says.
REPLACEABLE = ("data_dir", "dataset_name", "seeds", "backend", "device")


class Words(click.ParamType):
    """Words with commas between them; an empty text is none."""

    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Split the text."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class Suggesting(click.ParamType):
    """Any text; shells complete it to some suggestions."""

    name = "text"

    def __init__(self, suggestions: Sequence[str]) -> None:
        self.suggestions = suggestions

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The suggestions that begin like this."""
        return [CompletionItem(text) for text in self.suggestions if text.startswith(incomplete)]


class SectionedCommand(click.Command):
    """A command whose help lists its options under the headings of :data:`SECTIONS`.

    Args:
        sections: the heading of each option, by name; what is in none comes last.
    """

    def __init__(self, *args: Any, sections: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section after the other."""
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in (*SECTIONS, "Other")}
        for option in self.get_params(ctx):
            if record := option.get_help_record(ctx):
                rows[self.sections.get(option.name or "", "Other")].append(record)
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def spell(name: str) -> str:
    """An option's name as the command line spells it."""
    return "--" + name.replace("_", "-")


def config_options(config: type[Config]) -> list[click.Option]:
    """An option for every field of a config; one that is not given is None."""
    options = []
    for name, about in config.options().items():
        options.append(_build_option(name, about, _type_of(config, name), _default_text(config, name, about)))
        options += [
            click.Option(
                [spell(old)], type=_type_of(config, name), help=f"The same as {spell(name)}, as it was called."
            )
            for old, new in config.renamed.items()
            if new == name
        ]
    return options


def replacing_options() -> list[click.Option]:
    """Options of ``run`` that replace what its file says: of all studies."""
    fields = {name: study.config for study in reversed(all_studies()) for name in study.config.options()}
    options = []
    for name in filter(fields.get, REPLACEABLE):
        config = fields[name]
        about = Config.options().get(name) or config.options()[name]  # one study may narrow it
        options.append(_build_option(name, about, _type_of(config, name), "the file's"))
    return [*options, *model_options()]


def model_options() -> list[click.Option]:
    """An option a study that names its model; one that is not given is None."""
    return [
        click.Option([spell(name)], help=f"Model ({study.name}); needed again if it is your own code.")
        for study in all_studies()
        for name in _model_names(study.config)
    ]


def given_model(values: dict[str, Any]) -> str | None:
    """Take the options of :func:`model_options` out of ``values`` and return the one that was given.

    Raises:
        UserError: there are several that differ.
    """
    names = dict.fromkeys(name for study in all_studies() for name in _model_names(study.config))
    given = {name: model for name in names if (model := values.pop(name, None)) is not None}
    if len({*given.values()}) > 1:
        raise UserError(f"{' and '.join(map(spell, given))}: give one of them")
    return next(iter(given.values()), None)


def _model_names(config: type[Config]) -> list[str]:
    """The names of the option that names a study's model, today's first."""
    option = config.model_option
    return [option, *(old for old, new in config.renamed.items() if new == option)]


def setting_option() -> click.Option:
    """``--set NAME=VALUE``."""
    return click.Option(
        ["--set", "settings"],
        multiple=True,
        metavar="NAME=VALUE",
        help="Set any option by its name in config.toml; overrides everything else; may be repeated.",
    )


def given_values(
    values: Mapping[str, Any], settings: Sequence[str], config: type[Config], where: str
) -> dict[str, Any]:
    """What the command line sets: options that were given, and over them ``--set``; by today's names of fields.

    Raises:
        UserError: an option is given under two names with two values, or a setting has no name.
    """
    given = {name: value for name, value in values.items() if value is not None}
    set_by_name = config.with_present_names(parse_settings(settings), where)
    return config.with_present_names(given, where) | set_by_name


def check_used(study: Study, config: Config, given: Iterable[str]) -> None:
    """Check that no option was given that a config does not use, such as one of engines where none trains the model.

    Only here is it known which were given: configs hold a value for each.

    Raises:
        UserError: it was.
    """
    values = config.to_dict()
    unused = dict(study.unused(values))
    if not study.trains(values):
        model = f"{option_name(config.model_option)} {config.model}"
        unused |= dict.fromkeys(OF_TRAINING, f"{model} is no network and has no such setting")
    for name in (name for name in unused if name in given):
        raise UserError(f"{option_name(name)} {values[name]}: {unused[name]}: leave it out")


def default_backend() -> str:
    """``KERAS_BACKEND``, else torch.

    Raises:
        UserError: there is no such engine.
    """
    backend = os.environ.get("KERAS_BACKEND") or "torch"
    if backend not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise UserError(f"KERAS_BACKEND is {backend!r}: set it to one of {known}, or use {spell('backend')}")
    return backend


def _build_option(name: str, about: Option, kind: Any, default: str | None) -> click.Option:
    ending = f"  [default: {default}]" if default is not None else ""
    if kind is bool and about.default is not None:
        return click.Option([f"{spell(name)}/{spell(f'no_{name}')}", name], default=None, help=about.help + ending)
    if kind is bool:
        return click.Option([spell(name), name], is_flag=True, default=None, help=about.help)
    return click.Option([spell(name), name], type=kind, help=about.help + ending)


def _type_of(config: type[Config], name: str) -> Any:
    about, annotation = config.options()[name], config.types()[name]
    if "tuple" in annotation:
        return Words()
    if about.choices is not None:
        return click.Choice(about.choices)
    if about.suggestions:
        return Suggesting(about.suggestions)
    if about.is_path:
        return click.Path()
    return {"int": int, "float": float, "str": str, "bool": bool}[annotation.partition(" |")[0]]


def _default_text(config: type[Config], name: str, about: Option) -> str | None:
    default = config.__dataclass_fields__[name].default
    if name == "backend":
        return "$KERAS_BACKEND, else torch"
    return about.default or (None if default is None else str(default))


def add_options(command: Callable, options: Iterable[click.Option]) -> None:
    """Add options to a function that click will make a command, before those it has."""
    already = getattr(command, "__click_params__", [])
    command.__click_params__ = [*already, *reversed(list(options))]  # type: ignore[attr-defined]
