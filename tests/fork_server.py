"""Runs of the command line in forked children of one process that has imported everything once.

Every run is a process of its own, that can be killed at any moment, without waiting for imports every time. Requests
come as lines of JSON on stdin (the keyword arguments of :func:`run`), answers go as lines of JSON to stdout.
"""

import errno
import importlib
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

MODULES = (
    "keras",
    "matplotlib.pyplot",
    "sklearn.manifold",
    "sklearn.neighbors",
    "keras_dnnts.backend.fused",
    "keras_dnnts.running.callbacks",
    "keras_dnnts.cli",
    "keras_dnnts.figures",
    "keras_dnnts.models",
    "keras_dnnts.cli.experiment",
)
WRITE_EVENTS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
Site = tuple[str, str]  # what is done, and to which kind of file


def run(
    arguments: list[str],
    log: str,
    kill_after: float | None = None,
    interrupt_after: Sequence[float] = (),
    watched: str | None = None,
    fault_at: int | tuple[str, str, int] | None = None,
    fault: str | None = None,
    largest_file: int | None = None,
    figures: bool = True,
) -> dict:
    """Run ``keras-dnnts`` with ``arguments``; its output goes to ``log``.

    Args:
        kill_after: seconds until SIGKILL.
        interrupt_after: seconds until each SIGINT.
        watched: folder whose writes are noted: everything that creates, opens for writing, renames or removes.
        fault_at: number (from 1) of the write at which ``fault`` happens, or its site and its number among the writes
            there: what is done, the kind of file, and which time.
        fault: the name of a signal that the process gets, or of an errno that the write fails with.
        largest_file: bytes after which a write to any file fails.
        figures: whether to draw them, which takes longer than all the rest of a small run.

    Returns:
        ``exit`` (negative: the signal), ``seconds``, and the sites of all ``writes`` in order if it ended by itself.
    """
    reader, writer = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        if not figures:
            sys.modules["keras_dnnts.cli.finishing"].draw_here = lambda *what: None
        _be_the_command(arguments, log, writer, watched, fault_at, fault, largest_file)
    os.close(writer)
    if kill_after is not None:
        _signal_later(child, kill_after, signal.SIGKILL)
    for seconds in interrupt_after:
        _signal_later(child, seconds - (time.monotonic() - started), signal.SIGINT)
    with os.fdopen(reader) as pipe:  # to its end, which is the child's
        writes = pipe.read()
    _, status = os.waitpid(child, 0)
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - started,
        "writes": json.loads(writes) if writes else None,
    }


def _signal_later(child: int, seconds: float, number: int) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.002)
    os.kill(child, number)


def _be_the_command(
    arguments: list[str],
    log: str,
    writer: int,
    watched: str | None,
    fault_at: int | tuple[str, str, int] | None,
    fault: str | None,
    largest_file: int | None,
) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    writes = _note_writes(watched, fault_at, fault) if watched else []
    # Or a run would write more the longer it takes.
    sys.modules["keras_dnnts.running.live"].Live._follow = lambda *what: None
    if largest_file is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    code = 70
    try:
        sys.modules["keras_dnnts.cli"].main(arguments)
    except SystemExit as exit_:
        code = exit_.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        with os.fdopen(writer, "w") as pipe:
            json.dump(writes, pipe)
        os._exit(code)


def _note_writes(watched: str, fault_at: int | tuple[str, str, int] | None, fault: str | None) -> list[Site]:
    writes: list[Site] = []
    times: Counter[Site] = Counter()

    def hook(event: str, arguments: tuple) -> None:
        if not _is_write(event, arguments, watched):
            return
        path = arguments[1 if event == "os.rename" else 0]
        site = (event, kind_of_file(os.path.relpath(path, watched)))
        writes.append(site)
        times[site] += 1
        if len(writes) == fault_at or [*site, times[site]] == fault_at:
            if fault.startswith("SIG"):
                os.kill(os.getpid(), getattr(signal, fault))
                return
            number = getattr(errno, fault)
            raise OSError(number, os.strerror(number))

    sys.addaudithook(hook)
    return writes


def kind_of_file(path: str) -> str:
    """Its path without what differs between files of a kind: random letters, numbers and the names of figures."""
    path = re.sub(r"\.unfinished-[0-9a-f]+", ".unfinished", path)
    return re.sub(r"\d+", "0", re.sub(r"(?<=^figures/)\w+", "figure", path))


def _is_write(event: str, arguments: tuple, watched: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    else:
        writes = event in WRITE_EVENTS
        path = arguments[0] if arguments else None
    return writes and isinstance(path, str | os.PathLike) and os.fspath(path).startswith(watched)


def serve() -> None:
    """Answer requests until stdin ends."""
    for module in MODULES:
        importlib.import_module(module)
    # JAX looking for devices starts threads, and a child of a process with threads may wait for one of them for ever.
    unlooked_for = mock.patch("jax.devices") if os.environ["KERAS_BACKEND"] == "jax" else nullcontext()
    with unlooked_for:
        importlib.import_module("keras_dnnts.running.runtime").start_engine()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(run(**json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    serve()
