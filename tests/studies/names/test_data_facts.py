"""What is said of names before any training, in a dry run and on the page."""

import dataclasses

from keras_dnnts.datasets.letters import names_dataset
from keras_dnnts.report import write_report
from keras_dnnts.results import load_result
from keras_dnnts.studies.names.data_facts import describe_names, state_bound, state_copies, state_lengths, state_shared
from keras_dnnts.studies.names.data_page import build_data_section
from keras_dnnts.studies.names.words import CATEGORIES, LANGUAGES
from tests.finished_runs import names_result
from tests.names_folders import call, write_names

LINES = {
    "A": ["Lee", "Lee", "Lee", "Kim", "Bo"],
    "B": ["Lee", "Kim", "Longest"],
    "C": ["Lee", "Ann", "Ann"],
}


def test_names_are_counted():
    dataset = names_dataset(LINES, "LeKimBongstA", name="n", source="s")
    names = describe_names(dataset)
    assert names == {
        "distinct": 5,
        "shared": 2,
        "shared_by_pair": [
            {"classes": ["A", "B"], "names": 2},
            {"classes": ["A", "C"], "names": 1},
            {"classes": ["B", "C"], "names": 1},
        ],
        "lengths": [0, 0, 1, 3, 0, 0, 0, 1],
    }
    assert (
        state_shared(names, LANGUAGES)
        == "2 of 5 distinct names occur in several languages (A and B 2, A and C 1, B and C 1)"
    )
    assert state_shared({"distinct": 3, "shared": 0}, LANGUAGES).startswith("None of the 3 distinct names occurs")
    assert state_lengths(names) == "Names have 2 to 7 letters, half of them at most 3"


def test_copies_are_counted():
    counts = {"lines": {"A": 50, "B": 30}, "distinct_names": {"A": 49, "B": 3}}
    assert state_copies(counts, CATEGORIES) == (
        "28 of 80 lines repeat a name of their category, most in B, whose 30 lines hold 3 distinct names"
    )
    assert state_copies({"lines": {"A": 5}, "distinct_names": {"A": 5}}, CATEGORIES) == ""


def test_a_bound_is_stated_only_where_not_all_can_be_right():
    assert state_bound(1.0, 1.0, "held-out names", CATEGORIES) == ""
    assert "for 99.9\xa0% of held-out names averaged over categories" in state_bound(
        0.999, 1.0, "held-out names", CATEGORIES
    )


def test_a_dry_run_and_the_page_say_the_same(tmp_path, capsys):
    names = write_names(tmp_path / "names", LINES | {"A": [*LINES["A"], "Côté", "Øre", "Gu", "Hu"]})
    options = ("--data-dir", names, "--model", "majority")
    assert call("names", *options, "--dry-run") == 0
    said = capsys.readouterr().out
    assert call("names", *options, "--out", tmp_path / "run", "--quiet") == 0
    page = build_data_section(load_result(tmp_path / "run")).body
    for fact in (
        "3 of 15 lines repeat a name",
        "2 of 9 distinct names occur",
        "the best possible answers are right for",
    ):
        assert fact in said
        assert fact in page
    assert "Letters left out: Ø 1" in page
    assert 'aria-label="Distinct names by number of letters: 2: 4, 3: 3, 4: 1, 5: 0, 6: 0, 7: 1"' in page


def test_results_of_earlier_versions_have_counts(tmp_path):
    result = names_result(classes=tuple(f"Class {i}" for i in range(30)))
    counts = {name: value for name, value in result.dataset["counts"].items() if name != "distinct_names"}
    old = dataclasses.replace(result, dataset=result.dataset | {"counts": counts})
    (tmp_path / "run").mkdir()
    old.save(tmp_path / "run")
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "10 more</summary>" in page
    assert "name-lengths" not in page.partition("</style>")[2]
    assert "distinct names</th>" not in build_data_section(old).body
