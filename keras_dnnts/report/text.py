"""Numbers and settings in words, as the page writes them."""

import shlex
from typing import Any

from keras_dnnts.metrics import PER_CENT, MetricKind, percent
from keras_dnnts.results import Metric, Result
from keras_dnnts.results.conclusions import interval_over_seeds


def percent_range(interval: tuple[float, float], between: str = " to ") -> str:
    """An interval of shares in per cent."""
    low, high = (100 * min(max(bound, 0.0), 1.0) for bound in interval)
    return f"{low:.1f}{between}{high:.1f}{PER_CENT}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def interval_of(metric: Metric) -> tuple[tuple[float, float] | None, str]:
    """A metric's 95 % interval, where it has one, and over what it is."""
    if interval := interval_over_seeds(metric):
        return interval, f"over {len(metric.values)} seeds"
    if metric.intervals_95:
        return metric.intervals_95[0], "over examples, one seed"
    return None, ""


def reported(result: Result) -> dict[str, float]:
    """The reference's numbers by metric, where a run's data and settings are the reference's; empty elsewhere."""
    return result.reported if is_like_the_reference(result) else {}


def is_like_the_reference(result: Result) -> bool:
    """Whether a run had the reference's model, data and settings, so that its numbers may stand beside the run's."""
    reference = result.study.reference
    if reference is None or not result.reported or not reference.has_data_of(result.dataset):
        return False
    return not reference.changed_settings(result.config)


def name_reference(result: Result) -> dict[str, str] | None:
    """What the reference is called and where it is, for a run of a model and data that it has."""
    reference = result.study.reference
    if reference is None or not result.reported or not reference.has_data_of(result.dataset):
        return None
    return {"title": reference.title, "url": reference.url}


def reported_number(kind: MetricKind, value: float) -> str:
    """A number of the reference, as it reports it."""
    return percent(value) if kind.is_share else f"{value:g}"


def describe_data(result: Result) -> str:
    """The data in a few words, plainly where they stand in for others."""
    stand_in = ", standing in for the real data" if result.dataset["stand_in"] else ""
    return f"{result.dataset['name']}{stand_in}"


def warn_about_data(result: Result) -> str | None:
    """Say plainly that the data are not the real ones, or None where there is nothing to say."""
    data = result.dataset
    if not data["stand_in"]:
        return None
    compared = " Its numbers cannot be compared with the reference’s." if result.reported else ""
    used = f"{data['name']} ({data['source']})"
    return f"Stand-in data: the real data were not available, so this run used {used} instead.{compared}"


def list_changes(result: Result) -> list[str]:
    """The settings in which a run differs from the reference, a phrase each; none where data or model are others."""
    reference = result.study.reference
    if reference is None or name_reference(result) is None:
        return []
    return [
        f"{name.replace('_', ' ')} {_setting(own)} (reference: {_setting(default)})"
        for name, (own, default) in reference.changed_settings(result.config).items()
    ]


def count_seeds(result: Result) -> str:
    """``5 seeds``, or ``1 seed``."""
    count = result.config["seeds"]
    return f"{count} seeds" if count > 1 else "1 seed"


def name_seed(result: Result) -> str:
    """The seed whose examples are shown, where there are several."""
    return f"seed {result.details.get('illustrated_seed', result.config['seed'])}" if result.config["seeds"] > 1 else ""


def command(result: Result) -> list[str]:
    """The complete command line that repeats a run, every option spelled out, in pieces that stay on one line."""
    if weights := result.study.member_weights(result.config):
        members = [f"members/{number}" for number in range(1, len(weights) + 1)]
        return ["keras-dnnts ensemble", *members, f"--weights {','.join(map(repr, weights))}"]
    options = {name: value for name, value in result.config.items() if name != "experiment"}
    given = [_spell_option(name, value) for name, value in options.items() if value is not None and value is not False]
    return [f"keras-dnnts {result.experiment}", *given]


def _spell_option(name: str, value: Any) -> str:
    option = f"--{name.replace('_', '-')}"
    return option if value is True else f"{option} {shlex.quote(_spell(value))}"


def _spell(value: Any) -> str:
    """A value as the command line takes it: words with commas between them."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def describe_value(value: Any) -> str:
    """A config's value in words."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value}"


def _setting(value: Any) -> str:
    if value is None:
        return "all"
    return f"{value:,}" if isinstance(value, int) else describe_value(value)
