"""What a result found, in the words of a figure's title. Where that is not clear, the words claim nothing."""

import math
import unicodedata
from collections.abc import Mapping

from keras_dnnts.results import Metric, Result
from keras_dnnts.results.conclusions import find_pairwise_differences, headline_metrics

SIDES = {"train": "training names", "held_out": "held-out names", "test": "test images"}
Z_95 = 1.96


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


def state_accuracy(result: Result, side: str) -> str:
    """Say how many guesses are right on ``"train"``, ``"held_out"`` or ``"test"``, and what is confused most."""
    weighting = ", each language weighted equally" if result.experiment == "names" else ""
    sentence = f"{result.model_name}: {percent(_accuracy(result, side))} right on {SIDES[side]}{weighting}"
    return f"{sentence}\nno better than chance" if _is_chance(result, side) else sentence


def count_skipped(result: Result) -> str:
    """Say how many lines of the data held no usable name; empty where every one did."""
    lines = result.dataset["counts"].get("skipped", 0)
    return f"{lines:,} line{'s' if lines > 1 else ''} without a letter of the alphabet" if lines else ""


def state_confusion(result: Result, side: str) -> str | None:
    """Name the two classes confused most on one side, or None where nothing is confused or all is guesswork."""
    confusions = result.details.get("most_frequent_confusions", {}).get(side)
    if not confusions or _is_chance(result, side):
        return None
    most = confusions[0]
    truth, guess, share = shorten(most["truth"]), shorten(most["guess"]), f"{100 * most['fraction']:.0f} %"
    return f"most often confused: {truth} → {guess} ({share} of them)"


def state_names_loss(result: Result) -> str:
    """Say from where to where the mean loss of a names run fell, or name it where it did not fall."""
    first, last = result.arrays["loss"][:, 0], result.arrays["loss"][:, -1]
    if result.arrays["loss"].shape[1] < 2 or not (last < first).all():
        return f"{result.model_name}: training loss"
    return f"{result.model_name}: training loss falls from {first.mean():.2f} to {last.mean():.2f} nats"


def state_epochs(result: Result) -> str:
    """Say after which epoch the validation loss of a run was lowest."""
    best, run = (result.metrics.get(name) for name in ("best_epoch", "epochs_run"))
    if best is None or run is None or run.mean < 2:
        return f"{result.model_name}: loss and accuracy"
    if len(best.values) > 1:
        return (
            f"{result.model_name}: validation loss lowest after {best.mean:.1f} of {run.mean:.1f} epochs "
            f"(mean of {len(best.values)} seeds)"
        )
    return f"{result.model_name}: validation loss lowest after epoch {best.values[0]:.0f} of {run.values[0]:.0f}"


def state_mistakes(result: Result) -> str:
    """Say how sure a network was of the wrong guesses that are shown."""
    confidences = result.arrays["mistake_confidence"]
    if not len(confidences):
        return f"{result.model_name}: every test image right"
    return f"{result.model_name}: its surest mistakes, up to {_whole_percent(float(confidences.max()))} sure"


def state_neighbours(result: Result) -> str:
    """Say whether images of a class lie closer together at the end than after the first epoch.

    A difference is claimed where its 95 % interval, for two independent shares (the images are the same, which only
    narrows it), leaves out 0.
    """
    shares = result.details["neighbour_accuracy"]
    first, final, count = shares["first"], shares["final"], len(result.arrays["embedding_label"])
    margin = Z_95 * math.sqrt((first * (1 - first) + final * (1 - final)) / count)
    what = f"{result.model_name}: t-SNE of {count:,} test images' features"
    if final - first > margin:
        return f"{what}: classes drew apart in training"
    if first - final > margin:
        return f"{what}: classes were further apart after epoch 1"
    return what


def state_reading(result: Result, side: str) -> str:
    """Say how many guesses the last letter still changes, of the first seed's model, which is the one that is shown."""
    share = result.arrays[f"reading_{side}_late_changes"][0]
    seed = f", seed {result.config['seed']}" if result.config["seeds"] > 1 else ""
    sentence = f"the last letter still changes {100 * share:.0f} % of its guesses on {SIDES[side]}"
    return f"{result.model_name}{seed}: {sentence}"


def state_ranking(results: Mapping[str, Result]) -> str | None:
    """Say which run is ahead of every other by a difference with an interval that leaves out 0, or that none is.

    Returns:
        None where that cannot be told: fewer than two runs, single seeds, different data or protocols.
    """
    settings = {(result.dataset["content_hash"], result.config["protocol"]) for result in results.values()}
    metrics = headline_metrics(*results.values())
    if len(results) < 2 or len(settings) > 1 or not metrics:
        return None
    name, what = next(iter(metrics.items()))
    if name.endswith("_by_class"):
        what = f"{what}, each class weighted equally"
    leads = find_pairwise_differences(results, name)[: len(results) - 1]
    if any(lead.interval_95 is None for lead in leads):
        return None
    if all(lead.is_shown for lead in leads):
        return f"{shorten(leads[0].first)} is ahead in {what}"
    return f"No run is shown to be ahead in {what}"


def _accuracy(result: Result, side: str) -> Metric:
    return result.metrics[f"{side}_accuracy_by_class" if result.experiment == "names" else f"{side}_accuracy"]


def _is_chance(result: Result, side: str) -> bool:
    intervals, chance = _accuracy(result, side).intervals_95, 1 / len(result.dataset["classes"])
    return intervals is not None and all(low <= chance <= high for low, high in intervals)


def _whole_percent(share: float) -> str:
    return "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"
