"""Docstrings as mkdocstrings reads them: this package's have examples without a heading, Sphinx's roles, and several
parameters in one entry.
"""

import inspect
import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Puts headings above examples, drops the names of roles, and gives each parameter an entry."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _rewrite(inspect.cleandoc(obj.docstring.value))


def _rewrite(text: str) -> str:
    text = re.sub(r":(?:class|data|exc|func|meth|mod):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"^    (\w+(?:, \w+)+): (.+)$", _one_by_one, text, flags=re.MULTILINE)
    paragraphs = []
    for paragraph in text.split("\n\n"):
        if paragraph.startswith(">>> "):
            indented = "\n".join(f"    {line}".rstrip() for line in paragraph.splitlines())
            paragraph = f"Examples:\n{indented}"
        paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def _one_by_one(entry: re.Match[str]) -> str:
    return "\n".join(f"    {name}: {entry[2]}" for name in entry[1].split(", "))
