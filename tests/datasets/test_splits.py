from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.datasets.letters import names_dataset
from keras_dnnts.datasets.splits import split_names, stratified_split
from keras_dnnts.errors import UserError

REAL_NAMES = Path(__file__).parents[2] / ".." / "shared" / "data" / "names"

FRACTIONS = st.floats(0.01, 0.99)
SEEDS = st.integers(0, 2**32)
NAMES = st.lists(st.text("abAB ", min_size=1, max_size=3).filter(str.strip), min_size=1, max_size=12)
CATEGORIES = st.dictionaries(st.sampled_from("PQRST"), NAMES, min_size=2)


def dataset(lines):
    return names_dataset(lines, REFERENCE_ALPHABET, name="names", source="test")


def keys(data, indices):
    """The names at ``indices``, blind to case and surrounding blanks."""
    return {data.texts[i].strip().casefold() for i in indices}


def random_names(rng, count):
    return ["".join(rng.choice(list("abcdefgh"), size=6)) for _ in range(count)]


@given(CATEGORIES, FRACTIONS, SEEDS)
def test_every_line_lies_on_one_side_and_no_name_on_both(lines, fraction, seed):
    data = dataset(lines)
    try:
        split = split_names(data, fraction, seed)
    except UserError:
        assume(False)
    assert sorted([*split.train, *split.held_out]) == list(range(len(data.texts)))
    assert not keys(data, split.train) & keys(data, split.held_out)
    classes = set(range(len(data.classes)))
    assert set(data.labels[split.train]) == set(data.labels[split.held_out]) == classes
    again = split_names(data, fraction, seed)
    assert np.array_equal(split.train, again.train)
    assert np.array_equal(split.held_out, again.held_out)


@given(CATEGORIES, FRACTIONS, SEEDS)
def test_two_names_of_its_own_are_enough_for_a_category(lines, fraction, seed):
    lines = {category: [*names, f"{category}x", f"{category}y"] for category, names in lines.items()}
    split = split_names(dataset(lines), fraction, seed)
    assert len(split.train) + len(split.held_out) == sum(map(len, lines.values()))


@settings(max_examples=settings().max_examples // 4)
@given(FRACTIONS, SEEDS)
def test_each_category_and_the_whole_are_held_out_to_the_fraction(fraction, seed):
    rng = np.random.default_rng(seed)
    shared = random_names(rng, 150)
    lines = {"P": random_names(rng, 700) + shared, "Q": shared + random_names(rng, 300), "R": random_names(rng, 137)}
    data = dataset(lines)
    split = split_names(data, fraction, seed)
    distinct = keys(data, range(len(data.texts)))
    assert len(keys(data, split.held_out)) == round(fraction * len(distinct))
    for label in range(3):
        of_class = np.flatnonzero(data.labels == label)
        held_out = np.intersect1d(of_class, split.held_out)
        # At most one name more or less in each of a category's at most three strata.
        assert abs(len(keys(data, held_out)) - fraction * len(keys(data, of_class))) < 3


def test_copies_in_another_case_category_or_with_blanks_stay_together():
    rng = np.random.default_rng(7)
    names = random_names(rng, 40)
    data = dataset({"P": names, "Q": [name.title() for name in names], "R": [f" {name.upper()} " for name in names]})
    split = split_names(data, 0.25, seed=1)
    assert len(split.held_out) == 30
    assert set(split.held_out[:10] + 40) == set(split.held_out[10:20])


def test_one_name_in_several_spellings_stays_together():
    names = random_names(np.random.default_rng(7), 40)
    spelled = [f"{name[:3]}\u2019{name[3:]}e\u0301" for name in names]
    plain = [f"{name[:3]}'{name[3:]}\u00c9" for name in names]
    # Letters of the alphabet as the reference reads them: no spelling is unified before the split.
    lines, alphabet = {"P": spelled, "Q": plain}, REFERENCE_ALPHABET + "\u2019\u00e9\u00c9"
    data = names_dataset(lines, alphabet, name="names", source="test", raw=True)
    assert len(set(data.texts)) == 80
    split = split_names(data, 0.25, seed=1)
    assert set(split.held_out[:10] + 40) == set(split.held_out[10:])


def test_the_seed_draws_the_split():
    data = dataset({"P": random_names(np.random.default_rng(0), 60), "Q": random_names(np.random.default_rng(1), 60)})
    held_out = [tuple(split_names(data, 0.2, seed).held_out) for seed in range(5)]
    assert len(set(held_out)) == 5


def test_the_seed_also_draws_the_one_name_of_a_small_category():
    data = dataset({"P": random_names(np.random.default_rng(0), 60), "Q": ["ann", "bob", "cleo", "dora"]})
    held_out = {data.texts[i] for seed in range(40) for i in split_names(data, 0.01, seed).held_out}
    assert {"ann", "bob", "cleo", "dora"} <= held_out


@pytest.mark.parametrize(
    "small", [["Kim", "kim", " KIM"], ["Ann", "Ann"]], ids=["one name of its own", "one name, shared"]
)
def test_a_category_with_one_name_cannot_be_split(small):
    data = dataset({"English": ["Ann", "Bob", "Cleo"], "Korean": small})
    with pytest.raises(UserError, match=r"category Korean .* protocol reference"):
        split_names(data, 0.2, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_fraction_outside_0_and_1(fraction):
    data = dataset({"P": ["a", "b"], "Q": ["c", "d"]})
    with pytest.raises(UserError, match="between 0 and 1"):
        split_names(data, fraction, seed=0)


@pytest.mark.skipif(not REAL_NAMES.is_dir(), reason="needs the real names beside the repository")
def test_a_fifth_of_the_real_names():
    data = load_text_folder(REAL_NAMES, REFERENCE_ALPHABET)
    split = split_names(data, 0.2, seed=0)
    held_out = keys(data, split.held_out)
    assert not held_out & keys(data, split.train)
    assert len(held_out) == round(0.2 * len(keys(data, range(len(data.texts)))))
    for label in range(18):
        of_class = np.flatnonzero(data.labels == label)
        share = len(keys(data, np.intersect1d(of_class, split.held_out))) / len(keys(data, of_class))
        assert share == pytest.approx(0.2, abs=0.05)


def test_cifar_sized_parts_have_exactly_their_share_of_every_class():
    labels = np.random.default_rng(3).permutation(np.repeat(np.arange(10), 5_000))
    parts = stratified_split(labels, (35_000, 5_000, 10_000), seed=3)
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[3_500] * 10, [500] * 10, [1_000] * 10]
    for part, same in zip(parts, stratified_split(labels, (0.7, 0.1, 0.2), seed=3), strict=True):
        assert np.array_equal(part, same)


@given(
    labels=st.lists(st.integers(0, 4), max_size=60).map(np.array),
    fractions=st.lists(st.floats(0.05, 1), min_size=1, max_size=4),
    seed=SEEDS,
)
def test_stratified_parts_are_disjoint_complete_and_proportional(labels, fractions, seed):
    parts = stratified_split(labels, fractions, seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    for part, fraction in zip(parts, fractions, strict=True):
        share = fraction / sum(fractions)
        assert abs(len(part) - share * len(labels)) <= 1
        for label in set(labels.tolist()):
            assert abs(np.sum(labels[part] == label) - share * np.sum(labels == label)) <= 2


def test_the_seed_draws_the_stratified_parts():
    labels = np.repeat(np.arange(3), 20)
    first, again, other = (stratified_split(labels, (0.5, 0.5), seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert first == sorted(first)
