"""Names in NumPy against the Keras model, and against what the training process itself counted."""

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.datasets.splits import split_names
from keras_dnnts.errors import UserError
from keras_dnnts.results import load_result
from keras_dnnts.running.saved_models import find_saved_model
from keras_dnnts.studies.names.models import build_char_rnn
from keras_dnnts.studies.names.predict import load_numpy_model, predict_names
from tests.devices import FARTHER
from tests.finished_runs import names_result
from tests.names_folders import call, write_names

pytestmark = pytest.mark.one_engine

CLASSES = ("Elbisch", "<b>精霊</b>", "الجن", "🧝, elf")
ALPHABET = "abcdeéABC '"
LONGEST = 23


def save_run(folder: Path, cell="gru", units=9, seeds=1, seed=3):
    """A finished run of ``cell`` whose models have random weights; returns the first seed's model."""
    folder.mkdir(parents=True)
    result = names_result(seeds=seeds, classes=CLASSES, cell=cell)
    result.config.update(letters=ALPHABET, hidden_units=units, seed=seed)
    result.save(folder)
    models = []
    for number in range(seed, seed + seeds):
        random = np.random.default_rng(number)
        model = build_char_rnn(cell, len(ALPHABET) + 1, len(CLASSES), units, seed=number)
        model.set_weights([random.normal(0.1, 0.5, weight.shape) for weight in model.get_weights()])
        model.save(folder / f"model-seed-{number}.keras")
        models.append(model)
    return models[0]


def random_names(count=700):
    random = np.random.default_rng(5)
    lengths = np.append(np.arange(1, LONGEST + 1), random.integers(1, LONGEST + 1, count - LONGEST)).astype("int32")
    letters = random.integers(0, len(ALPHABET), (count, LONGEST), dtype=np.int32)
    return letters, lengths


@pytest.mark.every_engine
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_numpy_equals_keras(cell, tmp_path):
    model = save_run(tmp_path / "run", cell)
    letters, lengths = random_names()

    found = load_numpy_model(find_saved_model(tmp_path / "run")).log_probabilities(letters, lengths)

    expected = model.predict((letters, lengths), batch_size=64, verbose=0)
    assert np.ptp(expected) > 2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * FARTHER)


@pytest.mark.every_engine
def test_gates_far_from_zero_do_not_overflow(tmp_path):
    model = save_run(tmp_path / "run", "lstm")
    model.set_weights([300 * weight for weight in model.get_weights()])
    model.save(tmp_path / "run" / "model-seed-3.keras")
    letters, lengths = random_names(50)

    with np.errstate(all="raise", under="ignore"):
        found = load_numpy_model(find_saved_model(tmp_path / "run")).log_probabilities(letters, lengths)

    np.testing.assert_allclose(found, model.predict((letters, lengths), verbose=0), rtol=1e-3 * FARTHER)


@pytest.mark.every_engine
def test_each_name_is_answered_as_the_model_would(tmp_path):
    model = save_run(tmp_path / "run")
    numpy_model = load_numpy_model(find_saved_model(tmp_path / "run"))

    found = predict_names(
        numpy_model.log_probabilities, ["bad", "1", "dad cab", "e1éò", "a" * 201], ALPHABET, CLASSES, top=2
    )

    assert [prediction.input for prediction in found] == ["bad", "1", "dad cab", "e1éò", "a" * 201]
    assert [prediction.read_as for prediction in found[:4]] == ["bad", "", "dad cab", "eé"]
    assert [prediction.ignored for prediction in found[:4]] == [(), ("1",), (), ("1", "ò")]
    assert [prediction.problem for prediction in found] == [
        *(None, "no usable letter", None, None, "longer than 200 letters")
    ]
    assert found[1].guesses == found[4].guesses == ()
    letters = np.array([[ALPHABET.index(letter) for letter in "eé"]], np.int32)
    probabilities = np.exp(model.predict((letters, np.array([2], np.int32)), verbose=0)[0])
    best = np.argsort(-probabilities)[:2]
    assert [name for name, _ in found[3].guesses] == [CLASSES[label] for label in best]
    np.testing.assert_allclose([p for _, p in found[3].guesses], probabilities[best], atol=1e-6)


def test_names_are_spelled_as_those_of_the_data(tmp_path):
    save_run(tmp_path / "run")
    model = load_numpy_model(find_saved_model(tmp_path / "run")).log_probabilities
    spellings = ["b'\u00e9 C", "  b\u2019e\u0301 \u3000C\u200b", "\ufeffb\uff07\u00e9\u00a0\uff23\t"]

    found = predict_names(model, spellings, ALPHABET, CLASSES, top=4)

    assert {prediction.read_as for prediction in found} == {"b'\u00e9 C"}
    assert [prediction.ignored for prediction in found] == [()] * 3
    assert found[0].guesses == found[1].guesses == found[2].guesses
    raw = predict_names(model, ["bad", "bad "], ALPHABET, CLASSES, top=4, raw=True)
    assert raw[0].guesses != raw[1].guesses


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of names, and a run of two seeds on it."""
    folder = tmp_path_factory.mktemp("trained")
    names = write_names(folder / "names")
    size = ("--hidden-units", "8", "--iterations", "2000", "--learning-rate", "0.05", "--quiet")
    assert call("names", "--data-dir", names, "--out", folder / "run", "--seed", 3, "--seeds", 2, *size) == 0
    return names, folder / "run"


@pytest.mark.every_engine
@pytest.mark.parametrize("seed", [3, 4])
def test_predictions_are_the_runs_own_evaluation(trained, seed, capsys):
    names, run = trained
    dataset = load_text_folder(names, REFERENCE_ALPHABET)
    guesses = []
    for label in dataset.classes:
        capsys.readouterr()
        assert call("predict", run, "--file", names / f"{label}.txt", "--json", "--seed", seed) == 0
        plain = json.loads(capsys.readouterr().out)
        assert plain["seed"] == seed
        guesses += [dataset.classes.index(row["guesses"][0]["class"]) for row in plain["predictions"]]

    result, split = load_result(run), split_names(dataset, 0.2, seed)
    for side, lines in (("train", split.train), ("held_out", split.held_out)):
        confusions = np.zeros((3, 3), int)
        np.add.at(confusions, (dataset.labels[lines], np.array(guesses)[lines]), 1)
        np.testing.assert_array_equal(confusions, result.arrays[f"confusion_{side}"][seed - 3])


def test_the_first_seed_is_the_default(trained, capsys):
    _, run = trained
    assert call("predict", run, "Frodo", "--json") == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 3


def test_json(tmp_path, capsys):
    save_run(tmp_path / "run")
    assert call("predict", tmp_path / "run", "bàd", "!", "--json", "--top-k", "99") == 0

    plain = json.loads(capsys.readouterr().out)
    assert {key: plain[key] for key in plain if key != "predictions"} == {
        "format_version": 1,
        "experiment": "names",
        "model": "GRU",
        "seed": 3,
        "classes": list(CLASSES),
        "prior": "as trained",
    }
    first, second = plain["predictions"]
    assert (first["input"], first["read_as"], first["ignored"], first["problem"]) == ("bàd", "bad", [], None)
    assert {guess["class"] for guess in first["guesses"]} == set(CLASSES)
    probabilities = [guess["probability"] for guess in first["guesses"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-6)
    assert second == {
        "input": "!",
        "read_as": "",
        "ignored": ["!"],
        "problem": "no usable letter",
        "guesses": [],
    }


def test_csv(tmp_path, capsys):
    save_run(tmp_path / "run")
    assert call("predict", tmp_path / "run", 'b,"d', "7", "--csv", "--top-k", "2") == 0

    header, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == [
        *("input", "read_as", "ignored", "problem", "class_1", "probability_1", "class_2", "probability_2", "prior")
    ]
    assert first[:4] == ['b,"d', "bd", ',"', ""]
    assert first[4] in CLASSES
    assert 0 < float(first[7]) <= float(first[5]) <= 1
    assert second == ["7", "", "7", "no usable letter", "", "", "", "", "as trained"]


def test_the_table_is_aligned_and_moves_no_cursor(tmp_path, capsys):
    save_run(tmp_path / "run")
    assert call("predict", tmp_path / "run", "bad", "dàd", "\x1b[2Ja", "9", "--top-k", "1") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("bad  ")
    assert lines[0].endswith("%")
    assert lines[1].endswith("read as dad")
    assert lines[2].startswith("�[2Ja")
    assert "ignored: � [ 2 J" in lines[2]
    assert lines[3].split(maxsplit=1) == ["9", "no usable letter; ignored: 9"]


def ask(*arguments, stdin=b"", environment=None):
    command = [sys.executable, "-m", "keras_dnnts", "predict", *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, env=os.environ | (environment or {}), timeout=120
    )


def test_names_from_a_pipe(tmp_path):
    save_run(tmp_path / "run")
    lines = "\ufeffbad\r\n\n  \nBéa\rdad\ncab".encode()

    for arguments in ([], ["-"]):
        done = ask(tmp_path / "run", *arguments, "--csv", stdin=lines, environment={"PYTHONIOENCODING": "latin-1"})
        assert done.returncode == 0, done.stderr
        rows = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8"))))
        assert [row["input"] for row in rows] == ["bad", "Béa", "dad", "cab"]
    (tmp_path / "file").write_bytes(lines)
    done = ask(tmp_path / "run", "Aba", "-", "--file", tmp_path / "file", "--csv", stdin=b"bab")
    inputs = [row["input"] for row in csv.DictReader(io.StringIO(done.stdout.decode("utf-8")))]
    assert inputs == ["Aba", "bab", "bad", "Béa", "dad", "cab"]


def test_names_as_arguments_or_from_a_file_need_no_stdin(tmp_path):
    save_run(tmp_path / "run")
    (tmp_path / "all.txt").write_text("bad\n")
    program = "import sys; sys.stdin = None; from keras_dnnts.cli import main; main(sys.argv[1:])"
    for arguments, code, words in (
        (["dad"], 0, "dad"),
        (["--file", tmp_path / "all.txt"], 0, "bad"),
        ([], 2, "nothing to predict: give names, --file FILE, or pipe names in, one per line"),
        (["-"], 2, "stdin, which is closed"),
    ):
        command = [sys.executable, "-c", program, "predict", tmp_path / "run", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stdout if code == 0 else done.stderr
        assert (done.returncode, said.count("\n")) == (code, 1), done.stderr
        assert words in said


def test_a_file_is_no_name(tmp_path, monkeypatch, capsys):
    save_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all.txt").write_text("bad\n")
    for arguments, words in (
        (["all.txt"], "all.txt is a file: give --file all.txt to read the names in it"),
        (["bad", "all.txt"], "all.txt is a file"),
        (["./run"], "./run is a folder: give --file"),
    ):
        assert call("predict", "run", *arguments) == 2
        out, error = capsys.readouterr()
        assert (out, error.count("\n")) == ("", 1)
        assert words in error
    assert call("predict", "run", "bad/dad", "run", "a" * 5000) == 0


def test_a_reader_that_has_enough(tmp_path):
    save_run(tmp_path / "run")
    (tmp_path / "names").write_text("abba\n" * 30_000, encoding="utf-8")
    command = [sys.executable, "-m", "keras_dnnts", "predict", tmp_path / "run", "--file", tmp_path / "names"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"abba")
        process.stdout.close()
        assert process.stderr.read().count(b"\n") == 1  # the prior, and nothing about the pipe


def test_names_need_no_engine(tmp_path):
    save_run(tmp_path / "run")
    program = (
        "import sys\nfrom keras_dnnts.cli import main\n"
        f"try: main(['predict', {str(tmp_path / 'run')!r}, 'bad', 'é'])\n"
        "except SystemExit as exit: assert exit.code == 0\n"
        "heavy = {'keras', 'torch', 'jax', 'tensorflow', 'matplotlib', 'sklearn', 'scipy', 'numba', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("bad")


def rewrite(path: Path, change):
    """Change a model's HDF5 part in place."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "r+") as weights:
        change(weights)
    members["model.weights.h5"] = content.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def replaced(weights, name, values):
    del weights[name]
    weights[name] = values


def put_a_group(weights):
    del weights["layers/dense/vars/1"]
    weights.create_group("layers/dense/vars/1")


DAMAGES = {
    "no zip": lambda path: path.write_bytes(b"PK\x03\x04 and then nothing"),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:2000]),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "missing": lambda path: path.unlink(),
    "without weights": lambda path: zipfile.ZipFile(path, "w").close(),
    "other units": lambda path: rewrite(path, lambda w: replaced(w, "layers/recurrent/vars/1", np.zeros((27, 8)))),
    "not floats": lambda path: rewrite(path, lambda w: replaced(w, "layers/dense/vars/1", np.zeros(4, int))),
    "not finite": lambda path: rewrite(path, lambda w: replaced(w, "layers/dense/vars/1", np.full(4, np.nan))),
    "array missing": lambda path: rewrite(path, lambda w: w["layers/recurrent/vars"].pop("3")),
    "a group": lambda path: rewrite(path, put_a_group),
    "no HDF5": lambda path: zipfile.ZipFile(path, "w").writestr("model.weights.h5", b"not HDF5"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_model_is_one_clear_line(damage, tmp_path, capsys):
    save_run(tmp_path / "run")
    path = tmp_path / "run" / "model-seed-3.keras"
    damage(path)

    assert call("predict", tmp_path / "run", "bad") == 2

    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1, error
    assert str(path) in error


def test_arrays_of_other_files_are_not_read(tmp_path):
    save_run(tmp_path / "run")
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["values"] = np.zeros(4, "float32")
    np.zeros(4, "float32").tofile(tmp_path / "secret.bin")

    def link(weights):
        del weights["layers/dense/vars/1"]
        weights["layers/dense/vars/1"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "values")

    def store_elsewhere(weights):
        del weights["layers/dense/vars/1"]
        weights["layers/dense/vars"].create_dataset("1", (4,), "f4", external=str(tmp_path / "secret.bin"))

    for attack in (link, store_elsewhere):
        rewrite(tmp_path / "run" / "model-seed-3.keras", attack)
        with pytest.raises(UserError, match=r"model-seed-3\.keras: is damaged"):
            load_numpy_model(find_saved_model(tmp_path / "run"))


MISTAKES = {
    "no such run": (["nowhere", "bad"], "nowhere"),
    "not a run": ([".", "bad"], "no finished run"),
    "no such seed": (["run", "bad", "--seed", "5"], "--seed 5"),
    "no guesses": (["run", "bad", "--top-k", "0"], "--top-k"),
    "no such file": (["run", "--file", "nowhere.txt"], "nowhere.txt"),
    "file is a folder": (["run", "--file", "run"], "--file run"),
    "no run": ([], "RUN"),
    "unknown option": (["run", "--xml"], "--xml"),
}


@pytest.mark.parametrize(("arguments", "culprit"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_clear_line(arguments, culprit, tmp_path, monkeypatch, capsys):
    save_run(tmp_path / "run", seeds=2)
    monkeypatch.chdir(tmp_path)

    assert call("predict", *arguments) == 2

    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1, error
    assert error.startswith("keras-dnnts: ")
    assert culprit in error


def test_inputs_without_names(tmp_path):
    save_run(tmp_path / "run")
    (tmp_path / "latin").write_bytes("bad\nBéa\n".encode("latin-1"))
    for arguments, stdin, culprit in (
        ([], b"", b"no name"),
        ([], b" \n\n", b"no name"),
        ([], b"bad\n\xe9\n", b"stdin, line 2: not UTF-8"),
        (["--file", tmp_path / "latin"], b"", b"latin, line 2: not UTF-8"),
        ([], "bad\n".encode("utf-16"), b"stdin, line 1: is UTF-16; convert it to UTF-8"),
        ([], "bad\n".encode("utf-16-le"), b"stdin, line 1: is UTF-16 or no text"),
    ):
        done = ask(tmp_path / "run", *arguments, "--json", stdin=stdin)
        assert (done.returncode, done.stdout) == (2, b"")
        assert len(done.stderr.splitlines()) == 1
        assert culprit in done.stderr


@pytest.mark.parametrize(
    "change", [{"config": {}}, {"dataset": {}}, {"dataset": {"classes": 3}}, {"experiment": "mnist"}], ids=str
)
def test_results_that_describe_no_model(change, tmp_path, capsys):
    save_run(tmp_path / "run")
    path = tmp_path / "run" / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")

    assert call("predict", tmp_path / "run", "bad") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "run" in error
