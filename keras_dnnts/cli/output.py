"""What the program prints, and what becomes of it where nobody can read it."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

CLOSED_PIPE_EXIT_CODE = 141  # as a shell tells of a program that SIGPIPE ended


class OutputError(Exception):
    """What should be printed cannot be; no OSError, for nothing is wrong with any file."""


class Output:
    """A text stream that ends the program where it fails, unless ``patient``.

    Attributes:
        patient: whether the program goes on without it: a run is for its results, not for who reads its progress.
        error: the first failure, after which nothing is written any more; None before.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.patient = False
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write ``text``."""
        with self._noticing_failure() as stream:
            stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write ``lines``."""
        with self._noticing_failure() as stream:
            stream.writelines(lines)

    def flush(self) -> None:
        """Bring out what has been written."""
        with self._noticing_failure() as stream:
            stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _noticing_failure(self) -> Iterator[TextIO]:
        try:
            yield self._stream
        except OSError as error:
            self.error = self.error or error
            _lead_nowhere(self._stream)
            if not self.patient:
                raise OutputError from error

    @property
    def reason_of_loss(self) -> str | None:
        """Why what was printed is lost, where somebody should know: whoever closes a pipe has read enough."""
        if self.error is None or self.error.errno == errno.EPIPE:
            return None
        return self.error.strerror or str(self.error)


@contextlib.contextmanager
def noticed_output() -> Iterator[Output]:
    """Make stdout an :class:`Output`; letters that it or stderr cannot show are spelled as escapes."""
    # Python has no stream at all where the one that started it closed it.
    out, errors = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (out, errors):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    noticed: Any = Output(out)
    with contextlib.redirect_stdout(noticed), contextlib.redirect_stderr(errors):
        yield noticed


def be_patient() -> None:
    """Let the program go on where what it prints from now on can no longer be written."""
    if isinstance(sys.stdout, Output):
        sys.stdout.patient = True


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  open until the process ends


def _lead_nowhere(stream: TextIO) -> None:
    """Let what is in the stream's buffer go nowhere: Python would try it once more at its end, and complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
