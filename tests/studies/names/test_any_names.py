"""Whatever a names file holds, from its bytes by way of the command line to the data set: no usable name is lost."""

import contextlib
import io
import re
import unicodedata
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET, unify
from keras_dnnts.datasets.folders import MAX_LINE_LETTERS, load_text_folder
from keras_dnnts.errors import UserError
from keras_dnnts.studies.names import data as experiment
from tests.names_folders import call

ODD = [
    "\ufeff",  # byte order mark
    "\0",
    "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e",  # line ends to str.splitlines, not to files
    "e\u0301\u0323\u0308",  # letters in parts
    "\u202e\u05d0\u05d1\u200f",  # right to left
    "\u200d\u200b\u00ad",  # joiners and soft hyphens
    "ß İ ǆ ﬁ Ⅷ ① ª",  # letters that change in number, or are none
    "\u00a0\u3000\t ",
    "李王",
    "x" * (MAX_LINE_LETTERS - 3),
    "x" * (MAX_LINE_LETTERS + 1),
]
NOT_UTF8 = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"M\xfcller", "Arwen".encode("utf-16")]
lines = (
    st.text(st.characters(codec="utf-8"), max_size=12) | st.text("abcXYZ éłđ'. -", max_size=12) | st.sampled_from(ODD)
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n"])
pieces = st.tuples(lines.map(str.encode), ends).map(b"".join)
contents = (
    st.lists(pieces, max_size=8).map(b"".join)
    | st.lists(pieces | st.sampled_from(NOT_UTF8), max_size=8).map(b"".join)
    | st.binary(max_size=60)
)
alphabets = st.sampled_from([REFERENCE_ALPHABET, "abcéł", "\u0301xyzXYZ", "李ß"])


def usable(line, alphabet):
    """The letters of a line that count: as they are composed, else their parts; none where only punctuation is left."""
    kept = ""
    for letter in unify(line):
        if alphabet.find(letter) >= 0:
            kept += letter
        else:
            kept += "".join(part for part in unicodedata.normalize("NFD", letter) if alphabet.find(part) >= 0)
    kept = re.sub(" +", " ", kept.strip(" "))
    return "" if has_letters(line) and not has_letters(kept) else kept


def has_letters(text):
    return any(unicodedata.category(letter)[0] in "LMN" for letter in text)


def expected(content, alphabet):
    """The texts of a file and the number of lines left out; None where the file must be refused."""
    if b"\0" in content or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None
    try:
        decoded = [line.decode("utf-8") for line in re.split(rb"\r\n|\r|\n", content.removeprefix(b"\xef\xbb\xbf"))]
    except UnicodeDecodeError:
        return None
    if any(len(line.strip()) > MAX_LINE_LETTERS for line in decoded):
        return None
    names = [line for line in decoded if line.strip()]
    texts = [text for line in names if (text := usable(line, alphabet)).strip()]
    if any(len(text) > MAX_LINE_LETTERS for text in texts):
        return None
    return (texts, len(names) - len(texts)) if texts else None


def write(folder, content):
    (folder / "Any.txt").write_bytes(content)
    (folder / "Other.txt").write_text("xXaß\nzZbß\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("names")


@settings(max_examples=3 * settings().max_examples)
@given(content=contents, alphabet=alphabets)
@example(content=b"\xef\xbb\xbfAda\rBob\r\nCarl\n\n", alphabet=REFERENCE_ALPHABET)
@example(content="Ada\u2028Bob\nCarl\x85".encode(), alphabet=REFERENCE_ALPHABET)
def test_every_usable_name_is_in_the_data_set(content, alphabet, folder):
    oracle = expected(content, alphabet)
    try:
        data = load_text_folder(write(folder, content), alphabet)
    except UserError as error:
        assert oracle is None
        assert "Any" in str(error)
        assert "\n" not in str(error)
        return
    assert oracle is not None
    texts, skipped = oracle
    assert [text for text, label in zip(data.texts, data.labels, strict=True) if label == 0] == texts
    assert data.skipped == skipped


class EnoughError(UserError):
    """Ends a run once it has its data."""


def run_up_to_the_data(folder):
    """What a ``names`` command makes of a folder: its data set, exit code and what it says."""
    loaded = []
    load = experiment.load_names_dataset

    def load_and_stop(*arguments):
        loaded.append(load(*arguments))
        raise EnoughError("enough")

    said = io.StringIO()
    with mock.patch.object(experiment, "load_names_dataset", load_and_stop), contextlib.redirect_stderr(said):
        code = call("names", "--data-dir", folder, "--out", folder / "run")
    return loaded, code, said.getvalue()


@given(content=contents)
def test_the_command_line_loses_nothing_and_never_crashes(content, folder):
    oracle = expected(content, REFERENCE_ALPHABET)
    loaded, code, said = run_up_to_the_data(write(folder, content))
    assert code == 2
    assert said.count("\n") == 1
    if oracle is None:
        assert loaded == []
        assert "Any" in said
    else:
        assert said == "keras-dnnts: enough\n"
        assert [text for text, label in zip(loaded[0].texts, loaded[0].labels, strict=True) if label == 0] == oracle[0]


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20))
def test_any_category_name(name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    (folder / "Other.txt").write_text("Ori\nNori\n", encoding="utf-8")
    (folder / f"{name}.txt").write_text("Ada\nBob\n", encoding="utf-8")
    hidden = name.startswith(".")
    if hidden or name == "Other":
        with pytest.raises(UserError, match="at least two"):
            load_text_folder(folder, REFERENCE_ALPHABET)
    else:
        composed = unicodedata.normalize("NFC", name)
        assert load_text_folder(folder, REFERENCE_ALPHABET).classes == tuple(sorted(["Other", composed]))


def test_a_suffix_in_capitals(tmp_path):
    (tmp_path / "Elvish.TXT").write_text("Arwen\n", encoding="utf-8")
    (tmp_path / "Dwarvish.txt").write_text("Ori\n", encoding="utf-8")
    assert load_text_folder(tmp_path, REFERENCE_ALPHABET).classes == ("Dwarvish", "Elvish")
    (tmp_path / "Elvish.txt").write_text("Elrond\n", encoding="utf-8")
    if len(list(tmp_path.iterdir())) == 3:
        with pytest.raises(UserError, match="Elvish"):
            load_text_folder(tmp_path, REFERENCE_ALPHABET)
