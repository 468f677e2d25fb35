"""Pickles of NumPy arrays from anyone: nothing in them is called or imported."""

import io
import pickle
import pickletools
import re
from typing import Any, ClassVar

import numpy as np

from keras_dnnts.errors import UserError


def load_arrays(data: bytes, where: str) -> dict[str, np.ndarray]:
    """The arrays and the lists of integers of a pickled dictionary, by key; its other plain values are left out.

    A pickle is a program, so NumPy's own functions are not run either: each of the few names that a pickled array
    mentions stands for a class here, and arrays are made of their bytes once their dtype is known to be a number's.
    Reads what Python 2 and 3 wrote, in every protocol.

    Args:
        data: the pickle.
        where: names it in errors.

    Raises:
        UserError: the pickle is damaged, no dictionary, or holds anything but numeric arrays, text, numbers, lists
            and dictionaries of them.
    """
    try:
        _refuse_memory_bombs(data)
        content = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it is a {type(content).__name__}, not a dictionary")
        return {_text(key): _array(value) for key, value in content.items() if _is_numeric(value)}
    # A broken pickle misuses the unpickler's stack in any way there is.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{where} is not a pickle of arrays only ({reason}): nothing else is read from pickles"
        ) from error


class _PickledDtype:
    """Stands for ``numpy.dtype``: a boolean, an integer or a float."""

    def __init__(self, code: str | bytes, *_: object) -> None:
        self.code = _text(code)
        if not re.fullmatch(r"[biuf][1248]", self.code):
            raise pickle.UnpicklingError(f"dtype {self.code[:20]!r}")
        self.byteorder = "="

    def __setstate__(self, state: tuple) -> None:
        self.byteorder = {"<": "<", ">": ">"}.get(_text(state[1]), "=")

    def build(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.byteorder)  # type: ignore[arg-type]


class _PickledArray:
    """Stands for ``numpy.ndarray`` and for the function that pickles call to make an empty one."""

    value: np.ndarray

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple) -> None:
        _version, shape, dtype, is_fortran, data = state
        self.value = np.frombuffer(data, dtype.build()).reshape(shape, order="F" if is_fortran else "C")


class _BufferArray(_PickledArray):
    """Stands for the function that protocol 5 calls with an array's bytes."""

    def __init__(self, data: bytes, dtype: _PickledDtype, shape: tuple[int, ...], order: str) -> None:
        self.__setstate__((1, shape, dtype, order == "F", data))


class _Latin1Text:
    """Stands for ``_codecs.encode``, by which Python 3 writes bytes in protocols that Python 2 can read."""

    def __new__(cls, text: str, _encoding: str) -> Any:
        return text.encode("latin-1")

    # Without it, a pickle could set attributes on this class.
    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("state for bytes")


class _PickledScalar:
    """Stands for the function that pickles call to make a NumPy number."""

    def __new__(cls, dtype: _PickledDtype, data: bytes) -> Any:
        return np.frombuffer(data, dtype.build())[0].item()

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("state for a number")


class _ArrayUnpickler(pickle.Unpickler):
    _ADMITTED: ClassVar[dict[tuple[str, str], type]] = {
        ("numpy", "dtype"): _PickledDtype,
        ("numpy", "ndarray"): _PickledArray,
        ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): _PickledArray,
        ("numpy.core.multiarray", "scalar"): _PickledScalar,
        ("numpy._core.multiarray", "scalar"): _PickledScalar,
        ("numpy.core.numeric", "_frombuffer"): _BufferArray,
        ("numpy._core.numeric", "_frombuffer"): _BufferArray,
        ("_codecs", "encode"): _Latin1Text,
    }

    def find_class(self, module: str, name: str) -> type:
        admitted = self._ADMITTED.get((module, name))
        if admitted is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return admitted


def _refuse_memory_bombs(data: bytes) -> None:
    """The unpickler believes a pickle's sizes and sets aside room up to the highest number of anything memoised."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > len(data):
            raise pickle.UnpicklingError(f"{len(data)} bytes memoise number {argument}")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _is_numeric(value: object) -> bool:
    return isinstance(value, _PickledArray) or (isinstance(value, list) and all(type(item) is int for item in value))


def _array(value: _PickledArray | list[int]) -> np.ndarray:
    return value.value if isinstance(value, _PickledArray) else np.array(value, np.int64)
