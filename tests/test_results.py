"""Results go to disk and back; what is damaged is named."""

import json

import numpy as np
import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.results import Metric, collect_metrics, load_result
from tests.finished_runs import names_result


def test_round_trip(tmp_path):
    result = names_result()
    result.save(tmp_path)
    again = load_result(tmp_path)

    assert again.metrics == result.metrics
    assert (again.config, again.dataset, again.details) == (result.config, result.dataset, result.details)
    assert again.arrays.keys() == result.arrays.keys()
    for name, array in result.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


def test_statistics_over_seeds():
    metric = Metric((0.2, 0.5, 0.9))
    assert metric.mean == pytest.approx(np.mean(metric.values))
    assert metric.sd == pytest.approx(np.std(metric.values, ddof=1))
    assert Metric((0.5,)).sd is None


def test_collect_metrics_takes_numbers_and_intervals():
    metrics = collect_metrics([{"a": (0.5, (0.4, 0.6)), "b": 1}, {"a": (0.7, (0.6, 0.8)), "b": 2}])
    assert metrics["a"] == Metric((0.5, 0.7), ((0.4, 0.6), (0.6, 0.8)))
    assert metrics["b"] == Metric((1.0, 2.0))


DAMAGE = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "not JSON": lambda text: "<html>",
    "a list": lambda text: "[]",
    "another version": lambda text: text.replace('"format_version": 1', '"format_version": 99'),
    "no metrics": lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "metrics"}),
    "unknown part": lambda text: json.dumps(json.loads(text) | {"surprise": 1}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_results_name_the_file(tmp_path, damage):
    names_result().save(tmp_path)
    path = tmp_path / "results.json"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UserError, match=r"results\.json"):
        load_result(tmp_path)


def test_damaged_arrays_are_an_error(tmp_path):
    names_result().save(tmp_path)
    arrays = tmp_path / "results.npz"
    arrays.write_bytes(arrays.read_bytes()[:200])
    with pytest.raises(UserError, match="damaged"):
        load_result(tmp_path)


def test_unfinished_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        load_result(tmp_path)
