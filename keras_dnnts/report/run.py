"""What the page of one run says."""

from typing import Any

from keras_dnnts.report import confusion, curves, numbers, reproduction, text
from keras_dnnts.results import Result
from keras_dnnts.results.conclusions import headline_metrics
from keras_dnnts.studies import examples_page as examples
from keras_dnnts.studies.cifar import embedding_page as embedding
from keras_dnnts.studies.reference import reported

# Of the page's 3 MB.
EMBEDDING_BYTES, EXAMPLES_BYTES = 900_000, 500_000


def describe_run(result: Result) -> dict[str, Any]:
    """Everything the template of one run writes down."""
    return {
        "title": f"{result.model_name} on {result.dataset['name']}",
        "experiment": result.experiment,
        "headline": _describe_headline(result),
        "data": text.describe_data(result),
        "data_warning": text.warn_about_data(result),
        "is_stand_in": result.dataset["stand_in"],
        "protocol": result.config["protocol"],
        "protocol_text": text.describe_protocol(result),
        "changes": text.list_changes(result),
        "seeds": text.count_seeds(result),
        "classes": len(result.dataset["classes"]),
        "measures": numbers.list_measures(result),
        "curves": curves.build_curves({result.model_name: result}),
        "confusions": confusion.build_confusions(result, "confusion", EXAMPLES_BYTES),
        "recall": numbers.list_recall(result),
        "name_mistakes": examples.list_name_mistakes(result),
        "image_mistakes": examples.list_image_mistakes(result),
        "readings": examples.list_readings(result),
        "activations": examples.list_activations(result),
        "embedding": embedding.build_embedding(result, "embedding", EMBEDDING_BYTES),
        "reproduction": reproduction.describe_reproduction(result),
    }


def _describe_headline(result: Result) -> dict[str, Any]:
    name, what = next(iter(headline_metrics(result).items()))
    metric = result.metrics[name]
    interval, over = text.interval_of(metric)
    other = reported(result)
    return {
        "value": text.percent(metric.mean),
        "what": what.removeprefix("accuracy on "),
        "weighting": ", each language weighted equally" if result.experiment == "names" else "",
        "interval": text.percent_range(interval) if interval else None,
        "over": over,
        "reference": text.percent(next(iter(other.values()))),
        "reference_what": "names it was trained on" if result.experiment == "names" else "CIFAR-10's test images",
    }
