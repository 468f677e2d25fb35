"""The command line as a user meets it: answers at once, mistakes in one line."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_dnnts
from keras_dnnts.cli.options import default_backend
from keras_dnnts.results import load_result
from keras_dnnts.studies.names.config import MODELS
from tests.names_folders import call, write_names


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below ``folder``, to see that nothing changed."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def names(tmp_path):
    return write_names(tmp_path / "names")


def lacking(folder, **changes):
    """Write a names folder with some categories replaced by bytes or removed (None)."""
    write_names(folder)
    for category, content in changes.items():
        path = folder / f"{category}.txt"
        path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
    return folder


BAD_OPTIONS = {
    "unknown cell": (["--cell", "transformer"], "transformer"),
    "unknown backend": (["--backend", "mxnet"], "mxnet"),
    "unknown device": (["--device", "tpu"], "tpu"),
    "unknown engine": (["--engine", "warp"], "warp"),
    "unknown protocol": (["--protocol", "lucky"], "lucky"),
    "unknown dataset": (["--dataset", "mnist"], "mnist"),
    "unknown option": (["--cells", "gru"], "--cells"),
    "stray argument": (["gru"], "gru"),
    "no iterations": (["--iterations", "0"], "--iterations is 0"),
    "negative iterations": (["--iterations", "-5"], "--iterations is -5"),
    "iterations no number": (["--iterations", "many"], "many"),
    "no seeds": (["--seeds", "0"], "--seeds is 0"),
    "negative seed": (["--seed", "-1"], "--seed is -1"),
    "no units": (["--hidden-units", "0"], "--hidden-units is 0"),
    "zero rate": (["--learning-rate", "0"], "--learning-rate is 0"),
    "negative rate": (["--learning-rate", "-0.1"], "--learning-rate is -0.1"),
    "rate nan": (["--learning-rate", "nan"], "--learning-rate is nan"),
    "rate infinite": (["--learning-rate", "inf"], "--learning-rate is inf"),
    "held-out too large": (["--held-out", "1"], "--held-out is 1"),
    "held-out zero": (["--held-out", "0"], "--held-out is 0"),
    "held-out nan": (["--held-out", "nan"], "--held-out is nan"),
    "repeating letters": (["--letters", "abca"], "'a'"),
    "no letters": (["--letters", ""], "letters"),
    "several devices": (["--devices", "2"], "--devices 2: models of names are trained on one device"),
    "no such data": (["--data-dir", "nowhere"], "nowhere"),
}


@pytest.mark.parametrize(("options", "culprit"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options_are_one_clear_line(options, culprit, names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = tree(tmp_path)

    code = call("names", "--data-dir", names, *options)

    error = capsys.readouterr().err
    assert code == 2
    assert len(error.splitlines()) == 1, error
    assert error.startswith("keras-dnnts: ")
    assert culprit in error
    assert tree(tmp_path) == before


BAD_FOLDERS = {
    "empty folder": ({"Elvish": None, "Dwarvish": None, "Hobbit": None}, ".txt"),
    "one category": ({"Elvish": None, "Dwarvish": None}, "two"),
    "not UTF-8": ({"Elvish": b"Arwen\nElr\xffond\n"}, "Elvish.txt"),
    "no usable name": ({"Elvish": "李\n王\n".encode()}, "Elvish"),
    "empty file": ({"Elvish": b""}, "Elvish"),
    "one distinct name": ({"Elvish": b"Arwen\nArwen\n"}, "Elvish"),
}


@pytest.mark.parametrize(("changes", "culprit"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_bad_folders_are_one_clear_line(changes, culprit, tmp_path, capsys):
    folder = lacking(tmp_path / "names", **changes)

    code = call("names", "--data-dir", folder, "--out", tmp_path / "run")

    error = capsys.readouterr().err
    assert code == 2
    assert len(error.splitlines()) == 1, error
    assert culprit in error
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everything")
def test_unreadable_file_and_unwritable_output(names, tmp_path, capsys):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert call("names", "--data-dir", names, "--out", tmp_path / "closed" / "run") == 2
    assert "closed" in capsys.readouterr().err
    (names / "Elvish.txt").chmod(0)
    assert call("names", "--data-dir", names, "--out", tmp_path / "run") == 2
    assert "Elvish.txt" in capsys.readouterr().err


def test_output_that_cannot_be_a_folder(names, tmp_path, capsys):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert call("names", "--data-dir", names, "--out", out, "--iterations", "5") == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert str(out) in error
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
@pytest.mark.one_engine
def test_output_is_overwritten_only_on_request(names, tmp_path, capsys):
    out = tmp_path / "run"
    small = ("names", "--data-dir", names, "--out", out, "--iterations", "5", "--hidden-units", "4", "--quiet")
    assert call(*small, "--seeds", "2") == 0
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    before = tree(out)

    assert call(*small) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert tree(out) == before
    assert call(*small, "--overwrite") == 0
    assert (out / "notes.txt").exists()
    assert not (out / "model-seed-1.keras").exists()


def test_missing_engine_names_the_extra(names, tmp_path, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else find_spec(name))

    assert call("names", "--data-dir", names, "--backend", "jax", "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "keras_dnnts[jax]" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.every_engine
def test_device_that_is_not_there(names, tmp_path, capsys):
    if keras.backend.backend() == "torch" and __import__("torch").cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert call("names", "--data-dir", names, "--device", "cuda", "--out", tmp_path / "run") == 2
    assert "cuda" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.one_engine
def test_without_out_runs_are_numbered(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert call("names", "--data-dir", names, "--cell", "rnn", "--iterations", "5", "--quiet") == 0

    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["names-rnn-001", "names-rnn-002"]


@pytest.mark.slow
def test_flag_beats_environment(names, tmp_path):
    program = "import sys, keras_dnnts.cli; keras_dnnts.cli.main(sys.argv[1:])"
    options = ["--iterations", "5", "--hidden-units", "4", "--quiet", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-c", program, "names", "--data-dir", str(names), "--backend", "torch", *options]
    subprocess.run(command, env=os.environ | {"KERAS_BACKEND": "no-such"}, check=True, capture_output=True)
    assert load_result(tmp_path / "run").environment["backend"] == "torch"


@pytest.mark.parametrize(("variable", "backend"), [(None, "torch"), ("", "torch"), ("jax", "jax")])
def test_environment_beats_default(variable, backend, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if variable is not None:
        monkeypatch.setenv("KERAS_BACKEND", variable)
    assert default_backend() == backend


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["names", "--help"], ["compare", "--help"]])
def test_help_imports_no_engine(arguments):
    program = (
        "import sys\nfrom keras_dnnts.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as exit: assert exit.code in (0, None)\n"
        "heavy = {'keras', 'torch', 'jax', 'tensorflow', 'matplotlib', 'sklearn', 'scipy', 'numba'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_version_and_module():
    command = [sys.executable, "-m", "keras_dnnts", "--version"]
    assert keras_dnnts.__version__ in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_help_states_what_the_protocol_changes(capsys):
    assert call("names", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "20 % of the distinct names are held out" in text
    assert "nothing is held out" in text


def test_data_lists_the_sets(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert call("data") == 0
    assert "starter names" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["names", "--cell", ""], {*MODELS}),
        (["pre"], {"predict"}),
        (["export", "run", "--fo"], {"--format"}),
    ],
)
def test_shell_completion(words, expected):
    request = {
        "_KERAS_DNNTS_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["keras-dnnts", *words]),
        "COMP_CWORD": str(len(words)),
    }
    program = "from keras_dnnts.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | request, capture_output=True, text=True, check=True
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected


def test_without_a_command_the_help_is_shown_as_it_is(capsys):
    assert call() == 2
    assert capsys.readouterr().err.splitlines()[0] == "Usage: keras-dnnts [OPTIONS] COMMAND [ARGS]..."
