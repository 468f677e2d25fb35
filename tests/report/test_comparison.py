"""The page of several runs, and what it lets one conclude."""

import dataclasses
import json

import numpy as np
import pytest

from keras_dnnts.figures.comparison import plot_comparison
from keras_dnnts.report import write_comparison
from keras_dnnts.results import Metric
from keras_dnnts.results.conclusions import headline_metrics, interval_over_seeds
from keras_dnnts.results.findings import shorten_label, state_conclusions, state_ranking, state_result
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import call
from tests.report.illustrated import illustrated_cifar, illustrated_names, save
from tests.report.test_run import MOST_BYTES, Page

NAME = "held_out_accuracy_by_class"


def run_with(values, **changes):
    result = names_result(seeds=len(values), **changes)
    metric = Metric(tuple(values), ((0.1, 0.9),) * len(values))
    return dataclasses.replace(result, metrics=result.metrics | {NAME: metric})


def test_seed_interval_covers_its_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [interval_over_seeds(Metric(tuple(rng.normal(0.3, 0.1, 4)))) for _ in range(2000)]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.935 < covered < 0.965
    assert interval_over_seeds(Metric((0.3,))) is None


def test_runs_are_judged_by_what_all_have():
    sound, reference = names_result(), names_result(protocol="reference")
    assert list(headline_metrics(sound)) == [NAME, "train_accuracy_by_class"]
    assert list(headline_metrics(sound, reference)) == ["train_accuracy_by_class"]
    assert list(headline_metrics(cifar_result())) == ["test_accuracy"]


def under_priors(result, even, natural):
    """A result that also has accuracies under both priors."""
    added = {f"{NAME}_even": even, "held_out_accuracy_natural": natural, "train_accuracy_by_class_even": (0.9,)}
    metrics = result.metrics | {NAME: Metric(result.metrics[NAME].values)}
    return dataclasses.replace(result, metrics=metrics | {name: Metric(value) for name, value in added.items()})


def test_models_of_any_prior_are_judged_under_the_same():
    """One that holds the natural prior must not lose, averaged over languages, to one that holds the even one."""
    cell = under_priors(run_with([0.51, 0.52, 0.53], model="gru"), (0.51, 0.52, 0.53), (0.70, 0.71, 0.73))
    batched = under_priors(run_with([0.48, 0.49, 0.50], model="lstm"), (0.63, 0.65, 0.64), (0.83, 0.84, 0.85))
    judged = [f"{NAME}_even", "held_out_accuracy_natural", "train_accuracy_by_class"]
    assert list(headline_metrics(cell, batched)) == judged
    assert state_result(batched) == "LSTM names the language of 64\N{NO-BREAK SPACE}% of unseen surnames"
    lines = state_conclusions({"batched": batched, "cell": cell})
    by_class, overall = (line for line in lines if "under the" in line)
    assert by_class == (
        "Accuracy on held-out names, averaged over languages, under the even prior: "
        "batched is ahead of cell by 12.0 points"
    )
    assert overall.startswith("Accuracy on held-out names, over all names, under the natural prior: batched is ahead")
    # Results of an earlier version have neither, and are compared by what they have.
    assert next(iter(headline_metrics(cell, names_result()))) == NAME


def test_page_figure_and_terminal_say_the_same(tmp_path, capsys):
    runs = {"rnn <1>": run_with([0.8, 0.81, 0.82], cell="rnn"), "gru": run_with([0.5, 0.52, 0.54])}
    said = "Accuracy on held-out names, averaged over languages: rnn <1> is ahead of gru by 29.0 points"
    assert state_ranking(runs) == said
    text = Page(write_comparison(runs, tmp_path).read_text(encoding="utf-8")).text
    assert text.index(said) < text.index("Conclusions") < text.index("Metrics")
    assert "Rnn <1> is ahead of gru" not in text
    assert "81.0 ± 1.0 %" in text
    title = plot_comparison(runs, {NAME: "held-out"}).get_title()
    assert " ".join(title.split()).startswith(said)
    folders = [save(result, tmp_path / label) for label, result in runs.items()]
    assert call("compare", *folders, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    for lines in (printed.splitlines(), (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8").splitlines()):
        assert any(line.strip(" -") == said for line in lines)
    assert printed.index(said) > printed.index("train seconds")
    assert "Nadeau & Bengio" in printed
    plain = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert plain["conclusions"][0] == said


def test_terminal_has_what_runs_are_judged_by_and_all_on_request(tmp_path, capsys):
    result = run_with([0.8, 0.81, 0.82])
    under = {f"held_out_accuracy{name}": Metric((0.5, 0.6, 0.7)) for name in ("_by_class_even", "_natural", "_even")}
    folder = save(dataclasses.replace(result, metrics=result.metrics | under), tmp_path / "run")
    assert call("compare", folder, "--out", tmp_path / "out") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "averaged over languages, even prior" in printed and "over all names, natural prior" in printed
    assert "over all names, even prior" not in printed
    assert f"Further rows (1) are in {tmp_path / 'out' / 'comparison.md'}; --all prints them" in printed
    assert "over all names, even prior" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert call("compare", folder, "--out", tmp_path / "out", "--all") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "over all names, even prior" in printed and "Further rows" not in printed


def test_labels_stay_as_they_are_and_long_ones_are_cut_alike(tmp_path):
    long = "a-run-of-monday-that-has-a-very-long-name"
    runs = {long: run_with([0.8, 0.81, 0.82]), "b": run_with([0.5, 0.52, 0.54]), "c": run_with([0.4, 0.42, 0.45])}
    text = Page(write_comparison(runs, tmp_path).read_text(encoding="utf-8")).text
    cut = shorten_label(long)
    assert len(cut) == 28
    assert f"{cut} is ahead of all others" in text
    assert f"{cut} is ahead of b by 29.0 points" in text
    ticks = plot_comparison(runs, {NAME: "held-out"}).get_xticklabels()
    assert [tick.get_text().replace("\n", "") for tick in ticks] == [cut, "b", "c"]


def test_different_data_are_said_before_any_conclusion(tmp_path):
    runs = {"a": names_result(seed=1), "b": names_result(seed=2, name="others", content_hash="sha256:2")}
    text = Page(write_comparison(runs, tmp_path).read_text(encoding="utf-8")).text
    assert "These runs used different data" in text
    assert text.index("no conclusion is drawn") < text.index("95 % interval")
    assert "is ahead of" not in text
    assert "is shown" not in text


def test_command_writes_the_page_only_where_it_is_asked_for(tmp_path, capsys):
    runs = [save(illustrated_names(("A", "B"), seed=i), tmp_path / f"run{i}") for i in (1, 2)]
    assert call("compare", *runs, "--out", tmp_path / "plain") == 0
    assert not (tmp_path / "plain" / "report.html").exists()
    assert call("compare", *runs, "--out", tmp_path / "page", "--html") == 0
    assert str(tmp_path / "page" / "report.html") in capsys.readouterr().out.replace("\n", "")
    assert "run1" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_four_runs_of_images_stay_small(tmp_path):
    classes = tuple(f"class {i}" for i in range(10))
    runs = {f"run {i}": illustrated_cifar(classes, embedded=2000) for i in range(4)}
    path = write_comparison(runs, tmp_path)
    assert path.stat().st_size < MOST_BYTES
    assert "one seed" in Page(path.read_text(encoding="utf-8")).text


def test_runs_of_different_classes_have_no_common_table(tmp_path):
    runs = {"a": names_result(classes=("A", "B")), "b": names_result(classes=("C", "D"))}
    assert "Class by class" not in Page(write_comparison(runs, tmp_path).read_text(encoding="utf-8")).text
