"""The names experiment's data: the real names, and what is used in their place."""

import dataclasses
import logging
from pathlib import Path

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.bundled import load_starter_names
from keras_dnnts.datasets.fetch import OutOfReachError, prepared_builder, read_examples
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.datasets.letters import REFERENCE_ALPHABET, names_dataset
from keras_dnnts.errors import UserError

SOURCES = ("auto", "names", "starter")

logger = logging.getLogger("keras_dnnts")


def load_names_dataset(
    dataset: str = "auto", data_dir: Path | None = None, alphabet: str = REFERENCE_ALPHABET
) -> NamesDataset:
    """The names of ``data_dir`` where it is given, else of one of ``SOURCES``.

    ``"auto"`` is the real names, or, where they can be neither found nor downloaded, the starter names with
    ``stand_in`` set and a warning logged.

    Raises:
        UserError: the source is unknown or unavailable, or what it holds cannot be used.

    >>> from keras_dnnts import load_names_dataset
    >>> names = load_names_dataset("starter")
    >>> len(names.classes), names.classes[:3]
    (18, ('Arabic', 'Chinese', 'Czech'))
    """
    if dataset not in SOURCES:
        raise UserError(f"unknown names data set {dataset!r}: choose one of {', '.join(SOURCES)}")
    if data_dir is not None:
        return load_text_folder(data_dir, alphabet)
    if dataset == "starter":
        return load_starter_names(alphabet)
    try:
        return load_names(alphabet)
    except OutOfReachError as error:
        if dataset == "names":
            raise
        logger.warning("using the bundled starter names in place of the real names: %s", error)
        return dataclasses.replace(load_starter_names(alphabet), stand_in=True)


def load_names(alphabet: str) -> NamesDataset:
    """The reference's 20,050 surnames from 18 languages, downloaded once and then read from the cache.

    Raises:
        OutOfReachError: they are not cached and cannot be downloaded.
        UserError: a download is not what was expected, the cache is damaged, or ``alphabet`` is not one.
    """
    # Imported here since it takes tensorflow-datasets, which the other sources do without.
    from keras_dnnts.datasets.names_builder.builder import KerasDnntsNames

    languages, urls = zip(*KerasDnntsNames.urls().items(), strict=True)
    builder = prepared_builder(KerasDnntsNames, urls[0])
    lines: dict[str, list[str]] = {language: [] for language in languages}
    for example in read_examples(builder, split="train"):
        lines[languages[example["language"]]].append(example["name"].decode())
    return names_dataset(lines, alphabet, name="names", source="tensorflow-datasets")
