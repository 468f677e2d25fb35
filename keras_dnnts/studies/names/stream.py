"""The order in which per-example training sees its examples."""

from collections.abc import Sequence

import numpy as np

from keras_dnnts.random_streams import Purpose, random_stream

# How often a class of n examples is drawn: in proportion to n to this power.
CLASS_DRAWS = {"even": 0.0, "root": 0.5, "natural": 1.0}


def draw_examples(labels: np.ndarray, count: int, seed: int, classes: str = "even") -> np.ndarray:
    """Draw examples: each a class at random, as the reference does, then one of its examples at random.

    Args:
        labels: (N,) int class of every example to draw from.
        count: number of draws.
        seed: names the stream, which is the same on every engine and machine.
        classes: ``"even"``: all are equally likely (the reference); ``"natural"``: in proportion to their examples;
            ``"root"``: to the square root of those.

    Returns:
        (count,) int64 indices into ``labels``.

    >>> import numpy as np
    >>> from keras_dnnts import draw_examples
    >>> labels = np.array([0] * 99 + [1])  # the only example of class 1 is drawn about every other time
    >>> bool(0.45 < (draw_examples(labels, 1000, seed=0) == 99).mean() < 0.55)
    True
    """
    rng = random_stream(seed, Purpose.EXAMPLES)
    by_class = np.argsort(labels, kind="stable")
    present, starts, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    if CLASS_DRAWS[classes]:
        drawn = rng.choice(len(present), size=count, p=class_shares(sizes, classes))
    else:
        drawn = rng.integers(len(present), size=count)
    return by_class[starts[drawn] + (rng.random(count) * sizes[drawn]).astype(np.int64)]


def class_shares(sizes: np.ndarray, classes: str) -> np.ndarray:
    """How likely each class is to be drawn.

    Args:
        sizes: (C,) int number of examples of every class, 0 for one that is never drawn.
        classes: as for :func:`draw_examples`.

    Returns:
        (C,) float64 that add up to 1.
    """
    weights = np.where(sizes > 0, np.power(sizes, CLASS_DRAWS[classes], dtype=np.float64), 0)
    return weights / weights.sum()


def distinct_lines(texts: Sequence[str], labels: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Of lines that hold the same name with the same label, the first.

    Args:
        texts: N names.
        labels: (N,) int.
        lines: (M,) int indices into both.

    Returns:
        (at most M,) int indices, in the same order.
    """
    first: dict[tuple[str, int], int] = {}
    for line in lines.tolist():
        first.setdefault((texts[line], int(labels[line])), line)
    return np.array(list(first.values()), lines.dtype)
