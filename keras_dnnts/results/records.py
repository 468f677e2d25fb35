"""Groups of arrays that belong together in ``results.npz``, as dataclasses that write and read themselves."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, get_type_hints

import numpy as np

from keras_dnnts.errors import UserError

ITEMS = "items"


@dataclass(frozen=True)
class ArrayRecord:
    """Arrays that results hold as ``<prefix>_<field>``; a prefix is a kind such as ``mistake``, or a kind and a part.

    A field is annotated with what its array must be, as :mod:`keras_dnnts.results.format` describes arrays. The axis
    ``items`` is the record's own, and so is one whose name ends in ``_``; the others are shared by all arrays of a
    result. A field with the default None may be missing.

    >>> from typing import Annotated
    >>> @dataclass(frozen=True)
    ... class Mistakes(ArrayRecord):
    ...     name: Annotated[np.ndarray, "text items"]
    >>> Mistakes.axes("mistake_test")
    {'mistake_test_name': 'text mistakes_test'}
    >>> Mistakes(np.array(["Lee"])).to_arrays("mistake_test")
    {'mistake_test_name': array(['Lee'], dtype='<U3')}
    """

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays under the names that results give them; those that are not there are left out."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {f"{prefix}_{name}": value for name, value in values.items() if value is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Self | None:
        """The record that results hold under a prefix; None where an array that it needs is missing."""
        found = {field.name: arrays.get(f"{prefix}_{field.name}") for field in dataclasses.fields(cls)}
        needed = [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING]
        return None if any(found[name] is None for name in needed) else cls(**found)

    @classmethod
    def require(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Self:
        """The record that results hold under a prefix.

        Raises:
            UserError: an array that it needs is missing.
        """
        record = cls.from_arrays(arrays, prefix)
        if record is None:
            raise UserError(f"this result holds no {prefix.replace('_', ' ')} arrays")
        return record

    @classmethod
    def axes(cls, prefix: str) -> dict[str, str]:
        """What the arrays must be, by the names that results give them, for :mod:`keras_dnnts.results.format`."""
        hints = get_type_hints(cls, include_extras=True)
        names = [field.name for field in dataclasses.fields(cls)]
        return {f"{prefix}_{name}": _name_axes(hints[name].__metadata__[0], prefix) for name in names}


def items_axis(prefix: str) -> str:
    """The name of the axis that the items of a record have, such as ``mistakes_test``."""
    kind, *part = prefix.split("_", 1)
    return "_".join([f"{kind}s", *part])


def _name_axes(description: str, prefix: str) -> str:
    part = prefix.partition("_")[2]
    own = {ITEMS: items_axis(prefix)}
    words = [own.get(word, f"{word}{part}".rstrip("_") if word.endswith("_") else word) for word in description.split()]
    return " ".join(words)
