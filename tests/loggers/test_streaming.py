"""Loggers while a run goes: every point once, also after a crash, and one warning where a logger is down."""

import sys
import time
import types

import numpy as np
import pytest

from keras_dnnts import loggers
from keras_dnnts.config import config_from_dict
from keras_dnnts.loggers import Loggers
from keras_dnnts.loggers.history import read_history
from keras_dnnts.results.unfinished import CHECKPOINTS, CONFIG
from keras_dnnts.running.live import RUNNING, STOPPED, Progress
from tests.finished_runs import names_result
from tests.loggers.test_loggers import read_tensorboard, save_run


class FakeLogger(types.ModuleType):
    """A logger that keeps what it is told."""

    def __init__(self):
        super().__init__("fake")
        self.calls, self.down = [], False

    def open_log(self, folder, experiment, config, identity):
        self._call("open", identity)
        self.identity = identity or "first"
        return self

    def add(self, seed, points):
        self._call("add", seed, points)

    def finish(self, result, last):
        self._call("finish", dict(last))
        return "somewhere"

    def stop(self):
        self._call("stop")

    def _call(self, *what):
        self.calls.append(what)
        if self.down:
            raise ConnectionError("no server")


@pytest.fixture
def fake(monkeypatch):
    fake = FakeLogger()
    monkeypatch.setitem(sys.modules, f"{loggers.__name__}.fake", fake)
    return fake


@pytest.fixture
def result():
    result = names_result(seeds=2)
    result.config["seed"] = 3
    return result


@pytest.fixture
def folder(tmp_path, result):
    folder = save_run(tmp_path / "run", result)
    (folder / CONFIG).write_text(config_from_dict(result.config, "here").to_toml(), encoding="utf-8")
    (folder / CHECKPOINTS).mkdir()
    return folder


def progress(folder, points, state=RUNNING):
    """The first points of every seed's history."""
    rows = {
        seed: [(step, numbers["loss"]) for step, numbers in of_seed[: points[seed]]]
        for seed, of_seed in read_history(folder).items()
    }
    return Progress(state, time.time(), {"name": "rings"}, 1, 2, "steps", ["step", "loss"], rows)


def test_points_are_logged_as_they_come_and_once(fake, folder, result, capsys):
    log = Loggers(["fake", "fake"])
    log.follow(folder, progress(folder, {3: 1, 4: 0}))
    log.follow(folder, progress(folder, {3: 1, 4: 0}))
    log.follow(folder, progress(folder, {3: 3, 4: 1}))
    log.finish(result, folder)

    history = read_history(folder)
    assert fake.calls == [
        ("open", None),
        ("add", 3, history[3][:1]),
        ("add", 3, history[3][1:]),
        ("add", 4, history[4][:1]),
        ("add", 4, history[4][1:]),
        ("finish", {3: 2300, 4: 2300}),
    ]
    assert "Logged to fake: somewhere" in capsys.readouterr().out


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_a_resumed_run_goes_on_with_its_log(end, fake, folder, result):
    first = Loggers(["fake"])
    first.follow(folder, progress(folder, {3: 2, 4: 0}))
    if end == "stopped":
        first.follow(folder, progress(folder, {3: 2, 4: 0}, STOPPED))
        assert fake.calls.pop() == ("stop",)
    second = Loggers(["fake"])
    second.take_up(folder)
    fake.calls.clear()
    second.follow(folder, progress(folder, {3: 1, 4: 0}))  # its last checkpoint was older
    second.follow(folder, progress(folder, {3: 3, 4: 0}))
    second.finish(result, folder)

    history = read_history(folder)
    assert fake.calls == [
        ("open", "first"),
        ("add", 3, history[3][2:]),
        ("add", 4, history[4]),
        ("finish", {3: 2300, 4: 2300}),
    ]


def test_a_logger_that_is_down_costs_one_warning(fake, folder, result, caplog):
    fake.down = True
    log = Loggers(["fake"])
    for _ in range(3):
        log.follow(folder, progress(folder, {3: 1, 4: 1}))
    log.finish(result, folder)

    assert len(fake.calls) == 1
    (record,) = caplog.records
    assert "goes on without it" in record.getMessage()
    fake.down = False
    Loggers(["fake"]).finish(result, folder)  # as resuming the finished run does
    assert fake.calls[-1][0] == "finish"


def test_tensorboard_has_every_point_once(folder, result):
    pytest.importorskip("tensorboardX")
    log = Loggers(["tensorboard"])
    log.follow(folder, progress(folder, {3: 2, 4: 0}))
    log.follow(folder, progress(folder, {3: 2, 4: 0}, STOPPED))
    log = Loggers(["tensorboard"])
    log.take_up(folder)
    log.follow(folder, progress(folder, {3: 3, 4: 1}))
    deadline, seen = time.monotonic() + 30, folder / "tensorboard" / "seed-4"
    while "loss" not in read_tensorboard(seen).Tags()["scalars"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [event.step for event in read_tensorboard(seen).Scalars("loss")] == [1000]
    log.finish(result, folder)

    for seed, points in read_history(folder).items():
        events = read_tensorboard(folder / "tensorboard" / f"seed-{seed}")
        found = [(event.step, event.value) for event in events.Scalars("loss")]
        np.testing.assert_allclose(found, [(step, numbers["loss"]) for step, numbers in points], rtol=1e-6)
        assert events.Scalars("final/final_loss")[0].step == 2300


def test_mlflow_goes_on_with_its_run(folder, result, tmp_path, monkeypatch):
    pytest.importorskip("sqlalchemy")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_tracking_uri(None)
    client = mlflow.MlflowClient()

    def find_run():
        (experiment,) = (one for one in client.search_experiments() if one.name == "keras_dnnts names")
        (run,) = client.search_runs([experiment.experiment_id])
        return run

    log = Loggers(["mlflow"])
    log.follow(folder, progress(folder, {3: 2, 4: 0}))
    assert find_run().info.status == "RUNNING"
    log.follow(folder, progress(folder, {3: 2, 4: 0}, STOPPED))
    assert find_run().info.status == "KILLED"
    log = Loggers(["mlflow"])
    log.take_up(folder)
    log.finish(result, folder)

    run = find_run()
    assert run.info.status == "FINISHED"
    for seed, points in read_history(folder).items():
        found = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, f"loss/seed_{seed}")]
        assert found == [(step, numbers["loss"]) for step, numbers in points]


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Where W&B keeps its runs."""
    wandb = pytest.importorskip("wandb")
    wandb.teardown()  # it reads its settings once
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    yield tmp_path / "wandb"
    wandb.teardown()


def read_wandb(path):
    """The records of an offline run: of a header of 7 bytes, and records of 7 bytes with their length and a message."""
    from wandb.proto import wandb_internal_pb2

    data, at = path.read_bytes(), 7
    while at < len(data) and at < 32_000:  # of the first block
        length = int.from_bytes(data[at + 4 : at + 6], "little")
        yield wandb_internal_pb2.Record.FromString(data[at + 7 : at + 7 + length])
        at += 7 + length


def test_wandb_has_every_point_once_and_the_end(offline, folder, result, capsys):
    log = Loggers(["wandb"])
    log.follow(folder, progress(folder, {3: 2, 4: 0}))
    log.finish(result, folder)

    assert "Logged to wandb" in capsys.readouterr().out
    (path,) = offline.glob("offline-run-*/run-*.wandb")
    records = [*read_wandb(path)]
    logged = [
        {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    for seed, points in read_history(folder).items():
        prefix = f"seed_{seed}"
        found = [(row[f"{prefix}/step"], row[f"{prefix}/loss"]) for row in logged if f"{prefix}/step" in row]
        assert [(int(step), float(loss)) for step, loss in found] == [(s, numbers["loss"]) for s, numbers in points]
    assert any("curves" in "".join(row) for row in logged)
    summary = {
        item.key or "/".join(item.nested_key): item.value_json for record in records for item in record.summary.update
    }
    assert float(summary["final_loss"]) == result.metrics["final_loss"].mean


def test_wandb_goes_on_with_its_run(offline, folder):
    log = Loggers(["wandb"])
    log.follow(folder, progress(folder, {3: 1, 4: 0}))
    log.follow(folder, progress(folder, {3: 1, 4: 0}, STOPPED))
    log = Loggers(["wandb"])
    log.take_up(folder)
    log.follow(folder, progress(folder, {3: 2, 4: 0}, STOPPED))
    assert len({path.name for path in offline.glob("offline-run-*/run-*.wandb")}) == 1  # one id


def test_wandb_asks_nobody_for_a_key(offline, folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Loggers(["wandb"]).follow(folder, progress(folder, {3: 1, 4: 0}))
    (record,) = caplog.records
    assert "WANDB_MODE=offline" in record.getMessage()
