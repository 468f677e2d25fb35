"""From what a page says to its HTML."""

from typing import Any

import jinja2

from keras_dnnts import __version__
from keras_dnnts.report import heat

environment = jinja2.Environment(
    loader=jinja2.PackageLoader("keras_dnnts.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, page: Any) -> str:
    """Fill a template with what a page says."""
    return environment.get_template(template).render(page=page, version=__version__, heat=heat.STYLE)
