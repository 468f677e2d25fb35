"""A file is whole or as it was, whatever happens while it is written."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from keras_dnnts.whole_files import UNFINISHED, remove_unfinished, whole_file, write_whole, write_whole_text


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_replaces_what_was_there(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    write_whole(path, lambda file: file.write(b"\0new\r\n"))
    assert path.read_bytes() == b"\0new\r\n"
    write_whole_text(path, "Łęcki\n")
    assert path.read_bytes() == "Łęcki\n".encode()
    assert names_in(tmp_path) == ["a.bin"]


def test_the_user_decides_who_may_read_it(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("odd")], ids=repr)
def test_a_failure_leaves_everything_as_it_was(tmp_path, error):
    def write(file):
        file.write(b"half")
        raise error

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write_whole(path, write)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_everything_as_it_was(tmp_path, monkeypatch, call):
    def fail(*args, **kwargs):
        raise OSError(errno.EIO, "disk")

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="disk"):
        write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


def test_content_reaches_the_disk_before_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("folder" if is_folder else f"{os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def watched_replace(*args, **kwargs):
        calls.append("rename")
        replace(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_whole(tmp_path / "a.bin", lambda file: file.write(b"12345"))
    assert calls == ["5 bytes", "rename", "folder"]


def test_by_path_the_suffix_stays(tmp_path):
    with whole_file(tmp_path / "model-seed-0.keras") as unfinished:
        assert (unfinished.parent, unfinished.suffix) == (tmp_path, ".keras")
        assert unfinished.name.startswith(UNFINISHED)
        unfinished.write_bytes(b"weights")
    assert names_in(tmp_path) == ["model-seed-0.keras"]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_writer_leaves_the_old_file_and_what_can_be_removed(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys; from pathlib import Path; from keras_dnnts.whole_files import write_whole\n"
        "write_whole(Path(sys.argv[1]), lambda file: (file.write(b'half'), os.kill(os.getpid(), signal.SIGKILL)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(names_in(tmp_path)) == 2
    remove_unfinished(tmp_path)
    assert names_in(tmp_path) == ["a.bin"]
