import logging
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from keras_dnnts.datasets import fetch
from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.errors import UserError
from keras_dnnts.studies.names import data as names
from keras_dnnts.studies.names.data import load_names, load_names_dataset

REAL_NAMES = Path(__file__).parents[3] / ".." / "shared" / "data" / "names"
LANGUAGES = (
    "Arabic Chinese Czech Dutch English French German Greek Irish Italian Japanese Korean Polish Portuguese Russian "
    "Scottish Spanish Vietnamese"
)


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))


@pytest.fixture
def files(tmp_path):
    """A folder of 18 short files in place of the real ones, languages of unequal length."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number, language in enumerate(LANGUAGES.split(), start=1):
        lines = [f"{language}ová {chr(ord('a') + line)}" for line in range(number)]
        (folder / f"{language}.txt").write_text("\n".join(["ż Zulu", *lines, "李", ""]), encoding="utf-8")
    return folder


@pytest.fixture
def downloads(files, monkeypatch):
    """Lets the files be downloaded without network or checksums, and counts the times."""
    tfds = pytest.importorskip("tensorflow_datasets")
    asked = []

    def download(self, urls):
        asked.append(urls)
        return {language: files / f"{language}.txt" for language in urls}

    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    monkeypatch.setattr(fetch, "_preflight", lambda url: None)
    return asked


@pytest.fixture
def offline(monkeypatch):
    def preflight(url):
        raise fetch.OutOfReachError(f"cannot download {url}")

    monkeypatch.setattr(fetch, "_preflight", preflight)


def test_downloaded_names_equal_those_of_a_folder_of_the_same_files(files, downloads):
    data = load_names(REFERENCE_ALPHABET)
    assert (data.name, data.source, data.stand_in) == ("names", "tensorflow-datasets", False)
    assert data.classes == tuple(LANGUAGES.split())
    assert len(data.texts) == sum(range(1, 19)) + 18
    assert data.texts[:3] == ("z Zulu", "Arabicova a", "z Zulu")
    assert data.skipped == 18
    assert data.content_hash == load_text_folder(files, REFERENCE_ALPHABET).content_hash


def test_names_are_downloaded_once(downloads):
    first, second = load_names(REFERENCE_ALPHABET), load_names("abcdefghijklmnopqrstuvwxyzá")
    assert len(downloads) == 1
    assert first.texts != second.texts
    assert second.texts[1] == "rabicová a".replace(" ", "")


def test_files_come_from_one_pinned_commit(downloads):
    load_names(REFERENCE_ALPHABET)
    (urls,) = downloads
    assert list(urls) == LANGUAGES.split()
    commits = {re.fullmatch(r"https://\S+/([0-9a-f]{40})/data/names/(\w+)\.txt", url)[1] for url in urls.values()}
    assert len(commits) == 1


def test_a_wrong_file_is_refused(files, offline):
    """All 18 are there, put by hand, but not one is the real one."""
    pytest.importorskip("array_record")
    fetch.manual_dir().parent.mkdir(parents=True)
    files.rename(fetch.manual_dir())
    with pytest.raises(UserError, match=r"(\w+)\.txt.* wrong checksum"):
        load_names_dataset("auto", None, REFERENCE_ALPHABET)


def test_auto_is_the_real_names_where_they_can_be_had(downloads, caplog):
    data = load_names_dataset("auto", None, REFERENCE_ALPHABET)
    assert (data.name, data.stand_in) == ("names", False)
    assert caplog.messages == []


def test_auto_is_the_starter_names_with_a_warning_where_there_is_no_network(offline, caplog):
    data = load_names_dataset("auto", None, REFERENCE_ALPHABET)
    assert (data.name, data.source, data.stand_in) == ("starter names", "bundled", True)
    ((_, level, message),) = caplog.record_tuples
    assert level == logging.WARNING
    assert "starter names" in message
    assert "\n" not in message


def test_auto_is_the_starter_names_where_tensorflow_datasets_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    monkeypatch.delitem(sys.modules, "keras_dnnts.datasets.names_builder.builder", raising=False)
    assert load_names_dataset("auto", None, REFERENCE_ALPHABET).stand_in


def test_real_names_asked_for_are_an_error_without_network(offline):
    with pytest.raises(UserError, match="cannot download"):
        load_names_dataset("names", None, REFERENCE_ALPHABET)


def test_starter_names_asked_for_stand_in_for_nothing(monkeypatch):
    monkeypatch.setattr(names, "load_names", None)
    data = load_names_dataset("starter", None, REFERENCE_ALPHABET)
    assert (data.name, data.stand_in) == ("starter names", False)


def test_a_folder_given_is_what_is_loaded(files):
    data = load_names_dataset("auto", files, REFERENCE_ALPHABET)
    assert (data.name, data.source, data.stand_in) == ("files", str(files), False)


def test_an_unknown_data_set():
    with pytest.raises(UserError, match="'cifar10': choose one of auto, names, starter"):
        load_names_dataset("cifar10", None, REFERENCE_ALPHABET)


WITHOUT_TENSORFLOW = """
    import importlib.machinery, pathlib, sys

    find_spec = importlib.machinery.PathFinder.find_spec
    importlib.machinery.PathFinder.find_spec = lambda name, *args: (
        None if name.partition(".")[0] == "tensorflow" else find_spec(name, *args)
    )

    import tensorflow_datasets as tfds
    from keras_dnnts.datasets import alphabets, fetch
    from keras_dnnts.studies.names import data as names

    folder = pathlib.Path(sys.argv[1])
    fetch._preflight = lambda url: None
    tfds.download.DownloadManager.download = lambda self, urls: {key: folder / f"{key}.txt" for key in urls}
    print(names.load_names(alphabets.REFERENCE_ALPHABET).content_hash, "tensorflow" in sys.modules)
    try:
        import tensorflow
    except ImportError:
        print("blocked")
"""


def test_tensorflow_is_not_needed(files):
    pytest.importorskip("array_record")
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT_TENSORFLOW), str(files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    expected = load_text_folder(files, REFERENCE_ALPHABET).content_hash
    assert done.stdout.split() == [expected, "False", "blocked"], done.stderr


@pytest.mark.skipif(not REAL_NAMES.is_dir(), reason="needs the real names beside the repository")
def test_the_real_files_pass_their_checksums(offline):
    pytest.importorskip("array_record")
    fetch.manual_dir().parent.mkdir(parents=True)
    fetch.manual_dir().symlink_to(REAL_NAMES.resolve())
    data = load_names(REFERENCE_ALPHABET)
    assert data.letters.shape == (20_050, 19)
    assert data.content_hash == load_text_folder(REAL_NAMES, REFERENCE_ALPHABET).content_hash
