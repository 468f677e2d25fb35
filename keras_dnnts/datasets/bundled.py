"""Data that ships with the package and works offline."""

from importlib import resources

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.folders import read_categories
from keras_dnnts.datasets.letters import names_dataset


def load_starter_names(alphabet: str, raw: bool = False) -> NamesDataset:
    """About 100 common surnames for each of the 18 languages of the real names.

    Raises:
        UserError: ``alphabet`` is not one, or a language has no name in it.
    """
    folder = resources.files("keras_dnnts.datasets") / "starter_names"
    return names_dataset(read_categories(folder), alphabet, name="starter names", source="bundled", raw=raw)
