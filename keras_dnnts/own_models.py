"""Models that a person writes: ``FILE.py:FUNCTION`` in place of the name of one of this package's.

The code in such a file runs only where a person names it in the very command: never because a run folder or a TOML
file names it. A run keeps a copy of the file, which is compared with the file that is named and is never run.
"""

import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.whole_files import write_whole

SOURCE_COPY = "model.py"
LARGEST_SOURCE_BYTES = 2**20
MOST_SHOWN = 200  # characters of what a person's own code raises
# It needs Keras, and this module is imported before an engine is chosen.
_CHECKS = "keras_dnnts.own_model_checks"


def is_own_model(model: str) -> bool:
    """Whether a model's name is ``FILE.py:FUNCTION``; the path may hold colons and backslashes.

    >>> is_own_model("nets/my_net.py:build_net"), is_own_model("alexnet"), is_own_model("my_net.py")
    (True, False, False)
    """
    file, _, function = model.rpartition(":")
    return file.endswith(".py") and bool(function)


def split_own_model(model: str) -> tuple[Path, str]:
    r"""The file and the function of an own model.

    >>> split_own_model(r"C:\nets\my_net.py:build_net")[1]
    'build_net'
    """
    file, _, function = model.rpartition(":")
    return Path(file), function


def title_of(model: str) -> str:
    """How titles write an own model: its function's name.

    >>> title_of("nets/my_net.py:build_net")
    'build_net'
    """
    return split_own_model(model)[1]


def source_hash(path: Path) -> str:
    """The SHA-256 of a file, ``sha256:`` before it.

    Raises:
        UserError: it cannot be read.
    """
    return _hash(_read(path))


def describe_code(model: str) -> dict[str, str]:
    """What results say of an own model's file: its hash; nothing for other models."""
    return {"model_code": source_hash(split_own_model(model)[0])} if is_own_model(model) else {}


def keep_code(model: str, folder: Path) -> None:
    """Keep a copy of an own model's file in a run's folder; where there is one, compare it. Nothing for other models.

    Raises:
        UserError: the file cannot be read, or is not the one that was kept.
        OSError: the copy cannot be written.
    """
    if not is_own_model(model):
        return
    if (folder / SOURCE_COPY).is_file():
        _compare_with_copy(model, folder)
    else:
        content = _read(split_own_model(model)[0])
        write_whole(folder / SOURCE_COPY, lambda file: file.write(content))


def check_allowed(model: str, named: str | None, where: str, option: str = "arch") -> None:
    """Check that code is run because it was named, and not because ``where`` names it.

    Args:
        model: what is about to be built; models of this package pass.
        named: the model that the command line named, if it did.
        where: what else names it, such as a TOML file.
        option: the option that names it.

    Raises:
        UserError: the command line did not name it.
    """
    if is_own_model(model) and not (named and _is_same(model, named)):
        raise UserError(
            f"{where}: its model comes from your own code, which runs only where you name it: "
            f"add {option_name(option)} {model}"
        )


def check_code(config: Any, code: str | None, folder: Path) -> None:
    """Check that the code of a finished or an interrupted run's model was named again and has not changed.

    Args:
        config: of the run.
        code: ``FILE.py:FUNCTION`` as the command named it, if it did. The file may have moved.
        folder: of the run.

    Raises:
        UserError: it was not named, is other code than the run's, or the run has no code of its own.
    """
    option = option_name(config.model_option)
    if not is_own_model(config.model):
        if code is not None:
            raise UserError(f"{folder}: its model is {config.model}, not your own code: leave {option} {code} out")
        return
    if code is None:
        check_allowed(config.model, None, str(folder), config.model_option)
    assert code is not None
    if not is_own_model(code) or split_own_model(code)[1] != split_own_model(config.model)[1]:
        raise UserError(f"{folder}: its model is {config.model}, not {option} {code}")
    _compare_with_copy(code, folder)


def load_layers(model: str) -> dict[str, Any]:
    """Run an own model's file and return what Keras needs to load what it has built: its classes and functions by name.

    Raises:
        UserError: the file cannot be read or raises.
    """
    return importlib.import_module(_CHECKS).objects_of(_import_file(split_own_model(model)[0]))


def build_own_model(
    model: str,
    arguments: Sequence[Any],
    check: Callable[[Any], str | None],
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Run an own model's file, call its function, and see that what it builds fits and can be saved and loaded.

    The engine has been started and seeded before.

    Args:
        model: ``FILE.py:FUNCTION``.
        arguments: what the function is called with, in order.
        check: says what is wrong with a functional model, or None.
        options: further arguments by name, of which the function gets those it has a parameter for.

    Returns:
        a functional Keras model.

    Raises:
        UserError: the file or the function is missing or raises, or the model does not fit or cannot be loaded again.
    """
    path, name = split_own_model(model)
    module = _import_file(path)
    function = getattr(module, name, None)
    if not callable(function):
        found = f"its {name} is not a function" if hasattr(module, name) else f"it has no function {name}"
        raise UserError(f"{path}: {found}: name one that builds a model")
    built = _call(path, name, function, arguments, options or {})
    checks = importlib.import_module(_CHECKS)
    if misfit := checks.find_problem(built) or check(built):
        raise UserError(f"{path}: {name} does not build a model that fits: {misfit}")
    try:
        problem = checks.find_loss(built, checks.objects_of(module))
    except Exception as error:
        raise _explain(path, f"the model that {name} builds cannot be saved, loaded and used", error) from error
    if problem:
        raise UserError(f"{path}: the model that {name} builds {problem}")
    return built


def _is_same(model: str, named: str) -> bool:
    if model == named:
        return True
    if not is_own_model(named):
        return False
    (path, function), (other, other_function) = split_own_model(model), split_own_model(named)
    return function == other_function and path.resolve() == other.resolve()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SOURCE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}): name the Python file of your model") from error
    if len(content) > LARGEST_SOURCE_BYTES:
        raise UserError(f"{path}: has more than {LARGEST_SOURCE_BYTES} bytes: name the Python file of your model")
    return content


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _compare_with_copy(model: str, folder: Path) -> None:
    path = split_own_model(model)[0]
    if source_hash(path) != source_hash(folder / SOURCE_COPY):
        raise UserError(
            f"{path}: has changed since {folder} was trained with it: put back what {folder / SOURCE_COPY} keeps, or "
            "start a new run"
        )


def _import_file(path: Path) -> ModuleType:
    """Run a file as a module of a name of its own, once for each content."""
    content = _read(path)
    digest = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape") + b"\0" + content).hexdigest()
    name = f"_keras_dnnts_own_{digest[:24]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # where Keras and dataclasses look for it
    try:
        # Not through an importer, which would leave compiled files beside a person's own.
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _explain(path, "cannot be imported", error) from error
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _call(
    path: Path, name: str, function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    try:
        parameters = inspect.signature(function).parameters
        taken = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        named = {option: value for option, value in options.items() if taken or option in parameters}
        inspect.signature(function).bind(*arguments, **named)
    except (TypeError, ValueError) as error:
        given = ", ".join([*(f"{one!r}" for one in arguments), *(f"{key}=…" for key in options)])
        raise UserError(f"{path}: {name} cannot be called as {name}({given}): {error}") from error
    try:
        return function(*arguments, **named)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise _explain(path, f"{name} failed", error) from error


def _explain(path: Path, what: str, error: BaseException) -> UserError:
    """One line that names the file, its line where that is known, and what went wrong."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    place = f"{path}, line {lines[-1]}" if lines and lines[-1] is not None else f"{path}"
    return UserError(f"{place}: {what} ({_shorten(error)})")


def _shorten(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    words = " ".join(text.split())
    return f"{type(error).__name__}: {words[:MOST_SHOWN]}".removesuffix(": ")
