"""What networks that were trained in batches have learned, read from their files without an engine."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_dnnts.errors import UserError
from keras_dnnts.running.saved_models import SavedModel, read_arrays
from keras_dnnts.studies.names.config import BATCHED_SIZES, NamesConfig

Shapes = dict[str, tuple[int | None, ...]]


@dataclass(frozen=True)
class BatchedWeights:
    """One network; S symbols, K classes, F features.

    Attributes:
        embedding: (S, E) float32.
        layers: the float32 weights of the convolutions or the GRUs, in the order of :func:`list_layers`.
        head_kernel, head_bias: (F, K) and (K,) float32.
        ngrams: of every length n from 1, (G, n) int64 symbols.
        ngram_weights: (number of all n-grams, K) float32, the shortest first.
    """

    embedding: np.ndarray
    layers: Mapping[str, np.ndarray]
    head_kernel: np.ndarray
    head_bias: np.ndarray
    ngrams: list[np.ndarray]
    ngram_weights: np.ndarray


def read_batched_weights(saved: SavedModel) -> list[BatchedWeights]:
    """Read the networks of a seed, one or more that answer together.

    Raises:
        UserError: the file is damaged, or is not the model that the run's results describe.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    members = config.batched_settings.members
    folders = ["layers/functional" + (f"_{i}" if i else "") + "/" for i in range(members)] if members > 1 else [""]
    return [_read_network(saved, config, f"{folder}layers/") for folder in folders]


def list_layers(model: str) -> Shapes:
    """The shapes of the weights by their places in the file; None is any length."""
    sizes = BATCHED_SIZES
    if model == "char-cnn":
        shapes: Shapes = {}
        for number, width in enumerate(sizes.widths):
            place = "conv1d" + (f"_{number}" if number else "") + "/vars/"
            shapes |= {f"{place}0": (width, sizes.embedding, sizes.filters), f"{place}1": (sizes.filters,)}
        return shapes
    rows = 3 * sizes.units
    gru = ((rows, sizes.embedding), (rows, sizes.units), (rows,), (rows,))
    return {f"{place}/vars/{i}": shape for place in ("recurrent", "recurrent_1") for i, shape in enumerate(gru)}


def _read_network(saved: SavedModel, config: NamesConfig, folder: str) -> BatchedWeights:
    layers, longest = list_layers(config.model), config.batched_settings.ngrams
    classes = len(saved.classes)
    wanted: Shapes = {
        "dense/vars/0": (None, BATCHED_SIZES.embedding),
        "dense_1/vars/0": (None, classes),
        "dense_1/vars/1": (classes,),
        **layers,
    }
    if longest:
        wanted["ngram_weights/vars/0"] = (None, classes)
    tables: Shapes = {f"ngram_weights/vars/{n}": (None,) * min(n, 2) for n in range(1, longest + 1)}
    found = read_arrays(saved.path, {folder + name: shape for name, shape in wanted.items()})
    numbers = read_arrays(saved.path, {folder + name: shape for name, shape in tables.items()}, kind="i")
    weights = found.get(f"{folder}ngram_weights/vars/0", np.empty((0, classes), np.float32))
    try:
        ngrams = list_ngrams([numbers[folder + name] for name in tables], len(weights))
    except ValueError as error:
        raise UserError(f"{saved.path}: is damaged or not the model of this run ({error}); run it again") from error
    return BatchedWeights(
        found[f"{folder}dense/vars/0"],
        {name: found[folder + name] for name in layers},
        found[f"{folder}dense_1/vars/0"],
        found[f"{folder}dense_1/vars/1"],
        ngrams,
        weights,
    )


def list_ngrams(tables: list[np.ndarray], rows: int) -> list[np.ndarray]:
    """Spell out the n-grams that tables number, as :class:`.models.letter_ngrams.NgramTables` describes them.

    Args:
        tables: (S + 1,) int64 of single symbols, then a matrix for every longer length.
        rows: how many n-grams there are.

    Returns:
        For every length n from 1, (G, n) int64 symbols, in the order of their numbers.

    Raises:
        ValueError: the tables do not number so many n-grams, each once.
    """
    ngrams: list[np.ndarray] = []
    for table in tables:
        found = np.nonzero(table)
        order = np.argsort(table[found])
        if not np.array_equal(table[found][order], np.arange(1, len(order) + 1)):
            raise ValueError("its n-grams are not numbered")
        places = [column[order] for column in found]
        if not ngrams:
            ngrams.append(places[0][:, None] - 1)
            continue
        prefixes, last = places
        if len(order) and (min(prefixes.min(), last.min()) < 1 or prefixes.max() > len(ngrams[-1])):
            raise ValueError("its n-grams have no prefixes")
        ngrams.append(np.concatenate([ngrams[-1][prefixes - 1], ngrams[0][last - 1]], axis=1))
    if sum(map(len, ngrams)) != rows and tables:
        raise ValueError("its n-grams have other weights")
    return ngrams
