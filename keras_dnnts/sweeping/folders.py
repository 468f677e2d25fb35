"""The folder of a sweep, and which of the run folders in it belongs to which condition."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock

from keras_dnnts.config import Config
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.results import RESULTS, load_result
from keras_dnnts.results.unfinished import CONFIG
from keras_dnnts.running.run_directory import LOCK, RunDirectory
from keras_dnnts.whole_files import write_whole_text

PLAN = "sweep.toml"
STOP = ".stop"
LONGEST_NAME = 100  # letters of a folder's name
OUT = option_name("out")


class SweepDirectory:
    """The folder of a sweep.

    Attributes:
        path: of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken: set[str] = set()

    def check(self) -> None:
        """Check that the folder is new, empty, or a sweep's.

        Raises:
            UserError: it is none of these.
        """
        try:
            if self.path.exists() and not self.path.is_dir():
                raise UserError(f"{OUT} {self.path}: is a file; name a folder")
            occupied = self.path.is_dir() and any(one.name != LOCK for one in self.path.iterdir())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        if occupied and not (self.path / PLAN).is_file():
            raise UserError(f"{OUT} {self.path}: is not empty and holds no sweep; name another folder")

    @property
    def stop(self) -> Path:
        """A file that asks all runs of the sweep to stop, on whatever machine."""
        return self.path / STOP

    @contextlib.contextmanager
    def open(self, plan: str) -> Iterator[None]:
        """Be the only sweep in the folder; create it and save the plan.

        Raises:
            UserError: it cannot be written, or another process is at work there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / LOCK)
            lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise UserError(f"{OUT} {self.path}: another process runs this sweep: wait for it") from error
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            self.stop.unlink(missing_ok=True)
            write_whole_text(self.path / PLAN, plan)
            yield
        except OSError as error:
            raise _unwritable(self.path, error) from error
        finally:
            with contextlib.suppress(OSError):
                self.stop.unlink(missing_ok=True)
                (self.path / LOCK).unlink(missing_ok=True)
            lock.release()

    def find_or_name(self, wanted: Sequence[tuple[str, Config]]) -> list[Path]:
        """The folder of each run: the one that holds a run of the very config and data, else a new one.

        Args:
            wanted: a label and the config with its data's hash, of each run.

        Raises:
            UserError: a run in the folder is damaged.
        """
        there = {_identify(config): folder for folder, config in self._runs()}
        found = [there.get(_identify(config)) for _, config in wanted]
        self._taken |= {folder.name for folder in there.values()}
        return [folder or self._name(label) for folder, (label, _) in zip(found, wanted, strict=True)]

    def _runs(self) -> Iterator[tuple[Path, Config]]:
        for path in sorted(self.path.iterdir()) if self.path.is_dir() else ():
            if (path / RESULTS).is_file():
                yield path, _config_of(path)
            elif (path / CONFIG).is_file():
                yield path, RunDirectory.resumed(path).config()

    def _name(self, label: str) -> Path:
        name = re.sub(r"[^\w.,=+-]+", "_", label.replace(", ", ",")).strip("._")[:LONGEST_NAME]
        names = (f"{name}-{number}" if number > 1 else name for number in range(1, len(self._taken) + 3))
        free = next(one for one in names if one not in self._taken and not (self.path / one).exists())
        self._taken.add(free)
        return self.path / free


def _config_of(folder: Path) -> Config:
    """The config of a finished run, as its results have it: ``config.toml`` may have been edited since."""
    result = load_result(folder)
    return result.study.config.from_dict(
        {name: value for name, value in result.config.items() if name != "experiment"}
        | {"content_hash": result.dataset["content_hash"]},
        str(folder),
    )


def _identify(config: Config) -> tuple[str, ...]:
    """What two configs have in common where, and only where, their runs are the same."""
    depending = (name for name, about in config.options().items() if about.results_depend)
    return (config.experiment, str(config.content_hash), *(repr(getattr(config, name)) for name in depending))


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{OUT} {path}: cannot be written: {error.strerror or error}")
