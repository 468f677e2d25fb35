"""The starter names: 18 short lists written for this package from general knowledge of common surnames.

They were taken from no data set, the reference study's name files least of all, so that results on them can stand
in for the real ones offline without leaking them. Vietnamese surnames that begin with Đ are few, and Đỗ is missing:
the letters rule drops that letter.
"""

import string
import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

FOLDER = files("keras_dnnts.datasets") / "starter_names"
LANGUAGES = [
    "Arabic",
    "Chinese",
    "Czech",
    "Dutch",
    "English",
    "French",
    "German",
    "Greek",
    "Irish",
    "Italian",
    "Japanese",
    "Korean",
    "Polish",
    "Portuguese",
    "Russian",
    "Scottish",
    "Spanish",
    "Vietnamese",
]
USABLE = set(string.ascii_letters + " .,;'")


def read_names(language: str) -> list[str]:
    return (FOLDER / f"{language}.txt").read_bytes().decode("utf-8").removesuffix("\n").split("\n")


def reduce_to_usable(name: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", name) if letter in USABLE)


def test_one_file_a_language_and_nothing_else():
    assert sorted(entry.name for entry in FOLDER.iterdir()) == [f"{language}.txt" for language in LANGUAGES]


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_are_trimmed_names_ended_by_lf(language):
    content = (FOLDER / f"{language}.txt").read_bytes()
    assert content.endswith(b"\n")
    assert b"\r" not in content
    assert all(name and name == name.strip() for name in read_names(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_about_a_hundred_sorted_names(language):
    names = read_names(language)
    assert 90 <= len(names) <= 120
    assert names == sorted(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_stay_distinct_and_usable_once_reduced(language):
    reduced = [reduce_to_usable(name) for name in read_names(language)]
    assert [name for name, count in Counter(reduced).items() if count > 1] == []
    assert [name for name in reduced if sum(letter in string.ascii_letters for letter in name) < 2] == []


def test_few_names_belong_to_several_languages():
    languages_of = Counter(reduce_to_usable(name) for language in LANGUAGES for name in read_names(language))
    shared = [name for name, count in languages_of.items() if count > 1]
    assert len(shared) <= 0.03 * len(languages_of)
