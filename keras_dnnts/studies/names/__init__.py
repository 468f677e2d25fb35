"""The names study: recurrent cells that tell a surname's language, trained one example at a time, and baselines."""

import functools
from collections.abc import Mapping
from typing import Any

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.metrics import PER_CENT, MetricKind
from keras_dnnts.results.format import IfThere
from keras_dnnts.studies.names.config import NamesConfig, title_of, trains
from keras_dnnts.studies.names.data_facts import NAMES_FIELDS
from keras_dnnts.studies.names.illustrations import (
    axes_that_may_be_empty,
    beside_axes,
    count_axes,
    illustration_axes,
    prior_axes,
)
from keras_dnnts.studies.names.members import read_members
from keras_dnnts.studies.names.reference import NamesReference
from keras_dnnts.studies.names.reliability import reliability_axes
from keras_dnnts.studies.names.sampled import sampled_axes
from keras_dnnts.studies.names.words import LANGUAGES, Words, find_words
from keras_dnnts.study import Ensembles, ResultFormat, Selection, Study, from_module

EPILOG = """
\b
Protocols:
  sound      20 % of the distinct names are held out, with all copies of a name,
             in every language, on the same side of the split; accuracy is
             measured on training and held-out names.
  reference  as in the notebook: the model trains on all lines, nothing is held
             out, and accuracy is measured on the training names.
\b
Networks trained in batches (--model): char-cnn (convolutions) and bi-gru (a GRU in
both directions), each beside weights of letter n-grams. They see the distinct
training names as often as they are, with AdamW, and take about half a minute.
\b
Baselines (--model): majority always answers the language with the most training
names; naive-bayes uses single letters, pairs and triples; markov predicts each
letter from the four before it (Kneser-Ney); ngram-logistic is logistic regression
on counts of one to four letters. They take seconds, in NumPy, without an engine.

Your own model (--model FILE.py:FUNCTION): FUNCTION(letters, classes, hidden_units,
seed) returns a Keras functional model of inputs letters (batch, time) int32 and
lengths (batch,) int32, with log-probabilities (batch, classes). The letters are
numbered from 0; padding has the number letters - 1.
"""
# The sides of a split, the most telling first. Held-out and validation names are never in one run.
SIDES = {"held_out": "held-out", "validation": "validation", "train": "training"}
PARTS = {side: f"{words} names" for side, words in SIDES.items()} | {
    "validation": "validation names (a part of the training names)"
}


PRIORS = ("even", "natural")
# Of the accuracies under a prior, those that runs are judged by, and the ones of the model's plain answers that they
# replace: a model may hold any prior, and each measure is served by its own.
JUDGED = {("_by_class", "even"): "_by_class", ("", "natural"): ""}


def _accuracies(side: str, classes: str) -> tuple[MetricKind, ...]:
    by_class = MetricKind(
        f"{side}_accuracy_by_class",
        f"{SIDES[side]}, averaged over {classes}",
        "share",
        higher_is_better=True,
        headline=f"accuracy on {PARTS[side]}",
        part=side,
        weighting=f", averaged over {classes}",
        over_classes=True,
    )
    overall = f"{SIDES[side]}, over all names"
    return by_class, MetricKind(f"{side}_accuracy", overall, "share", higher_is_better=True, part=side)


def _accuracy_under(side: str, ending: str, prior: str, classes: str) -> MetricKind:
    weighting = f"averaged over {classes}" if ending else "over all names"
    judged = JUDGED.get((ending, prior)) if side != "train" else None
    return MetricKind(
        f"{side}_accuracy{ending}_{prior}",
        f"{SIDES[side]}, {weighting}, {prior} prior",
        "share",
        higher_is_better=True,
        headline=None if judged is None else f"accuracy on {PARTS[side]}",
        part=side,
        weighting=f", {weighting}, under the {prior} prior",
        over_classes=bool(ending),
        optional=True,
        judged_instead_of=None if judged is None else f"{side}_accuracy{judged}",
        detail=True,
    )


OF_TRAINING = (
    MetricKind("final_loss", "final loss", "nats", higher_is_better=False, of_training=True),
    MetricKind("train_seconds", "train seconds", "seconds", higher_is_better=False),
    MetricKind("steps_per_second", "steps/s", "per second", higher_is_better=True, of_training=True),
    MetricKind(
        "compile_seconds", "compile seconds", "seconds", higher_is_better=False, optional=True, of_training=True
    ),
)
CALIBRATION_ERRORS = tuple(
    MetricKind(
        f"{part}_calibration_error",
        f"{words}, calibration error",
        "share",
        higher_is_better=False,
        part=part,
        optional=True,
        detail=True,
    )
    for part, words in SIDES.items()
)


@functools.cache
def list_metrics(classes: str) -> tuple[MetricKind, ...]:
    """All metrics, of classes that are called so."""
    accuracies = (kind for side in SIDES for kind in _accuracies(side, classes))
    under_priors = (
        _accuracy_under(side, ending, prior, classes)
        for side in SIDES
        for ending, prior in (*JUDGED, ("_by_class", "natural"), ("", "even"))
    )
    return (*accuracies, *OF_TRAINING, *under_priors, *CALIBRATION_ERRORS)


HERE = __name__


def _parts_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    if config["protocol"] == "reference":
        return ("train",)
    return ("train", "validation") if config.get("select") else ("train", "held_out")


def _use(config: Mapping[str, Any]) -> str:
    return f"{config['protocol']} protocol" + (", measured on validation names" if config.get("select") else "")


def _note(config: Mapping[str, Any]) -> str:
    return "reference protocol" if config["protocol"] == "reference" else "selection" if config.get("select") else ""


def _list_unused(config: Mapping[str, Any]) -> Mapping[str, str]:
    if config["protocol"] != "reference":
        return {}
    return {"held_out": f"{option_name('protocol')} reference holds no names out"}


def _refuse_ensemble(config: NamesConfig) -> None:
    if config.is_ensemble:
        raise UserError(
            f"{option_name('model')} {config.model}: stands for finished runs that were put together: use keras-dnnts "
            "ensemble with their folders"
        )


def _training(run: Any) -> Any:
    _refuse_ensemble(run.config)
    one_by_one = "batched_training:BatchedTraining" if run.config.is_batched else "train:NamesTraining"
    where = "baseline_training:BaselineTraining" if run.config.is_baseline else one_by_one
    return from_module(f"{HERE}.{where}")(run)


def _count_parameters(config: NamesConfig, classes: int) -> int | None:
    _refuse_ensemble(config)
    if config.is_baseline:
        return None
    where = "batched_training" if config.is_batched else "train"
    return from_module(f"{HERE}.{where}:count_parameters")(config, classes)


def _describe_training(config: Mapping[str, Any], words: Words = LANGUAGES) -> str:
    if config["protocol"] == "reference":
        return (
            "As in the reference, the model was trained on all lines and nothing was held out, so accuracy is measured "
            "on names it was trained on."
        )
    share = f"{100 * config['held_out']:g}{PER_CENT}"
    split = (
        f"{share} of the distinct names were held out, with all copies of a name, in every {words.one}, on the same "
        "side of the split; "
    )
    summed = ""
    if read_members(config["model"]):
        summed = (
            " It is several models: their log-probabilities were summed, each under the even prior, which “as trained” "
            "means here."
        )
    if config.get("select"):
        return (
            f"{split}of the rest, {share} are validation names, on which accuracy is measured, and the model was "
            f"trained on the others. Held-out names were not used.{summed}"
        )
    return f"{split}the model was trained on the rest.{summed}"


def _ask(words: Words) -> str:
    origin, belongs = f"is this {words.name} from", f"does this {words.name} belong to"
    return f"Which {words.one} {origin if words == LANGUAGES else belongs}?"


def _select_by(words: Words) -> Selection:
    return Selection(
        metric="validation_accuracy_by_class_even",
        words=f"accuracy on validation names, averaged over {words.several}",
        settings={"select": True},
    )


def _reword(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of other data than those of languages."""
    words = find_words(dataset)
    if words == LANGUAGES:
        return {}
    return {
        "question": _ask(words),
        "metrics": list_metrics(words.several),
        "classes": words.several,
        "selection": _select_by(words),
        "describe_training": functools.partial(_describe_training, words=words),
    }


STUDY = Study(
    name="names",
    config=NamesConfig,
    question=_ask(LANGUAGES),
    about="Train a network to classify surnames by language, one example at a time or in batches, or fit a baseline.",
    epilog=EPILOG,
    metrics=list_metrics(LANGUAGES.several),
    parts=PARTS,
    parts_of=_parts_of,
    trains=trains,
    unused=_list_unused,
    one_device="models of names are trained on one device (seeds and sweeps are what runs side by side)",
    training_loss="loss",
    finding=from_module(f"{HERE}.findings:state_headline"),
    has_copies=True,
    example=("names", "lines"),
    classes=LANGUAGES.several,
    reworded=_reword,
    model_title=title_of,
    use=_use,
    describe_training=_describe_training,
    note=_note,
    survey=from_module(f"{HERE}.data:survey"),
    count_parameters=_count_parameters,
    load_data=from_module(f"{HERE}.data:load_data"),
    resolve=from_module(f"{HERE}.data:resolve"),
    training=_training,
    result_format=ResultFormat(
        fields={
            "config": {"model": str, "protocol": str},
            "dataset": {
                "counts": {"lines": {"*": int}, "train": [int], "held_out": [int], "skipped": int},
                "names": IfThere(NAMES_FIELDS),
            },
        },
        arrays={"loss": "finite seeds points", "loss_step": "count points"},
        optional=illustration_axes(PARTS)
        | count_axes(PARTS)
        | prior_axes()
        | beside_axes(PARTS)
        | sampled_axes(PARTS)
        | reliability_axes(PARTS),
        may_be_empty=axes_that_may_be_empty(PARTS),
    ),
    reference=NamesReference(),
    curves=from_module(f"{HERE}.page:build_curves"),
    plot_curves=from_module(f"{HERE}.figures:plot_training_loss"),
    figures=from_module(f"{HERE}.figures:names_figures"),
    sections=from_module(f"{HERE}.page:build_sections"),
    try_out=from_module(f"{HERE}.try_out:build_trial"),
    summary=from_module(f"{HERE}.page:list_summary"),
    notes=from_module(f"{HERE}.page:list_notes"),
    priors=PRIORS,
    predict=from_module(f"{HERE}.predict:predict"),
    export=from_module(f"{HERE}.export:export"),
    ensembles=Ensembles(
        same=("protocol", "held_out", "select", "letters"),
        config=from_module(f"{HERE}.ensemble:ensemble_config"),
        weights=lambda config: tuple(weight for weight, _ in read_members(config["model"])),
        prior="even",
        training=from_module(f"{HERE}.ensemble_training:EnsembleTraining"),
    ),
    selection=_select_by(LANGUAGES),
    register_layers=from_module(f"{HERE}.models:register_layers"),
    data_sets=from_module(f"{HERE}.data:list_data_sets"),
)
