"""What a result found, in the words of a figure's title. Where that is not clear, the words claim nothing."""

import unicodedata
from collections.abc import Mapping, Sequence

from keras_dnnts.analysis import most_frequent_confusions
from keras_dnnts.metrics import PER_CENT, MetricKind, accuracy_of, percent
from keras_dnnts.results import Metric, Result
from keras_dnnts.results.baselines import find_baseline, find_rise_of_loss, is_no_better
from keras_dnnts.results.conclusions import (
    Difference,
    are_comparable,
    find_pairwise_differences,
    headline_metrics,
)

ACCURACY_ON = "accuracy on "
MOST_WRITTEN = 30  # classes in a confusion matrix whose cells hold numbers


def shorten(name: str, longest: int = 16) -> str:
    """Cut a class name to what fits beside an axis; wide letters, such as Chinese ones, count twice."""
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    if _width(name) <= longest:
        return name
    while _width(name) > longest - 1:
        name = name[:-1]
    return name + "…"


def shorten_label(label: str, longest: int = 28) -> str:
    """Cut the label of a run in its middle: of a path, both ends tell most."""
    label = "".join(letter if letter.isprintable() else " " for letter in label)
    if len(label) <= longest:
        return label
    end = 2 * longest // 3
    return f"{label[: longest - end - 1]}…{label[-end:]}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def percent_over_seeds(metric: Metric) -> str:
    """Format an accuracy as per cent, ± its standard deviation where there are several seeds."""
    spread = f" ± {100 * metric.sd:.1f}" if metric.sd is not None else ""
    return f"{100 * metric.mean:.1f}{spread}{PER_CENT}"


def whole_percent(share: float) -> str:
    """Format a share as whole per cent, with one digit more where that would say none or all and it is not."""
    value = 100 * share
    digits = 0 if value in (0, 100) or 0.5 <= value < 99.5 else 1
    return f"{value:.{digits}f}{PER_CENT}"


def state_result(result: Result) -> str:
    """Say in one sentence what a run found: the first heading of its page."""
    name, study = result.model_name, result.study
    kind = next(map(study.kind, headline_metrics(result)), None)
    if kind is None:
        return f"{name} on {result.dataset['name']}"
    if failure := state_failure(result):
        return f"{name} is {failure.partition(';')[0]}"
    if not kind.is_share:
        return f"{name}: {kind.headline} {kind.format(result.metrics[kind.name].mean)}"
    share = whole_percent(result.metrics[kind.name].mean)
    if study.finding is not None:
        return study.finding(result, share)
    return f"{name}: {share} {describe_headline(kind)}"


def describe_headline(kind: MetricKind) -> str:
    """What a headline's number is, in words that follow it: ``of test images classified correctly``."""
    what = kind.headline or kind.title
    if what.startswith(ACCURACY_ON):
        return f"of {what.removeprefix(ACCURACY_ON)} classified correctly"
    return what


def state_failure(result: Result) -> str | None:
    """Say that a run learned nothing that shows in the accuracy it is judged by; else None.

    Of a model that is not trained, nothing is said: it may be there to be no better.
    """
    kind = next(map(result.study.kind, headline_metrics(result)), None)
    return None if kind is None else _state_no_better(result, kind)


def _state_no_better(result: Result, kind: MetricKind) -> str | None:
    baseline = find_baseline(result, kind)
    if baseline is None or not result.study.trains(result.config) or not is_no_better(result, kind):
        return None
    words = f"no better than always answering {shorten(baseline.label)}"
    if rise := find_rise_of_loss(result):
        words += f"; the loss rose from {_amount(rise[0])} to {_amount(rise[1])}"
    return words


def state_accuracy(result: Result, part: str) -> str:
    """Say how many guesses are right on a part of the data, and where that is no better than one constant answer."""
    study = result.study
    kind = accuracy_of(study.metrics, part)
    accuracy = percent_over_seeds(result.metrics[kind.name])
    sentence = f"{result.model_name}: {accuracy} accuracy on {study.parts[part]}{kind.weighting}"
    return "\n".join(filter(None, [sentence, _state_no_better(result, kind)]))


def state_recall(result: Result, part: str, most: int = 10) -> str:
    """Say the share right of each class; of many classes, of the best and the worst."""
    shares = result.details["recall"][part]
    if len(shares) <= most:
        said = {name: "not tested" if share is None else percent(share) for name, share in shares.items()}
        return ", ".join(f"{shorten(name)} {words}" for name, words in said.items())
    recall = {name: share for name, share in shares.items() if share is not None}
    ranked = sorted(recall.items(), key=lambda item: -item[1])
    ends = [
        ", ".join(f"{shorten(name)} {percent(share)}" for name, share in group) for group in (ranked[:3], ranked[-3:])
    ]
    return f"best {ends[0]}; worst {ends[1]} (of {len(recall)} classes)"


def count_skipped(result: Result) -> str:
    """Say how many lines of the data held no usable name; empty where every one did."""
    lines = result.dataset["counts"].get("skipped", 0)
    return f"{lines:,} line{'s' if lines > 1 else ''} with no letter in the alphabet" if lines else ""


def write_cell(share: float) -> str:
    """What a cell of a confusion matrix shows on the page and in the figure: per cent of its row, blank for none."""
    return f"{100 * share:.0f}" if share > 0 else ""


def state_confusion(result: Result, part: str) -> str | None:
    """Name the two classes confused most often on a part of the data; None where nothing is or nothing was learned."""
    counts = result.arrays[f"confusion_{part}"].sum(axis=0)
    confusions = most_frequent_confusions(counts, result.dataset["classes"], most=1)
    if not confusions or is_no_better(result, accuracy_of(result.study.metrics, part)):
        return None
    most = confusions[0]
    times = f"{most['count']:,} time{'s' if most['count'] > 1 else ''}"
    share = f"{whole_percent(most['fraction'])} of the row"
    return f"most frequent confusion: {shorten(most['truth'])} → {shorten(most['guess'])} ({times}, {share})"


def state_difference(difference: Difference) -> str:
    """Say what can be concluded from two runs: which is ahead, that no difference is shown, or why neither is known."""
    one, other = shorten_label(difference.first), shorten_label(difference.second)
    points = f"{100 * abs(difference.value):.1f} points"
    if difference.interval_95 is None:
        return f"{one} and {other} are {points} apart; {_why_unknown(difference)}"
    if difference.is_shown:
        return f"{one} is ahead of {other} by {points}"
    return f"no difference between {one} and {other} is shown ({points})"


def describe_interval(difference: Difference) -> str | None:
    """A difference's interval in percentage points, and its p-value."""
    if difference.interval_95 is None or difference.p_value is None:
        return None
    low, high = (f"{100 * bound:+.1f}".replace("-", "\N{MINUS SIGN}") for bound in difference.interval_95)
    p_value = "p < 0.001" if difference.p_value < 0.001 else f"p = {difference.p_value:.3f}"
    return f"{low} to {high} points, {p_value}"


def state_ranking(results: Mapping[str, Result], name: str | None = None) -> str | None:
    """Say which run is ahead of every other in a metric, by default the most telling one, or that none is shown to be.

    Figures, pages and the terminal all say it in these words.

    Returns:
        None where there is nothing to rank: fewer than two runs, or different data or protocols.
    """
    metrics = headline_metrics(*results.values())
    if len(results) < 2 or not metrics or not are_comparable(*results.values()):
        return None
    name = name or next(iter(metrics))
    kind = next(iter(results.values())).study.kind(name)
    what = metrics[name] + ("" if kind is None else kind.weighting)
    differences = find_pairwise_differences(results, name)
    leads = differences[: len(results) - 1]
    if len(results) == 2:
        said = state_difference(leads[0])
    elif any(lead.interval_95 is None for lead in leads):
        unknown = next(lead for lead in leads if lead.interval_95 is None)
        said = f"no run is shown to be ahead of all others; {_why_unknown(unknown)}"
    elif len({lead.first for lead in leads}) == 1 and all(lead.is_shown for lead in leads):
        said = f"{shorten_label(leads[0].first)} is ahead of all others"
    else:
        said = "no run is shown to be ahead of all others"
    return f"{what[0].upper()}{what[1:]}: {said}"


def state_conclusions(results: Mapping[str, Result]) -> list[str]:
    """What may be concluded from runs, a line a metric and, of more than two runs, one for each pair."""
    lines = []
    for name in headline_metrics(*results.values()):
        if (ranking := state_ranking(results, name)) is None:
            continue
        lines.append(ranking)
        differences = find_pairwise_differences(results, name)
        for one in differences:
            interval = describe_interval(one)
            said = [state_difference(one)] if len(differences) > 1 else []
            lines += [f"  {'; '.join([*said, interval] if interval else said)}"] if said or interval else []
    return lines


def describe_method(differences: Sequence[Difference]) -> str | None:
    """How the intervals of differences were computed; None where there is none."""
    known = [one for one in differences if one.interval_95 is not None]
    if not known:
        return None
    paired = sorted({one.paired_seeds for one in known if one.paired_seeds})
    over = " to ".join(str(count) for count in dict.fromkeys((paired[0], paired[-1]))) if paired else ""
    sentences = [f"Differences are in percentage points, with 95{PER_CENT} t-intervals over seeds"]
    if paired:
        sentences[0] += f", paired by seed ({over} shared)"
    if not all(one.paired_seeds for one in known):
        sentences[0] += (
            ", Welch’s for runs that share fewer than two seeds"
            if paired
            else " (Welch’s, as the runs share fewer than two seeds)"
        )
    if any(one.overlap for one in known):
        sentences.append("Variances are corrected for the overlap of the seeds’ training sets (Nadeau & Bengio 2003)")
    if len(known) > 1:
        sentences.append(f"Intervals and p-values are adjusted for {len(known)} comparisons by Holm’s method")
    sentences.append("An interval that contains 0 shows no difference; it does not show that there is none")
    return ". ".join(sentences) + "."


def _why_unknown(difference: Difference) -> str:
    if difference.seeds > 1:
        return "the difference is the same with every seed, so its variation cannot be estimated"
    return "one seed allows no conclusion"


def _amount(value: float) -> str:
    """A loss, which may be huge."""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}" if value < 1e7 else f"{value:.1e}"
