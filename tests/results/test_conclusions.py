"""What several runs allow one to conclude, against independent computations."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from keras_dnnts.results import Metric
from keras_dnnts.results.conclusions import find_pairwise_differences
from keras_dnnts.results.findings import describe_method, state_conclusions, state_difference, state_ranking
from tests.finished_runs import cifar_result, names_result

NAME = "held_out_accuracy_by_class"
OVERLAP = 30 / 120  # of names_result's counts


def run_with(values, first_seed=0, counts=None, **changes):
    result = names_result(seeds=len(values), **changes)
    metric = Metric(tuple(values), ((0.1, 0.9),) * len(values))
    dataset = result.dataset | {"counts": result.dataset["counts"] | (counts or {})}
    config = result.config | {"seed": first_seed}
    return dataclasses.replace(result, config=config, dataset=dataset, metrics=result.metrics | {NAME: metric})


def corrected_t(differences, overlap, level=0.05):
    """Nadeau & Bengio's corrected resampled t-test, written out from the paper."""
    n = len(differences)
    mean = sum(differences) / n
    variance = sum((one - mean) ** 2 for one in differences) / (n - 1)
    error = (variance * (1 / n + overlap)) ** 0.5
    reach = stats.t(n - 1).isf(level / 2) * error
    return mean, (mean - reach, mean + reach), 2 * stats.t(n - 1).sf(abs(mean / error))


def test_seeds_with_the_same_split_are_paired_and_corrected_for_overlap():
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.5, 0.02, 5), rng.normal(0.45, 0.05, 5)
    (difference,) = find_pairwise_differences({"b": run_with(second), "a": run_with(first)}, NAME)
    value, interval, p_value = corrected_t((first - second).tolist(), OVERLAP)
    assert (difference.first, difference.second, difference.paired_seeds) == ("a", "b", 5)
    assert difference.value == pytest.approx(value)
    assert difference.interval_95 == pytest.approx(interval)
    assert difference.p_value == pytest.approx(p_value)


def test_without_held_out_examples_the_paired_test_is_scipy_s():
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.5, 0.02, 4), rng.normal(0.45, 0.03, 4)
    runs = {label: run_with(values, counts={"held_out": [0] * 4}) for label, values in (("a", first), ("b", second))}
    (difference,) = find_pairwise_differences(runs, NAME)
    test = stats.ttest_rel(first, second)
    assert difference.p_value == pytest.approx(test.pvalue)
    assert difference.interval_95 == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_only_shared_seeds_are_paired():
    first, second = np.array([0.50, 0.52, 0.55, 0.51]), np.array([0.4, 0.44, 0.42])
    runs = {"a": run_with(first, first_seed=2), "b": run_with(second, first_seed=4)}
    (difference,) = find_pairwise_differences(runs, NAME)
    value, interval, _ = corrected_t([0.55 - 0.4, 0.51 - 0.44], OVERLAP)
    assert (difference.paired_seeds, difference.value) == (2, pytest.approx(value))
    assert difference.interval_95 == pytest.approx(interval)


@pytest.mark.parametrize(
    "changes",
    [{"first_seed": 50}, {"counts": {"train": [60] * 3, "held_out": [15] * 3}}],
    ids=["other seeds", "another split"],
)
def test_what_is_not_paired_has_welch_s_interval(changes):
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.5, 0.02, 5), rng.normal(0.4, 0.05, 3)
    (difference,) = find_pairwise_differences({"b": run_with(second, **changes), "a": run_with(first)}, NAME)
    parts = first.var(ddof=1) * (1 / 5 + OVERLAP), second.var(ddof=1) * (1 / 3 + OVERLAP)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 2)
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    value = first.mean() - second.mean()
    assert difference.paired_seeds == 0
    assert difference.value == pytest.approx(value)
    assert difference.interval_95 == pytest.approx((value - reach, value + reach))


def test_unpaired_without_held_out_examples_is_scipy_s_welch():
    rng = np.random.default_rng(8)
    first, second = rng.normal(0.5, 0.02, 5), rng.normal(0.4, 0.05, 3)
    runs = {
        "a": run_with(first, counts={"held_out": [0] * 5}),
        "b": run_with(second, first_seed=9, counts={"held_out": [0] * 3}),
    }
    (difference,) = find_pairwise_differences(runs, NAME)
    test = stats.ttest_ind(first, second, equal_var=False)
    assert difference.p_value == pytest.approx(test.pvalue)
    assert difference.interval_95 == pytest.approx(tuple(test.confidence_interval(0.95)))


def holm(p_values):
    """Holm's adjusted p-values, by their definition: the largest so far of p times the number left."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    steps = [min(1.0, p_values[i] * (len(p_values) - rank)) for rank, i in enumerate(order)]
    return {i: max(steps[: rank + 1]) for rank, i in enumerate(order)}


@pytest.mark.parametrize("seed", range(6))
def test_more_than_two_runs_are_judged_by_holm_s_method(seed):
    rng = np.random.default_rng(seed)
    values = {label: rng.normal(mean, 0.02, 5) for label, mean in zip("abcd", rng.uniform(0.4, 0.6, 4), strict=True)}
    differences = find_pairwise_differences({label: run_with(one) for label, one in values.items()}, NAME)
    raw = [corrected_t((values[d.first] - values[d.second]).tolist(), OVERLAP)[2] for d in differences]
    adjusted = holm(raw)
    assert [d.p_value for d in differences] == pytest.approx([adjusted[i] for i in range(6)])
    assert [d.is_shown for d in differences] == [adjusted[i] <= 0.05 for i in range(6)]
    first = min(range(6), key=raw.__getitem__)
    pair = values[differences[first].first] - values[differences[first].second]
    assert differences[first].interval_95 == pytest.approx(corrected_t(pair.tolist(), OVERLAP, level=0.05 / 6)[1])


def test_corrected_intervals_cover_more_often_than_uncorrected_ones():
    """Seeds share an error that does not average out; its variance is what the correction adds."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(500):
        shared = rng.normal(0, np.sqrt(OVERLAP) * 0.02)
        first = 0.5 + shared + rng.normal(0, 0.02, 5)
        (difference,) = find_pairwise_differences({"a": run_with(first), "b": run_with([0.4] * 5)}, NAME)
        hits += difference.interval_95[0] <= 0.1 <= difference.interval_95[1]
    assert 0.93 < hits / 500 < 0.97


def test_conclusions_are_shown_not_shown_or_not_to_be_told():
    def said(first, second):
        (difference,) = find_pairwise_differences({"a": run_with(first), "b": run_with(second)}, NAME)
        return state_difference(difference)

    assert said([0.80, 0.81, 0.82], [0.5, 0.52, 0.54]) == "a is ahead of b by 29.0 points"
    assert said([0.50, 0.52, 0.54], [0.49, 0.51, 0.55]) == "no difference between a and b is shown (0.3 points)"
    assert said([0.5], [0.3]) == "a and b are 20.0 points apart; one seed allows no conclusion"
    assert said([0.5, 0.5], [0.5, 0.5]) == "no difference between a and b is shown (0.0 points)"
    same = said([0.5, 0.75], [0.25, 0.5])
    assert same.startswith("a and b are 25.0 points apart; the difference is the same with every seed")


def test_a_run_is_ahead_only_of_all_others():
    low, high, wide = run_with([0.40, 0.41, 0.42]), run_with([0.60, 0.612, 0.62]), run_with([0.30, 0.45, 0.65])
    what = "Accuracy on held-out names, averaged over languages: "
    middle = run_with([0.445, 0.46, 0.463])
    assert state_ranking({"low": low, "high": high, "middle": middle}) == f"{what}high is ahead of all others"
    assert state_ranking({"low": low, "high": high, "wide": wide}) == f"{what}no run is shown to be ahead of all others"
    assert "one seed allows no conclusion" in state_ranking({"low": low, "high": high, "one": run_with([0.9])})
    assert state_ranking({"low": low}) is None
    assert state_ranking({"low": low, "high": run_with([0.5] * 3, content_hash="sha256:2")}) is None


def test_every_pair_of_three_runs_is_told_and_how_it_was_judged():
    rng = np.random.default_rng(1)
    runs = {label: run_with(rng.normal(mean, 0.01, 4)) for label, mean in (("a", 0.6), ("b", 0.5), ("c", 0.4))}
    lines = [line for line in state_conclusions(runs) if "points, p" in line]
    assert len(lines) == 2 * 3  # held-out and training names
    method = describe_method(find_pairwise_differences(runs, NAME))
    for part in ("paired by seed (4", "Nadeau & Bengio 2003", "3 comparisons by Holm"):
        assert part in method
    alone = {"a": run_with([0.5]), "b": run_with([0.4])}
    assert describe_method(find_pairwise_differences(alone, NAME)) is None


def test_images_judged_and_trained_on_are_counted():
    runs = {label: cifar_result(seeds=4, seed=i) for i, label in enumerate("ab")}
    (difference,) = find_pairwise_differences(runs, "test_accuracy")
    assert difference.overlap == 30 / 100
    assert difference.paired_seeds == 4
