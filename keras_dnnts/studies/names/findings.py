"""What a names result found, in the words of a figure's title. Where that is not clear, the words claim nothing."""

from collections.abc import Mapping

import numpy as np

from keras_dnnts.datasets.letters import describe_left_out
from keras_dnnts.metrics import percent
from keras_dnnts.results import Result
from keras_dnnts.results.baselines import find_rise_of_loss
from keras_dnnts.studies.names.illustrations import Reading
from keras_dnnts.studies.names.sampled import find_sampled
from keras_dnnts.studies.names.words import find_words


def state_headline(result: Result, share: str) -> str:
    """The first heading of a run's page."""
    words, part = find_words(result.dataset), next(iter(result.parts))
    known = {"held_out": f"unseen {words.names}", "train": f"the {words.names} it was trained on"}
    return f"{result.model_name} names the {words.one} of {share} of {known.get(part) or result.parts[part]}"


X_LABEL = "training names seen"
Y_LABEL = "mean training loss (nats)"


def title_loss(results: Mapping[str, Result]) -> str:
    """The title of a chart of the losses of runs by label: of one run, what it shows."""
    return "Training loss" if len(results) > 1 else state_names_loss(next(iter(results.values())))


def state_names_loss(result: Result) -> str:
    """Say from where to where the mean loss of a run fell or rose, or name it where it did neither."""
    if rise := find_rise_of_loss(result):
        return f"{result.model_name}: training loss rises from {rise[0]:.2f} to {rise[1]:,.2f} nats"
    first, last = result.arrays["loss"][:, 0], result.arrays["loss"][:, -1]
    if result.arrays["loss"].shape[1] < 2 or not (last < first).all():
        return f"{result.model_name}: training loss"
    begun, ended = f"{first.mean():.2f}", f"{last.mean():.2f}"
    if begun == ended:
        return f"{result.model_name}: training loss stays at {ended} nats"
    return f"{result.model_name}: training loss falls from {begun} to {ended} nats"


SAMPLED_Y_LABEL = "classified correctly, of samples of names"


def title_sampled(results: Mapping[str, Result]) -> str:
    """The title of a chart of accuracies during training, of runs by label: of one run, where they end."""
    if len(results) > 1:
        return "Accuracy during training"
    result = next(iter(results.values()))
    ends = {part: values[:, -1] for part, values in find_sampled(result).items()}
    said = [
        f"{percent(float(np.nanmean(values)), 0)} of {result.parts[part].partition(' (')[0]}"
        for part, values in ends.items()
        if np.isfinite(values).any()
    ]
    return f"{result.model_name}: {', '.join(said) or 'accuracy during training'}"


def state_left_out(result: Result, option: str) -> str:
    """Say which letters of the data are not in the alphabet; empty where all are. ``option`` is what can add them."""
    counts = result.dataset["counts"]
    letters = counts.get("left_out_letters") or {}  # results of earlier versions do not say
    return describe_left_out(letters, counts.get("left_out_lines", 0), option)


def state_reading(result: Result, part: str, reading: Reading) -> str:
    """Say how many guesses the last letter still changes, of the first seed's model, which is the one that is shown."""
    seed = f", seed {result.config['seed']}" if result.config["seeds"] > 1 else ""
    if reading.late_changes is None:
        return f"{result.model_name}{seed}: {result.study.parts[part]} read letter by letter"
    share = percent(reading.late_changes[0], 0)
    sentence = f"the last letter still changes {share} of its guesses on {result.study.parts[part]}"
    return f"{result.model_name}{seed}: {sentence}"
