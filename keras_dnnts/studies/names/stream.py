"""The order in which per-example training sees its examples."""

import numpy as np

from keras_dnnts.random_streams import Purpose, random_stream


def draw_examples(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw examples as the reference does: each a class at random, then one of its examples at random.

    Args:
        labels: (N,) int class of every example to draw from.
        count: number of draws.
        seed: names the stream, which is the same on every engine and machine.

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
    drawn = rng.integers(len(present), size=count)
    return by_class[starts[drawn] + (rng.random(count) * sizes[drawn]).astype(np.int64)]
