"""Accuracy on samples of names during training: the right names, the right shares, and nothing depends on it."""

import csv
import dataclasses
from contextlib import ExitStack

import keras
import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from keras_dnnts import NamesConfig, load_result, run_names
from keras_dnnts.analysis import log_softmax
from keras_dnnts.datasets.letters import names_dataset
from keras_dnnts.datasets.splits import split_names
from keras_dnnts.loggers.history import read_history
from keras_dnnts.report.run import describe_run
from keras_dnnts.running.checkpoints import Checkpoints
from keras_dnnts.running.saved_models import find_saved_model
from keras_dnnts.studies.names import numpy_model, sampled
from keras_dnnts.studies.names.config import CELLS
from keras_dnnts.studies.names.data import load_data
from keras_dnnts.studies.names.findings import title_sampled
from keras_dnnts.studies.names.measure import sides
from keras_dnnts.studies.names.numpy_model import NumpyNamesModel, Prefixes
from keras_dnnts.studies.names.predict import load_numpy_model
from keras_dnnts.studies.names.sampled import Sampling
from tests.finished_runs import names_result
from tests.names_folders import NAMES, write_names

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@pytest.fixture
def config(tmp_path):
    names = write_names(tmp_path / "names", NAMES)
    return NamesConfig(data_dir=str(names), hidden_units=8, iterations=2300, learning_rate=0.05, checkpoint_seconds=0)


def random_model(cell, rng, width=9, units=8, classes=3):
    rows = GATES[cell] * units
    shapes = [(rows, width), (rows, units), (rows,), (rows,)]
    recurrent = [rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]
    head = [rng.normal(size=shape).astype(np.float32) for shape in ((units, classes), (classes,))]
    return NumpyNamesModel(cell, recurrent, head)


@pytest.mark.parametrize("cell", CELLS)
def test_names_that_begin_alike_are_read_as_others(cell, monkeypatch):
    monkeypatch.setattr("keras_dnnts.studies.names.numpy_model.PREFIXES_PER_BATCH", 7)
    rng = np.random.default_rng(1)
    letters, lengths = rng.integers(0, 3, (200, 6)), rng.integers(1, 7, 200)
    letters[np.arange(6) >= lengths[:, None]] = 8
    model = random_model(cell, rng)

    names = Prefixes.of_names(letters, lengths)

    read = {tuple(row[:end].tolist()) for row, n in zip(letters, lengths, strict=True) for end in range(1, n + 1)}
    assert sum(len(parents) for parents, *_ in names.steps) == len(read) < lengths.sum()
    workspace = model.make_workspace(names)
    for one in (model, random_model(cell, rng), model):  # all in the same memory
        found, expected = log_softmax(one.logits_of(names, workspace)), one.log_probabilities(letters, lengths)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_products_stay_on_one_thread_until_the_last_thread_has_left():
    pools = ThreadpoolController().select(user_api="blas")

    def threads():
        return {pool.num_threads for pool in pools.lib_controllers}

    with pools.limit(limits=2):
        with ExitStack() as first:
            with numpy_model._one_thread:
                assert threads() == {1}
                first.enter_context(numpy_model._one_thread)
            assert threads() == {1}
        assert threads() == {2}


def test_samples_are_distinct_names_of_their_side(monkeypatch):
    monkeypatch.setattr(sampled, "SAMPLE_SIZE", 5)
    dataset = names_dataset(
        NAMES, "".join(sorted({letter for lines in NAMES.values() for letter in "".join(lines)})), name="n", source="s"
    )
    split = split_names(dataset, 0.4, seed=3)

    samples = sampled.draw_samples(dataset, sides(split), seed=3)

    assert [*samples] == ["train", "held_out"]
    for side, lines in samples.items():
        assert len({(dataset.texts[i], dataset.labels[i]) for i in lines}) == len(lines) == 5
        assert {*lines} <= {*getattr(split, side)}
        assert lines.tolist() == sampled.draw_samples(dataset, sides(split), seed=3)[side].tolist()
        others = [sampled.draw_samples(dataset, sides(split), seed=seed)[side].tolist() for seed in range(4, 12)]
        assert any(other != lines.tolist() for other in others)


@pytest.mark.parametrize(
    ("steps", "names", "expected"),
    [
        (12_300, 1, (5000, 10_000, 12_300)),
        (10_000, 1, (5000, 10_000)),
        (3, 1, (3,)),
        (3, 14_000, (1, 2, 3)),
        (3, 5000, (1, 2, 3)),
        (10, 1250, (4, 8, 10)),
        (8, 1249, (5, 8)),
    ],
)
def test_steps(steps, names, expected):
    assert Sampling.of_training(["train"], steps, names).steps == expected


@pytest.mark.one_engine
@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["sound", "reference"])
def test_a_run_keeps_the_shares(config, tmp_path, monkeypatch, protocol):
    monkeypatch.setattr(sampled, "EVERY", 1000)
    changed = dataclasses.replace(config, protocol=protocol, seed=2)
    result = run_names(changed, tmp_path / "run")

    parts = ["train", "held_out"] if protocol == "sound" else ["train"]
    assert result.arrays["sampled_step"].tolist() == [1000, 2000, 2300]
    assert {name for name in result.arrays if name.startswith("sampled_acc")} == {
        f"sampled_accuracy_{p}" for p in parts
    }
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open(encoding="utf-8")))
    assert [*rows[0]] == ["seed", "step", "loss", *(f"sampled_accuracy_{part}" for part in parts)]
    data, saved = load_data(changed), find_saved_model(tmp_path / "run")
    dataset, model = data.dataset, load_numpy_model(saved)
    for part, lines in sampled.draw_samples(dataset, sides(data.splits[2]), 2).items():
        written = [float(row[f"sampled_accuracy_{part}"]) for row in rows]
        assert written == result.arrays[f"sampled_accuracy_{part}"][0].tolist()
        said = model.log_probabilities(dataset.letters[lines], dataset.lengths[lines])
        said = said - np.log(result.arrays["trained_share"][0]) + np.log(result.arrays["training_names"][0])
        assert written[-1] == (said.argmax(axis=1) == dataset.labels[lines]).mean()
    page = describe_run(result)
    assert [len(one["chart"].lines) for one in page["curves"]] == [1, len(parts)]
    assert any("training did not depend on it" in note for note in page["notes"])


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise ZeroDivisionError


@pytest.mark.one_engine
@pytest.mark.slow
def test_a_resumed_run_has_the_same_shares_and_old_checkpoints_go_on(config, tmp_path, monkeypatch):
    monkeypatch.setattr(sampled, "EVERY", 1000)
    whole = run_names(config, tmp_path / "whole")
    for name in ("resumed", "old"):
        with pytest.raises(ZeroDivisionError):
            run_names(config, tmp_path / name, callbacks=[Stop()])
    resumed = run_names(config, tmp_path / "resumed", resume=True)

    def load_old(self, seed):
        state = load(self, seed)
        del state["parts"]["samples"]
        return state

    load = Checkpoints.load_training
    monkeypatch.setattr(Checkpoints, "load_training", load_old)
    old = run_names(config, tmp_path / "old", resume=True)
    for name in ("sampled_step", "sampled_accuracy_train", "sampled_accuracy_held_out", "loss"):
        assert resumed.arrays[name].tobytes() == whole.arrays[name].tobytes()
    assert (tmp_path / "resumed/history.csv").read_bytes() == (tmp_path / "whole/history.csv").read_bytes()
    assert np.isnan(old.arrays["sampled_accuracy_train"][0]).tolist() == [True, False, False]
    assert load_result(tmp_path / "old").arrays["loss"].tobytes() == whole.arrays["loss"].tobytes()


def test_a_history_without_some_numbers_is_read(tmp_path):
    (tmp_path / "history.csv").write_text("seed,step,loss,share\n0,1,0.5,\n0,2,0.25,0.75\n", encoding="utf-8")
    assert read_history(tmp_path) == {0: [(1, {"loss": 0.5}), (2, {"loss": 0.25, "share": 0.75})]}


def test_titles_say_where_it_ends():
    result = names_result(seeds=2, cell="gru")
    result.arrays["sampled_step"] = np.array([5000, 6000])
    result.arrays["sampled_accuracy_train"] = np.array([[0.5, 0.75], [0.5, 0.85]])
    result.arrays["sampled_accuracy_held_out"] = np.array([[0.5, np.nan], [0.5, 0.625]])
    assert title_sampled({"a": result}).replace("\xa0", " ") == "GRU: 80 % of training names, 62 % of held-out names"
    curves = result.study.curves({"a": result, "b": result})
    assert [line.dashed for line in curves[1]["chart"].lines] == [True, False] * 2
    assert result.study.curves({"a": names_result()})[1:] == []
