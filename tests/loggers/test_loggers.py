"""What loggers write, read back by the libraries' own readers."""

import csv
import importlib.util
import io
import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_dnnts.loggers import log_result
from keras_dnnts.loggers.history import read_history
from keras_dnnts.results import Result, load_result
from keras_dnnts.running.run_directory import HISTORY
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import call, write_names

SMALL = ("--hidden-units", "8", "--iterations", "2300", "--seeds", "2", "--seed", "3", "--quiet")
COLUMNS = {"names": ["loss"], "cifar": ["learning_rate", "train_loss", "validation_accuracy"]}


def save_run(folder, result: Result):
    """What loggers read of a finished run, and a picture and a file beside it."""
    (folder / "figures").mkdir(parents=True)
    result.save(folder)
    random = np.random.default_rng(2)
    names = COLUMNS[result.experiment]
    with (folder / HISTORY).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["seed", "step", *names])
        for seed in (result.config["seed"], result.config["seed"] + 1):
            writer.writerows([seed, step, *random.random(len(names))] for step in (1000, 2000, 2300))
    Image.fromarray(random.integers(0, 256, (5, 7, 3), dtype=np.uint8)).save(folder / "figures" / "curves.png")
    (folder / "model-seed-3.keras").write_bytes(b"weights")
    (folder / ".lock").touch()
    return folder


@pytest.fixture(params=["names", "cifar"])
def result(request):
    result = names_result(seeds=2) if request.param == "names" else cifar_result(seeds=2)
    result.config["seed"] = 3
    return result


def read_tensorboard(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    return events.Reload()


def test_history_is_read_by_seed(tmp_path):
    (tmp_path / HISTORY).write_text("seed,epoch,a,b\n3,1,0.5,2\n3,2,0.25,3\n4,1,nan,4\n", encoding="utf-8")
    history = read_history(tmp_path)
    assert history[3] == [(1, {"a": 0.5, "b": 2.0}), (2, {"a": 0.25, "b": 3.0})]
    assert history[4][0][1]["b"] == 4.0


def test_tensorboard_has_the_curves_the_end_and_the_figures(result, tmp_path, capsys):
    pytest.importorskip("tensorboardX")
    folder = save_run(tmp_path / "run", result)
    log_result(result, folder, ["tensorboard"])
    log_result(result, folder, ["tensorboard"])  # replaces what the first left

    assert "tensorboard --logdir" in capsys.readouterr().out
    history = read_history(folder)
    for place, seed in enumerate((3, 4)):
        events = read_tensorboard(folder / "tensorboard" / f"seed-{seed}")
        for name in COLUMNS[result.experiment]:
            found = [(event.step, event.value) for event in events.Scalars(name)]
            expected = [(step, numbers[name]) for step, numbers in history[seed]]
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        for name, metric in result.metrics.items():
            (final,) = events.Scalars(f"final/{name}")
            assert final.step == 2300
            assert final.value == pytest.approx(metric.values[place], rel=1e-6)
    events = read_tensorboard(folder / "tensorboard" / "seed-3")
    (figure,) = events.Images("curves")
    assert (figure.height, figure.width) == (5, 7)
    with Image.open(folder / "figures" / "curves.png") as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(figure.encoded_image_string))), expected)
    (config,) = events.Tensors("config/text_summary")
    lines = config.tensor_proto.string_val[0].decode("utf-8").splitlines()
    assert json.loads("".join(line.removeprefix("    ") for line in lines)) == result.config


def test_tensorboard_has_hyperparameters(tmp_path):
    pytest.importorskip("tensorboardX")
    hparams = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    result = names_result(seeds=2)
    folder = save_run(tmp_path / "run", result)
    log_result(result, folder, ["tensorboard"])

    events = read_tensorboard(folder / "tensorboard" / "seed-0")
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    found = hparams.HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["model"].string_value == "gru"
    assert found["hidden_units"].number_value == 128


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    pytest.importorskip("sqlalchemy")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_tracking_uri(None)
    return mlflow


def test_mlflow_has_the_config_the_curves_the_end_and_the_files(mlflow, result, tmp_path, capsys):
    folder = save_run(tmp_path / "run", result)
    log_result(result, folder, ["mlflow"])

    client = mlflow.MlflowClient()
    (experiment,) = [e for e in client.search_experiments() if e.name == f"keras_dnnts {result.experiment}"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id in capsys.readouterr().out
    assert run.info.run_name == "run"
    assert run.info.status == "FINISHED"
    assert run.data.params == {name: "" if value is None else str(value) for name, value in result.config.items()}
    for seed, rows in read_history(folder).items():
        for name in COLUMNS[result.experiment]:
            found = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, f"{name}/seed_{seed}")]
            assert found == [(step, numbers[name]) for step, numbers in rows]
    for name, metric in result.metrics.items():
        assert run.data.metrics[name] == metric.mean
        assert run.data.metrics[f"{name}_sd"] == metric.sd
    assert run.data.tags["dataset.content_hash"] == "sha256:1"
    paths = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert paths == {"figures", "history.csv", "model-seed-3.keras", "results.json", "results.npz"}
    local = client.download_artifacts(run.info.run_id, "figures/curves.png", str(tmp_path))
    assert (folder / "figures" / "curves.png").read_bytes() == Path(local).read_bytes()


def test_mlflow_follows_its_own_settings(mlflow, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    log_result(names_result(), save_run(tmp_path / "run", names_result()), ["mlflow"])

    client = mlflow.MlflowClient()
    mine = client.get_experiment_by_name("mine")
    assert len(client.search_runs([mine.experiment_id])) == 1


def test_a_logger_that_fails_costs_a_warning(result, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    folder = save_run(tmp_path / "run", result)
    (folder / HISTORY).unlink()
    log_result(result, folder, ["tensorboard", "mlflow"])

    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert all("is complete" in record.getMessage() for record in caplog.records)


def test_a_tensorboard_folder_that_cannot_be_written_costs_a_warning(result, tmp_path, caplog):
    pytest.importorskip("tensorboardX")
    folder = save_run(tmp_path / "run", result)
    (folder / "tensorboard").write_text("a file", encoding="utf-8")
    log_result(result, folder, ["tensorboard"])
    (record,) = caplog.records
    assert "is complete" in record.getMessage()


@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "says nothing"])
def test_mlflow_server_that_is_down_costs_seconds(answers, mlflow, result, tmp_path, monkeypatch, caplog):
    from keras_dnnts.loggers import mlflow as logger

    monkeypatch.setitem(logger.FIRST_REQUEST, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()  # and never more
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        began = time.monotonic()
        log_result(result, save_run(tmp_path / "run", result), ["mlflow"])
    assert time.monotonic() - began < 10
    (record,) = caplog.records
    assert uri.removeprefix("http://").partition(":")[0] in record.getMessage()
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_mlflow_retries_as_the_user_says(mlflow, monkeypatch):
    from keras_dnnts.loggers import mlflow as logger

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    with logger._settings(logger.FIRST_REQUEST):
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"


@pytest.mark.parametrize(
    ("name", "package"), [("tensorboard", "tensorboardX"), ("mlflow", "mlflow"), ("wandb", "wandb")]
)
def test_a_missing_extra_is_named_before_anything_starts(name, package, tmp_path, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == package else find_spec(n))
    names = write_names(tmp_path / "names")

    for start in (["names", "--data-dir", names], ["cifar"], ["run", tmp_path / "config.toml"]):
        assert call(*start, "--out", tmp_path / "run", "--log", name) == 2
        error = capsys.readouterr().err
        assert f"keras_dnnts[{name}]" in error
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.one_engine
def test_a_run_is_logged_when_it_is_complete(tmp_path, capsys):
    pytest.importorskip("tensorboardX")
    names = write_names(tmp_path / "names")
    assert call("names", "--data-dir", names, "--out", tmp_path / "run", *SMALL, "--log", "tensorboard") == 0

    result = load_result(tmp_path / "run")
    events = read_tensorboard(tmp_path / "run" / "tensorboard" / "seed-4")
    assert [event.step for event in events.Scalars("loss")] == [1000, 2000, 2300]
    np.testing.assert_allclose([event.value for event in events.Scalars("loss")], result.arrays["loss"][1], rtol=1e-6)
    assert "log" not in result.config
    assert call("names", "--data-dir", names, "--out", tmp_path / "run", *SMALL, "--overwrite") == 0
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.slow
@pytest.mark.one_engine
def test_a_run_that_cannot_be_logged_is_complete(tmp_path, monkeypatch, capsys):
    def fail(*arguments):
        raise ConnectionError("no server\nanywhere")

    pytest.importorskip("tensorboardX")
    monkeypatch.setattr("keras_dnnts.loggers.tensorboard.open_log", fail)
    names = write_names(tmp_path / "names")
    assert call("names", "--data-dir", names, "--out", tmp_path / "run", *SMALL, "--log", "tensorboard") == 0

    error = capsys.readouterr().err
    assert "--log tensorboard failed (no server anywhere)" in error
    assert "Traceback" not in error
    assert load_result(tmp_path / "run").config["seeds"] == 2
