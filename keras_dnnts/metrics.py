"""What is measured of a run: every metric's name, title and unit, declared once by its study."""

from collections.abc import Sequence
from dataclasses import dataclass

PER_CENT = "\N{NO-BREAK SPACE}%"
UNITS = ("share", "nats", "count", "seconds", "per second")


@dataclass(frozen=True)
class MetricKind:
    """A metric of a study.

    Attributes:
        name: in results.
        title: in tables.
        unit: one of ``UNITS``; a share is from 0 to 1 and shown in per cent.
        higher_is_better: None where neither is.
        headline: what it is in a sentence, where runs are judged by it, such as ``"accuracy on test images"``; of
            several, the first is the most telling.
        part: the part of the data it is about, where not every run has that part; None where all have the metric.
        weighting: how examples are weighted, in words that may follow a headline.
        over_classes: whether it is a mean over classes, so that every class weighs the same; otherwise every example
            does.
        optional: whether results of an earlier version may lack it.
        judged_instead_of: the metric in whose place runs are judged by this one, where all of them have both.
        detail: whether only tables of comparisons have a row for it: pages and summaries show it elsewhere.
        of_training: whether only a model that is trained step by step has it.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None = None
    headline: str | None = None
    part: str | None = None
    weighting: str = ""
    over_classes: bool = False
    optional: bool = False
    of_training: bool = False
    judged_instead_of: str | None = None
    detail: bool = False

    def __post_init__(self) -> None:
        assert self.unit in UNITS

    @property
    def is_share(self) -> bool:
        """Whether it is shown in per cent."""
        return self.unit == "share"

    def format(self, mean: float, sd: float | None = None) -> str:
        """Format a mean ± standard deviation: shares in per cent, the others rounded to what can be read."""
        whole = self.unit == "count" and sd is None
        scale, digits = (100, 1) if self.is_share else (1, 0 if whole or mean >= 100 else 2)
        spread = "" if sd is None else f" ± {scale * sd:,.{digits}f}"
        return f"{scale * mean:,.{digits}f}{spread}{PER_CENT if self.is_share else ''}"


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent, as it is written everywhere: with a no-break space.

    >>> percent(0.486).replace(PER_CENT, "%")
    '48.6%'
    """
    return f"{100 * share:.{digits}f}{PER_CENT}"


def accuracy_of(kinds: Sequence[MetricKind], part: str) -> MetricKind:
    """The accuracy on one part of the data of the answers that are counted in its confusion matrix.

    Raises:
        ValueError: there is none.
    """
    judged = [kind for kind in kinds if kind.headline and kind.is_share and not kind.detail]
    found = [kind for kind in judged if (kind.part or part) == part]
    if not found:
        raise ValueError(f"no accuracy of {part!r} has a headline")
    return found[0]
