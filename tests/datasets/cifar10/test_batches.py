import pickle

import numpy as np
import pytest

from keras_dnnts.datasets.archives import iterate_members
from keras_dnnts.datasets.cifar10 import find_batches, read_batches
from tests.datasets.cifar10.original_files import TRAIN_BATCHES, binary_files, pickled_files, random_batches
from tests.datasets.image_trees import complaint_about, pack_tar, pack_zip, small_tree, write_folder

FORMATS = {"bin": binary_files, "py": pickled_files}


def read(source):
    return read_batches(find_batches(iterate_members(source), source), source)


def complaint(source):
    return complaint_about(read, source)


@pytest.mark.parametrize("file_format", FORMATS)
def test_images_labels_and_classes(tmp_path, file_format):
    batches = random_batches()
    data = read(write_folder(tmp_path, FORMATS[file_format](batches)))
    train_images = np.concatenate([batches[name][0] for name in TRAIN_BATCHES])
    np.testing.assert_array_equal(data.train_images, train_images, strict=True)
    assert data.train_labels.dtype == np.int32
    assert data.train_labels.tolist() == [label for name in TRAIN_BATCHES for label in batches[name][1]]
    np.testing.assert_array_equal(data.test_images, batches["test_batch"][0], strict=True)
    assert data.test_labels.tolist() == batches["test_batch"][1].tolist()
    assert " ".join(data.classes) == "airplane automobile bird cat deer dog frog horse ship truck"
    assert (data.name, data.source, data.stand_in) == ("CIFAR-10", str(tmp_path), False)


def test_every_form_has_one_content_hash(tmp_path):
    binary, pickled = binary_files(random_batches()), pickled_files(random_batches())
    folder = write_folder(tmp_path / "folder", binary)
    sources = [
        folder,
        folder / "cifar-10-batches-bin",
        write_folder(tmp_path / "pickled", pickled) / "cifar-10-batches-py",
        pack_tar(tmp_path / "cifar-10-binary.tar.gz", binary, "w:gz"),
        pack_tar(tmp_path / "cifar-10-python.tar.gz", dict(reversed(pickled.items())), "w:gz"),
        pack_zip(tmp_path / "pickled.zip", pickled),
    ]
    assert len({read(source).content_hash for source in sources}) == 1


def test_a_tree_of_images_has_no_batches(tmp_path):
    assert find_batches(iterate_members(write_folder(tmp_path, small_tree() | {"zzz/test_batch": b""})), tmp_path) == {}


def test_missing_and_doubled_batches(tmp_path):
    files = binary_files(random_batches())
    missing = {name: data for name, data in files.items() if "data_batch_4" not in name}
    assert "lacks 'data_batch_4.bin'" in complaint(write_folder(tmp_path / "missing", missing))
    doubled = {f"copy/{name}": data for name, data in files.items()} | files
    assert "'data_batch_1.bin' twice" in complaint(write_folder(tmp_path / "doubled", doubled))
    mixed = files | pickled_files(random_batches())
    assert "mixes its batches with 'data_batch_1'" in complaint(write_folder(tmp_path / "mixed", mixed))


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes(3074), b"\x0a" + bytes(3072)])
def test_damaged_binary_batches(tmp_path, content):
    files = binary_files(random_batches()) | {"cifar-10-batches-bin/data_batch_2.bin": content}
    assert "'data_batch_2.bin' is damaged" in complaint(write_folder(tmp_path, files))


ROWS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        {b"data": ROWS},
        {b"labels": [1, 2]},
        {b"data": ROWS, b"labels": [1, 2, 3]},
        {b"data": ROWS, b"labels": [1, 10]},
        {b"data": ROWS, b"labels": [-1, 1]},
        {b"data": ROWS, b"labels": ["1", "2"]},
        {b"data": ROWS.astype(np.int64), b"labels": [1, 2]},
        {b"data": ROWS.reshape(2, 32, 32, 3), b"labels": [1, 2]},
        {b"data": ROWS[0], b"labels": [1, 2]},
        {b"data": ROWS[:0], b"labels": []},
        {b"data": print, b"labels": [1, 2]},
    ],
)
def test_pickles_that_are_no_batch(tmp_path, content):
    files = pickled_files(random_batches()) | {"cifar-10-batches-py/test_batch": pickle.dumps(content, protocol=2)}
    assert "'test_batch' is" in complaint(write_folder(tmp_path, files))
