"""Importing Keras without what no run uses, which takes longer to import than Keras itself. Imports no engine."""

import functools
import gc
import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# What compiles functions for torch.
DYNAMO = "torch._dynamo"
# Where torch keeps its own functions out of what is compiled; they import Dynamo when first called.
DYNAMO_LATER = "torch._compile"
# Keras imports these where they are installed, for its wrappers of estimators, its galleries of pictures and the
# checkpoints of Orbax.
UNUSED = ("sklearn", "matplotlib", "jax")


@contextmanager
def light_imports(backend: str, is_own_process: bool) -> Iterator[None]:
    """Let Keras and its engine be imported without what is not used.

    For torch, that is Dynamo, which whoever compiles something imports. In a process of this package, Keras also goes
    without :data:`UNUSED`, and takes them for not installed as long as the process lives; whoever else asks for them
    afterwards gets them.

    Args:
        backend: Keras's.
        is_own_process: whether the process does only what this package does.
    """
    unused = [name for name in UNUSED if is_own_process and name != backend]
    with without_collections(), _found_by(_Finder(unused, is_own_process)), _without_dynamo(backend):
        yield


@contextmanager
def without_collections() -> Iterator[None]:
    """Let nothing be searched for garbage: imports make objects by the million, and hardly any garbage."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def never_compiled(function: Callable | None = None, recursive: bool = True) -> Callable:
    """Do as ``torch._dynamo.disable``, but import Dynamo, which takes more than a second, for nothing.

    Where nothing has imported it, nothing is being compiled.
    """
    if function is None:
        return functools.partial(never_compiled, recursive=recursive)
    disabled: list[Callable] = []

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not disabled:
            dynamo: Any = sys.modules.get(DYNAMO)
            if dynamo is None:
                return function(*args, **kwargs)
            disabled.append(dynamo.disable(function, recursive))
        return disabled[0](*args, **kwargs)

    return call


class _Finder:
    """Finds none of some packages where its own thread looks for them, and torch's functions not to be compiled."""

    def __init__(self, absent: Sequence[str], is_own_process: bool) -> None:
        self._absent, self._is_own_process = frozenset(absent), is_own_process
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if threading.get_ident() != self._thread:
            return None
        if name in self._absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name != DYNAMO_LATER or not self._is_own_process:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = functools.partial(_load_without_dynamo, spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


def _load_without_dynamo(load: Callable[[ModuleType], None], module: Any) -> None:
    load(module)
    module._disable_dynamo = never_compiled


@contextmanager
def _found_by(finder: Any) -> Iterator[None]:
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def _without_dynamo(backend: str) -> Iterator[None]:
    """Let Keras find something else in the place of Dynamo."""
    if backend != "torch" or DYNAMO in sys.modules:
        yield
        return
    importlib.import_module("torch")
    sys.modules[DYNAMO] = stand_in = _DynamoStandIn(DYNAMO)
    try:
        yield
    finally:
        if sys.modules.get(DYNAMO) is stand_in:
            del sys.modules[DYNAMO]


class _DynamoStandIn(ModuleType):
    """All that Keras asks of Dynamo while it is imported; whoever asks for more gets the real one's."""

    disable = staticmethod(never_compiled)

    def __getattr__(self, name: str) -> Any:
        sys.modules.pop(DYNAMO, None)
        return getattr(importlib.import_module(DYNAMO), name)
