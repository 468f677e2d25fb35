"""The reliability diagram: what is measured, saved, drawn and said."""

import numpy as np
import pytest

from keras_dnnts import NamesConfig, load_result, run_names
from keras_dnnts.studies.names.measure import measure_reliability
from keras_dnnts.studies.names.reliability import Reliability, find_reliability
from keras_dnnts.studies.names.reliability_figure import plot_reliability
from keras_dnnts.studies.names.reliability_page import list_bins
from tests.finished_runs import names_result
from tests.names_folders import call, write_names


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    names = write_names(tmp_path_factory.mktemp("data") / "names")
    folder = tmp_path_factory.mktemp("runs") / "run"
    run_names(NamesConfig(model="naive-bayes", data_dir=str(names), seeds=2), folder)
    return folder


def test_bins_against_a_loop():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.full(4, 0.4), 500)
    labels = rng.integers(0, 4, 500)
    found = measure_reliability(probabilities, labels)
    for i in range(10):
        inside = [n for n in range(500) if i / 10 < max(probabilities[n]) <= (i + 1) / 10]
        assert found.count[i] == len(inside)
        if not inside:
            assert np.isnan(found.confidence[i]) and np.isnan(found.accuracy[i])
            continue
        assert found.confidence[i] == pytest.approx(np.mean([max(probabilities[n]) for n in inside]))
        assert found.accuracy[i] == pytest.approx(np.mean([probabilities[n].argmax() == labels[n] for n in inside]))


def test_every_name_is_in_a_bin_and_the_error_follows(run):
    result = load_result(run)
    reliability, part = find_reliability(result)
    assert part == "held_out"
    assert reliability.count.shape == (2, 10)
    assert reliability.count.sum(axis=1).tolist() == result.arrays["distinct_held_out"].sum(axis=1).tolist()
    share = reliability.count / reliability.count.sum(axis=1, keepdims=True)
    right = np.nansum(share * reliability.accuracy, axis=1)
    np.testing.assert_allclose(right, result.metrics["held_out_accuracy_natural"].values)
    gaps = np.nansum(share * abs(reliability.accuracy - reliability.confidence), axis=1)
    np.testing.assert_allclose(gaps, result.metrics["held_out_calibration_error"].values, atol=0.15)  # of other bins


def test_page_and_figure_show_it(run):
    result = load_result(run)
    reliability, _ = find_reliability(result)
    assert call("report", run) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Calibration" in page
    for row in list_bins(reliability):
        assert row["ends"] in page
    ax = plot_reliability(result)
    _, *seeds, mean = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(seeds, reliability.accuracy)
    np.testing.assert_allclose(mean, reliability.means[1])


def test_empty_bins_are_left_out():
    accuracy = np.array([[np.nan, 0.25, np.nan], [np.nan, 0.75, 1.0]])
    reliability = Reliability(np.array([[0, 4, 0], [0, 4, 1]]), np.where(np.isnan(accuracy), np.nan, 0.5), accuracy)
    confidence, drawn = reliability.drawn()
    assert confidence.tolist() == [0.5, 0.5]
    np.testing.assert_array_equal(drawn, accuracy[:, 1:])
    assert [row["accuracy"] for row in list_bins(reliability)] == ["–", "50.0\xa0%", "100.0\xa0%"]


def test_results_of_earlier_versions_lack_it(tmp_path):
    result = names_result()
    result.save(tmp_path)
    assert find_reliability(result) is None
    assert call("report", tmp_path) == 0
    assert "Calibration" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_comparison_has_the_error(run, tmp_path, capsys):
    assert call("compare", run, run, "--out", tmp_path / "both") == 0
    assert "held-out, calibration error" in (tmp_path / "both" / "comparison.md").read_text(encoding="utf-8")
