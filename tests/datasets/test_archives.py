import gzip
import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_dnnts.datasets import archives
from keras_dnnts.datasets.archives import iterate_members, list_members
from keras_dnnts.errors import UserError
from tests.datasets.image_trees import complaint_about, pack_tar, pack_zip, write_folder

TREE = {"b/one.txt": b"first", "a/two.bin": bytes(range(256)) * 9, "a/deep/three": b""}


def read_files(source):
    return {str(member.path): member.read() for member in iterate_members(source) if member.read is not None}


def complaint(source):
    return complaint_about(read_files, source)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "folder"])
def test_every_form_holds_the_same_files(tmp_path, suffix):
    source = tmp_path / f"tree.{suffix}"
    if suffix == "folder":
        write_folder(source, TREE)
    elif suffix == "zip":
        pack_zip(source, TREE)
    else:
        pack_tar(source, TREE, "w:" + suffix.removeprefix("tar").removeprefix("."))
    assert read_files(source) == TREE


def test_a_name_without_a_suffix_is_read_by_its_content(tmp_path):
    assert read_files(pack_tar(tmp_path / "download", TREE, "w:xz")) == TREE


def test_folders_are_members_even_where_empty(tmp_path):
    folder, tar, packed = tmp_path / "folder", tmp_path / "a.tar", tmp_path / "a.zip"
    (folder / "empty").mkdir(parents=True)
    with tarfile.open(tar, "w") as archive:
        archive.add(folder / "empty", "empty")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "empty", "empty/")
    for source in (folder, tar, packed):
        assert [(member.path, member.read) for member in iterate_members(source)] == [(PurePosixPath("empty"), None)]


@pytest.mark.parametrize("pack", [pack_tar, pack_zip, write_folder])
def test_a_listing_has_the_members_as_they_are_now(tmp_path, pack, monkeypatch):
    source = tmp_path / "tree"
    rounds, walk = [], iterate_members
    monkeypatch.setattr(archives, "iterate_members", lambda source: rounds.append(source) or walk(source))

    def listed():
        return [(member.path, member.read is None, member.problem) for member in list_members(source)]

    pack(source, TREE)
    for _ in range(2):
        assert listed() == [(member.path, member.read is None, member.problem) for member in walk(source)]
    assert len(rounds) == (2 if source.is_dir() else 1)
    pack(source, TREE | {"c/four": b"new"})
    assert (PurePosixPath("c/four"), False, None) in listed()


def test_hidden_files_and_leftovers_of_systems_are_passed_over(tmp_path):
    names = [".git/config", "a/.DS_Store", "__MACOSX/a/._two.bin", "._b", ".directory", ".Spotlight-V100/x", "a/Icon\r"]
    names += ["Thumbs.db", "a/thumbs.db", "THUMBS.DB", "a/Desktop.ini", "desktop.ini", "ehthumbs.db", "Picasa.ini"]
    names += ["a/@eaDir/two.bin/SYNOPHOTO_THUMB_M.jpg", "#recycle/x.png", "@Recycle/x.png", "$RECYCLE.BIN/x.png"]
    names += ["System Volume Information/x", "lost+found/x", "__pycache__/x.pyc", ".fseventsd/x"]
    names += [
        "a/~$notes.docx",
        "a/two.bin~",
        "a/#two.bin#",
        "a/~x.TMP",
        "a/x.jpg.crdownload",
        "a/x.jpg:Zone.Identifier",
    ]
    clutter = dict.fromkeys(names, b"")
    assert read_files(write_folder(tmp_path / "folder", TREE | clutter)) == TREE
    assert read_files(pack_tar(tmp_path / "a.tar", TREE | clutter)) == TREE
    assert read_files(pack_zip(tmp_path / "a.zip", TREE | clutter)) == TREE


def test_links_in_a_folder_are_followed(tmp_path):
    elsewhere = write_folder(tmp_path / "elsewhere", TREE)
    folder = write_folder(tmp_path / "folder", {"own": b"1"})
    (folder / "linked").symlink_to(elsewhere)
    assert read_files(folder) == {"own": b"1"} | {f"linked/{name}": data for name, data in TREE.items()}


def find_problems(folder):
    return {str(member.path): member.problem for member in iterate_members(folder) if member.problem is not None}


def test_a_circle_of_links_is_not_followed(tmp_path):
    folder = write_folder(tmp_path / "folder", {"own": b"1"})
    (folder / "circle").symlink_to(folder)
    assert find_problems(folder) == {"circle": "is a link to a folder around it"}
    assert read_files(folder) == {"own": b"1"}


def test_a_subfolder_that_cannot_be_entered(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "folder", {"a/1.png": b"1", "b/locked/2.png": b"2", "c/3.png": b"3"})
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_problems(folder) == {"b/locked": "cannot be read (Permission denied)"}
    assert read_files(folder) == {"a/1.png": b"1", "c/3.png": b"3"}
    assert "Permission denied" in complaint(folder / "b" / "locked")


def test_circles_of_several_links_are_not_followed(tmp_path):
    folder = write_folder(tmp_path / "folder", {"a/1.png": b"1", "b/2.png": b"2"})
    for name, other in (("a", "b"), ("b", "a")):
        for number in range(3):
            (folder / name / f"link{number}").symlink_to(folder / other, target_is_directory=True)
    assert set(find_problems(folder).values()) == {"is a link to a folder around it"}
    assert len(read_files(folder)) == 2 + 2 * 3


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    folder = write_folder(tmp_path / "folder", {"a/1.png": b"1"})
    os.mkfifo(folder / "a" / "2.png")
    assert "2.png is not a file" in complaint(folder)


def test_a_file_too_large_to_be_an_image(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_MEMBER_BYTES", 1000)
    folder = write_folder(tmp_path / "folder", {"a/1.png": b"1" * 1000, "a/2.png": b"2" * 1001})
    assert "2.png has more than 1000 bytes" in complaint(folder)


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_members_without_end(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    tree = {f"{number}.png": b"" for number in range(4)}
    assert "more than 3 members" in complaint(pack(tmp_path / "many", tree))


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0", "old"])
def test_sparse_files_in_a_tar(tmp_path, version):
    (tmp_path / "holes.png").touch()
    os.truncate(tmp_path / "holes.png", 2**20)
    form = ["--format=gnu"] if version == "old" else ["--format=posix", f"--sparse-version={version}"]
    tar = ["tar", "--sparse", *form, "-C", tmp_path, "-cf", tmp_path / "holes.tar", "holes.png"]
    if not shutil.which("tar") or subprocess.run(tar, check=False, capture_output=True).returncode:
        pytest.skip("needs GNU tar")
    assert "sparse" in complaint(tmp_path / "holes.tar")


def test_what_is_missing_or_no_archive(tmp_path):
    assert "No such file" in complaint(tmp_path / "nowhere.tar")
    (tmp_path / "notes.txt").write_text("no archive")
    assert "neither a folder nor a readable archive" in complaint(tmp_path / "notes.txt")
    os.mkfifo(tmp_path / "pipe")
    assert "neither a folder nor a file" in complaint(tmp_path / "pipe")
    (tmp_path / "empty.tar").touch()
    assert "neither a folder nor a readable archive" in complaint(tmp_path / "empty.tar")


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.png", "a/../../up.png", "..\\up.png", "C:/windows/a.png"])
def test_members_that_point_outside(tmp_path, name):
    for source in (
        pack_tar(tmp_path / "a.tar", TREE | {name: b"x"}),
        pack_zip(tmp_path / "a.zip", TREE | {name: b"x"}),
    ):
        message = complaint(source)
        assert "outside" in message
        assert repr(name) in message


def test_backslashes_separate_folders(tmp_path):
    assert read_files(pack_zip(tmp_path / "a.zip", {"cat\\one.png": b"x"})) == {"cat/one.png": b"x"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        entry = tarfile.TarInfo("cat/passwd.png")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    assert "'cat/passwd.png' is a link" in complaint(tmp_path / "a.tar")


def test_links_among_what_systems_leave_are_passed_over(tmp_path):
    with tarfile.open(pack_tar(tmp_path / "a.tar", TREE), "a") as archive:
        entry = tarfile.TarInfo("a/.#two.bin")
        entry.type, entry.linkname = tarfile.SYMTYPE, "someone@host.123"
        archive.addfile(entry)
    assert read_files(tmp_path / "a.tar") == TREE


def test_zips_of_macos_name_their_members_in_utf8_without_saying_so(tmp_path):
    path = pack_zip(tmp_path / "a.zip", {"Löwe/1.png": b"x"})
    data = bytearray(path.read_bytes())
    for signature, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags_at + 1] &= ~8
    path.write_bytes(data)
    assert read_files(path) == {"Löwe/1.png": b"x"}


def test_links_in_a_zip(tmp_path):
    entry = zipfile.ZipInfo("cat/passwd.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert "'cat/passwd.png' is a link" in complaint(tmp_path / "a.zip")


def test_bombs_are_refused_by_the_sizes_they_state(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_MEMBER_BYTES", 1000)
    for source in (
        pack_tar(tmp_path / "a.tar.xz", {"a": bytes(1001)}, "w:xz"),
        pack_zip(tmp_path / "a.zip", {"a": bytes(1001)}),
    ):
        assert "'a' unpacks to 1001 bytes" in complaint(source)
    monkeypatch.setattr(archives, "LARGEST_TREE_BYTES", 1500)
    files = {str(number): bytes(800) for number in range(2)}
    for source in (pack_tar(tmp_path / "a.tar.xz", files, "w:xz"), pack_zip(tmp_path / "a.zip", files)):
        assert "more than 1500 bytes" in complaint(source)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_bombs_in_headers(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(archives, "LARGEST_MEMBER_BYTES", 1000)
    path = pack_tar(tmp_path / "a.tar", {"one": b"1"})
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, 1001
    path.write_bytes(path.read_bytes()[:1024] + header.tobuf() + bytes(5 * 512))
    assert "a header of 1001 bytes" in complaint(path)


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:xz"])
def test_every_truncation_of_a_tar_is_noticed(tmp_path, mode):
    tree = {str(number): bytes([number]) * 700 for number in range(4)}
    whole = pack_tar(tmp_path / "whole.tar", tree, mode).read_bytes()
    # A block of zeros ends a tar, the rest is padding.
    end = 4 * (512 + 1024) + 512 if mode == "w:" else len(whole)
    source = tmp_path / "short.tar"
    for length in range(0, end, 128 if mode == "w:" else 1):
        source.write_bytes(whole[:length])
        complaint(source)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    data = bytearray(pack_tar(tmp_path / "a.tar", {"one": b"1", "two": b"2"}).read_bytes())
    data[1024 + 10] ^= 0xFF
    (tmp_path / "a.tar").write_bytes(data)
    assert "damaged" in complaint(tmp_path / "a.tar")


def test_damage_inside_a_compressed_tar_is_noticed(tmp_path):
    content = b"the content of one file"
    packed = gzip.compress(pack_tar(tmp_path / "a.tar", {"one": content}).read_bytes(), compresslevel=0)
    (tmp_path / "a.tar.gz").write_bytes(packed.replace(content, content[::-1]))
    assert "CRC" in complaint(tmp_path / "a.tar.gz")


def test_damage_inside_a_zip_is_noticed(tmp_path):
    content = b"the content of one file"
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("one", content)
    path.write_bytes(path.read_bytes().replace(content, content[::-1]))
    assert "damaged" in complaint(path)


def test_encrypted_zips_are_refused(tmp_path):
    data = bytearray(pack_zip(tmp_path / "a.zip", {"one": b"1"}).read_bytes())
    for signature, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags_at] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert "password" in complaint(tmp_path / "a.zip")


fuzz = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzz
@given(data=st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_a_user_error(tmp_path, data):
    (tmp_path / "any").write_bytes(data)
    complaint(tmp_path / "any")


@fuzz
@given(
    form=st.sampled_from(["tar", "gz", "zip"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_archives_end_in_a_user_error_or_in_files(tmp_path, form, changes):
    path = tmp_path / "any"
    data = bytearray(
        (pack_zip(path, TREE) if form == "zip" else pack_tar(path, TREE, f"w:{form.removeprefix('tar')}")).read_bytes()
    )
    for position, value in changes:
        data[int(position * len(data))] = value
    path.write_bytes(io.BytesIO(data).getvalue())
    try:
        read_files(path)
    except UserError as error:
        assert "\n" not in str(error)
