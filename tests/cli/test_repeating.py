"""``run config.toml`` repeats a run on the same data, from anywhere, or says that the data are others."""

import tomllib

import pytest

from keras_dnnts.config import OtherDataError
from keras_dnnts.datasets.fetch import OutOfReachError
from keras_dnnts.results import load_result
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.data import resolve as resolve_images
from keras_dnnts.studies.names import data as names_data
from keras_dnnts.studies.names.config import NamesConfig
from tests.names_folders import call, write_names

pytestmark = pytest.mark.one_engine

SMALL = ("--iterations", "5", "--hidden-units", "4", "--quiet")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_names(tmp_path / "names")
    return tmp_path


def saved(path):
    return tomllib.loads((path / "config.toml").read_text(encoding="utf-8"))


def error_of(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.slow
def test_a_run_is_repeated_from_anywhere_on_its_data_alone(place, monkeypatch, capsys):
    assert call("names", "--data-dir", "names", "--out", "first", *SMALL) == 0
    config, result = saved(place / "first"), load_result("first")
    assert config["content_hash"] == result.dataset["content_hash"] == result.config["content_hash"]
    assert config["data_dir"] == str(place / "names")

    # In the run's own folder, the repeat becomes its neighbour.
    monkeypatch.chdir(place / "first")
    assert call("run", "config.toml", "--quiet") == 0
    assert not (place / "first" / "runs").exists()
    assert load_result(place / "names-gru-001").metrics["final_loss"] == result.metrics["final_loss"]

    monkeypatch.chdir(place)
    with (place / "names" / "Hobbit.txt").open("a", encoding="utf-8") as file:
        file.write("Sandyman\n")
    capsys.readouterr()
    assert call("run", "first/config.toml", "--out", "other", "--quiet") == 2
    error = error_of(capsys)
    assert error.startswith("keras-dnnts: first/config.toml: the data are not those of this config")
    assert "--allow-other-data" in error
    assert not (place / "other").exists()
    assert call("run", "first/config.toml", "--out", "other", "--quiet", "--allow-other-data") == 0
    assert saved(place / "other")["content_hash"] != config["content_hash"]


@pytest.mark.slow
def test_what_auto_took_is_saved_and_auto_may_resume_it(place, monkeypatch, capsys):
    def out_of_reach(alphabet, raw):
        raise OutOfReachError("no network")

    monkeypatch.setattr(names_data, "load_names", out_of_reach)
    options = ("--iterations", "3000", "--hidden-units", "4", "--quiet")
    assert call("names", "--out", "run", *options) == 0
    assert saved(place / "run")["dataset"] == "starter"
    # Data that have come into reach since then change nothing.
    monkeypatch.setattr(names_data, "load_names", lambda alphabet, raw: pytest.fail("other data were read"))
    assert call("run", "run/config.toml", "--out", "again", "--quiet") == 0
    first, again = load_result("run"), load_result("again")
    assert first.metrics["final_loss"] == again.metrics["final_loss"]
    assert first.dataset["content_hash"] == again.dataset["content_hash"]


def test_a_config_names_its_data_or_takes_any():
    NamesConfig().check_data("sha256:1")
    config = NamesConfig().resolved("sha256:1", dataset="starter")
    assert (config.dataset, config.content_hash, config.data_dir) == ("starter", "sha256:1", None)
    config.check_data("sha256:1")
    with pytest.raises(OtherDataError, match="sha256:2…, not sha256:1…"):
        config.check_data("sha256:2")


@pytest.mark.parametrize(
    ("options", "stand_in", "taken"),
    [
        ({}, False, {"dataset": "cifar10"}),
        ({}, True, {"dataset": "digits"}),
        ({"dataset": "digits"}, False, {}),
        ({"data_dir": "photos"}, False, {}),
    ],
)
def test_which_images_auto_took(options, stand_in, taken):
    class Data:
        dataset, settled = type("Dataset", (), {"stand_in": stand_in}), {"batch_size": 96}

    assert resolve_images(CifarConfig(**options), Data) == {"batch_size": 96, **taken}


def test_an_interrupted_run_says_how_to_resume_it(place, capsys):
    (place / "stopped" / "checkpoints").mkdir(parents=True)
    (place / "stopped" / "config.toml").write_text(NamesConfig().to_toml(), encoding="utf-8")
    for command in (["report"], ["predict"], ["compare"], ["export", "--format", "onnx"]):
        assert call(command[0], "stopped", *command[1:]) == 2
        error = error_of(capsys)
        assert "interrupted" in error
        assert error.endswith("resume with: keras-dnnts names --resume stopped")
        assert call(command[0], "names", *command[1:]) == 2
        assert "names: holds no finished run" in error_of(capsys)
