import string
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET, checked_alphabet, ignored_letters, normalise
from keras_dnnts.datasets.letters import encode, names_dataset
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
    data = names_dataset({"b": ["Zoë", "李", "Zoë"], "A": ["Ann "]}, REFERENCE_ALPHABET, name="mine", source="here")
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
        ({"Greek": ["Pappas"], "Han": ["李 王"]}, "here: category Han"),
        ({"Greek": ["Pappas"], "Han": []}, "here: category Han"),
    ],
)
def test_lines_that_make_no_data_set(lines, words):
    with pytest.raises(UserError, match=words):
        names_dataset(lines, REFERENCE_ALPHABET, name="n", source="here")
