"""From what a page says to its HTML."""

import functools
import re
from typing import Any

import jinja2
from markupsafe import Markup

from keras_dnnts import __version__
from keras_dnnts.report import heat
from keras_dnnts.report.images import Sprite

PACKAGE = "keras_dnnts.report"


def render(template: str, page: Any) -> str:
    """Fill a template with what a page says."""
    return _environment(PACKAGE).get_template(template).render(page=page, version=__version__, heat=heat.STYLE)


def render_text(template: str, page: Any) -> str:
    """Fill a template of Markdown with what it says; ``md`` keeps a text from being taken for Markdown or HTML."""
    return _environment(PACKAGE, autoescape=False).get_template(template).render(page=page)


def _escape_markdown(value: Any) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", " ".join(str(value).split()))


def render_part(package: str, template: str, **values: Any) -> Markup:
    """Fill a template in the folder ``templates`` of a package; it may import the report's own ``parts.html.jinja``."""
    return Markup(_environment(package).get_template(template).render(**values))


def compile_templates(package: str) -> None:
    """Compile the templates of a run's page, and those in the folder ``templates`` of a package, ahead of their use."""
    for name, environment in ((PACKAGE, _environment(PACKAGE)), (package, _environment(package))):
        for template in jinja2.PackageLoader(name).list_templates():
            if template.endswith(".html.jinja"):
                environment.get_template(template)
    _environment(PACKAGE, autoescape=False).get_template("card.md.jinja")


def sprite_style(identity: str, sprite: Sprite | None) -> Markup:
    """The CSS by which thumbnails of class ``sprite-<identity>`` show pictures of a sprite; empty without one."""
    parts: Any = _environment(PACKAGE).get_template("parts.html.jinja").module
    return parts.sprite_rule(identity, sprite)


@functools.cache
def _environment(package: str, autoescape: bool = True) -> jinja2.Environment:
    packages = dict.fromkeys((package, PACKAGE))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = _escape_markdown
    return environment
