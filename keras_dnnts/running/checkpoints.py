"""Checkpoints: what an unfinished run needs to go on, on disk. Knows no engine.

A run directory holds them in ``checkpoints/``: ``run.json`` says what run they belong to; of each seed there is
``training-seed-<n>.npz`` while it trains, and ``outcome-seed-<n>.npz`` once it has been evaluated. ``failure.txt`` says
why a run failed, such as a loss that stopped being finite.
"""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.whole_files import remove_unfinished, write_whole

FORMAT_VERSION = 2  # 1: other random streams
STATE = "state"

State = Any
"""Dicts with string keys, lists and tuples of numbers, strings, None and arrays, nested at will."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are; need not exist.

    Attributes:
        before_writing: raises where the folder is another process's by now.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before_writing: Callable[[], None] = lambda: None

    def begin(self, identity: dict[str, Any]) -> None:
        """Start anew, for a run of this identity (plain values)."""
        self.remove()
        self.folder.mkdir()
        text = json.dumps({"format_version": FORMAT_VERSION, **identity}, indent=2)
        write_whole(self.folder / "run.json", lambda file: file.write(text.encode()))

    def identity(self) -> dict[str, Any] | None:
        """What ``begin`` was given, or None where no run has begun.

        Raises:
            UserError: the file is damaged.
        """
        path = self.folder / "run.json"
        try:
            identity = json.loads(path.read_text(encoding="utf-8"))
            _check_version(path, identity.pop("format_version"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise _damaged(path, error) from error
        return identity

    def save_training(self, seed: int, state: State) -> None:
        """Keep the state of a seed's training in place of the one before."""
        self.before_writing()
        save_state(self._training(seed), state)

    def load_training(self, seed: int) -> State | None:
        """Return the last state of a seed's training, or None."""
        return load_state(self._training(seed))

    def save_outcome(self, seed: int, outcome: State) -> None:
        """Keep what a seed found, and forget how its training stood."""
        self.before_writing()
        save_state(self._outcome(seed), outcome)
        self._training(seed).unlink(missing_ok=True)

    def take_outcome(self, other: "Checkpoints", seed: int) -> None:
        """Take over what a seed found elsewhere."""
        self.before_writing()
        other._outcome(seed).replace(self._outcome(seed))

    def load_outcome(self, seed: int) -> State | None:
        """Return what a seed found, or None."""
        return load_state(self._outcome(seed))

    def done_seeds(self) -> int:
        """The number of seeds that have been evaluated."""
        return len([*self.folder.glob("outcome-seed-*.npz")])

    def note_failure(self, line: str) -> None:
        """Keep why the run failed, until it is taken up again."""
        if self.folder.is_dir():
            write_whole(self._failure, lambda file: file.write(line.encode("utf-8", "backslashreplace")))

    def failure(self) -> str:
        """Why the run failed; empty where it did not, or was only interrupted."""
        try:
            return self._failure.read_text(encoding="utf-8")
        except OSError:
            return ""

    def forget_failure(self) -> None:
        """Forget why the run failed: it is taken up again."""
        self._failure.unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Remove what a killed process was writing."""
        if self.folder.is_dir():
            remove_unfinished(self.folder)

    def remove(self) -> None:
        """Remove all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _failure(self) -> Path:
        return self.folder / "failure.txt"

    def _training(self, seed: int) -> Path:
        return self.folder / f"training-seed-{seed}.npz"

    def _outcome(self, seed: int) -> Path:
        return self.folder / f"outcome-seed-{seed}.npz"


def save_state(path: Path, state: State) -> None:
    """Write a state whole, synced to disk; until then the file keeps what it had."""
    arrays: dict[str, np.ndarray] = {}
    plain = {"format_version": FORMAT_VERSION, STATE: _pack(state, arrays)}
    arrays[STATE] = np.array(json.dumps(plain))
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, **arrays))  # type: ignore[arg-type]


def load_state(path: Path) -> State | None:
    """Read a state, equal to the one saved to the last bit; None where there is no file.

    Raises:
        UserError: the file is damaged, or of another format version.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            plain = json.loads(str(arrays[STATE]))
            _check_version(path, plain["format_version"])
            return _unpack(plain[STATE], arrays)
    except FileNotFoundError:
        return None
    # Damage shows in the zip, in an array's header or in the JSON.
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _pack(value: State, arrays: dict[str, np.ndarray]) -> Any:
    """Plain values for JSON; containers and arrays become a dict of one entry that names their kind."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": {key: _pack(entry, arrays) for key, entry in value.items()}}
    if isinstance(value, list | tuple):
        return {"tuple" if isinstance(value, tuple) else "list": [_pack(entry, arrays) for entry in value]}
    return value


def _unpack(plain: Any, arrays: Any) -> State:
    if not isinstance(plain, dict):
        return plain
    ((kind, value),) = plain.items()
    if kind == "array":
        return arrays[value]
    if kind == "dict":
        return {key: _unpack(entry, arrays) for key, entry in value.items()}
    entries = [_unpack(entry, arrays) for entry in value]
    return tuple(entries) if kind == "tuple" else entries


def _check_version(path: Path, version: object) -> None:
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path}: is a checkpoint of another version of this program (format {version}, this one reads "
            f"{FORMAT_VERSION}), whose random numbers differ: start the run again with {option_name('overwrite')}"
        )


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: is damaged ({error}); start the run again with {option_name('overwrite')}")
