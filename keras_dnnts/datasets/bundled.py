"""Data that ships with the package and works offline."""

from importlib import resources

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.folders import SUFFIX, read_categories
from keras_dnnts.datasets.letters import names_dataset

_STARTER_NAMES = resources.files("keras_dnnts.datasets") / "starter_names"


def load_starter_names(alphabet: str, raw: bool = False) -> NamesDataset:
    """About 100 common surnames for each of the 18 languages of the real names.

    Raises:
        UserError: ``alphabet`` is not one, or a language has no name in it.
    """
    return names_dataset(read_categories(_STARTER_NAMES), alphabet, name="starter names", source="bundled", raw=raw)


def list_languages() -> list[str]:
    """The 18 languages, sorted."""
    return sorted(file.name.removesuffix(SUFFIX) for file in _STARTER_NAMES.iterdir() if file.name.endswith(SUFFIX))
