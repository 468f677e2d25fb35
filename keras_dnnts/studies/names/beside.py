"""A run's numbers under each decision, beside those of baselines on its own splits and the best possible ones."""

from dataclasses import dataclass

from keras_dnnts.metrics import percent
from keras_dnnts.results import Result
from keras_dnnts.studies.names.config import BASELINES
from keras_dnnts.studies.names.decisions import PRIORS
from keras_dnnts.studies.names.illustrations import BESIDE_ON_REQUEST


@dataclass(frozen=True)
class Scores:
    """Two shares, mean over seeds, of one set of answers.

    Attributes:
        label: whose answers they are.
        by_class: averaged over classes.
        overall: over all names.
        own: whether they are of the run itself.
    """

    label: str
    by_class: float
    overall: float
    own: bool = False


def list_scores(result: Result) -> list[Scores]:
    """All that is known, of the most telling part; empty for results of earlier versions."""
    part = next(iter(result.parts))
    if f"bound_{part}" not in result.arrays:
        return []
    rows = [_own(result, part, "", "as trained")]
    rows += [_own(result, part, f"_{prior}", f"{prior} prior") for prior in PRIORS]
    for name in ("markov", *BESIDE_ON_REQUEST):
        scores = result.arrays.get(f"baseline_{name}_{part}")
        if scores is None or result.config["model"] == name:
            continue
        means = scores.mean(axis=0)
        rows += [
            Scores(f"{BASELINES[name]}, {prior} prior", *means[2 * i : 2 * i + 2].tolist())
            for i, prior in enumerate(PRIORS)
        ]
    return [*rows, *_list_limits(result, part)]


def _list_limits(result: Result, part: str) -> list[Scores]:
    """What the majority class scores, unless it is the run's own model, and the best possible."""
    majority = result.arrays[f"baseline_majority_{part}"].mean(axis=0)
    rows = [Scores(BASELINES["majority"], *majority[2:].tolist())] if result.config["model"] != "majority" else []
    return [*rows, Scores("Best possible", *result.arrays[f"bound_{part}"].mean(axis=0).tolist())]


def write_scores(result: Result) -> list[str]:
    """The same in a few lines of text."""
    rows = list_scores(result)
    if not rows:
        return []
    part = next(iter(result.parts))
    own = "; ".join(f"{row.label.rpartition(', ')[2]} {_pair(row)}" for row in rows if row.own)
    others = "; ".join(f"{row.label} {_pair(row)}" for row in rows if not row.own)
    error = result.metrics[f"{part}_calibration_error"].mean
    return [
        f"On {result.parts[part]}, averaged over {result.study.classes} / over all names: {own}",
        f"For comparison: {others}",
        f"Calibration error (natural prior): {percent(error)}",
    ]


def _own(result: Result, part: str, ending: str, decision: str) -> Scores:
    by_class, overall = (result.metrics[f"{part}_accuracy{measure}{ending}"].mean for measure in ("_by_class", ""))
    return Scores(f"{result.model_name}, {decision}", by_class, overall, own=True)


def _pair(row: Scores) -> str:
    return f"{100 * row.by_class:.1f} / {percent(row.overall)}"
