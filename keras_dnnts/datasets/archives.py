"""Folders and archives as one stream of members: archives are read where they lie, nothing is unpacked to disk."""

import contextlib
import functools
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from keras_dnnts.errors import UserError

# A small archive can unpack to any size. No image or batch of images comes near the first, no data set of images that
# fits in memory near the second.
LARGEST_MEMBER_BYTES = 256 * 2**20
LARGEST_TREE_BYTES = 32 * 2**30
MOST_MEMBERS = 4_000_000
_ZIP_SAYS_UTF8 = 0x800

FileState = tuple[int, int, int]

# Beside hidden files, in lower case: Windows does not tell Thumbs.db from thumbs.db.
_LEFT_BY_SYSTEMS = frozenset(
    {
        *("__macosx", "icon\r", "icon\uf00d", "network trash folder", "temporary items"),  # macOS, on other disks too
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),  # Windows
        *("$recycle.bin", "system volume information"),
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp"),  # Synology, QNAP
        *("lost+found", "picasa.ini", "zbthumbnail.info", "pspbrwse.jbf", "__pycache__"),
    }
)
# Locks and unsaved copies of editors and offices, unfinished downloads, and where Windows notes a download came from.
_LEFT_FILE = re.compile(r"~\$.*|.*~|#.*#|.*\.(tmp|crdownload|swp)|.*:zone\.identifier", re.DOTALL | re.IGNORECASE)


class UnusableFileError(UserError):
    """A file of a tree is of no use; ``problem`` says why, without its name."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}: repair or remove it")
        self.problem = problem


@dataclass(frozen=True)
class Member:
    """A file or a folder of a tree.

    Attributes:
        path: relative to the tree's root.
        read: gives a file's bytes while the stream stands at this member; None for a folder.
        problem: why a folder cannot be entered, or None.
    """

    path: PurePosixPath
    read: Callable[[], bytes] | None
    problem: str | None = None


def iterate_members(source: Path) -> Iterator[Member]:
    """Everything in a folder, or in a ``.tar``, ``.tar.gz``, ``.tar.bz2``, ``.tar.xz`` or ``.zip``, in stored order.

    Hidden files and what operating systems leave behind are passed over. Symbolic links are followed in a folder, which
    is the user's own, and refused in an archive, which may be anyone's. A subfolder that cannot be entered is a member
    with a problem.

    Raises:
        UserError: ``source`` is missing, no archive, damaged, encrypted or unpacks to more than ``LARGEST_TREE_BYTES``,
            or a member is a link, points outside, or has more than ``LARGEST_MEMBER_BYTES``, or there are more than
            ``MOST_MEMBERS``.
    """
    try:
        mode = source.stat().st_mode
    except OSError as error:
        raise UserError(f"{source} cannot be read ({error.strerror}): expected a folder or an archive") from error
    if stat.S_ISDIR(mode):
        members = _folder_members(source)
    elif not stat.S_ISREG(mode):
        raise UserError(f"{source} is neither a folder nor a file: expected a folder or an archive")
    elif zipfile.is_zipfile(source):
        members = _zip_members(source)
    else:
        members = _tar_members(source)
    for member in members:
        if member.path.parts and not _is_clutter(member.path, member.read is not None):
            yield member


def list_members(source: Path) -> Iterable[Member]:
    """The members of a folder or an archive, to be looked at, not read; raises as :func:`iterate_members`.

    Going through a large archive takes seconds: this process does so again only once it has changed.
    """
    is_archive = os.path.isfile(source)  # noqa: PTH113  whatever is wrong, going through it says
    return _list_archive(source, file_state(source)) if is_archive else iterate_members(source)


@functools.lru_cache(maxsize=1)
def _list_archive(source: Path, _: FileState) -> tuple[Member, ...]:
    return tuple(Member(member.path, member.read and _cannot_read) for member in iterate_members(source))


def forget_listing() -> None:
    """Free what :func:`list_members` keeps, which is about as much as the members' names."""
    _list_archive.cache_clear()


def _cannot_read() -> bytes:
    raise AssertionError("a listed member of an archive cannot be read")


def file_state(path: Path) -> FileState:
    """What changes with a file: size, time of its content, time of any change to it."""
    try:
        state = path.stat()
    except OSError:  # a link that leads nowhere
        state = path.lstat()
    # The last is of every change: copying may keep the time of the content.
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _is_clutter(path: PurePosixPath, is_file: bool) -> bool:
    return any(map(_is_left_over, path.parts)) or (is_file and bool(_LEFT_FILE.fullmatch(path.name)))


def _is_left_over(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


def _folder_members(root: Path) -> Iterator[Member]:
    unreadable: list[Member] = []

    def note(error: OSError) -> None:
        if Path(error.filename) == root:
            raise UserError(f"{error.filename} cannot be read ({error.strerror})") from error
        unreadable.append(Member(_inside(error.filename, root), None, f"cannot be read ({error.strerror})"))

    for folder, subfolders, files in os.walk(root, onerror=note, followlinks=True):
        inside = _inside(folder, root)
        if _is_circle(Path(folder), root):
            subfolders.clear()
            yield Member(inside, None, "is a link to a folder around it")
            continue
        subfolders[:] = sorted(name for name in subfolders if not _is_left_over(name))
        yield Member(inside, None)
        for name in sorted(files):
            yield Member(inside / name, _file_reader(Path(folder, name)))
    yield from unreadable


def _inside(folder: str, root: Path) -> PurePosixPath:
    return PurePosixPath(Path(folder).relative_to(root).as_posix())


def _is_circle(folder: Path, root: Path) -> bool:
    """Whether ``folder``, somewhere in ``root``, is a link to one around it: following such links never ends."""
    if not folder.is_symlink():
        return False
    above = [folder.parent, *folder.parent.parents][: len(folder.relative_to(root).parts)]
    return any(parent.samefile(folder) for parent in above)


def _file_reader(path: Path) -> Callable[[], bytes]:
    return lambda: read_file(path)


def read_file(path: Path) -> bytes:
    """Read a file.

    Raises:
        UnusableFileError: it cannot be read, is a pipe or a device, or has more than ``LARGEST_MEMBER_BYTES``.
    """
    try:
        # A pipe would be waited for, and a device never ends.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnusableFileError(str(path), "is not a file")
        with path.open("rb") as file:
            data = file.read(LARGEST_MEMBER_BYTES + 1)
    except (OSError, ValueError) as error:  # the second for what no path can be
        leads_nowhere = isinstance(error, FileNotFoundError) and path.is_symlink()
        reason = getattr(error, "strerror", None) or error
        problem = "is a link that leads nowhere" if leads_nowhere else f"cannot be read ({reason})"
        raise UnusableFileError(str(path), problem) from error
    if len(data) > LARGEST_MEMBER_BYTES:
        raise UnusableFileError(str(path), f"has more than {LARGEST_MEMBER_BYTES} bytes")
    return data


def _zip_members(source: Path) -> Iterator[Member]:
    with _damage_named(source), zipfile.ZipFile(source) as archive:
        allowance = _Allowance(source)
        for entry in archive.infolist():
            path = _inside_path(source, _zip_name(entry))
            allowance.spend(entry.filename, entry.file_size)
            if _is_clutter(path, not entry.is_dir()):
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise UserError(f"{source}: {entry.filename!r} is a link: store the file itself")
            yield Member(path, None if entry.is_dir() else _zip_reader(source, archive, entry))


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """A member's name; macOS writes UTF-8 without saying so, which is read as the code page of DOS."""
    with contextlib.suppress(UnicodeError):
        if not entry.flag_bits & _ZIP_SAYS_UTF8:
            return entry.filename.encode("cp437").decode("utf-8")
    return entry.filename


def _zip_reader(source: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with _damage_named(source):
            return archive.read(entry)

    return read


def _tar_members(source: Path) -> Iterator[Member]:
    try:
        opened = tarfile.open(source, tarinfo=_StrictTarInfo)  # noqa: SIM115
    except Exception as error:
        raise UserError(f"{source} is neither a folder nor a readable archive (.tar, .tar.gz, .zip, …)") from error
    with _damage_named(source), opened as archive:
        allowance = _Allowance(source)
        while (entry := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it keeps them to find one by its name
            path = _inside_path(source, entry.name)
            if _is_clutter(path, not entry.isdir()):
                allowance.spend(entry.name, entry.size)
                continue
            if not (entry.isfile() or entry.isdir()) or entry.issparse():
                raise UserError(f"{source}: {entry.name!r} is a link, a device or sparse: store the file itself")
            allowance.spend(entry.name, entry.size)
            yield Member(path, None if entry.isdir() else _tar_reader(source, archive, entry))
        # A tar ends before its compressed file does: only there the decompressor compares checksums.
        while archive.fileobj.read(tarfile.RECORDSIZE):
            pass


def _tar_reader(source: Path, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with _damage_named(source):
            file = archive.extractfile(entry)
            assert file is not None  # only links and devices have none
            return file.read()

    return read


class _StrictTarInfo(tarfile.TarInfo):
    """Headers of which a damaged one is an error: :mod:`tarfile` itself takes it for the archive's end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        # What describes the next member is read whole, before anyone sees how long it is.
        if not header.isreg() and header.size > LARGEST_MEMBER_BYTES:
            raise tarfile.ReadError(f"a header of {header.size} bytes")
        return header

    # Maps of sparse files may be of any length, too.
    def _proc_sparse(self, archive: tarfile.TarFile) -> Self:
        raise tarfile.ReadError(f"{self.name!r} is sparse: store the file itself")

    def _proc_gnusparse_10(self, *_: Any) -> None:
        raise tarfile.ReadError(f"{self.name!r} is sparse: store the file itself")


class _Allowance:
    """What an archive may still unpack to, going by the sizes it states, which its readers hold it to."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._left = LARGEST_TREE_BYTES
        self._members_left = MOST_MEMBERS

    def spend(self, name: str, size: int) -> None:
        self._members_left -= 1
        if self._members_left < 0:
            raise UserError(f"{self._source} has more than {MOST_MEMBERS} members: unpack it and name the folder")
        if size > LARGEST_MEMBER_BYTES:
            raise UserError(f"{self._source}: {name!r} unpacks to {size} bytes, more than {LARGEST_MEMBER_BYTES}")
        self._left -= size
        if self._left < 0:
            raise UserError(
                f"{self._source} unpacks to more than {LARGEST_TREE_BYTES} bytes: unpack it and name the folder"
            )


def _inside_path(source: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0]:
        raise UserError(f"{source}: member {name!r} points outside the archive's own folder: pack it again")
    return path


@contextlib.contextmanager
def _damage_named(source: Path) -> Iterator[None]:
    """Turns whatever the standard library's readers raise on damaged input into one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{source} is a damaged or unreadable archive ({reason}): fetch or pack it again") from error
