import sys

import numpy as np
import pytest

from keras_dnnts.datasets import fetch
from keras_dnnts.datasets.archives import iterate_members
from keras_dnnts.datasets.cifar10 import find_batches, load_cifar10, read_batches
from keras_dnnts.errors import UserError
from tests.datasets.cifar10.original_files import binary_files, random_batches
from tests.datasets.image_trees import pack_tar

tfds = pytest.importorskip("tensorflow_datasets")
builder = pytest.importorskip("keras_dnnts.datasets.cifar10.builder")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive in the place of the download, and empty folders for data and cache."""
    path = pack_tar(tmp_path / "download", binary_files(random_batches()), "w:gz")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "_preflight", lambda url: None)
    monkeypatch.setattr(tfds.download.DownloadManager, "download", lambda self, url: {builder.URL: path}[url])
    return path


def test_prepared_data_equal_the_original_files(archive):
    expected = read_batches(find_batches(iterate_members(archive), archive), archive)
    had_tensorflow = "tensorflow" in sys.modules
    data = load_cifar10()
    assert ("tensorflow" in sys.modules) == had_tensorflow
    assert (data.name, data.source, data.stand_in) == ("CIFAR-10", "tensorflow-datasets", False)
    assert (data.classes, data.content_hash) == (expected.classes, expected.content_hash)
    np.testing.assert_array_equal(data.train_images, expected.train_images, strict=True)
    np.testing.assert_array_equal(data.test_labels, expected.test_labels, strict=True)


def test_a_second_load_needs_neither_download_nor_records(archive, monkeypatch):
    first = load_cifar10()
    archive.unlink()
    monkeypatch.setattr(builder, "read_prepared", None)
    assert load_cifar10().content_hash == first.content_hash


def test_damaged_records_are_a_user_error(archive, tmp_path, monkeypatch):
    load_cifar10()
    record = next((tmp_path / "tfds").rglob("*train.array_record*"))
    record.write_bytes(record.read_bytes()[:-1000])
    with pytest.raises(UserError, match="is damaged"):
        load_cifar10()


def test_the_checksum_is_the_one_tensorflow_datasets_has():
    own = builder.KerasDnntsCifar10.url_infos
    known = tfds.download.checksums.load_url_infos(tfds.core.utils.tfds_path() / "url_checksums" / "cifar10.txt")
    assert list(own) == [builder.URL]
    assert own[builder.URL] == known[builder.URL]
