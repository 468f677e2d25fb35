"""A section that a study adds to the page."""

from dataclasses import dataclass, field

from markupsafe import Markup

MOST_BYTES = 900_000  # of the page's 3 MB
TRIAL_BYTES = 1_200_000  # likewise, of models that a person tries on the page


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own.

    Attributes:
        title: the heading.
        body: HTML that is safe to write as it is.
        style: CSS that it needs.
        first: whether it stands before the numbers of the page of one run.
        needs_script: whether it stays hidden until its own script has shown that it works, by removing ``hidden`` from
            everything on the page that has ``data-needs-script``.
        short: what the list of contents calls it, where the heading is a finding; else as the heading.
    """

    title: str
    body: Markup
    style: Markup = field(default_factory=Markup)
    first: bool = False
    needs_script: bool = False
    short: str = ""
