import string
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.datasets.alphabets import (
    REFERENCE_ALPHABET,
    checked_alphabet,
    ignored_letters,
    is_usable,
    normalise,
    read_name,
    unify,
)
from keras_dnnts.datasets.letters import describe_left_out, encode, names_dataset
from keras_dnnts.errors import UserError

ALPHABETS = st.lists(st.characters(), unique=True, min_size=1).map("".join)


def reference_normalise(text):
    """The rule as the reference study states it."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn" and c in REFERENCE_ALPHABET)


def test_reference_alphabet_has_57_symbols():
    assert len(set(REFERENCE_ALPHABET)) == len(REFERENCE_ALPHABET) == 57
    assert set(REFERENCE_ALPHABET) == set(string.ascii_letters + " .,;'")


@given(st.text() | st.text(st.characters(min_codepoint=0xC0, max_codepoint=0x36F)))
def test_normalise_follows_the_reference_rule(text):
    assert normalise(text, REFERENCE_ALPHABET) == reference_normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ślusàrski", ""),
        ("Straße-42", "ß-42"),
        ("李 Li 明", "李明"),
        ("e\u0301l\u0301", ""),
        ("\u0301x", "\u0301"),
        ("", ""),
    ],
)
def test_ignored_letters_are_those_of_which_nothing_is_kept(text, expected):
    assert ignored_letters(text, REFERENCE_ALPHABET) == list(expected)


@given(st.text(), ALPHABETS)
def test_what_is_not_ignored_is_read(text, letters):
    alphabet = unicodedata.normalize("NFC", letters)
    ignored = ignored_letters(text, alphabet)
    assert len(normalise(text, alphabet)) >= len(unicodedata.normalize("NFC", text)) - len(ignored)
    assert normalise("".join(ignored), alphabet) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ślusàrski", "Slusarski"),
        ("O'Néàl, Jr.", "O'Neal, Jr."),
        ("Nguyễn", "Nguyen"),
        ("Straße-42", "Strae"),
        ("Park ", "Park "),
        ("李", ""),
    ],
)
def test_normalise_with_the_reference_alphabet(text, expected):
    assert normalise(text, REFERENCE_ALPHABET) == expected


@pytest.mark.parametrize("spelling", ["é", "e\u0301"])
def test_a_letter_of_the_alphabet_is_kept_however_it_is_spelt(spelling):
    assert normalise(f"B{spelling}bè", "Bbeé") == "Bébe"


def test_other_scripts_and_their_marks_can_be_letters():
    assert normalise("Ёлкин", "лкинё") == "лкин"
    assert normalise("हिन्दी", "हिन्दी") == "हिन्दी"


@given(st.text(), ALPHABETS)
def test_normalised_text_stays_as_it_is(text, letters):
    alphabet = checked_alphabet("".join(dict.fromkeys(unicodedata.normalize("NFC", "x" + letters))))
    once = normalise(text, alphabet)
    assert set(once) <= set(alphabet)
    assert normalise(alphabet, alphabet) == alphabet


@pytest.mark.parametrize(("letters", "word"), [("", "no letters"), ("  ", "no letters"), ("abcb", "'b'")])
def test_a_bad_alphabet_is_refused(letters, word):
    with pytest.raises(UserError, match=word):
        checked_alphabet(letters)


def test_an_alphabet_is_composed_so_that_spelling_cannot_hide_a_repeat():
    assert checked_alphabet("xe\u0301") == "xé"
    with pytest.raises(UserError, match="'é'"):
        checked_alphabet("ée\u0301")


APOSTROPHES = "'`´ʹʻʼʽʾʿˈ՚׳\u2018\u2019\u201b\u2032\u2035\uff07\uff40\ua78c\u1fef\u1ffd"
HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"
BLANKS = " \t\u00a0\u2000\u2009\u202f\u205f\u3000\u2028\u0085\u3164"
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202a\u034f\ufe0f"


@pytest.mark.parametrize(
    ("spellings", "plain"), [(APOSTROPHES, "'"), (HYPHENS, "-"), (BLANKS, " "), (INVISIBLE, "")], ids=repr
)
def test_letters_of_one_kind_are_spelled_alike(spellings, plain):
    for letter in spellings:
        assert unify(f"Abc{letter}Def") == f"Abc{plain}Def", hex(ord(letter))
        assert read_name(f"O{letter}Brien", REFERENCE_ALPHABET + "-")[0] == f"O{plain}Brien"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Ann \u00a0 Lee\u200b ", "Ann Lee"),
        ("Ｏ＇Ｎｅｉｌ", "O'Neil"),
        ("ｶﾞ", "ガ"),
        ("e\u0301", "é"),
        ("Ho\ufb00man", "Hoffman"),
        ("\ufe8e\ufee0", "ال"),
        ("\ufeffLee", "Lee"),
        ("李\u3000明", "李 明"),
        ("Straße", "Straße"),
        (" \u200b", ""),
    ],
)
def test_names_are_spelled_in_one_way(text, expected):
    assert unify(text) == expected


@given(st.text())
def test_what_is_spelled_in_one_way_stays(text):
    assert unify(unify(text)) == unify(text)
    assert unify(unicodedata.normalize("NFD", text)) == unify(text)


def test_blanks_beside_letters_that_are_left_out_go():
    assert read_name("Kim (김)", REFERENCE_ALPHABET)[0] == "Kim"
    assert read_name("李 Li 明 Ming", REFERENCE_ALPHABET)[0] == "Li Ming"
    assert read_name("Kim \u2019", REFERENCE_ALPHABET, raw=True)[0] == "Kim "


def test_an_alphabet_is_spelled_as_names_are():
    assert checked_alphabet("ab\u2019\u2011") == "ab'-"
    assert checked_alphabet("ab'\u2019ａ\u200b") == "ab'"
    assert checked_alphabet("ab'\u2019", raw=True) == "ab'\u2019"
    with pytest.raises(UserError, match="no letters"):
        checked_alphabet("\u00a0\u200b")


@pytest.mark.parametrize(
    ("text", "read", "usable"),
    [
        ("Анна О'Нил", " '", False),
        ("李, 王", ", ", False),
        ("-.-", "-.-", True),
        ("О'Nil", "'Nil", True),
        ("ъ", "", False),
    ],
)
def test_punctuation_alone_is_no_name_where_letters_are_left_out(text, read, usable):
    assert is_usable(text, read) is usable


def test_letters_left_out_are_counted():
    lines = {"a": ["Møller", "Ødegård", "", "Ann", "李李"], "b": ["Łuk-ł", "Bo"]}
    data = names_dataset(lines, REFERENCE_ALPHABET, name="n", source="s")
    assert data.left_out == {"李": 2, "ø": 1, "Ø": 1, "Ł": 1, "-": 1, "ł": 1}
    assert (data.left_out_lines, data.skipped) == (4, 1)
    assert data.line_numbers.tolist() == [1, 2, 4, 1, 2]
    assert names_dataset(lines, REFERENCE_ALPHABET + "øØŁł李-", name="n", source="s").left_out == {}


def test_what_is_said_of_letters_left_out_stays_short():
    assert describe_left_out({}, 0, "letters") == ""
    assert describe_left_out({"ø": 22, "ß": 40, " ": 1}, 40, "letters") == (
        "Letters left out: ß 40, ø 22, space 1 (in 40 lines); add them with letters"
    )
    many = {chr(0x4E00 + i): 1 for i in range(2500)}
    said = describe_left_out(many | {"\u0301": 3}, 1, "letters")
    assert said.startswith("Letters left out: U+0301 3, 一 1, ")
    assert said.endswith(" and 2,491 others (in 1 line); add them with letters")
    assert len(said) < 150


@given(st.lists(st.text("abcxyz", max_size=12)))
def test_encoded_texts_read_back(texts):
    alphabet = "zyxcba"
    letters, lengths = encode(texts, alphabet)
    assert letters.dtype == lengths.dtype == np.int32
    assert letters.shape == (len(texts), max(map(len, texts), default=0))
    assert ["".join(alphabet[i] for i in row[:length]) for row, length in zip(letters, lengths, strict=True)] == texts
    padding = np.arange(letters.shape[1]) >= lengths[:, None]
    assert (letters[padding] == len(alphabet)).all()


def test_names_dataset_sorts_categories_and_keeps_lines():
    lines = {"b": ["Zoë", "李", "Zoë"], "A": ["Ann "]}
    data = names_dataset(lines, REFERENCE_ALPHABET, name="mine", source="here", raw=True)
    assert data.classes == ("A", "b")
    assert data.texts == ("Ann ", "Zoe", "Zoe")
    assert data.labels.tolist() == [0, 1, 1]
    assert data.labels.dtype == np.int32
    assert data.lengths.tolist() == [4, 3, 3]
    assert data.letters[0].tolist() == [REFERENCE_ALPHABET.index(letter) for letter in "Ann "]
    assert data.letters[1].tolist() == [REFERENCE_ALPHABET.index(letter) for letter in "Zoe"] + [57]
    assert (data.skipped, data.name, data.source, data.stand_in) == (1, "mine", "here", False)


def test_content_hash_changes_with_all_that_matters_and_nothing_else():
    def content_hash(lines, alphabet="abcd"):
        return names_dataset(lines, alphabet, name="n", source="s").content_hash

    one = content_hash({"x": ["ab", "c"], "y": ["d"]})
    assert one.startswith("sha256:")
    assert len(one) == len("sha256:") + 64
    assert content_hash({"y": ["d"], "x": ["áb", "c-"]}) == one
    others = [
        content_hash({"x": ["a", "bc"], "y": ["d"]}),
        content_hash({"x": ["c", "ab"], "y": ["d"]}),
        content_hash({"x": ["ab"], "y": ["c", "d"]}),
        content_hash({"x": ["ab", "c"], "z": ["d"]}),
        content_hash({"x": ["ab", "c"], "y": ["d"]}, "abcde"),
    ]
    assert len({one, *others}) == 6


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ({"Greek": ["Pappas"]}, "here: 1 category"),
        ({"Greek": ["Pappas"], "Han": ["李", "王"]}, "here: category Han"),
        ({"Greek": ["Pappas"], "Han": ["李 王"]}, "category Han has no name .* but 李 王: .* letters"),
        ({"Greek": ["Pappas"], "Han": []}, "here: category Han has no names: write one per line in Han.txt"),
        ({"Greek": ["Pappas"], "Han": ["", " "]}, "here: category Han has no names"),
        ({"Greek": ["Pappas"], "Tall": ["Bo", "Ann " * 70]}, "here: Tall.txt, line 2: 279 letters and blanks"),
    ],
)
def test_lines_that_make_no_data_set(lines, words):
    with pytest.raises(UserError, match=words):
        names_dataset(lines, REFERENCE_ALPHABET, name="n", source="here")
