"""The folder of a run, and the one process that writes to it."""

import contextlib
import csv
import io
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import filelock

from keras_dnnts.config import Config, config_from_dict, load_config
from keras_dnnts.errors import PassingError, UserError, option_name
from keras_dnnts.own_models import SOURCE_COPY, keep_code
from keras_dnnts.ranks import find_ranks
from keras_dnnts.registry import find_study
from keras_dnnts.results import ARRAYS, RESULTS, Result
from keras_dnnts.results.unfinished import CHECKPOINTS, CONFIG, resume_command
from keras_dnnts.running.checkpoints import Checkpoints
from keras_dnnts.running.lease import BusyError, Lease, read_claim, writer_elsewhere
from keras_dnnts.whole_files import UNFINISHED, remove_unfinished, whole_file, write_whole_text

HISTORY, FIGURES = "history.csv", "figures"
REPORT, CARD = "report.html", "README.md"
TENSORBOARD = "tensorboard"  # only where it was asked for
MEMBERS = "members"  # of a run that was put together from others
MODELS = "model-seed-*"  # with what was exported from them
LOCK, WRITER = ".lock", ".writer"
OUT, RESUME = option_name("out"), option_name("resume")


class RunDirectory:
    """Where a run keeps what it finds, from its config to its checkpoints.

    Made by :meth:`new` or :meth:`resumed`, which touch nothing; :meth:`open` is what the experiment does once it
    knows that it can start.

    Attributes:
        path: the folder.
        checkpoints: of an unfinished run.
        resumes: whether the run goes on from them.
    """

    def __init__(self, path: Path, overwrite: bool = False, numbered: str | None = None, resumes: bool = False) -> None:
        self.path, self.resumes = path, resumes
        self.checkpoints = Checkpoints(path / CHECKPOINTS)
        self._overwrite, self._numbered = overwrite, numbered
        self._history: dict[int, Sequence[Sequence[float | None]]] = {}
        self._history_lock = threading.Lock()

    @classmethod
    def new(cls, out: Path | None, label: str, overwrite: bool = False) -> Self:
        """A folder for a new run: ``out``, or the next free ``runs/<label>-<number>``.

        Raises:
            UserError: ``out`` is a file, or is not empty and may not be overwritten.
        """
        if out is None:
            return cls(next_free_directory(label), numbered=label)
        try:
            is_file = out.exists() and not out.is_dir()
        except OSError as error:
            raise _unwritable(out, error) from error
        if is_file:
            raise UserError(f"{OUT} {out}: is a file; name a folder")
        directory = cls(out, overwrite=overwrite)
        directory._check_free()
        return directory

    @classmethod
    def resumed(cls, path: Path) -> Self:
        """The folder of a run that was started before.

        Raises:
            UserError: it holds no run.
        """
        if not (path / CONFIG).is_file():
            raise UserError(f"{RESUME} {path}: holds no run (no {CONFIG}); name the folder of a run")
        return cls(path, resumes=True)

    def config(self) -> Config:
        """The config of the run in it.

        Raises:
            UserError: it cannot be read, or is not the one the run was started with.
        """
        config = load_config(self.path / CONFIG)
        identity = self.checkpoints.identity()
        if identity is not None:
            # An earlier version knew fewer options: it ran as their defaults do.
            started = config_from_dict(identity["config"], str(self.path)).to_dict()
            for name, about in config.options().items():
                value = config.to_dict()[name]
                if about.results_depend and value != started.get(name):
                    raise UserError(
                        f"{self.path / CONFIG}: {name} is {value!r}, but the run was started with "
                        f"{started.get(name)!r}: restore it, or start a new run"
                    )
        return config

    @property
    def is_finished(self) -> bool:
        """Whether the run has saved its results."""
        return (self.path / RESULTS).is_file()

    @property
    def has_begun(self) -> bool:
        """Whether a run is resumed that knows its data."""
        return self.resumes and self.checkpoints.identity() is not None

    @property
    def resume_command(self) -> str:
        """How a person resumes the unfinished run in the folder; empty where there is none."""
        identity = self.checkpoints.identity() if (self.path / CONFIG).is_file() else None
        if identity is None:
            return ""
        command = resume_command(self.path, config_from_dict(identity["config"], str(self.path)))
        return f"resume with: {find_ranks().spell(command)}"

    def writer(self) -> str | None:
        """What writes to the folder at this moment, in words; None where nothing does."""
        lock = self.path / LOCK
        if not lock.is_file():
            return None
        try:
            with filelock.FileLock(lock, blocking=False):
                return writer_elsewhere(self.path / WRITER)
        except filelock.Timeout:
            return _name_process(self.path / WRITER)
        except OSError:  # somebody else's folder, which cannot be locked
            return None

    def settled(self) -> dict[str, Any]:
        """What options were given that the data then settled, such as a data set of ``"auto"``, by name."""
        identity = self.checkpoints.identity()
        return {} if identity is None else identity.get("settled", {})

    @contextlib.contextmanager
    def open(self, config: Config, content_hash: str, given: Config | None = None) -> Iterator[None]:
        """Be the folder's only writer: create it and save the config, or take up the run in it.

        Args:
            config: of the run.
            content_hash: of its data.
            given: the config before the data settled what it left open; None is the same.

        Raises:
            UserError: the folder cannot be written, another process writes to it, or its run had other data.
        """
        created = self._create()
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._locked())
                identity = _identify(config, content_hash, given or config)
                self._take_up(identity) if self.resumes else self._begin(config, identity)
                keep_code(config.model, self.path)
            except OSError as error:
                stack.close()
                remove_created(created)
                raise _unwritable(self.path, error) from error
            with self._noting_failure():
                yield

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """Keep why a run failed where trying again would not help, for whoever looks at its folder later."""
        try:
            yield
        except PassingError:
            raise
        except UserError as error:
            with contextlib.suppress(OSError):
                self.checkpoints.note_failure(str(error))
            raise

    def save_model(self, model: Any, seed: int) -> None:
        """Save a Keras model as ``model-seed-<seed>.keras``, whole or not at all."""
        self.checkpoints.before_writing()
        with whole_file(self.path / f"model-seed-{seed}.keras") as unfinished:
            model.save(unfinished)

    def write_history(self, seed: int, columns: Sequence[str], rows: Sequence[Sequence[float | None]]) -> None:
        """Put a seed's rows so far into ``history.csv``, whose first column is the seed. Threads may share it."""
        self.checkpoints.before_writing()
        with self._history_lock:
            self._history[seed] = rows
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(["seed", *columns])
            for number, of_seed in sorted(self._history.items()):
                writer.writerows([number, *row] for row in of_seed)
            write_whole_text(self.path / HISTORY, text.getvalue())

    def save_result(self, result: Result) -> None:
        """Save what the run found, which finishes it."""
        self.checkpoints.before_writing()
        result.save(self.path)
        self.checkpoints.remove()

    def tidy(self) -> None:
        """Remove what is left of the checkpoints of a finished run, unless another process is at work there.

        Raises:
            UserError: another process is.
        """
        with self._locked():
            self.checkpoints.remove()
            remove_unfinished(self.path)

    def _create(self) -> list[Path]:
        """Create the folder and return what had to be created, the folder itself first."""
        while True:
            created = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            try:
                # Of two runs that chose one number, the later takes the next.
                self.path.mkdir(parents=True, exist_ok=self._numbered is None)
                return created
            except FileExistsError as error:
                if self._numbered is None:
                    raise _unwritable(self.path, error) from error
                self._move(next_free_directory(self._numbered))
            except OSError as error:
                remove_created(created)
                raise _unwritable(self.path, error) from error

    def _move(self, path: Path) -> None:
        self.path, self.checkpoints = path, Checkpoints(path / CHECKPOINTS)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # The system itself frees the lock of a process that dies.
        lock, lease = filelock.FileLock(self.path / LOCK), Lease(self.path / WRITER)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise self._busy(_name_process(lease.path)) from error
        try:
            self._take(lease)
            yield
        finally:
            self.checkpoints.before_writing = _nothing
            lease.release()
            with contextlib.suppress(OSError):
                (self.path / LOCK).unlink(missing_ok=True)
            lock.release()

    def _take(self, lease: Lease) -> None:
        try:
            lease.take(self.path / LOCK)
        except BusyError as error:
            raise self._busy(str(error)) from error
        self.checkpoints.before_writing = lease.check

    def _busy(self, owner: str) -> BusyError:
        return BusyError(f"{self.path}: {owner} is writing to it: wait, or name another {OUT}")

    def _check_free(self) -> None:
        try:
            entries = [entry.name for entry in self.path.iterdir()] if self.path.is_dir() else []
        except OSError as error:
            raise UserError(f"{OUT} {self.path}: cannot be read: {error.strerror}") from error
        occupied = any(name not in (LOCK, WRITER) and not name.startswith(UNFINISHED) for name in entries)
        if occupied and not self._overwrite:
            advice = f"name another folder, or add {option_name('overwrite')} to replace the run in it"
            if CHECKPOINTS in entries:
                resume = f"resume it with {RESUME} {self.path}"
                raise UserError(f"{OUT} {self.path}: holds an interrupted run; {resume}, {advice}")
            raise UserError(f"{OUT} {self.path}: is not empty; {advice}")
        if occupied and not {CONFIG, RESULTS} & {*entries}:
            raise UserError(
                f"{OUT} {self.path}: holds no run, and {option_name('overwrite')} replaces only runs; "
                "name another folder"
            )

    def _begin(self, config: Config, identity: dict[str, Any]) -> None:
        self._check_free()
        remove_unfinished(self.path)
        self.checkpoints.remove()
        written = [self.path / name for name in (RESULTS, ARRAYS, HISTORY, REPORT, CARD, SOURCE_COPY)]
        for path in (*written, *self.path.glob(MODELS)):
            path.unlink(missing_ok=True)
        for folder in (FIGURES, TENSORBOARD, MEMBERS):
            shutil.rmtree(self.path / folder, ignore_errors=True)
        write_whole_text(self.path / CONFIG, config.to_toml())
        self.checkpoints.begin(identity)

    def _take_up(self, identity: dict[str, Any]) -> None:
        if self.is_finished:
            raise BusyError(f"{RESUME} {self.path}: another process has just finished it")
        remove_unfinished(self.path)
        self.checkpoints.remove_unfinished()
        self.checkpoints.forget_failure()
        begun = self.checkpoints.identity()
        if begun is None:
            self.checkpoints.begin(identity)
        elif begun["content_hash"] != identity["content_hash"]:
            raise UserError(
                f"{RESUME} {self.path}: the data are not those the run was started with: put them back, name them with "
                f"{option_name('data_dir')}, or start a new run"
            )


def _identify(config: Config, content_hash: str, given: Config) -> dict[str, Any]:
    """What a resumed run must have in common with the one that was begun."""
    before, after = given.to_dict(), config.to_dict()
    settled = {
        name: before[name]
        for name, about in config.options().items()
        if about.results_depend and before[name] != after[name]
    }
    return {"config": after, "content_hash": content_hash, **({"settled": settled} if settled else {})}


def keep_out_of_data(config: Config, out: Path) -> None:
    """Check that a folder for runs is not within the data, where every folder is a class: a run would become one.

    Raises:
        UserError: it is.
    """
    if not find_study(config.experiment).folders_are_classes:
        return
    if config.data_dir and out.resolve().is_relative_to(Path(config.data_dir).resolve()):
        data_dir = f"{option_name('data_dir')} {config.data_dir}"
        raise UserError(f"{OUT} {out}: is inside {data_dir}; name a folder elsewhere")


def next_free_directory(label: str) -> Path:
    """Return the first of ``runs/<label>-001``, ``-002``, … that does not exist; from within a run, beside it."""
    inside = Path(CONFIG).is_file() and (Path(RESULTS).is_file() or Path(CHECKPOINTS).is_dir())
    parent = Path("..") if inside else Path("runs")
    number = 1
    while (folder := parent / f"{label}-{number:03}").exists():
        number += 1
    return folder


def _name_process(writer: Path) -> str:
    claim = read_claim(writer)
    return "another process" if claim is None else f"process {claim[0]}"  # the former has begun this very moment


def _nothing() -> None:
    """Nobody else can write."""


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{OUT} {path}: cannot be written: {error.strerror}")


def create_folder(path: Path) -> list[Path]:
    """Create a folder where there is none, and return what had to be created, the folder itself first.

    Raises:
        UserError: it cannot be created; nothing is left.
    """
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remove_created(created)
        raise _unwritable(path, error) from error
    return created


def remove_created(created: Sequence[Path]) -> None:
    """Remove what :func:`create_folder` created, the folder itself with all that is in it."""
    for folder in created[:1]:
        shutil.rmtree(folder, ignore_errors=True)
    for parent in created[1:]:
        with contextlib.suppress(OSError):  # another run may be in it by now
            parent.rmdir()
