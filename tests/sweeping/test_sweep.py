"""Whole sweeps: what they choose, what they leave, how they go on. Baselines take no engine and no time."""

import json
import os
import re
import tomllib
from urllib.parse import unquote

import numpy as np
import pytest

from keras_dnnts.cli import sweep as command
from keras_dnnts.results import load_result
from keras_dnnts.running import pools
from keras_dnnts.running.interruption import Interrupted, Interruption
from keras_dnnts.running.pools import LocalPool, Outcome, run_all
from keras_dnnts.sweeping.folders import SweepDirectory
from keras_dnnts.sweeping.plan import read_sweep
from keras_dnnts.sweeping.run import Place, resolve_conditions, run_sweep
from tests.devices import on_cpu
from tests.names_folders import call, write_names
from tests.sweeping.inline_pool import InlinePool

MODELS = ("majority", "naive-bayes", "markov")


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr(command, "open_pool", lambda *what: InlinePool())
    monkeypatch.setattr("keras_dnnts.figures.save_figures", lambda result, folder: folder.mkdir(exist_ok=True))


@pytest.fixture
def plan(tmp_path):
    names = write_names(tmp_path / "names")
    path = tmp_path / "models.toml"
    path.write_text(
        f'experiment = "names"\ndata_dir = "{names}"\nseeds = 3\n[sweep]\nmodel = {list(MODELS)}\n', encoding="utf-8"
    )
    return path


def label(model):
    return f"model={model}"


def test_the_best_on_validation_names_is_chosen_and_it_alone_is_judged(inline, plan, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("sweep", plan, "--out", out, "--quiet") == 0
    printed = capsys.readouterr().out
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    runs = {one["label"]: one for one in found["conditions"]}
    assert [*runs] == [label(model) for model in MODELS]
    means = {}
    for model in MODELS:
        result = load_result(out / runs[label(model)]["folder"])
        assert result.config["select"] and result.config["model"] == model and result.config["seeds"] == 3
        assert not any("held_out" in name for name in result.metrics)
        assert (out / runs[label(model)]["folder"] / "report.html").is_file()
        means[model] = np.mean(result.metrics["validation_accuracy_by_class_even"].values)
        assert runs[label(model)]["metrics"]["validation_accuracy_by_class_even"]["mean"] == pytest.approx(means[model])
    best = max(means, key=means.get)
    assert found["chosen"] == label(best)
    assert {one["label"] for one in found["conditions"] if one["final"]} == {label(best)}
    # Held-out names were used once: by the chosen condition, trained on all training names.
    final = load_result(out / runs[label(best)]["final_folder"])
    assert not final.config["select"]
    shown = runs[label(best)]["final"]["held_out_accuracy_by_class_even"]["values"]
    assert tuple(shown) == final.metrics["held_out_accuracy_by_class_even"].values
    assert f"Chosen: {label(best)}" in printed and "On data that had no part in the choice" in printed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"Chosen: {label(best)}" in page and "only the chosen one was judged" in page
    links = [unquote(link) for link in re.findall(r'href="([^"#:]+/report.html)"', page)]
    assert len(links) == len(MODELS) + 1 and all((out / link).is_file() for link in links)
    assert (out / "figures" / "model.svg").is_file() and (out / "figures" / "model.png").is_file()
    assert label(best).partition("=")[2] in (out / "sweep.md").read_text(encoding="utf-8")


def test_a_finished_sweep_given_again_repeats_nothing_and_more_values_add_runs(inline, plan, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("sweep", plan, "--out", out, "--quiet") == 0
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/results.json")}
    assert len(before) == 4
    plan.write_text(plan.read_text(encoding="utf-8").replace("'majority', ", ""), encoding="utf-8")
    text = tomllib.loads((out / "sweep.toml").read_text(encoding="utf-8"))
    assert text["sweep"] == {"model": list(MODELS)}
    capsys.readouterr()
    # The saved plan, from the folder itself, with the folder's runs renamed: content counts.
    (out / "model=markov").rename(out / "elsewhere")
    assert call("sweep", out / "sweep.toml", "--out", out) == 0
    assert "3 of 3 runs are finished already" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in out.glob("*/results.json")}
    assert sorted(after.values()) == sorted(before.values())
    assert call("sweep", plan, "--out", out, "--quiet", "--seeds", "2") == 0
    assert len([*out.glob("*/results.json")]) == 4 + 2 + 1
    assert (out / "model=naive-bayes-2").is_dir()


def test_other_data_are_other_runs(inline, plan, tmp_path):
    out = tmp_path / "out"
    assert call("sweep", plan, "--out", out, "--quiet") == 0
    with (tmp_path / "names" / "Hobbit.txt").open("a", encoding="utf-8") as file:
        file.write("Sandyman\n")
    assert call("sweep", plan, "--out", out, "--quiet") == 0
    assert len([*out.glob("*/results.json")]) == 8


def test_held_out_numbers_of_all_only_where_asked_for(inline, plan, tmp_path):
    out = tmp_path / "out"
    assert call("sweep", plan, "--out", out, "--quiet", "--test-all") == 0
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert all(one["final"] for one in found["conditions"]) and found["shows_all_final"]
    assert "then too good" in (out / "report.html").read_text(encoding="utf-8")


def test_a_run_that_fails_is_reported_at_the_end_and_the_others_go_on(inline, plan, tmp_path, monkeypatch, capsys):
    out, execute = tmp_path / "out", command.run_sweep.__globals__["execute_run"]

    def fail_once(task):
        return Outcome("failed", "the disk is full") if task.run.config["model"] == "markov" else execute(task)

    monkeypatch.setitem(command.run_sweep.__globals__, "execute_run", fail_once)
    assert call("sweep", plan, "--out", out, "--quiet") == 1
    output = capsys.readouterr()
    assert output.err.splitlines()[-1] == "keras-dnnts: model=markov: the disk is full"
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [one["state"] for one in found["conditions"]] == ["finished", "finished", "failed"]
    assert "the disk is full" in (out / "report.html").read_text(encoding="utf-8")
    monkeypatch.undo()
    monkeypatch.setattr(command, "open_pool", lambda *what: InlinePool())
    assert call("sweep", plan, "--out", out, "--quiet") == 0


@pytest.mark.parametrize("what", ["file", "occupied", "run"])
def test_a_folder_that_holds_something_else_is_left_alone(what, inline, plan, tmp_path, capsys):
    out = tmp_path / "out"
    if what == "file":
        out.write_text("mine", encoding="utf-8")
    else:
        out.mkdir()
        (out / ("config.toml" if what == "run" else "thesis.txt")).write_text("mine", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert call("sweep", plan, "--out", out) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_two_sweeps_do_not_write_to_one_folder(inline, plan, tmp_path, capsys):
    directory = SweepDirectory(tmp_path / "out")
    with directory.open("x = 1\n"):
        assert call("sweep", plan, "--out", tmp_path / "out") == 2
    assert "another process runs this sweep" in capsys.readouterr().err


def test_an_interrupted_sweep_goes_on(inline, plan, tmp_path):
    sweep = read_sweep(plan, {})
    conditions, directory, interruption = resolve_conditions(sweep), SweepDirectory(tmp_path / "out"), Interruption()

    class Impatient:
        def begin(self, total, done, is_final=False):
            self.total = total

        def tick(self, standing):
            pass

        def ended(self, name, outcome, standing):
            interruption.requested = True

    with directory.open(sweep.to_toml()), pytest.raises(Interrupted):
        run_sweep(sweep, conditions, Place(directory, InlinePool(), interruption, Impatient()))
    assert len([*directory.path.glob("*/results.json")]) == 1
    assert call("sweep", plan, "--out", directory.path, "--quiet") == 0
    assert len([*directory.path.glob("*/results.json")]) == 4


def die_the_first_time(task):
    """Work whose process is killed once, in a way that nothing can catch."""
    name, marker = task
    if name == "killed" and not os.path.exists(marker):  # noqa: PTH110  a plain text, in another process
        open(marker, "w").close()  # noqa: PTH123
        os.kill(os.getpid(), 9)
    return Outcome("finished", f"{name} by {os.environ['OMP_NUM_THREADS']}")


@pytest.mark.slow
def test_a_worker_that_dies_costs_nothing_but_time(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pool = LocalPool(2, cores=6)
    tasks = {name: (name, str(tmp_path / "died")) for name in ("one", "killed", "two", "three")}
    outcomes = run_all(pool, die_the_first_time, tasks, Interruption())
    pool.close()
    assert (tmp_path / "died").exists()
    assert {name: outcome.line for name, outcome in outcomes.items()} == {name: f"{name} by 3" for name in tasks}


def die(task):
    os.kill(os.getpid(), 9)


@pytest.mark.slow
def test_a_worker_that_dies_every_time_is_given_up():
    pool = LocalPool(1, cores=1)
    outcomes = run_all(pool, die, {"one": 0}, Interruption())
    pool.close()
    assert outcomes["one"].state == "failed" and "died 3 times" in outcomes["one"].line


def raise_error(task):
    raise KeyError("what it was")


def test_whatever_work_raises_is_a_value():
    outcomes = run_all(InlinePool(), raise_error, {"one": 0}, Interruption())
    assert outcomes["one"] == Outcome("failed", "KeyError: 'what it was'")


@on_cpu
@pytest.mark.slow
@pytest.mark.one_engine
def test_real_workers_find_what_the_command_finds(tmp_path):
    """Networks in real processes, warm from the second run on, equal to runs of their own to the last bit."""
    names = write_names(tmp_path / "names")
    path = tmp_path / "rates.toml"
    small = f'data_dir = "{names}"\nhidden_units = 8\niterations = 1500\nseeds = 2\n'
    path.write_text(f'experiment = "names"\n{small}[sweep]\nlearning_rate = [0.01, 0.05]\n', encoding="utf-8")
    out = tmp_path / "out"
    assert call("sweep", path, "--out", out, "--workers", "1", "--quiet") == 0
    for rate in (0.01, 0.05):
        options = ("--data-dir", names, "--hidden-units", 8, "--iterations", 1500, "--seeds", 2, "--select")
        own = tmp_path / f"own-{rate}"
        assert call("names", *options, "--learning-rate", rate, "--out", own, "--quiet") == 0
        ours, theirs = load_result(out / f"learning_rate={rate}"), load_result(own)
        assert {name: array.tobytes() for name, array in ours.arrays.items()} == {
            name: array.tobytes() for name, array in theirs.arrays.items()
        }
        assert ours.metrics["validation_accuracy"] == theirs.metrics["validation_accuracy"]
        assert ours.config == theirs.config


def test_workers_share_out_the_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-a/b,")
    gpus = pools.visible_gpus()
    assert gpus == ("2", "GPU-a/b")
    monkeypatch.setattr(pools, "_held", [])
    assert [pools.claim_gpu(gpus, tmp_path) for _ in range(2)] == list(gpus)
    assert pools.claim_gpu(gpus, tmp_path) in gpus  # a third shares one
    for lock in pools._held:
        lock.release()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    listed = "GPU 0: NVIDIA H100 (UUID: GPU-1)\n  MIG 1g.10gb Device 0\nGPU 1: NVIDIA H100 (UUID: GPU-2)\n"
    monkeypatch.setattr(
        pools.subprocess, "run", lambda *what, **how: pools.subprocess.CompletedProcess(what, 0, listed)
    )
    assert pools.visible_gpus() == ("0", "1")


def test_a_sweep_is_not_taken_for_a_run(inline, plan, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("sweep", plan, "--out", out, "--quiet") == 0
    capsys.readouterr()
    assert call("report", out) == 2
    assert "is a sweep's: name the folder of one of its runs" in capsys.readouterr().err
    assert call("runs", out) == 0
    assert capsys.readouterr().out.count("finished") == 4
