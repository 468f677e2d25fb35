"""Models of names as ``try_out.js`` computes them: a kind, a few numbers, and arrays as text."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_dnnts.errors import UserError
from keras_dnnts.running.ensembles import find_member
from keras_dnnts.running.saved_models import SavedModel
from keras_dnnts.studies.names.baselines import load_baseline
from keras_dnnts.studies.names.baselines.base import Baseline
from keras_dnnts.studies.names.baselines.letters import Symbols
from keras_dnnts.studies.names.batched_weights import BatchedWeights, read_batched_weights
from keras_dnnts.studies.names.config import BATCHED_SIZES, NamesConfig
from keras_dnnts.studies.names.ensemble import read_ensemble
from keras_dnnts.studies.names.predict import read_names_weights

RECURRENT = ("inputKernel", "recurrentKernel", "inputBias", "stateBias", "headKernel", "headBias")


@dataclass(frozen=True)
class PageModel:
    """A model as the page computes it.

    Attributes:
        kind: which of the kinds that ``try_out.js`` knows.
        arrays: what it learned, by the names that the script has for it.
        numbers: what it computes with.
        members: models that it puts together.
    """

    kind: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    members: Sequence["PageModel"] = ()

    def size(self, half: bool) -> int:
        """Bytes on the page, all but a few; ``half`` as for :meth:`to_plain`."""
        own = sum(4 * -(-_narrow(array, half).nbytes // 3) for array in self.arrays.values())
        return own + sum(member.size(half) for member in self.members)

    def to_plain(self, half: bool) -> dict[str, Any]:
        """Plain values for JSON; with ``half``, numbers that are not whole have 16 bits instead of 32."""
        return {
            "kind": self.kind,
            "numbers": dict(self.numbers),
            "arrays": {name: _to_text(_narrow(array, half)) for name, array in self.arrays.items()},
            "members": [member.to_plain(half) for member in self.members],
        }


def pack_model(saved: SavedModel) -> PageModel:
    """Return a run's model: one of this package's networks, a baseline, or several of these put together.

    Raises:
        UserError: a file is missing or damaged, or is not what the run's results describe.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    if config.is_ensemble:
        return _pack_ensemble(saved)
    if config.is_baseline:
        return _pack_baseline(load_baseline(config.model, saved.path, config.alphabet, len(saved.classes)), config)
    if config.is_batched:
        return _pack_batched(saved, config)
    recurrent, head = read_names_weights(saved)
    return PageModel(config.model, dict(zip(RECURRENT, [*recurrent, *head], strict=True)))


def _pack_ensemble(saved: SavedModel) -> PageModel:
    config = saved.config
    assert isinstance(config, NamesConfig)
    weights, shares = read_ensemble(saved.path, config.model.count(" + ") + 1, len(saved.classes))
    members = [pack_model(find_member(saved, number)) for number in range(len(weights))]
    numbers = {"weights": weights.tolist(), "logShares": np.log(shares).round(9).tolist()}
    return PageModel("together", numbers=numbers, members=members)


def _pack_batched(saved: SavedModel, config: NamesConfig) -> PageModel:
    arrays = saved.result.arrays
    if "trained_share" not in arrays:
        raise UserError(f"{saved.path.parent}: does not hold how frequent its classes were")
    shares = arrays["trained_share"][saved.seed - config.seed].tolist()
    networks = [_pack_network(network, config, shares) for network in read_batched_weights(saved)]
    return networks[0] if len(networks) == 1 else PageModel("averaged", members=networks)


def _pack_network(network: BatchedWeights, config: NamesConfig, shares: Sequence[float]) -> PageModel:
    letters, numbers = _pack_symbols(config.alphabet)
    sizes = {"longest": len(network.ngrams), "shares": shares, "width": network.embedding.shape[1]}
    layers = list(network.layers.values())
    if config.model == "char-cnn":
        of_width = dict(zip(BATCHED_SIZES.widths, zip(layers[::2], layers[1::2], strict=True), strict=True))
        sizes["widths"] = list(of_width)
        own = {f"bias{width}": bias for width, (_, bias) in of_width.items()}
        # (width, E, filters): a row for each place in a filter, and each filter there.
        rows = {
            width: np.swapaxes(kernel, 1, 2).reshape(-1, kernel.shape[1]) for width, (kernel, _) in of_width.items()
        }
        own |= {f"filters{width}": kernel for width, kernel in rows.items()}
    else:
        names = [f"{name}{side}" for side in (1, 2) for name in RECURRENT[:4]]
        own = dict(zip(names, layers, strict=True))
    own |= {f"ngrams{length}": ngrams for length, ngrams in enumerate(network.ngrams, start=1)}
    own |= {"headKernel": network.head_kernel, "headBias": network.head_bias}
    own |= {"embedding": network.embedding, "weights": network.ngram_weights}
    return PageModel(config.model, letters | own, numbers | sizes)


def _pack_symbols(alphabet: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    symbols = Symbols.of_alphabet(alphabet)
    arrays = {"symbols": symbols.of_letter, "blank": symbols.is_blank.astype(np.int64)}
    return arrays, {"end": symbols.end, "start": symbols.start, "longest": 0, "starts": 1}


def _pack_baseline(model: Baseline, config: NamesConfig) -> PageModel:
    arrays, numbers = _pack_symbols(config.alphabet)
    arrays["names"] = model.names
    learned = model.to_arrays()
    if config.model == "markov":
        ngrams, rows = learned["ngrams"], learned["counted_ngram"]
        arrays |= {"ngrams": ngrams[rows], "class": learned["counted_class"], "count": learned["count"]}
        numbers |= {"longest": ngrams.shape[1], "starts": ngrams.shape[1] - 1, "discount": model.discount}  # type: ignore[attr-defined]
    if config.model in ("naive-bayes", "ngram-logistic"):
        of_length = [learned[name] for name in sorted(learned) if name.startswith("ngrams_")]
        arrays |= {f"ngrams{length}": ngrams for length, ngrams in enumerate(of_length, start=1)}
        numbers["longest"] = len(of_length)
    if config.model == "naive-bayes":
        rows, classes = np.nonzero(learned["counts"])
        arrays |= {"gap": np.diff(rows, prepend=0), "class": classes, "count": learned["counts"][rows, classes]}
        numbers["alpha"] = model.alpha  # type: ignore[attr-defined]
    if config.model == "ngram-logistic":
        arrays["weights"] = learned["weights"]
    return PageModel(config.model, arrays, numbers)


def _narrow(array: np.ndarray, half: bool) -> np.ndarray:
    """The same in little-endian numbers that are no longer than they must be."""
    if array.dtype.kind == "f":
        return array.astype("<f2" if half else "<f4")
    most = int(array.max(initial=0))
    return array.astype("<u1" if most < 2**8 else "<u2" if most < 2**16 else "<u4")


def _to_text(array: np.ndarray) -> dict[str, str]:
    return {"type": array.dtype.name, "base64": base64.b64encode(array.tobytes()).decode("ascii")}
