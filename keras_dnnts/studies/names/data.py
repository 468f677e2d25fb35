"""The data of the names study: the real names, and what is used in their place."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.bundled import load_starter_names
from keras_dnnts.datasets.fetch import (
    OutOfReachError,
    find_place,
    import_builder,
    is_ready,
    prepared_builder,
    read_examples,
)
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.datasets.letters import describe_left_out, names_dataset
from keras_dnnts.datasets.splits import NamesSplit, split_names, split_training_names
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.studies.names.baselines.base import TrainingNames
from keras_dnnts.studies.names.bound import best_possible
from keras_dnnts.studies.names.config import SOURCES, NamesConfig
from keras_dnnts.studies.names.data_facts import (
    describe_names,
    state_bound,
    state_copies,
    state_lengths,
    state_shared,
)
from keras_dnnts.studies.names.words import Words, find_words

logger = logging.getLogger("keras_dnnts")

LEAST_UPDATES = 10  # an epoch, unless a batch size is given
BUILDER = "keras_dnnts.datasets.names_builder.builder:KerasDnntsNames"


@dataclass(frozen=True)
class NamesData:
    """The names of a run, and a split for every seed.

    Attributes:
        dataset: all names.
        splits: by seed.
    """

    dataset: NamesDataset
    splits: dict[int, NamesSplit]

    def describe(self) -> dict[str, Any]:
        """Counts of lines, of distinct names and of the splits' sides, and what is known of the names themselves."""
        dataset, splits = self.dataset, self.splits.values()
        validation = [len(split.validation) for split in splits]
        lines = np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
        distinct = [len({dataset.texts[i] for i in np.flatnonzero(dataset.labels == k)}) for k in range(len(lines))]
        return {
            "counts": {
                "lines": dict(zip(dataset.classes, lines, strict=True)),
                "distinct_names": dict(zip(dataset.classes, distinct, strict=True)),
                "skipped": dataset.skipped,
                "left_out_letters": dict(dataset.left_out),
                "left_out_lines": dataset.left_out_lines,
                "longest_name": int(dataset.lengths.max()),
                "train": [len(split.train) for split in splits],
                "held_out": [len(split.held_out) for split in splits],
                **({"validation": validation} if any(validation) else {}),
            },
            "names": describe_names(dataset),
            **({"files": dict(dataset.files)} if dataset.files else {}),
        }


def load_data(config: NamesConfig) -> NamesData:
    """Read the names of a config and split them for every seed.

    Raises:
        UserError: they are out of reach or cannot be used.
    """
    data_dir = Path(config.data_dir) if config.data_dir else None
    dataset = load_names_dataset(config.dataset, data_dir, config.letters, config.is_raw)
    return NamesData(dataset, {seed: _split(config, dataset, seed) for seed in config.all_seeds})


def resolve(config: NamesConfig, data: NamesData) -> dict[str, Any]:
    """What the data settle: which data set ``"auto"`` turned out to be, and a batch size that was not given."""
    taken: dict[str, Any] = {}
    if config.is_batched:
        taken["batch_size"], line = _fit_batch_size(config, data)
        if line:
            logger.warning("%s", UserError(line))
    if config.data_dir is None and config.dataset == "auto":
        taken["dataset"] = "starter" if data.dataset.stand_in else "names"
    return taken


def _fit_batch_size(config: NamesConfig, data: NamesData) -> tuple[int, str]:
    """The batch size for the training names, and what must be said of it.

    The default is at most a tenth of the names: there would be too few updates.
    """
    size = config.batch_size
    assert size is not None
    names = min(len(TrainingNames.of_lines(data.dataset, split.train).labels) for split in data.splits.values())
    if (most := max(names // LEAST_UPDATES, 1)) >= size:
        return size, ""
    few, option = f"there are only {names:,} training names", option_name("batch_size")
    if config.is_given("batch_size"):
        return size, f"{option} {size:,}: {few}: an epoch has few updates, and {most:,} or less would give more"
    return most, f"the batch size is {most:,}, for {few}; {option} sets another"


def _split(config: NamesConfig, dataset: NamesDataset, seed: int) -> NamesSplit:
    if config.protocol == "reference":
        return NamesSplit(train=np.arange(len(dataset.texts)), held_out=np.arange(0))
    split = split_names(dataset, config.held_out, seed)
    return split_training_names(dataset, split, config.held_out, seed) if config.select else split


def load_names_dataset(
    dataset: str = "auto", data_dir: Path | None = None, alphabet: str = REFERENCE_ALPHABET, raw: bool = False
) -> NamesDataset:
    """The names of ``data_dir`` where it is given, else of one of ``SOURCES``.

    Unless ``raw``, all kinds of apostrophes, hyphens and spaces are normalised, and spaces around a name removed.

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
        return load_text_folder(data_dir, alphabet, raw=raw)
    if dataset == "starter":
        return load_starter_names(alphabet, raw)
    try:
        return load_names(alphabet, raw)
    except OutOfReachError as error:
        if dataset == "names":
            raise
        logger.warning("using the bundled starter names in place of the real names: %s", error)
        return dataclasses.replace(load_starter_names(alphabet, raw), stand_in=True)


def load_names(alphabet: str, raw: bool = False) -> NamesDataset:
    """The reference's 20,050 surnames from 18 languages, downloaded once and then read from the cache.

    Raises:
        OutOfReachError: they are not cached and cannot be downloaded.
        UserError: a download is not what was expected, the cache is damaged, or ``alphabet`` is not one.
    """
    builder_class: Any = import_builder(BUILDER)
    languages, urls = zip(*builder_class.urls().items(), strict=True)
    builder = prepared_builder(builder_class, urls[0])
    lines: dict[str, list[str]] = {language: [] for language in languages}
    for example in read_examples(builder, split="train"):
        lines[languages[example["language"]]].append(example["name"].decode())
    return names_dataset(lines, alphabet, name="names", source="tensorflow-datasets", raw=raw)


def list_data_sets(fetch: bool) -> Sequence[tuple[str, str]]:
    """Every names data set and where it is; ``fetch`` downloads what is missing first.

    Raises:
        UserError: a download is not possible.
    """
    if fetch:
        load_names(REFERENCE_ALPHABET)
    return [("names", find_place(import_builder(BUILDER))), ("starter names", "bundled")]


def is_at_hand(config: NamesConfig) -> bool:
    """Whether the data of a config can be read without a download."""
    return config.data_dir is not None or config.dataset == "starter" or is_ready(BUILDER)


def survey(config: NamesConfig) -> tuple[Sequence[str], int]:
    """Facts about the data of a config, and the number of its classes; downloads nothing.

    Raises:
        UserError: the data cannot be used.
    """
    if not is_at_hand(config):
        if config.dataset == "names":
            return ["data: names, 18 languages, not downloaded yet"], 18
        return ["data: names, 18 languages, to be downloaded; the bundled starter names where that is impossible"], 18
    data = load_data(config)
    dataset = data.dataset
    about = data.describe()
    counts, names = about["counts"], about["names"]
    words = find_words({"source": dataset.source, "classes": dataset.classes})
    sides = {side: counts[side][0] for side in ("train", "validation", "held_out") if any(counts.get(side, ()))}
    facts = [
        f"data: {dataset.name} ({dataset.source}), {len(dataset.texts):,} lines, {len(dataset.classes)} classes",
        f"distinct names, each {words.one} by itself: {sum(counts['distinct_names'].values()):,}",
        f"lines left out: {counts['skipped']:,}",
        "split of the first seed: " + ", ".join(f"{side} {count:,}" for side, count in sides.items()),
        state_copies(counts, words),
        state_shared(names, words),
        _state_bound(dataset, data.splits[config.seed], words),
        state_lengths(names),
        describe_left_out(dataset.left_out, dataset.left_out_lines, option_name("letters")),
        f"content: {dataset.content_hash}",
    ]
    if config.is_batched:
        facts.append(_fit_batch_size(config, data)[1])
    facts = list(filter(None, facts))
    return facts, len(dataset.classes)


def _state_bound(dataset: NamesDataset, split: NamesSplit, words: Words) -> str:
    """What the best answers could score on the names that a run is judged on; empty where none are held out."""
    side, lines = ("validation", split.validation) if len(split.validation) else ("held-out", split.held_out)
    if not len(lines):
        return ""
    bound = best_possible(dataset.labels[lines], [dataset.texts[line] for line in lines], len(dataset.classes))
    return state_bound(bound.by_class, bound.overall, f"{side} names of the first seed", words)
