"""Whatever is wrong in what a user gives: exit code 2, one line that names it, no traceback, and nothing changed."""

import errno
import hashlib
import json
import os
import pickle
import re
import socket
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dnnts.results import Metric
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.names.config import NamesConfig
from tests.datasets.cifar10.original_files import binary_files, pickled_files, random_batches
from tests.datasets.image_trees import encoded, pack_tar, pack_zip, random_image, small_tree, write_folder
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import call, write_names


def snapshot(folder):
    """Name, kind, size and content of everything below ``folder``."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(state.st_mode) else None
        target = path.readlink() if stat.S_ISLNK(state.st_mode) else None
        entries[str(path.relative_to(folder))] = (stat.filemode(state.st_mode), content, target)
    return entries


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with names, images, experiments and finished runs, for a case to spoil."""
    place = tmp_path / "place"
    write_names(place / "names")
    write_folder(place / "pets", PETS)
    save(place, "run", names_result())
    save(place, "images", cifar_result())
    (place / "names.toml").write_text('experiment = "names"\n', encoding="utf-8")
    (place / "file").write_text("mine\n", encoding="utf-8")
    monkeypatch.chdir(place)
    for variable in ("KERAS_DNNTS_CACHE", "TFDS_DATA_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return place


def save(place, name, result):
    (place / name).mkdir()
    result.save(place / name)


def assert_refused(arguments, culprits, place, capfd):
    before = snapshot(place)
    assert call(*arguments) == 2
    error = capfd.readouterr().err
    assert error.startswith("keras-dnnts: "), error
    assert error.count("\n") == 1, error
    for culprit in (culprits,) if isinstance(culprits, str) else culprits:
        assert culprit in error
    assert len(error) < 1000
    assert snapshot(place) == before


PETS = small_tree() | {
    f"{part}/{pet}/{number}.png": encoded(random_image(number))
    for part in ("train", "test")
    for pet in ("cat", "dog")
    for number in range(4, 14)
}
NAMES = ["names", "--data-dir", "names", "--out", "new"]
CIFAR = ["cifar", "--data-dir", "pets", "--out", "new", "--image-size", "64"]
PREDICT = ["predict", "run"]

BAD_OPTIONS = {
    # no command, or none that exists
    "unknown command": (["train"], "train"),
    "unknown option": (["--verbose"], "--verbose"),
    # names
    "seed too large for NumPy": ([*NAMES, "--seed", str(2**64)], "seed is a number of more than 64 bits"),
    "seed too large for scikit-learn": ([*NAMES, "--seed", str(2**32)], f"--seed is {2**32}"),
    "last seed too large": ([*NAMES, "--seed", str(2**32 - 2), "--seeds", "3"], "--seed is"),
    "a billion seeds": ([*NAMES, "--seeds", "1000000000"], "--seeds is 1000000000"),
    "seed of thousands of digits": ([*NAMES, "--seed", "9" * 5000], "--seed"),
    "a billion units": ([*NAMES, "--hidden-units", "1000000000"], "--hidden-units is 1000000000"),
    "endless iterations": ([*NAMES, "--iterations", str(10**15)], "--iterations is"),
    "units that are no number": ([*NAMES, "--hidden-units", "12.5"], "12.5"),
    "rate too large for a float": ([*NAMES, "--learning-rate", "1e999"], "--learning-rate is inf"),
    "no number": ([*NAMES, "--held-out", "half"], "half"),
    "held-out negative": ([*NAMES, "--held-out=-0.1"], "--held-out is -0.1"),
    "checkpoints never": ([*NAMES, "--checkpoint-seconds", "nan"], "--checkpoint-seconds is nan"),
    "checkpoints before": ([*NAMES, "--checkpoint-seconds=-1"], "--checkpoint-seconds is -1"),
    "held-out names of the reference": (
        [*NAMES, "--protocol", "reference", "--held-out", "0.3"],
        ("--held-out 0.3", "--protocol reference"),
    ),
    "blank letters": ([*NAMES, "--letters", "  "], "alphabet"),
    "letters twice once composed": ([*NAMES, "--letters", "abé\u0065\u0301"], "'é'"),
    "letters that are bytes": ([*NAMES, "--letters", "ab\udcff"], "--letters"),
    "letters without a name": ([*NAMES, "--letters", "xyz"], "Dwarvish"),
    "empty folder name": (["names", "--data-dir", "", "--out", "new"], "--data-dir is empty"),
    "folder name that is bytes": (["names", "--data-dir", "caf\udce9", "--out", "new"], "--data-dir"),
    "data that are a file": (["names", "--data-dir", "file", "--out", "new"], "file"),
    "data that are images": (["names", "--data-dir", "pets", "--out", "new"], "pets"),
    # where to write
    "out is the data": (["names", "--data-dir", "names", "--out", "names"], "--out names"),
    "out is the data, overwritten": (["names", "--data-dir", "names", "--out", "names", "--overwrite"], "names"),
    "out in the data": (["cifar", "--data-dir", "pets", "--image-size", "64", "--out", "pets/train/x"], "pets/train/x"),
    "data in out": (["names", "--data-dir", "names", "--out", ".", "--overwrite"], "--out ."),
    "out is a file": (["names", "--data-dir", "names", "--out", "file"], "--out file"),
    "out in a file": (["names", "--data-dir", "names", "--out", "file/new"], "--out file/new"),
    "out is occupied": (["names", "--data-dir", "names", "--out", "run"], "--out run"),
    "out is no run": (["names", "--data-dir", "names", "--out", "pets", "--overwrite"], "--out pets"),
    "out is too long": (["names", "--data-dir", "names", "--out", "x" * 300], "--out xxx"),
    "out on a device": (["names", "--data-dir", "names", "--out", "/dev/null"], "--out /dev/null"),
    "out in the system": (["names", "--data-dir", "names", "--out", "/proc/new"], "--out /proc/new"),
    # cifar
    "image too small": ([*CIFAR, "--image-size", "62"], "--image-size 62"),
    "image of a kilometre": ([*CIFAR, "--image-size", "1000000"], "--image-size is 1000000"),
    "width of nothing": ([*CIFAR, "--width", "0"], "--width is 0"),
    "width of everything": ([*CIFAR, "--width", "1e300"], "--width is 1e+300"),
    "width that is none": ([*CIFAR, "--width", "nan"], "--width is nan"),
    "no batch": ([*CIFAR, "--batch-size", "0"], "--batch-size is 0"),
    "a batch of everything": ([*CIFAR, "--batch-size", str(10**9)], "--batch-size is 1000000000"),
    "no epochs": ([*CIFAR, "--epochs", "0"], "--epochs is 0"),
    "epochs without end": ([*CIFAR, "--epochs", str(10**12)], "--epochs is"),
    "rate that grows beyond": ([*CIFAR, "--step-factor", "1e9", "--epochs", "1000"], "--step-factor is"),
    "no patience": ([*CIFAR, "--patience=-1"], "--patience is -1"),
    "more images than there are": ([*CIFAR, "--batch-size", "2", "--train-images", "99"], "--train-images is 99"),
    "one image on the map": ([*CIFAR, "--embedding-images", "1"], "--embedding-images is 1"),
    "unknown network": ([*CIFAR, "--arch", "vgg"], "vgg"),
    "unknown precision": ([*CIFAR, "--precision", "float8"], "float8"),
    "name that is bytes": ([*CIFAR, "--dataset-name", "\udcff"], "--dataset-name"),
    "images that are missing": (["cifar", "--data-dir", "nowhere"], "nowhere"),
    "images that are no archive": (["cifar", "--data-dir", "file"], "file"),
    "images that are names": (["cifar", "--data-dir", "names"], "names"),
    # run
    "experiment that is missing": (["run", "nowhere.toml"], "nowhere.toml"),
    "experiment that is a folder": (["run", "names"], "names"),
    "experiment that is a device": (["run", "/dev/zero"], "/dev/zero"),
    "experiment that is an image": (["run", "pets/train/cat/1.png"], "1.png"),
    "no experiment": (["run"], "FILE"),
    "option of the other experiment": (["run", "names.toml", "--dataset-name", "mine"], "dataset_name"),
    # resume
    "resume nothing": (["names", "--resume", "nowhere"], "nowhere"),
    "resume a file": (["names", "--resume", "file"], "file"),
    "resume data": (["names", "--resume", "names"], "names"),
    "resume elsewhere": (["names", "--resume", "run", "--out", "new"], "--resume run"),
    # compare
    "compare nothing": (["compare"], "RUNS"),
    "compare what is missing": (["compare", "nowhere", "--out", "new"], "nowhere"),
    "compare a file": (["compare", "file", "--out", "new"], "file"),
    "compare data": (["compare", "run", "names", "--out", "new"], "names"),
    "compare experiments": (["compare", "run", "images", "--out", "new"], "different experiments"),
    "compare into a file": (["compare", "run", "--out", "file"], "--out file"),
    "compare into the system": (["compare", "run", "--out", "/proc/new"], "/proc/new"),
    # predict
    "predict without a run": (["predict"], "RUN"),
    "predict by what is missing": (["predict", "nowhere", "Smith"], "nowhere"),
    "predict by data": (["predict", "names", "Smith"], "names"),
    "predict by no model": ([*PREDICT, "Smith"], "model-seed-0.keras"),
    "predict by no seed": ([*PREDICT, "--seed", "9", "Smith"], "--seed 9"),
    "predict no guesses": ([*PREDICT, "--top-k", "0", "Smith"], "--top-k"),
    # report and export
    "report on what is missing": (["report", "nowhere"], "nowhere"),
    "report on data": (["report", "names"], "names"),
    "report into a folder": (["report", "run", "--out", "pets"], "pets"),
    "report into a file's folder": (["report", "run", "--out", "file/page.html"], "file/page.html"),
    "report into the system": (["report", "run", "--out", "/proc/new/page.html"], "/proc/new"),
    "export nothing": (["export"], "RUN"),
    "export what is missing": (["export", "nowhere", "--format", "onnx"], "nowhere"),
    "export to what": (["export", "run", "--format", "tflite"], "tflite"),
    "export without a format": (["export", "run"], "--format"),
    "export no model": (["export", "run", "--format", "onnx"], "model-seed-0.keras"),
    "export no letters": (["export", "run", "--format", "onnx", "--length", "0"], "--length"),
    # data
    "data of what": (["data", "cifar10"], "cifar10"),
}


@pytest.mark.parametrize(("arguments", "culprits"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(arguments, culprits, place, capfd):
    assert_refused(arguments, culprits, place, capfd)


def category(content):
    return lambda place: (place / "names" / "Elvish.txt").write_bytes(content)


def replaced(name, make):
    def spoil(place):
        (place / name).unlink(missing_ok=True)
        make(place / name)

    return spoil


def bind_socket(path):
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    os.chdir(here)


ELVISH = "names/Elvish.txt"
BAD_NAMES = {
    "UTF-16": (category("Arwen\nElrond\n".encode("utf-16")), "Elvish.txt: is UTF-16"),
    "Latin-1": (category("Arwen\nÉowyn\nLegolas\n".encode("latin-1")), "Elvish.txt, line 2: not UTF-8"),
    "zeros": (category(bytes(100_000)), "Elvish.txt"),
    "a long line": (category(b"x" * 201 + b"\nArwen\n"), "Elvish.txt, line 1: 201 letters"),
    "nothing": (category(b""), "Elvish"),
    "blank lines": (category(b" \n\t\n\r\n"), "Elvish"),
    "other letters": (category("李\n王\n".encode()), "Elvish"),
    "one name": (category(b"Arwen\narwen \nARWEN\n"), "Elvish"),
    "a folder": (replaced(ELVISH, Path.mkdir), "Elvish.txt"),
    "a pipe": (replaced(ELVISH, os.mkfifo), "Elvish.txt"),
    "a socket": (replaced(ELVISH, bind_socket), "Elvish.txt"),
    "a link to itself": (replaced(ELVISH, lambda path: path.symlink_to(path)), "Elvish.txt"),
    "a link to nowhere": (replaced(ELVISH, lambda path: path.symlink_to("nowhere")), "Elvish.txt"),
    "a link to a device": (replaced(ELVISH, lambda path: path.symlink_to("/dev/zero")), "Elvish.txt"),
    "a name that is bytes": (replaced("names/\udcff.txt", lambda path: path.write_bytes(b"Ori\nNori\n")), "UTF-8"),
}


@pytest.mark.parametrize(("spoil", "culprits"), BAD_NAMES.values(), ids=BAD_NAMES)
def test_bad_names(spoil, culprits, place, capfd):
    spoil(place)
    assert_refused(NAMES, culprits, place, capfd)


def png_of(width, height):
    """A PNG whose header promises more than its few bytes hold."""
    header = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def image(name, data):
    return lambda place: write_folder(place / "pets", {name: data})


def batches(changes, binary=False):
    def spoil(place):
        files = (binary_files if binary else pickled_files)(random_batches())
        for path in (place / "pets").rglob("*.png"):
            path.unlink()
        write_folder(place / "pets", {name: data for name, data in (files | changes).items() if data is not None})

    return spoil


class Malicious:
    def __reduce__(self):
        return Path.mkdir, (Path("pets/owned"),)


def bad_labels():
    return pickle.dumps({b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 99]})


BATCHES = next(iter(pickled_files(random_batches()))).rpartition("/")[0]
BAD_IMAGES = {
    "an image cut off": (image("train/cat/1.png", encoded(random_image(0))[:80]), "train/cat/1.png"),
    "an empty image": (image("train/cat/1.png", b""), "train/cat/1.png"),
    "text": (image("train/cat/1.png", b"no image"), "train/cat/1.png"),
    "a huge image": (image("train/cat/1.png", png_of(2**31 - 1, 2**31 - 1)), "train/cat/1.png"),
    "an image without rows": (image("train/cat/1.png", png_of(0, 0)), "train/cat/1.png"),
    "PostScript": (image("train/cat/1.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"), "train/cat/1.png"),
    "a file among images": (image("train/cat/notes.txt", b"mine"), "notes.txt"),
    "an image without a class": (image("train/9.png", encoded(random_image(0))), "train/9.png"),
    "a class in one part": (image("train/fish/1.png", encoded(random_image(0))), "fish"),
    "a pipe": (replaced("pets/train/cat/1.png", os.mkfifo), "1.png"),
    "a link around": (lambda place: (place / "pets" / "train" / "cat" / "all").symlink_to(place / "pets"), "cat/all"),
    "malicious batches": (batches({f"{BATCHES}/data_batch_1": pickle.dumps(Malicious())}), "data_batch_1"),
    "a batch cut off": (batches({f"{BATCHES}/data_batch_2": b"\x80\x04"}), "data_batch_2"),
    "a batch missing": (batches({f"{BATCHES}/data_batch_3": None}), "data_batch_3"),
    "labels beyond": (batches({f"{BATCHES}/test_batch": bad_labels()}), "test_batch"),
}


@pytest.mark.parametrize(("spoil", "culprits"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(spoil, culprits, place, capfd):
    spoil(place)
    assert_refused([*CIFAR, "--batch-size", "2"], culprits, place, capfd)


def packed(pack, tree, change=lambda data: data):
    def spoil(place):
        path = pack(place / "archive", tree)
        path.write_bytes(change(path.read_bytes()))

    return spoil


BAD_ARCHIVES = {
    "outside, tar": (packed(pack_tar, PETS | {"../../up.png": b""}), "../../up.png"),
    "outside, zip": (packed(pack_zip, PETS | {"/etc/passwd.png": b""}), "/etc/passwd.png"),
    "a drive": (packed(pack_zip, PETS | {"C:\\up.png": b""}), "up.png"),
    "tar cut off": (packed(pack_tar, PETS, lambda data: data[:2000]), "archive"),
    "zip cut off": (packed(pack_zip, PETS, lambda data: data[:-60]), "archive"),
    "zip changed": (packed(pack_zip, PETS, lambda data: data[:60] + b"\0" * 9 + data[69:]), "archive"),
    "empty": (packed(pack_tar, {}), "archive"),
    "without images": (packed(pack_zip, {"cat/1.txt": b""}), "archive"),
    "no archive": (packed(pack_zip, {}, lambda data: b"\x1f\x8b" + b"\0" * 100), "archive"),
}


@pytest.mark.parametrize(("spoil", "culprits"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_bad_archives(spoil, culprits, place, capfd):
    spoil(place)
    assert_refused(["cifar", "--data-dir", "archive", "--image-size", "64"], culprits, place, capfd)


BAD_EXPERIMENTS = {
    "empty": (b"", "experiment"),
    "no TOML": (b"experiment: names", "TOML"),
    "not UTF-8": (b'experiment = "caf\xe9"', "UTF-8"),
    "NUL": (b'experiment = "names"\0', "TOML"),
    "unknown experiment": (b'experiment = "poems"', "poems"),
    "experiment that is a list": (b'experiment = ["names"]', "names"),
    "unknown option": (b'experiment = "names"\nattention = true', "attention"),
    "wrong type": (b'experiment = "names"\niterations = "many"', "iterations"),
    "a date": (b'experiment = "names"\nseed = 2024-01-01', "seed"),
    "a table": (b'experiment = "names"\n[seed]\nvalue = 1', "seed"),
    "not a number": (b'experiment = "names"\nlearning_rate = nan', "--learning-rate is nan"),
    "too large a number": (b'experiment = "names"\nlearning_rate = 0x' + b"f" * 5000, "learning_rate"),
    "a number of many digits": (b'experiment = "names"\nseed = ' + b"9" * 5000, "TOML"),
    "NUL in a path": (b'experiment = "names"\nmodel = "a\\u0000b"', "--model"),
    "brackets without end": (b'experiment = "names"\nseed = ' + b"[" * 100_000, "TOML"),
    "a long option": (b'experiment = "names"\n' + b"x" * 10_000 + b" = 1", "xxx"),
    "a long value": (b'experiment = "names"\ncell = "' + b"x" * 10_000 + b'"', "xxx"),
    "megabytes": (b"# nothing\n" * 200_000, "bytes"),
}


@pytest.mark.parametrize(("content", "culprits"), BAD_EXPERIMENTS.values(), ids=BAD_EXPERIMENTS)
def test_bad_experiments(content, culprits, place, capfd):
    (place / "odd.toml").write_bytes(content)
    assert_refused(["run", "odd.toml", "--data-dir", "names", "--out", "new"], ("odd.toml", culprits), place, capfd)


def rewritten(change):
    def spoil(place):
        path = place / "run" / "results.json"
        plain = json.loads(path.read_bytes())
        change(plain)
        path.write_text(json.dumps(plain), encoding="utf-8")

    return spoil


def cut(name):
    return lambda place: (place / "run" / name).write_bytes((place / "run" / name).read_bytes()[:300])


BAD_RUNS = {
    "results cut off": (cut("results.json"), "run/results.json"),
    "arrays cut off": (cut("results.npz"), "run/results.npz"),
    "arrays gone": (lambda place: (place / "run" / "results.npz").unlink(), "run/results.npz"),
    "arrays a pipe": (replaced("run/results.npz", os.mkfifo), "run/results.npz"),
    "results a folder": (replaced("run/results.json", Path.mkdir), "run"),
    "results a pipe": (replaced("run/results.json", os.mkfifo), "run"),
    "another version": (rewritten(lambda plain: plain.update(format_version=3)), "version 3"),
    "a list": (lambda place: (place / "run" / "results.json").write_text("[]", encoding="utf-8"), "results.json"),
    "a metric gone": (rewritten(lambda plain: plain["metrics"].pop("final_loss")), "metrics.final_loss"),
    "fewer seeds": (rewritten(lambda plain: plain["config"].update(seeds=2)), "2 seeds"),
    "arrays elsewhere": (rewritten(lambda plain: plain.update(arrays="/etc/passwd")), "/etc/passwd"),
}


READERS = (["compare", "run", "--out", "new"], ["predict", "run", "Smith"], ["report", "run"])


@pytest.mark.parametrize("command", READERS, ids=lambda command: command[0])
@pytest.mark.parametrize(("spoil", "culprits"), BAD_RUNS.values(), ids=BAD_RUNS)
def test_bad_runs(spoil, culprits, command, place, capfd):
    spoil(place)
    assert_refused(command, culprits, place, capfd)


BAD_CONFIGS = {
    "cut off": b'experiment = "nam',
    "of another experiment": CifarConfig().to_toml().encode(),
    "edited": NamesConfig().to_toml().replace("128", "-1").encode(),
}


@pytest.mark.parametrize("content", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_bad_configs_of_runs(content, place, capfd):
    (place / "run" / "results.json").unlink()
    (place / "run" / "config.toml").write_bytes(content)
    assert_refused(["names", "--resume", "run"], "run", place, capfd)


BAD_ENVIRONMENTS = {
    "no such engine": ({"KERAS_BACKEND": "mxnet"}, NAMES, "mxnet"),
    "no such engine for images": ({"KERAS_BACKEND": "mxnet"}, CIFAR, "KERAS_BACKEND is 'mxnet'"),
    "data in a file": ({"TFDS_DATA_DIR": "file"}, ["data", "--fetch"], "file"),
    "no network": ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}, ["data", "--fetch"], "cannot download"),
}


@pytest.mark.every_engine
@pytest.mark.parametrize(("variables", "arguments", "culprits"), BAD_ENVIRONMENTS.values(), ids=BAD_ENVIRONMENTS)
def test_bad_environments(variables, arguments, culprits, place, monkeypatch, capfd):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert_refused(arguments, culprits, place, capfd)


@pytest.mark.parametrize("arguments", [NAMES, CIFAR, ["compare", "run"], ["run", "names.toml"]], ids=lambda a: a[0])
def test_what_may_not_be_read(arguments, place, monkeypatch, capfd):
    """Root may read all, so that a chmod would test nothing."""
    spoiled = {"Elvish.txt", "1.png", "results.npz", "names.toml"}
    opened = Path.open

    def open_or_refuse(path, mode="r", *args, **kwargs):
        if path.name in spoiled and "r" in mode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, mode, *args, **kwargs)

    before = snapshot(place)
    monkeypatch.setattr(Path, "open", open_or_refuse)
    monkeypatch.setattr(Path, "read_bytes", lambda path: open_or_refuse(path, "rb").read())
    if arguments[0] == "compare":
        monkeypatch.setattr(np, "load", lambda path, **_: open_or_refuse(path, "rb"))
    assert call(*arguments) == 2
    monkeypatch.undo()
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "Permission denied" in error
    assert any(name in error for name in spoiled)
    assert snapshot(place) == before


REAL = {
    "names": (["names", "--data-dir", "nowhere"], "nowhere"),
    "cifar": (["cifar", "--data-dir", "file"], "file"),
    "run": (["run", "/dev/zero"], "/dev/zero"),
    "compare": (["compare", "pets"], "pets"),
    "predict": (["predict", "run", "Smith"], "model-seed-0.keras"),
    "bytes": (["compare", b"\xff\xfe"], r"\udcff"),
}


@pytest.mark.parametrize(("arguments", "culprit"), REAL.values(), ids=REAL)
def test_bad_options_of_a_real_process(arguments, culprit, place):
    before = snapshot(place)
    command = [sys.executable, "-m", "keras_dnnts", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    # Progress is printed before imports, which take seconds.
    assert (done.returncode, re.sub(r"\A[^\n]*reading the data\n", "", done.stdout)) == (2, "")
    assert done.stderr.count("\n") == 1
    assert culprit in done.stderr
    assert snapshot(place) == before


@pytest.mark.every_engine
def test_settings_of_keras_that_it_refuses(place):
    (place / "keras").mkdir()
    (place / "keras" / "keras.json").write_text('{"floatx": "float99"}', encoding="utf-8")
    before = snapshot(place)
    command = [sys.executable, "-m", "keras_dnnts", *NAMES, "--iterations", "5", "--quiet"]
    environment = os.environ | {"KERAS_HOME": str(place / "keras")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    if keras.backend.backend() != "tensorflow":  # which swallows what Keras said when it imports Keras itself
        assert "float99" in done.stderr
    assert str(place / "keras" / "keras.json") in done.stderr
    assert snapshot(place) == before


def test_warnings_wait_until_nothing_is_wrong(place, capfd):
    """Runs of different data compare with a warning, which is no second line where the comparison fails."""
    save(place, "other", names_result(content_hash="sha256:2"))
    assert_refused(["compare", "run", "other", "--out", "file"], "--out file", place, capfd)


def test_the_table_is_long_enough():
    tables = (
        BAD_OPTIONS,
        BAD_NAMES,
        BAD_IMAGES,
        BAD_ARCHIVES,
        BAD_EXPERIMENTS,
        BAD_RUNS,
        BAD_CONFIGS,
        BAD_ENVIRONMENTS,
    )
    assert sum(map(len, tables)) >= 120


def test_an_accuracy_beyond_one_is_an_edit(place, capfd):
    result = names_result(seeds=1)
    result.metrics["train_accuracy"] = Metric((1.5,), ((1.4, 1.6),))
    save(place, "edited", result)
    assert_refused(["compare", "edited", "--out", "new"], "metrics.train_accuracy", place, capfd)
