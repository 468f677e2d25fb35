"""Sequence lengths that compiled engines specialise on."""

SHORTEST, GROWTH = 6, 1.35


def bucket_lengths(longest: int) -> list[int]:
    """Return increasing padded lengths up to ``longest``, each about a third more than the one before.

    A compiled step has static shapes: run at the full padded length, a name of 6 letters in a batch of 19 columns would
    cost three times its due.
    """
    buckets, length = [], float(SHORTEST)
    while round(length) < longest:
        buckets.append(round(length))
        length *= GROWTH
    return [*buckets, longest]
