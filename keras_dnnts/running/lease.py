"""Who writes to a run's folder, also where it is shared by machines: a lease that has to be renewed.

The system's own lock ends with the process that holds it, but not every shared file system passes it on to other
machines, and a worker that was cut off may still be writing. So the writer also renews a file every few seconds, by the
clock of the file system; another machine takes the folder over only once that has stopped, and the writer looks whether
the folder is still its own before it writes.
"""

import contextlib
import os
import platform
import secrets
import threading
import time
from pathlib import Path

from keras_dnnts.errors import PassingError

LEASE_SECONDS = 60.0  # without being renewed, until another machine may take a folder over
RENEWAL_SECONDS = 10.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class BusyError(PassingError):
    """Another process writes to a run's folder, or has just finished the run."""


class Lease:
    """A claim to a folder, which its file says who holds.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._claim = "\n".join((str(os.getpid()), platform.node(), _machine(), secrets.token_hex(8)))
        self._ended = threading.Event()

    def take(self, lock: Path) -> None:
        """Take the claim, by whoever holds the system's lock on the file ``lock``, and renew it from now on.

        Raises:
            BusyError: a process of another machine has it and was seen lately.
        """
        held = read_claim(self.path)
        if held is not None and held[2] != _machine():
            os.utime(lock)
            age = lock.stat().st_mtime - _modified(self.path)  # both by the file system's clock
            if age < LEASE_SECONDS:
                raise BusyError(f"process {held[0]} on {held[1]}, last seen {max(age, 0):.0f} seconds ago,")
        self.path.write_text(self._claim, encoding="utf-8")
        threading.Thread(target=self._renew, daemon=True).start()

    def check(self) -> None:
        """Check that the claim is still this process's.

        Raises:
            BusyError: another process has taken the folder over.
        """
        if not self._is_own():
            where = self.path.parent
            raise BusyError(f"{where}: another process has taken the run over while this one was cut off")

    def release(self) -> None:
        """Give the claim back, where it is still this process's."""
        self._ended.set()
        if self._is_own():
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._ended.wait(RENEWAL_SECONDS):
            with contextlib.suppress(OSError):
                if self._is_own():
                    os.utime(self.path)

    def _is_own(self) -> bool:
        try:
            return self.path.read_text(encoding="utf-8") == self._claim
        except OSError:
            return False


def read_claim(path: Path) -> tuple[str, str, str] | None:
    """The process, its machine's name and what identifies that machine; None where nobody claims the folder."""
    try:
        process, *more = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    # An earlier version named the process only.
    name, machine = more[:2] if len(more) >= 2 else (platform.node(), _machine())
    return process, name, machine


def writer_elsewhere(path: Path) -> str | None:
    """The process of another machine that claims a folder and was seen lately, in words; None where there is none."""
    held = read_claim(path)
    if held is None or held[2] == _machine() or time.time() - _modified(path) >= LEASE_SECONDS:
        return None
    return f"process {held[0]} on {held[1]}"


def _machine() -> str:
    """What tells machines apart, and a machine from itself before it was started anew."""
    try:
        return f"{platform.node()} {BOOT_ID.read_text(encoding='ascii').strip()}"
    except OSError:
        return platform.node()


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # just given back
        return 0.0
