"""The most that any answers could score: some names occur in several languages, and an answer names one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bound:
    """The highest accuracies that one answer a name can reach, each measure on its own.

    Attributes:
        by_class: mean recall over classes.
        overall: share of distinct pairs of a name and a class.
    """

    by_class: float
    overall: float


def best_possible(labels: np.ndarray, names: Sequence[str], classes: int) -> Bound:
    """Return the highest accuracies as :func:`keras_dnnts.analysis.measure_accuracy` measures them.

    Averaged over classes, a name is best answered with the class of which it makes up the largest share of lines;
    overall, any of its classes is as good.

    Args:
        labels: (N,) int classes.
        names: N texts as a model reads them; equal ones get one answer.
        classes: K.

    >>> import numpy as np
    >>> best_possible(np.array([0, 1, 1, 1]), ["Lee", "Lee", "Kim", "Kim"], classes=2)
    Bound(by_class=0.8333333333333333, overall=0.6666666666666666)
    """
    lines = np.bincount(labels, minlength=classes)
    share: dict[tuple[str, int], float] = {}
    for name, label in zip(names, labels.tolist(), strict=True):
        share[name, label] = share.get((name, label), 0.0) + 1 / lines[label]
    best: dict[str, float] = {}
    for (name, _), of_class in share.items():
        best[name] = max(best.get(name, 0.0), of_class)
    return Bound(float(sum(best.values()) / np.count_nonzero(lines)), len(best) / len(share))
