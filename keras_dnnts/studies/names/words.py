"""What texts call classes: languages, unless the data are a person's own categories."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_dnnts.datasets.bundled import list_languages

OF_LANGUAGES = ("tensorflow-datasets", "bundled")  # sources of data


@dataclass(frozen=True)
class Words:
    """What texts about some data say.

    Attributes:
        one, several: what a class is called, and classes.
        name, names: what an example is called where it stands for all there are, and examples.
    """

    one: str
    several: str
    name: str
    names: str


LANGUAGES = Words("language", "languages", "surname", "surnames")
CATEGORIES = Words("category", "categories", "name", "names")


def find_words(dataset: Mapping[str, Any]) -> Words:
    """The words for the data set of a result: of a person's own data, classes are languages if all are called so."""
    known = dataset["source"] in OF_LANGUAGES or _known_languages().issuperset(dataset["classes"])
    return LANGUAGES if known else CATEGORIES


@functools.cache
def _known_languages() -> frozenset[str]:
    return frozenset(list_languages())
