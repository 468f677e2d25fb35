import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from keras_dnnts.datasets import cifar10, image_cache, images
from keras_dnnts.datasets.digits import load_digits
from keras_dnnts.datasets.fetch import OutOfReachError
from keras_dnnts.datasets.image_cache import cached_images, clear_image_cache, remembered
from keras_dnnts.datasets.images import load_image_dataset
from keras_dnnts.errors import UserError
from keras_dnnts.whole_files import UNFINISHED
from tests.datasets.cifar10.original_files import binary_files, pickled_files, random_batches
from tests.datasets.image_trees import encoded, pack_tar, random_image, small_tree, write_folder
from tests.datasets.preparers import Preparer


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "pets", small_tree())


@pytest.fixture
def reads(monkeypatch):
    """How often images were decoded."""
    sources = []
    read = images.read_image_folders
    monkeypatch.setattr(images, "read_image_folders", lambda *arguments: sources.append(1) or read(*arguments))
    return sources


def assert_equal(one, other):
    assert (one.name, one.source, one.stand_in) == (other.name, other.source, other.stand_in)
    assert (one.classes, one.content_hash) == (other.classes, other.content_hash)
    assert one.left_out == other.left_out
    for name in (
        f"{part}_{what}" for part in ("train", "validation", "test") for what in ("images", "labels", "paths")
    ):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)


@pytest.mark.parametrize("dataset", images.SOURCES)
def test_own_images_go_before_any_data_set(folder, dataset):
    data = load_image_dataset(dataset, folder)
    assert (data.name, data.source, data.classes) == ("pets", str(folder), ("cat", "dog"))


def test_a_name_given_by_the_user(folder):
    assert load_image_dataset(data_dir=folder, dataset_name="Pets of 2024").name == "Pets of 2024"
    assert load_image_dataset(data_dir=folder).name == "pets"


@pytest.mark.parametrize("files", [binary_files, pickled_files])
def test_original_cifar10_files_are_recognised(tmp_path, files):
    data = load_image_dataset(data_dir=pack_tar(tmp_path / "a.tar.gz", files(random_batches()), "w:gz"))
    assert (data.name, len(data.classes), data.train_images.shape) == ("CIFAR-10", 10, (20, 32, 32, 3))


def test_fewer_images_than_classes(tmp_path):
    with pytest.raises(UserError, match=r"fewer training images \(5\) than classes \(10\)"):
        load_image_dataset(data_dir=write_folder(tmp_path, binary_files(random_batches(rows=1))))


def test_unknown_data_set_and_missing_folder(tmp_path):
    with pytest.raises(UserError, match="unknown image data set 'mnist'"):
        load_image_dataset("mnist")
    with pytest.raises(UserError, match="No such file"):
        load_image_dataset(data_dir=tmp_path / "nowhere")


def test_digits_on_request_stand_in_for_nothing():
    assert_equal(load_image_dataset("digits"), load_digits())


def out_of_reach():
    raise OutOfReachError("no network")


def test_auto_falls_back_on_the_digits_with_one_warning(monkeypatch, caplog):
    monkeypatch.setattr(cifar10, "load_cifar10", out_of_reach)
    data = load_image_dataset("auto")
    assert (data.stand_in, data.content_hash) == (True, load_digits().content_hash)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("keras_dnnts", logging.WARNING)
    assert record.getMessage() == "using scikit-learn's digits in place of CIFAR-10: no network"


def test_auto_takes_cifar10_where_it_is_in_reach(monkeypatch, folder, caplog):
    real = load_image_dataset(data_dir=folder)
    monkeypatch.setattr(cifar10, "load_cifar10", lambda: real)
    assert_equal(load_image_dataset("auto"), real)
    assert not caplog.records


def test_damaged_cifar10_is_an_error_even_for_auto(monkeypatch):
    def damaged():
        raise UserError("wrong checksum")

    monkeypatch.setattr(cifar10, "load_cifar10", damaged)
    with pytest.raises(UserError, match="wrong checksum"):
        load_image_dataset("auto")


def test_cifar10_on_request_is_not_replaced(monkeypatch):
    monkeypatch.setattr(cifar10, "load_cifar10", out_of_reach)
    with pytest.raises(OutOfReachError):
        load_image_dataset("cifar10")


@pytest.mark.parametrize("parts", [("train/", "test/"), ("",), ("train/", "val/"), ("train/", "val/", "test/")])
def test_the_second_load_is_the_first_from_the_cache(tmp_path, reads, parts):
    source = write_folder(tmp_path / "pets", small_tree(parts))
    assert_equal(load_image_dataset(data_dir=source), load_image_dataset(data_dir=source))
    assert len(reads) == 1


def test_what_is_left_out_is_cached_too(folder, reads):
    write_folder(folder, {"train/cat/notes.txt": b"x", "train/dog/half.png": b"half"})
    for _ in range(2):
        with pytest.raises(UserError, match="2 files cannot be used"):
            load_image_dataset(data_dir=folder)
    first = load_image_dataset(data_dir=folder, skip_bad=True)
    assert [path for path, _ in first.left_out] == ["train/cat/notes.txt", "train/dog/half.png"]
    assert_equal(load_image_dataset(data_dir=folder, skip_bad=True), first)
    assert len(reads) == 3


@pytest.mark.parametrize("alike", [True, False])
def test_images_that_are_all_the_same_are_said_to_be(tmp_path, caplog, alike):
    tree = {f"{name}/x.png": encoded(random_image(0 if alike else i)) for i, name in enumerate("ab")}
    load_image_dataset(data_dir=write_folder(tmp_path / "icons", tree))
    assert ("all training images are the same picture" in caplog.text) == alike


def test_any_change_of_the_images_is_noticed(folder, cache, reads):
    first = load_image_dataset(data_dir=folder)
    path = folder / "train" / "cat" / "1.png"
    path.write_bytes(encoded(random_image(99)))
    changed = load_image_dataset(data_dir=folder)
    assert changed.content_hash != first.content_hash
    os.utime(path, ns=(0, 0))
    load_image_dataset(data_dir=folder)
    path.rename(path.with_name("9.png"))
    assert load_image_dataset(data_dir=folder).content_hash != changed.content_hash
    assert len(reads) == 4
    assert len(list(cache.glob("*.npz"))) == 1


def test_a_change_that_keeps_size_and_time_is_noticed(folder):
    path = folder / "train" / "cat" / "1.bmp"
    path.write_bytes(encoded(random_image(98), "BMP"))
    first, before = load_image_dataset(data_dir=folder), path.stat()
    path.write_bytes(encoded(random_image(99), "BMP"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert load_image_dataset(data_dir=folder).content_hash != first.content_hash


@pytest.mark.parametrize("link", [".#notes.txt", "notes.txt", "train/.#labels.csv"])
def test_a_link_that_leads_nowhere_hides_no_change(folder, reads, link):
    (folder / link).symlink_to("nowhere")
    first = load_image_dataset(data_dir=folder)
    assert load_image_dataset(data_dir=folder).content_hash == first.content_hash
    assert len(reads) == 1
    for part in ("train", "test"):
        write_folder(folder, {f"{part}/fox/1.png": encoded(random_image(99))})
    assert load_image_dataset(data_dir=folder).classes == ("cat", "dog", "fox")


def test_an_empty_class_folder_is_noticed_when_images_are_cached(folder):
    load_image_dataset(data_dir=folder)
    (folder / "train" / "fox").mkdir()
    with pytest.raises(UserError, match="fox"):
        load_image_dataset(data_dir=folder)


def test_hidden_files_decode_nothing_again(folder, reads):
    load_image_dataset(data_dir=folder)
    write_folder(folder, {".DS_Store": b"x", ".git/index": b"x", "train/cat/.DS_Store": b"x"})
    load_image_dataset(data_dir=folder)
    assert len(reads) == 1


def test_cached_images_are_listed_and_cleared(folder, tmp_path, cache, reads):
    assert (cached_images(), clear_image_cache()) == ([], 0)
    assert not cache.exists()
    other = write_folder(tmp_path / "more", small_tree([""]))
    for source in (folder, other):
        load_image_dataset(data_dir=source)
    (cache / "images-1.npz").write_bytes(b"damaged")
    listed = cached_images()
    assert {one.source for one in listed} == {str(folder), str(other), ""}
    assert [one.bytes for one in listed] == sorted((path.stat().st_size for path in cache.glob("*.npz")), reverse=True)
    assert clear_image_cache() == sum(one.bytes for one in listed)
    assert cached_images() == []
    load_image_dataset(data_dir=folder)
    assert len(reads) == 3


def test_what_is_cached_of_sources_that_are_gone_goes_with_the_next(folder, tmp_path, cache):
    other = write_folder(tmp_path / "more", small_tree([""]))
    load_image_dataset(data_dir=folder)
    (cache / "images-of-an-earlier-version.npz").write_bytes(b"x")
    folder.rename(tmp_path / "moved")
    load_image_dataset(data_dir=other)
    assert [one.source for one in cached_images()] == [str(other)]


def test_facts_of_an_archive_are_found_again_once_it_changes(folder, tmp_path, cache, monkeypatch):
    archive, looks = pack_tar(tmp_path / "pets.tar", small_tree()), []

    def look():
        looks.append(1)
        return [len(looks), None]

    def found(what, keep=True, source=archive, new_process=False):
        if new_process:
            monkeypatch.setattr(image_cache, "_found", {})
        return remembered(source, what, look, keep)[0]

    assert [found("a", keep=False) for _ in range(2)] == [1, 1]
    assert not cache.exists()
    assert [found("a"), found("a", new_process=True), found("b")] == [1, 1, 2]
    pack_tar(archive, small_tree([""]))
    assert [found("a"), found("a", new_process=True)] == [3, 3]
    for path in cache.glob("facts-*"):
        path.write_text("{damaged")
    assert [found("a"), found("a", new_process=True)] == [3, 3]
    for path in cache.glob("facts-*"):
        path.write_text("{damaged")
    assert found("a", new_process=True) == 4
    assert [found("a", source=folder) for _ in range(2)] == [5, 6]
    assert cached_images() == []
    archive.unlink()
    load_image_dataset(data_dir=folder)
    assert not list(cache.glob("facts-*"))


def test_facts_are_cleared_with_the_images(tmp_path, cache):
    archive = pack_tar(tmp_path / "pets.tar", small_tree())
    assert remembered(archive, "a", lambda: None, keep=True) is None
    assert list(cache.glob("facts-*"))
    assert clear_image_cache() > 0
    assert not list(cache.glob("facts-*"))


def test_facts_of_what_cannot_be_looked_at_are_not_kept(tmp_path, cache, monkeypatch):
    def look():
        raise UserError("damaged")

    for source in (tmp_path / "missing", pack_tar(tmp_path / "pets.tar", small_tree())):
        with pytest.raises(UserError, match="damaged"):
            remembered(source, "a", look, keep=True)
    assert not list(cache.glob("facts-*"))
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "pets.tar" / "nowhere"))
    assert remembered(tmp_path / "pets.tar", "a", lambda: 3, keep=True) == 3


def test_a_cache_that_cannot_be_cleared_is_one_line(folder, monkeypatch):
    def unlink(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    load_image_dataset(data_dir=folder)
    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(UserError, match="cannot be cleared"):
        clear_image_cache()


def test_the_largest_side_is_part_of_what_is_cached(folder):
    assert load_image_dataset(data_dir=folder, largest_side=4).train_images.shape == (5, 4, 6, 3)
    assert load_image_dataset(data_dir=folder).train_images.shape == (5, 5, 7, 3)
    assert load_image_dataset(data_dir=folder, largest_side=4).train_images.shape == (5, 4, 6, 3)


def test_a_damaged_cache_file_is_made_anew(folder, cache, reads):
    expected = load_image_dataset(data_dir=folder)
    (path,) = cache.glob("*.npz")
    whole = path.read_bytes()
    pixels_at = whole.index(expected.train_images.tobytes())
    flipped = whole[:pixels_at] + bytes([whole[pixels_at] ^ 1]) + whole[pixels_at + 1 :]
    damaged = [b"", whole[:100], whole[:-40], flipped]
    for content in damaged:
        path.write_bytes(content)
        assert_equal(load_image_dataset(data_dir=folder), expected)
        assert path.read_bytes() == whole
    assert len(reads) == 1 + len(damaged)


def test_a_cache_that_cannot_be_written_is_done_without(folder, cache, reads):
    cache.write_text("a file where the folder should be")
    assert_equal(load_image_dataset(data_dir=folder), load_image_dataset(data_dir=folder))
    assert len(reads) == 2


def test_nothing_unfinished_stays_in_the_cache(folder, cache, monkeypatch):
    def disk_full(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    assert len(load_image_dataset(data_dir=folder).train_images) == 5
    assert [path.name for path in cache.iterdir()] == [".lock"]


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert image_cache.cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("KERAS_DNNTS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert image_cache.cache_dir() == tmp_path / "xdg" / "keras_dnnts"


def test_processes_that_decode_at_once_all_have_the_images(tmp_path, folder):
    with Preparer("images", folder) as first, Preparer("images", folder) as second:
        answers = set()
        for number in range(5):
            for preparer in (first, second):
                preparer.start(tmp_path / f"cache {number}")
            answers |= {first.answer(), second.answer()}
            assert {path.suffix for path in (tmp_path / f"cache {number}").iterdir()} == {
                "",
                ".npz",
            }  # the lock has no suffix
    assert answers == {hashlib.sha256(load_image_dataset(data_dir=folder).train_images.tobytes()).hexdigest()}


def test_what_a_killed_process_left_in_the_cache_goes(cache, folder):
    cache.mkdir()
    (cache / f"{UNFINISHED}1.npz").write_bytes(b"half")
    load_image_dataset(data_dir=folder)
    assert list(cache.glob(f"{UNFINISHED}*")) == []


def test_without_a_home_images_are_not_kept(folder, monkeypatch):
    def expanduser(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KERAS_DNNTS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", expanduser)
    assert load_image_dataset(data_dir=folder).name == "pets"
