"""How a config names runs that are put together: weights and models, such as ``ngram-logistic + 0.25 markov``."""

import math
from collections.abc import Sequence

from keras_dnnts.own_models import is_own_model

BETWEEN = " + "


def name_members(models: Sequence[str], weights: Sequence[float]) -> str:
    """Return the name of an ensemble; a weight of 1 is left out.

    >>> name_members(["ngram-logistic", "markov"], [1.0, 0.25])
    'ngram-logistic + 0.25 markov'
    """
    pairs = zip(models, weights, strict=True)
    return BETWEEN.join(model if weight == 1 else f"{weight!r} {model}" for model, weight in pairs)


def read_members(model: str) -> tuple[tuple[float, str], ...]:
    """Return the weight and the model of every member; nothing for a name that is no ensemble's.

    >>> read_members("ngram-logistic + 0.25 markov"), read_members("markov")
    (((1.0, 'ngram-logistic'), (0.25, 'markov')), ())
    """
    if BETWEEN not in model or is_own_model(model):
        return ()
    members = []
    for member in model.split(BETWEEN):
        weight, _, name = member.rpartition(" ")
        try:
            members.append((float(weight or 1), name))
        except ValueError:
            return ()
    return tuple(members) if all(0 < weight < math.inf for weight, _ in members) else ()
