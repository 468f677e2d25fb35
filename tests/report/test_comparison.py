"""The page of several runs, and what it lets one conclude."""

import dataclasses

import numpy as np
import pytest
import torch  # noqa: F401  before SciPy's statistics, as everywhere
from scipy import stats

from keras_dnnts.report import write_comparison
from keras_dnnts.report.comparison import conclude
from keras_dnnts.results import Metric
from keras_dnnts.results.conclusions import find_pairwise_differences, headline_metrics, interval_over_seeds
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import call
from tests.report.illustrated import illustrated_cifar, illustrated_names, save
from tests.report.test_run import MOST_BYTES, Page

NAME = "held_out_accuracy_by_class"


def run_with(values, **changes):
    result = names_result(seeds=len(values), **changes)
    metric = Metric(tuple(values), ((0.1, 0.9),) * len(values))
    return dataclasses.replace(result, metrics=result.metrics | {NAME: metric})


def test_welch_interval_equals_its_formula():
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.5, 0.02, 5), rng.normal(0.4, 0.05, 3)
    (difference,) = find_pairwise_differences({"b": run_with(second), "a": run_with(first)}, NAME)
    parts = first.var(ddof=1) / 5, second.var(ddof=1) / 3
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 2)
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    value = first.mean() - second.mean()
    assert (difference.first, difference.second) == ("a", "b")
    assert difference.value == pytest.approx(value)
    assert difference.interval_95 == pytest.approx((value - reach, value + reach))


def test_seed_interval_covers_its_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [interval_over_seeds(Metric(tuple(rng.normal(0.3, 0.1, 4)))) for _ in range(2000)]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.935 < covered < 0.965
    assert interval_over_seeds(Metric((0.3,))) is None


def test_conclusions_are_shown_not_shown_or_not_to_be_told():
    runs = {
        "far": run_with([0.80, 0.81, 0.82]),
        "near": run_with([0.50, 0.52, 0.54]),
        "too near": run_with([0.49, 0.51, 0.56]),
        "alone": run_with([0.3]),
    }
    verdicts = {(d.first, d.second): conclude(d) for d in find_pairwise_differences(runs, NAME)}
    assert verdicts["far", "near"]["words"] == "is ahead by 29.0 points"
    assert verdicts["near", "too near"]["verdict"] == "none"
    assert "no difference shown" in verdicts["near", "too near"]["words"]
    assert verdicts["far", "alone"]["verdict"] == "single"
    assert verdicts["far", "alone"]["interval"] is None
    assert "one seed allows no conclusion" in verdicts["far", "alone"]["words"]


def test_equal_values_show_no_difference():
    runs = {"a": run_with([0.5, 0.5]), "b": run_with([0.5, 0.5])}
    (difference,) = find_pairwise_differences(runs, NAME)
    assert not difference.is_shown
    assert conclude(difference)["verdict"] == "none"


def test_runs_are_judged_by_what_all_have():
    sound, reference = names_result(), names_result(protocol="reference")
    assert list(headline_metrics(sound)) == [NAME, "train_accuracy_by_class"]
    assert list(headline_metrics(sound, reference)) == ["train_accuracy_by_class"]
    assert list(headline_metrics(cifar_result())) == ["test_accuracy"]


def test_page_opens_with_the_conclusions(tmp_path):
    runs = {"rnn <1>": run_with([0.8, 0.81, 0.82], cell="rnn"), "gru": run_with([0.5, 0.52, 0.54])}
    text = Page(write_comparison(runs, tmp_path).read_text(encoding="utf-8")).text
    assert "rnn <1> is ahead by 29.0 points of gru" in text
    assert text.index("What one may conclude") < text.index("is ahead by") < text.index("Numbers")
    assert "81.0 ± 1.0 %" in text


def test_different_data_are_said_before_any_conclusion(tmp_path):
    runs = {"a": names_result(seed=1), "b": names_result(seed=2, name="others", content_hash="sha256:2")}
    text = Page(write_comparison(runs, tmp_path).read_text(encoding="utf-8")).text
    assert "hese runs used different data" in text
    assert text.index("different data") < text.index("95 % interval")


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
