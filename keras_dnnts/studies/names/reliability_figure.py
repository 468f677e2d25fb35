"""The reliability diagram: how sure a names model is against how often it is right."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from keras_dnnts.errors import UserError
from keras_dnnts.figures.style import COLOURS, PAGE_WIDTH, data_label, styled, wrap_title
from keras_dnnts.metrics import PER_CENT
from keras_dnnts.results import Result
from keras_dnnts.studies.names.reliability import find_reliability, state_error, state_reliability


@styled
def plot_reliability(result: Result) -> Axes:
    """Draw, by confidence, the share of answers that is correct, above the number of names; return the upper axes.

    The line is the mean over seeds; those of single seeds are faint.

    Raises:
        UserError: the result is of an earlier version, which did not keep it.
    """
    found = find_reliability(result)
    if found is None:
        raise UserError("this result holds no reliability arrays: run it again")
    reliability, part = found
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(PAGE_WIDTH, 5.4), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    upper.plot([0, 1], [0, 1], "--", color="#666666", linewidth=1, label="confidence equals accuracy")
    if len(reliability.count) > 1:
        for one in zip(reliability.confidence, reliability.accuracy, strict=True):
            upper.plot(*one, color=COLOURS[0], alpha=0.3, linewidth=0.9)
    label = result.model_name + (f", mean of {len(reliability.count)} seeds" if len(reliability.count) > 1 else "")
    upper.plot(*reliability.means, "o-", color=COLOURS[0], markersize=4, linewidth=1.6, label=label)
    bins = reliability.count.shape[1]
    middles = (np.arange(bins) + 0.5) / bins
    bars = lower.bar(middles, reliability.count.mean(axis=0), 0.92 / bins, color=COLOURS[0], alpha=0.6)
    lower.bar_label(bars, fmt="{:,.0f}", fontsize=7, padding=1)
    lower.margins(y=0.2)
    lower.set_ylabel("names")
    lower.set_xlabel("confidence: probability of the answer, natural prior")
    upper.set_ylabel("answered correctly")
    upper.set_ylim(-0.02, 1.02)
    upper.set_xlim(-0.02, 1.02)
    upper.set_xticks(np.linspace(0, 1, 6))
    for axis in (upper.yaxis, lower.xaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=PER_CENT))
    upper.legend(frameon=False, fontsize=8, loc="upper left")
    lines = [f"{state_reliability(result, reliability)} on {result.parts[part]}", state_error(result, part)]
    figure.suptitle(wrap_title("\n".join([*lines, data_label(result)])), fontsize=9)
    return upper
