"""The section of the page about calibration."""

import numpy as np

from keras_dnnts.metrics import PER_CENT, percent
from keras_dnnts.report.charts import Series, build_chart
from keras_dnnts.report.page import render_part
from keras_dnnts.report.sections import Section
from keras_dnnts.results import Result
from keras_dnnts.studies.names.reliability import Reliability, find_reliability, state_error, state_reliability

PACKAGE = "keras_dnnts.studies.names"
X_LABEL, Y_LABEL = "confidence: probability of the answer", "answered correctly"


def build_reliability(result: Result) -> list[Section]:
    """The reliability diagram with its numbers; none for results of earlier versions."""
    found = find_reliability(result)
    if found is None:
        return []
    reliability, part = found
    body = render_part(
        PACKAGE,
        "reliability.html.jinja",
        part=result.parts[part],
        error=state_error(result, part),
        chart={"title": state_reliability(result, reliability), "chart": _draw(result, reliability)},
        rows=list_bins(reliability),
    )
    return [Section("Calibration", body)]


def _draw(result: Result, reliability: Reliability) -> object:
    confidence, accuracy = reliability.drawn()
    ends = np.array([0.0, 1.0])
    series = [
        Series("confidence equals accuracy", 100 * ends, ends[None], 6, dashed=True),
        Series(result.model_name, 100 * confidence, accuracy, 0, marked=True),
    ]
    return build_chart(series, X_LABEL, Y_LABEL, lambda share: percent(share, 0), format_x=f"{{:.0f}}{PER_CENT}".format)


def list_bins(reliability: Reliability) -> list[dict[str, str]]:
    """A row for each bin: its ends, names (mean over seeds), mean confidence and share right."""
    confidence, accuracy = reliability.means
    count, bins = reliability.count.mean(axis=0), reliability.count.shape[1]
    return [
        {
            "ends": f"{100 * i / bins:.0f}–{100 * (i + 1) / bins:.0f}{PER_CENT}",
            "count": "<1" if 0 < count[i] < 1 else f"{count[i]:,.0f}",
            "confidence": "–" if np.isnan(confidence[i]) else percent(confidence[i]),
            "accuracy": "–" if np.isnan(accuracy[i]) else percent(accuracy[i]),
        }
        for i in range(bins)
    ]
