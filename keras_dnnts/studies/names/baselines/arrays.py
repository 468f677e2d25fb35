"""Arrays of a model's file, which may be anybody's: each is checked before it is used."""

from collections.abc import Mapping

import numpy as np


class Arrays:
    """Arrays by name.

    Args:
        arrays: as :func:`numpy.load` gives them, without pickle.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays

    def counts(self, name: str, *shape: int | None, below: int | None = None) -> np.ndarray:
        """An int64 array of a shape, in which None is any length, of numbers from 0.

        Raises:
            ValueError: there is none.
        """
        array = self._take(name, "iu", shape).astype(np.int64)
        if (array < 0).any() or (below is not None and (array >= below).any()):
            raise ValueError(f"array {name!r} has numbers out of range")
        return array

    def numbers(self, name: str, *shape: int | None) -> np.ndarray:
        """A finite float array of a shape, in which None is any length.

        Raises:
            ValueError: there is none.
        """
        array = self._take(name, "f", shape)
        if not np.isfinite(array).all():
            raise ValueError(f"array {name!r} has numbers that are not finite")
        return array

    def _take(self, name: str, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray:
        if name not in self._arrays:
            raise ValueError(f"no array {name!r}")
        array = self._arrays[name]
        fits = len(array.shape) == len(shape) and all(
            length is None or length == size for length, size in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in kinds:
            raise ValueError(f"array {name!r} is {array.dtype} {array.shape}")
        return array
