"""What a result found, in the words of a figure's title. Where that is not clear, the words claim nothing."""

import unicodedata
from collections.abc import Mapping

from keras_dnnts.metrics import accuracy_of
from keras_dnnts.results import Metric, Result
from keras_dnnts.results.conclusions import find_pairwise_differences, headline_metrics


def shorten(name: str, longest: int = 16) -> str:
    """Cut a class name to what fits beside an axis; wide letters, such as Chinese ones, count twice."""
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    if _width(name) <= longest:
        return name
    while _width(name) > longest - 1:
        name = name[:-1]
    return name + "…"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def percent(metric: Metric) -> str:
    """Format an accuracy as per cent, ± its standard deviation where there are several seeds."""
    spread = f" ± {100 * metric.sd:.1f}" if metric.sd is not None else ""
    return f"{100 * metric.mean:.1f}{spread} %"


def state_accuracy(result: Result, part: str) -> str:
    """Say how many guesses are right on a part of the data, and where that is no better than chance."""
    study = result.study
    weighting = accuracy_of(study.metrics, part).weighting
    sentence = f"{result.model_name}: {percent(_accuracy(result, part))} right on {study.parts[part]}{weighting}"
    return f"{sentence}\nno better than chance" if _is_chance(result, part) else sentence


def count_skipped(result: Result) -> str:
    """Say how many lines of the data held no usable name; empty where every one did."""
    lines = result.dataset["counts"].get("skipped", 0)
    return f"{lines:,} line{'s' if lines > 1 else ''} without a letter of the alphabet" if lines else ""


def state_confusion(result: Result, part: str) -> str | None:
    """Name the two classes confused most on a part of the data; None where nothing is confused or all is guesswork."""
    confusions = result.details.get("most_frequent_confusions", {}).get(part)
    if not confusions or _is_chance(result, part):
        return None
    most = confusions[0]
    truth, guess, share = shorten(most["truth"]), shorten(most["guess"]), f"{100 * most['fraction']:.0f} %"
    return f"most often confused: {truth} → {guess} ({share} of them)"


def state_ranking(results: Mapping[str, Result]) -> str | None:
    """Say which run is ahead of every other by a difference with an interval that leaves out 0, or that none is.

    Returns:
        None where that cannot be told: fewer than two runs, single seeds, different data or protocols.
    """
    settings = {(run.dataset["content_hash"], run.study.use(run.config)) for run in results.values()}
    metrics = headline_metrics(*results.values())
    if len(results) < 2 or len(settings) > 1 or not metrics:
        return None
    name, what = next(iter(metrics.items()))
    kind = next(iter(results.values())).study.kind(name)
    if kind is not None:
        what += kind.weighting
    leads = find_pairwise_differences(results, name)[: len(results) - 1]
    if any(lead.interval_95 is None for lead in leads):
        return None
    if all(lead.is_shown for lead in leads):
        return f"{shorten(leads[0].first)} is ahead in {what}"
    return f"No run is shown to be ahead in {what}"


def _accuracy(result: Result, part: str) -> Metric:
    return result.metrics[accuracy_of(result.study.metrics, part).name]


def _is_chance(result: Result, part: str) -> bool:
    intervals, chance = _accuracy(result, part).intervals_95, 1 / len(result.dataset["classes"])
    return intervals is not None and all(low <= chance <= high for low, high in intervals)
