"""What the page of one run says."""

from pathlib import Path
from typing import Any

from keras_dnnts.report import confusion, numbers, reproduction, text
from keras_dnnts.report.sections import TRIAL_BYTES
from keras_dnnts.results import Result
from keras_dnnts.results.comparison import format_metric
from keras_dnnts.results.conclusions import headline_metrics
from keras_dnnts.results.findings import describe_headline, state_failure, state_result

EXAMPLES_BYTES = 500_000  # of the page's 3 MB


def describe_run(result: Result, folder: Path | None = None) -> dict[str, Any]:
    """Everything the template of one run writes down; of a run in ``folder``, its model too, to be tried."""
    study, config = result.study, result.config
    return {
        "title": f"{result.model_name} on {result.dataset['name']}",
        "finding": state_result(result),
        "failure": state_failure(result),
        "reference": text.name_reference(result),
        "kicker": study.question,
        "headline": find_headline(result),
        "data_warning": text.warn_about_data(result),
        "is_stand_in": result.dataset["stand_in"],
        "use": study.use(config),
        "training": study.describe_training(config),
        "changes": text.list_changes(result),
        "notes": list(study.notes(result)),
        "seeds": text.count_seeds(result),
        "classes": len(result.dataset["classes"]),
        "measures": numbers.list_measures(result),
        "has_reference": bool(text.reported(result)),
        "trial": None if folder is None else study.try_out({result.model_name: folder}, TRIAL_BYTES),
        "curves": list(study.curves({result.model_name: result})),
        "confusions": confusion.build_confusions(result, "confusion", EXAMPLES_BYTES),
        "by_class": numbers.list_classes(result),
        "sections": list(study.sections(result)),
        "reproduction": reproduction.describe_reproduction(result),
    }


def find_headline(result: Result) -> dict[str, Any] | None:
    """The number that a run is judged by, beside the reference's of the same measure; None for a study without."""
    kind = next(map(result.study.kind, headline_metrics(result)), None)
    if kind is None:
        return None
    metric, other = result.metrics[kind.name], text.reported(result).get(kind.name)
    interval, over = text.interval_of(metric)
    return {
        "value": text.percent(metric.mean) if kind.is_share else format_metric(kind, metric),
        "what": describe_headline(kind),
        "weighting": kind.weighting,
        "interval": text.percent_range(interval) if interval and kind.is_share else None,
        "over": over,
        "reference": None if other is None else text.reported_number(kind, other),
        "reference_what": result.study.reference.measured_on() if result.study.reference else None,
    }
