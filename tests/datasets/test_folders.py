from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
from keras_dnnts.datasets.folders import load_text_folder
from keras_dnnts.errors import UserError

REAL_NAMES = Path(__file__).parents[2] / ".." / "shared" / "data" / "names"


@pytest.fixture
def folder(tmp_path):
    """Two good categories, for a test to add a bad one."""
    (tmp_path / "Greek.txt").write_text("Pappas\nNikolaïdis\n", encoding="utf-8")
    (tmp_path / "Irish.txt").write_text("O'Brien\n\n", encoding="utf-8")
    return tmp_path


def load(folder):
    return load_text_folder(folder, REFERENCE_ALPHABET)


def test_every_line_of_every_category(folder):
    data = load(folder)
    assert data.classes == ("Greek", "Irish")
    assert data.texts == ("Pappas", "Nikolaidis", "O'Brien")
    assert (data.name, data.source) == (folder.name, str(folder))
    assert load_text_folder(folder, REFERENCE_ALPHABET, name="mine").name == "mine"


def test_a_folder_named_by_a_dot_has_its_own_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert load(Path()).name == folder.name


def test_line_ends_and_byte_order_marks_are_no_letters(folder):
    (folder / "Greek.txt").write_bytes("\ufeffPappas\r\nNikolaidis\r\n \r\n".encode())
    (folder / "Irish.txt").write_bytes(b"O'Brien\rByrne")
    data = load_text_folder(folder, REFERENCE_ALPHABET + "\r\ufeff")
    assert data.texts == ("Pappas", "Nikolaidis", "O'Brien", "Byrne")


def test_blanks_around_a_name_are_no_part_of_it_unless_raw(folder):
    (folder / "Irish.txt").write_text(" Byrne\t\nMac\u00a0  Neill\u3000\n", encoding="utf-8")
    assert load(folder).texts[-2:] == ("Byrne", "Mac Neill")
    raw = load_text_folder(folder, REFERENCE_ALPHABET, raw=True)
    assert raw.texts[-2:] == (" Byrne", "Mac  Neill")


def test_every_name_knows_its_file_and_line(folder):
    (folder / "Irish.txt").write_bytes("\ufeff\r\nO'Brien\r\n \r\n李\r\nByrne\r\n".encode())
    data = load(folder)
    assert [data.place(line) for line in range(4)] == ["Greek.txt:1", "Greek.txt:2", "Irish.txt:2", "Irish.txt:5"]


def test_categories_of_one_name_in_two_forms_are_one(folder):
    (folder / "Espa\u00f1ol.txt").write_text("Garcia\n")
    assert load(folder).classes[0] == "Espa\u00f1ol"
    (folder / "Espan\u0303ol.txt").write_text("Garcia\n")
    if len(list(folder.iterdir())) == 4:
        with pytest.raises(UserError, match="another file has the same category"):
            load(folder)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_utf16(encoding, folder):
    (folder / "Polish.txt").write_bytes("Nowak\nŚlusarski\n".encode(encoding))
    with pytest.raises(UserError, match=r"Polish\.txt: is UTF-16.*: save it as UTF-8"):
        load(folder)


def test_messages_name_the_file_as_it_is_called(folder):
    (folder / "Polish.TXT").write_text("Nowak\n")
    data = load(folder)
    assert data.files == {"Polish": "Polish.TXT"}
    assert {data.place(line).partition(":")[0] for line in range(len(data.texts))} >= {"Polish.TXT", "Greek.txt"}
    (folder / "Polish.TXT").write_bytes(b"")
    with pytest.raises(UserError, match=r"write one per line in Polish\.TXT"):
        load(folder)


def test_an_empty_file(folder):
    (folder / "Polish.txt").write_bytes(b"")
    with pytest.raises(UserError, match=r"category Polish has no names: write one per line in Polish\.txt"):
        load(folder)


def test_blanks_do_not_make_a_name_too_long(folder):
    (folder / "Polish.txt").write_text("Nowak" + " " * 10_000 + "\n")
    assert load(folder).texts[-1] == "Nowak"
    with pytest.raises(UserError, match=r"Polish\.txt, line 1: 10005 letters and blanks"):
        load_text_folder(folder, REFERENCE_ALPHABET, raw=True)


def test_hidden_and_other_files_are_ignored(folder):
    before = load(folder).content_hash
    (folder / ".Spanish.txt").write_text("Garcia\n")
    (folder / "notes.md").write_text("Garcia\n")
    (folder / "more").mkdir()
    assert load(folder).content_hash == before


def test_names_without_a_usable_letter_are_counted(folder):
    (folder / "Irish.txt").write_text("Byrne\n李\n\n42\n \n", encoding="utf-8")
    assert load(folder).skipped == 2


def test_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere: No such file or directory"):
        load(tmp_path / "nowhere")


def test_a_file_for_a_folder(folder):
    with pytest.raises(UserError, match=r"Greek\.txt: Not a directory"):
        load(folder / "Greek.txt")


def test_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}: contains no .txt files"):
        load(tmp_path)


def test_one_category(folder):
    (folder / "Irish.txt").unlink()
    with pytest.raises(UserError, match=f"{folder}: 1 category"):
        load(folder)


def test_a_category_without_names(folder):
    (folder / "Korean.txt").write_text("김\n이\n", encoding="utf-8")
    with pytest.raises(UserError, match="category Korean"):
        load(folder)


def test_an_unreadable_file(folder):
    (folder / "Polish.txt").mkdir()
    with pytest.raises(UserError, match=r"Polish\.txt: is not a file"):
        load(folder)


def test_an_unreadable_folder(folder, monkeypatch):
    def iterdir(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(UserError, match=f"{folder}: Permission denied"):
        load(folder)


def test_a_file_that_is_not_utf8(folder):
    (folder / "Polish.txt").write_bytes("\ufeff".encode() + b"Nowak\nSl\xf1zak\n")
    with pytest.raises(UserError, match=r"Polish\.txt, line 2: not UTF-8 \(byte 11\)"):
        load(folder)


def test_a_line_too_long_to_be_a_name(folder):
    (folder / "Polish.txt").write_text("Nowak\n\n" + "x" * 10_000 + "\n")
    with pytest.raises(UserError, match=r"Polish\.txt, line 3: 10000 letters"):
        load(folder)


def test_every_user_error_is_one_line(folder):
    (folder / "Polish.txt").write_bytes(b"\xff")
    with pytest.raises(UserError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@given(content=st.binary() | st.text().map(str.encode))
def test_any_bytes_load_or_raise_a_user_error(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    (folder / "Any.txt").write_bytes(content)
    (folder / "Greek.txt").write_text("Pappas\n")
    try:
        data = load(folder)
    except UserError:
        return
    assert set(data.classes) == {"Any", "Greek"}
    assert data.lengths.min() >= 1


@pytest.mark.skipif(not REAL_NAMES.is_dir(), reason="needs the real names beside the repository")
@pytest.mark.parametrize("raw", [False, True])
def test_the_real_names(raw):
    data = load_text_folder(REAL_NAMES, REFERENCE_ALPHABET, raw=raw)
    assert len(data.classes) == 18
    assert data.letters.shape == (20_050, 19)
    assert data.skipped == 0
    assert (data.left_out, data.left_out_lines) == ({"-": 25, "ß": 9, "/": 1, "ł": 1}, 34)
    assert sum(text != text.strip() for text in data.texts) == (10 if raw else 0)
    assert len(set(zip(data.texts, data.labels.tolist(), strict=True))) == 17_993
    assert np.bincount(data.labels)[data.classes.index("Arabic")] == 2_000
