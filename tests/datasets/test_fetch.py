import hashlib
import logging
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import filelock
import numpy as np
import pytest

from keras_dnnts.datasets import fetch
from keras_dnnts.datasets.fetch import OutOfReachError, is_cached, prepared_builder, read_examples
from keras_dnnts.errors import UserError
from tests.datasets.preparers import Preparer

pytest.importorskip("array_record", reason="array_record has no wheels for this platform")
tfds = pytest.importorskip("tensorflow_datasets")
from tensorflow_datasets.core.download.checksums import UrlInfo  # noqa: E402

CONTENT = b"4 8 15 16 23 42"


class FetchedNumbers(tfds.core.GeneratorBasedBuilder):
    """The numbers of one small file, whose checksum the tests set."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"number": tfds.features.Scalar(dtype=np.int64)})
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(dl_manager.download(next(iter(self.url_infos))))}

    def _generate_examples(self, file):
        for position, number in enumerate(file.read_text().split()):
            yield position, {"number": int(number)}


class Server(ThreadingHTTPServer):
    """Answers every request with ``body``, declares ``length`` and waits for ``open_gate``."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.length, self.status = CONTENT, len(CONTENT), 200
        self.methods = []
        self.open_gate = threading.Event()
        self.open_gate.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/numbers.txt"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.methods.append(self.command)
        self.server.open_gate.wait(timeout=10)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(self.server.length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.server.body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pin(monkeypatch, server.url)
    yield server
    server.open_gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def pin(monkeypatch, url):
    monkeypatch.setattr(FetchedNumbers, "url_infos", pinned(url), raising=False)


def pinned(url):
    return {url: UrlInfo(size=len(CONTENT), checksum=hashlib.sha256(CONTENT).hexdigest(), filename="numbers.txt")}


def numbers(builder):
    return [int(example["number"]) for example in read_examples(builder, "train")]


def left_in(folder):
    """Files but empty ones, which locks are, and what tensorflow-datasets calls incomplete."""
    everything = folder.rglob("*")
    return [file for file in everything if "incomplete" in file.name or (file.is_file() and file.stat().st_size)]


def incomplete_in(folder):
    return [path for path in left_in(folder) if "incomplete" in str(path)]


def test_data_dir_is_that_of_tensorflow_datasets(data_dir, monkeypatch):
    assert fetch.data_dir() == data_dir
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(fetch.data_dir()) == tfds.core.constants.get_default_data_dir() == "/home/someone/tensorflow_datasets"


def test_data_are_downloaded_once_and_then_read_from_the_cache(server, data_dir, capfd):
    assert not is_cached(FetchedNumbers)
    assert numbers(prepared_builder(FetchedNumbers, server.url)) == [4, 8, 15, 16, 23, 42]
    assert server.methods == ["HEAD", "GET"]
    assert is_cached(FetchedNumbers)
    assert numbers(prepared_builder(FetchedNumbers, server.url)) == [4, 8, 15, 16, 23, 42]
    assert server.methods == ["HEAD", "GET"]
    assert {path.parent for path in left_in(data_dir)} == {data_dir / "fetched_numbers" / "1.0.0"}
    assert capfd.readouterr() == ("", "")


def test_an_examples_order_survives_reading_in_pieces(server, monkeypatch):
    monkeypatch.setattr(fetch, "EXAMPLES_AT_ONCE", 4)
    assert numbers(prepared_builder(FetchedNumbers, server.url)) == [4, 8, 15, 16, 23, 42]


def test_a_refused_connection_is_reported_at_once(server, data_dir, monkeypatch):
    server.server_close()
    started = time.monotonic()
    with pytest.raises(OutOfReachError, match=r"numbers\.txt \(ConnectionError\)") as caught:
        prepared_builder(FetchedNumbers, server.url)
    assert time.monotonic() - started < 2
    assert str(fetch.manual_dir()) in str(caught.value)
    assert not data_dir.exists()


def test_a_server_that_does_not_answer(server, data_dir, monkeypatch):
    monkeypatch.setattr(fetch, "PREFLIGHT_SECONDS", 0.2)
    server.open_gate.clear()
    with pytest.raises(OutOfReachError, match=r"no answer within 0.2 s|ReadTimeout"):
        prepared_builder(FetchedNumbers, server.url)
    assert not data_dir.exists()


def test_a_name_service_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(fetch, "PREFLIGHT_SECONDS", 0.2)
    answered = threading.Event()

    def getaddrinfo(*args, **kwargs):
        answered.wait(timeout=10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    pin(monkeypatch, "http://names.invalid/numbers.txt")
    started = time.monotonic()
    with pytest.raises(OutOfReachError, match=r"no answer within 0.2 s"):
        prepared_builder(FetchedNumbers, "http://names.invalid/numbers.txt")
    assert time.monotonic() - started < 2
    answered.set()


def test_a_file_the_server_does_not_have(server):
    server.status = 404
    with pytest.raises(OutOfReachError, match="HTTP status 404"):
        prepared_builder(FetchedNumbers, server.url)


def test_a_wrong_download_is_refused_and_leaves_nothing(server, data_dir):
    server.body = CONTENT[::-1]
    with pytest.raises(UserError, match=r"numbers\.txt.* wrong checksum") as caught:
        prepared_builder(FetchedNumbers, server.url)
    assert not isinstance(caught.value, OutOfReachError)
    assert "\n" not in str(caught.value)
    assert not is_cached(FetchedNumbers)
    assert left_in(data_dir) == []
    server.body = CONTENT
    assert numbers(prepared_builder(FetchedNumbers, server.url))


def test_a_short_download_is_refused_and_leaves_nothing(server, data_dir):
    server.body = CONTENT[:5]
    with pytest.raises(OutOfReachError, match="fetched_numbers failed"):
        prepared_builder(FetchedNumbers, server.url)
    assert left_in(data_dir) == []


def test_a_short_download_that_declares_itself_whole_is_refused(server):
    server.body, server.length = CONTENT[:5], 5
    with pytest.raises(UserError, match="wrong checksum"):
        prepared_builder(FetchedNumbers, server.url)


def test_a_download_without_a_known_checksum_is_refused(server, monkeypatch):
    monkeypatch.setattr(FetchedNumbers, "_split_generators", lambda self, manager: manager.download(server.url + "?"))
    with pytest.raises(ValueError, match="Missing checksums"):
        prepared_builder(FetchedNumbers, server.url)


def test_a_file_put_by_hand_needs_no_network(data_dir, monkeypatch):
    pin(monkeypatch, "http://names.invalid/numbers.txt")
    fetch.manual_dir().mkdir(parents=True)
    (fetch.manual_dir() / "numbers.txt").write_bytes(CONTENT)
    assert numbers(prepared_builder(FetchedNumbers, "http://names.invalid/numbers.txt")) == [4, 8, 15, 16, 23, 42]


def test_a_wrong_file_put_by_hand_is_named(monkeypatch):
    pin(monkeypatch, "http://names.invalid/numbers.txt")
    by_hand = fetch.manual_dir() / "numbers.txt"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(b"1 2 3")
    with pytest.raises(UserError, match=f"{by_hand}, has wrong checksum: replace the file"):
        prepared_builder(FetchedNumbers, "http://names.invalid/numbers.txt")


def test_what_another_process_prepares_meanwhile_is_as_good(server, data_dir, monkeypatch):
    generate = FetchedNumbers._generate_examples

    def generate_after_another_process(self, file):
        monkeypatch.setattr(FetchedNumbers, "_generate_examples", generate)
        fetch._prepare(FetchedNumbers)  # as one would that knows no lock
        assert is_cached(FetchedNumbers)
        return generate(self, file)

    monkeypatch.setattr(FetchedNumbers, "_generate_examples", generate_after_another_process)
    assert numbers(prepared_builder(FetchedNumbers, server.url)) == [4, 8, 15, 16, 23, 42]
    assert [path for path in left_in(data_dir) if "incomplete" in str(path)] == []


def test_processes_that_prepare_at_once_all_have_the_data(server, tmp_path):
    rounds = 5
    with Preparer("fetched", server.url) as first, Preparer("fetched", server.url) as second:
        for number in range(rounds):
            for preparer in (first, second):
                preparer.start(tmp_path / f"data {number}")
            assert {first.answer(), second.answer()} == {"[4, 8, 15, 16, 23, 42]"}
            assert incomplete_in(tmp_path / f"data {number}") == []
    assert server.methods.count("GET") == rounds


def test_a_killed_preparer_stops_nobody_and_leaves_nothing(server, data_dir):
    with Preparer("killed", server.url) as killed, Preparer("fetched", server.url) as next_one:
        killed.start(data_dir)
        assert killed.answer() == ""
        assert killed.process.wait(timeout=60) == -signal.SIGKILL
        assert incomplete_in(data_dir)
        assert not is_cached(FetchedNumbers)
        next_one.start(data_dir)
        assert next_one.answer() == "[4, 8, 15, 16, 23, 42]"
    assert incomplete_in(data_dir) == []


def test_waiting_for_another_preparer_is_announced(server, data_dir, caplog):
    data_dir.mkdir()
    held = threading.Event()

    def hold():
        with filelock.FileLock(data_dir / ".fetched_numbers.lock"):
            held.set()
            time.sleep(0.2)

    threading.Thread(target=hold).start()
    held.wait(timeout=10)
    assert numbers(prepared_builder(FetchedNumbers, server.url)) == [4, 8, 15, 16, 23, 42]
    assert caplog.messages == [f"waiting for another process that prepares fetched_numbers in {data_dir}"]


def test_a_data_dir_that_cannot_be_written(server, data_dir):
    data_dir.write_text("no folder")
    with pytest.raises(UserError, match=f"cannot keep data in {data_dir} .* TFDS_DATA_DIR"):
        prepared_builder(FetchedNumbers, server.url)


@pytest.mark.parametrize("damage", [b"", b"\0" * 100_000])
def test_a_damaged_cache_is_named(server, data_dir, damage):
    builder = prepared_builder(FetchedNumbers, server.url)
    (records,) = data_dir.rglob("*.array_record*")
    records.write_bytes(damage)
    with pytest.raises(UserError, match=f"{builder.data_dir} is damaged .* delete that folder"):
        numbers(builder)


def test_where_tensorflow_datasets_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    with pytest.raises(OutOfReachError, match="data_dir"):
        fetch.import_tfds()


def test_preparing_is_announced(server, data_dir, caplog):
    with caplog.at_level(logging.INFO, logger="keras_dnnts"):
        prepared_builder(FetchedNumbers, server.url)
    assert caplog.messages == [f"preparing fetched_numbers in {data_dir}"]
