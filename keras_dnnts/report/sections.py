"""A section that a study adds to the page."""

from dataclasses import dataclass, field

from markupsafe import Markup

MOST_BYTES = 900_000  # of the page's 3 MB


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own.

    Attributes:
        title: the heading.
        body: HTML that is safe to write as it is.
        style: CSS that it needs.
    """

    title: str
    body: Markup
    style: Markup = field(default_factory=Markup)
