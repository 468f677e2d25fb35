"""`keras-dnnts runs`: every run of a folder, whatever has become of it."""

import keras
import pytest

from keras_dnnts.running.overview import find_runs
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.studies.names.config import NamesConfig
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import call, write_names


def finished(folder, result):
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'experiment = "{result.experiment}"\n', encoding="utf-8")
    result.save(folder)


@pytest.fixture
def runs(tmp_path):
    finished(tmp_path / "gru", names_result(seeds=3))
    finished(tmp_path / "sweep" / "width=1", cifar_result())
    with RunDirectory.new(tmp_path / "stopped", "names").open(NamesConfig(seeds=4), "sha256:1"):
        pass
    finished(tmp_path / "damaged", names_result())
    (tmp_path / "damaged" / "results.json").write_text("{", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    finished(tmp_path / ".hidden", names_result())
    return tmp_path


def test_runs_are_found_with_their_states(runs):
    found = {one.folder.relative_to(runs).as_posix(): one for one in find_runs(runs)}
    assert {name: one.state for name, one in found.items()} == {
        "damaged": "damaged",
        "gru": "finished",
        "stopped": "interrupted",
        "sweep/width=1": "finished",
    }
    value = names_result(seeds=3).metrics["held_out_accuracy_by_class"]
    assert found["gru"].headline.startswith(f"{100 * value.mean:.1f} ± {100 * value.sd:.1f}")
    assert (found["gru"].model, found["gru"].seeds) == ("GRU", "3")
    assert found["stopped"].seeds == "0 of 4"
    assert found["stopped"].note == f"resume with: keras-dnnts names --resume {runs / 'stopped'}"


def test_a_run_that_is_being_written_is_running_and_stays_so(runs):
    directory = RunDirectory.resumed(runs / "stopped")
    with directory.open(NamesConfig(seeds=4), "sha256:1"):
        (one,) = find_runs(runs / "stopped")
        assert one.state == "running"
        assert directory.writer() is not None
    (one,) = find_runs(runs / "stopped")
    assert one.state == "interrupted"


def test_the_command_prints_the_table_and_how_to_go_on(runs, capsys):
    assert call("runs", runs) == 0
    printed = capsys.readouterr().out
    assert "sweep/width=1" in printed and "keras-dnnts names --resume" in printed
    assert "is damaged or edited" in printed
    assert call("runs", runs / "empty") == 0
    assert "holds no runs" in capsys.readouterr().out
    assert call("runs", runs / "nowhere") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.one_engine
def test_why_a_run_failed_is_kept_until_it_is_taken_up_again(tmp_path, capsys):
    small = ("--hidden-units", 8, "--iterations", 2000, "--schedule", "constant", "--backend", keras.backend.backend())
    data = write_names(tmp_path / "names")
    assert call("names", "--data-dir", data, *small, "--learning-rate", 1e38, "--quiet", "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    (one,) = find_runs(tmp_path / "run")
    assert one.state == "failed"
    assert "the loss is not finite" in one.note and one.note.split(":")[1] in error
    directory = RunDirectory.resumed(tmp_path / "run")
    identity = directory.checkpoints.identity()
    with directory.open(directory.config(), identity["content_hash"]):
        pass
    assert find_runs(tmp_path / "run")[0].state == "interrupted"
