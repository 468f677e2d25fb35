"""The model card of a finished run: ``README.md`` as model hubs show it, from saved results."""

from typing import Any

from keras_dnnts.own_models import is_own_model
from keras_dnnts.report import numbers, reproduction, text
from keras_dnnts.report.page import render_text
from keras_dnnts.report.run import find_headline
from keras_dnnts.results import Result
from keras_dnnts.results.findings import state_failure, state_result


def write_card(result: Result) -> str:
    """Return the card's Markdown."""
    return render_text("card.md.jinja", _describe(result))


def _describe(result: Result) -> dict[str, Any]:
    config, classes = result.config, result.dataset["classes"]
    trains = result.study.trains(config)
    seeds = range(config["seed"], config["seed"] + config["seeds"])
    option = result.study.config.model_option
    return {
        "study": result.experiment,
        "model": result.model_name,
        "finding": state_result(result),
        "question": result.study.question,
        "training": result.study.describe_training(config),
        "facts": reproduction.describe_reproduction(result)["facts"],
        "classes": classes,
        "keras": trains and not is_own_model(config[option]),
        "headline": find_headline(result),
        "measures": numbers.list_measures(result),
        "several": config["seeds"] > 1,
        "seeds": text.count_seeds(result),
        "files": [f"model-seed-{seed}{'.keras' if trains else '.npz'}" for seed in seeds],
        "limits": list(filter(None, [_state_failure(result), text.warn_about_data(result), _state_seeds(result)])),
        "predicts": result.study.predict is not None,
        "code": f" --{option} FILE.py:FUNCTION" if is_own_model(config[option]) else "",
    }


def _state_failure(result: Result) -> str:
    failure = state_failure(result)
    return f"The run failed to learn: it is {failure}." if failure else ""


def _state_seeds(result: Result) -> str:
    if result.config["seeds"] > 1:
        return ""
    return "One seed was trained: how much the numbers depend on it is not known."
