"""The names study: recurrent cells that tell a surname's language, trained one example at a time, and baselines."""

from collections.abc import Mapping
from typing import Any

from keras_dnnts.metrics import MetricKind
from keras_dnnts.studies.names.config import NamesConfig, title_of, trains
from keras_dnnts.studies.names.illustrations import (
    axes_that_may_be_empty,
    beside_axes,
    count_axes,
    illustration_axes,
    prior_axes,
)
from keras_dnnts.studies.names.reference import NamesReference
from keras_dnnts.study import ResultFormat, Study, from_module

EPILOG = """
\b
Protocols:
  sound      20 % of the distinct names are held out, with all copies of a name,
             in every language, on the same side of the split; accuracy is
             measured on training and held-out names.
  reference  as in the notebook: the model trains on all lines, nothing is held
             out, and accuracy is measured on the training names.
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
EQUAL_WEIGHTS = ", averaged over languages"
METRICS = (
    MetricKind(
        "held_out_accuracy_by_class",
        "held-out, averaged over languages",
        "share",
        higher_is_better=True,
        headline="accuracy on held-out names",
        part="held_out",
        weighting=EQUAL_WEIGHTS,
        over_classes=True,
    ),
    MetricKind("held_out_accuracy", "held-out, over all names", "share", higher_is_better=True, part="held_out"),
    MetricKind(
        "train_accuracy_by_class",
        "training, averaged over languages",
        "share",
        higher_is_better=True,
        headline="accuracy on training names",
        part="train",
        weighting=EQUAL_WEIGHTS,
        over_classes=True,
    ),
    MetricKind("train_accuracy", "training, over all names", "share", higher_is_better=True, part="train"),
    MetricKind("final_loss", "final loss", "nats", higher_is_better=False, of_training=True),
    MetricKind("train_seconds", "train seconds", "seconds", higher_is_better=False),
    MetricKind("steps_per_second", "steps/s", "per second", higher_is_better=True, of_training=True),
    MetricKind(
        "compile_seconds", "compile seconds", "seconds", higher_is_better=False, optional=True, of_training=True
    ),
)
PRIORS = ("even", "natural")
DETAILS = (
    *(
        MetricKind(
            f"{part}_accuracy{ending}_{prior}",
            f"{words}, {weighting}, {prior} prior",
            "share",
            higher_is_better=True,
            part=part,
            over_classes=bool(ending),
            optional=True,
            detail=True,
        )
        for part, words in (("held_out", "held-out"), ("train", "training"))
        for prior in PRIORS
        for ending, weighting in (("_by_class", "averaged over languages"), ("", "over all names"))
    ),
    *(
        MetricKind(
            f"{part}_calibration_error",
            f"{words}, calibration error",
            "share",
            higher_is_better=False,
            part=part,
            optional=True,
            detail=True,
        )
        for part, words in (("held_out", "held-out"), ("train", "training"))
    ),
)
PARTS = {"held_out": "held-out names", "train": "training names"}
HERE = __name__


def _parts_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    return ("train",) if config["protocol"] == "reference" else ("train", "held_out")


def _training(run: Any) -> Any:
    where = "train:NamesTraining" if trains(run.config.to_dict()) else "baseline_training:BaselineTraining"
    return from_module(f"{HERE}.{where}")(run)


def _count_parameters(config: NamesConfig, classes: int) -> int | None:
    return from_module(f"{HERE}.train:count_parameters")(config, classes) if trains(config.to_dict()) else None


def _describe_training(config: Mapping[str, Any]) -> str:
    if config["protocol"] == "reference":
        return (
            "As in the reference, the model was trained on all lines and nothing was held out, so accuracy is measured "
            "on names it was trained on."
        )
    return (
        f"{100 * config['held_out']:g}\N{NO-BREAK SPACE}% of the distinct names were held out, with all copies of a "
        "name, in every language, on the same side of the split; the model was trained on the rest."
    )


STUDY = Study(
    name="names",
    config=NamesConfig,
    question="Which language is this surname from?",
    about="Train a recurrent network to classify surnames by language, one example at a time, or fit a baseline.",
    epilog=EPILOG,
    metrics=(*METRICS, *DETAILS),
    parts=PARTS,
    parts_of=_parts_of,
    trains=trains,
    training_loss="loss",
    finding=from_module(f"{HERE}.findings:state_headline"),
    has_copies=True,
    example=("names", "lines"),
    classes="languages",
    model_title=title_of,
    use=lambda config: f"{config['protocol']} protocol",
    describe_training=_describe_training,
    note=lambda config: "reference protocol" if config["protocol"] == "reference" else "",
    survey=from_module(f"{HERE}.data:survey"),
    count_parameters=_count_parameters,
    load_data=from_module(f"{HERE}.data:load_data"),
    resolve=from_module(f"{HERE}.data:resolve"),
    training=_training,
    result_format=ResultFormat(
        fields={
            "config": {"model": str, "protocol": str},
            "dataset": {"counts": {"lines": {"*": int}, "train": [int], "held_out": [int], "skipped": int}},
        },
        arrays={"loss": "finite seeds points", "loss_step": "count points"},
        optional=illustration_axes(PARTS) | count_axes(PARTS) | prior_axes() | beside_axes(PARTS),
        may_be_empty=axes_that_may_be_empty(PARTS),
    ),
    reference=NamesReference(),
    curves=from_module(f"{HERE}.page:build_curves"),
    plot_curves=from_module(f"{HERE}.figures:plot_training_loss"),
    figures=from_module(f"{HERE}.figures:names_figures"),
    sections=from_module(f"{HERE}.page:build_sections"),
    summary=from_module(f"{HERE}.page:list_summary"),
    notes=from_module(f"{HERE}.page:list_notes"),
    priors=PRIORS,
    predict=from_module(f"{HERE}.predict:predict"),
    export=from_module(f"{HERE}.export:export"),
    register_layers=from_module(f"{HERE}.models:register_layers"),
    data_sets=from_module(f"{HERE}.data:list_data_sets"),
)
