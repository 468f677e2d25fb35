"""Numbers and settings in words, as the page writes them."""

import shlex
from typing import Any

from keras_dnnts.results import Metric, Result
from keras_dnnts.results.conclusions import interval_over_seeds
from keras_dnnts.studies.reference import changed_settings, is_on_reference_data

SIDES = {
    "names": {"held_out": "held-out names", "train": "training names"},
    "cifar": {"test": "test images"},
}
"""The parts of the data that models are judged on, the most telling first."""
PROTOCOLS = {
    ("names", "sound"): (
        "{held_out}\N{NO-BREAK SPACE}% of the distinct names were held out, every copy of a name, in every language, "
        "on one side; the model was trained on the rest."
    ),
    ("names", "reference"): (
        "The reference's own: all lines are trained on and nothing is held out, so accuracy is on names the model was "
        "trained on."
    ),
    ("cifar", "sound"): (
        "Only training images are augmented; the weights of the epoch with the lowest validation loss are kept."
    ),
    ("cifar", "reference"): (
        "The reference's own: validation and test images are augmented too, and the last epoch's weights are kept."
    ),
}


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent, with a no-break space."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def percent_range(interval: tuple[float, float]) -> str:
    """An interval of shares in per cent."""
    low, high = (100 * min(max(bound, 0.0), 1.0) for bound in interval)
    return f"{low:.1f} to {high:.1f}\N{NO-BREAK SPACE}%"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def interval_of(metric: Metric) -> tuple[tuple[float, float] | None, str]:
    """A metric's 95 % interval, where it has one, and over what it is."""
    if interval := interval_over_seeds(metric):
        return interval, f"over {len(metric.values)} seeds"
    if metric.intervals_95:
        return metric.intervals_95[0], "over the examples, one seed"
    return None, ""


def describe_protocol(result: Result) -> str:
    """The protocol in a sentence."""
    text = PROTOCOLS[result.experiment, result.config["protocol"]]
    return text.format(held_out=f"{100 * result.config.get('held_out', 0):g}")


def describe_data(result: Result) -> str:
    """The data in a few words, plainly where they stand in for others."""
    stand_in = ", standing in for the real data" if result.dataset["stand_in"] else ""
    return f"{result.dataset['name']}{stand_in}"


def warn_about_data(result: Result) -> str | None:
    """Say plainly that the data are not the reference's, or None where they are."""
    data = result.dataset
    if data["stand_in"]:
        return (
            f"Stand-in data: the real data were out of reach, and this run used {data['name']} ({data['source']}) in "
            "their place. Its numbers cannot be compared with the reference's."
        )
    if is_on_reference_data(result):
        return None
    return (
        f"Not the reference's data: this run used {data['name']} ({data['source']}). "
        "The reference's numbers are shown for orientation only."
    )


def list_changes(result: Result) -> list[str]:
    """The settings in which a run departs from the reference, a phrase each."""
    return [
        f"{name.replace('_', ' ')} {_setting(own)} (reference: {_setting(default)})"
        for name, (own, default) in changed_settings(result).items()
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
    options = {name: value for name, value in result.config.items() if value is not None and name != "experiment"}
    given = [f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in options.items()]
    return [f"keras-dnnts {result.experiment}", *given]


def _setting(value: Any) -> str:
    if value is None:
        return "all"
    return f"{value:,}" if isinstance(value, int) else f"{value}"
