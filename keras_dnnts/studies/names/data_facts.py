"""What is known of names before any training: copies, names of several classes, lengths, and what these bound."""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from keras_dnnts.datasets import NamesDataset
from keras_dnnts.metrics import percent
from keras_dnnts.studies.names.words import Words

MOST_PAIRS = 5  # of classes
# What :func:`describe_names` returns, for results' format.
NAMES_FIELDS = {
    "distinct": int,
    "shared": int,
    "shared_by_pair": [{"classes": [str], "names": int}],
    "lengths": [int],
}


def describe_names(dataset: NamesDataset) -> dict[str, Any]:
    """Return plain values: how many names are distinct or have several classes, which pairs share
    most, and how many have 0, 1, 2, … letters.
    """
    labels_of: dict[str, set[int]] = {}
    for text, label in zip(dataset.texts, dataset.labels.tolist(), strict=True):
        labels_of.setdefault(text, set()).add(label)
    shared = [sorted(labels) for labels in labels_of.values() if len(labels) > 1]
    pairs = Counter(pair for labels in shared for pair in combinations(labels, 2))
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    lengths = np.bincount([len(text) for text in labels_of])
    return {
        "distinct": len(labels_of),
        "shared": len(shared),
        "shared_by_pair": [
            {"classes": [dataset.classes[label] for label in pair], "names": count}
            for pair, count in ranked[:MOST_PAIRS]
        ],
        "lengths": lengths.tolist(),
    }


def state_copies(counts: Mapping[str, Any], words: Words) -> str:
    """Say how many lines repeat a name of their class, and where most do; empty where none does."""
    lines, distinct = counts["lines"], counts.get("distinct_names") or counts["lines"]
    copies = {name: lines[name] - distinct[name] for name in lines}
    if not (total := sum(copies.values())):
        return ""
    most = max(copies, key=copies.__getitem__)
    where = f"most in {most}, whose {lines[most]:,} lines hold {distinct[most]:,} distinct names"
    return f"{total:,} of {sum(lines.values()):,} lines repeat a name of their {words.one}, {where}"


def state_shared(names: Mapping[str, Any], words: Words) -> str:
    """Say how many names have several languages, and which classes share most."""
    if not names["shared"]:
        return f"None of the {names['distinct']:,} distinct names occurs in several {words.several}"
    pairs = ", ".join(f"{' and '.join(pair['classes'])} {pair['names']:,}" for pair in names["shared_by_pair"])
    return f"{names['shared']:,} of {names['distinct']:,} distinct names occur in several {words.several} ({pairs})"


def state_lengths(names: Mapping[str, Any]) -> str:
    """Say how long names are; empty where nothing is known."""
    below = np.cumsum(names["lengths"])
    if not below.any():
        return ""
    shortest, median, longest = np.searchsorted(below, [1, below[-1] / 2, below[-1]])
    return f"Names have {shortest} to {longest} letters, half of them at most {median}"


def state_bound(by_class: float, overall: float, part: str, words: Words) -> str:
    """Say what the best answers could score on a part of the data; empty where all can be right."""
    if min(by_class, overall) == 1:
        return ""
    return (
        f"As a name may occur in several {words.several}, the best possible answers are right for {percent(by_class)} "
        f"of {part} averaged over {words.several}, and for {percent(overall)} over all names"
    )
