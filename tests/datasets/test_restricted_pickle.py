import collections
import decimal
import io
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.datasets.restricted_pickle import load_arrays
from keras_dnnts.errors import UserError


def python2_string(data: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(data)) + data


def python2_batch(data: np.ndarray, labels: list[int]) -> bytes:
    """What Python 2's cPickle wrote for a batch of CIFAR-10, protocol 2, opcode by opcode."""
    rows, columns = data.shape
    return b"".join(
        [
            b"\x80\x02}(",
            python2_string(b"batch_label"),
            python2_string(b"training batch 1 of 5"),
            python2_string(b"labels"),
            b"](",
            *(b"K" + bytes([label]) for label in labels),
            b"e",
            python2_string(b"data"),
            b"cnumpy.core.multiarray\n_reconstruct\nq\x01(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01",
            b"M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86",
            b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            python2_string(data.tobytes()),
            b"tb",
            python2_string(b"filenames"),
            b"](",
            python2_string(b"leptodactylus_pentadactylus_s_000004.png"),
            b"e",
            b"u.",
        ]
    )


def complaint(data):
    with pytest.raises(UserError) as caught:
        load_arrays(data, "here.pkl")
    assert "\n" not in str(caught.value)
    assert "here.pkl" in str(caught.value)
    return str(caught.value)


def test_a_batch_as_python_2_wrote_it():
    data = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
    content = python2_batch(data, [7, 0, 9])
    assert pickle.loads(content, encoding="bytes")[b"data"].tolist() == data.tolist()
    arrays = load_arrays(content, "here")
    assert arrays.keys() == {"labels", "data"}
    np.testing.assert_array_equal(arrays["data"], data, strict=True)
    assert arrays["labels"].tolist() == [7, 0, 9]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", ">f8", "?"])
def test_what_numpy_pickles_today(protocol, dtype):
    rng = np.random.default_rng(1)
    array = rng.integers(0, 200, (3, 4, 2)).astype(dtype)
    content = {b"data": array, "fortran": np.asfortranarray(array), "labels": list(np.arange(3)), "name": "x", "f": 0.5}
    arrays = load_arrays(pickle.dumps(content, protocol=protocol), "here")
    assert arrays.keys() == {"data", "fortran", "labels"}
    np.testing.assert_array_equal(arrays["data"], array, strict=True)
    np.testing.assert_array_equal(arrays["fortran"], array, strict=True)
    assert arrays["labels"].tolist() == [0, 1, 2]


class Command:
    def __reduce__(self):
        return print, ("this must never be printed",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Command(), "print"),
        (collections.OrderedDict(a=1), "OrderedDict"),
        (decimal.Decimal(1), "Decimal"),
        (print, "print"),
        (np.random.default_rng, "default_rng"),
        (np.array([print, None]), "dtype 'O8'"),
        (np.array(["text"]), "dtype"),
        (np.zeros(2, [("a", "u1"), ("b", "f4")]), "dtype"),
        (np.array(["2020-01-01"], "datetime64[D]"), "dtype"),
    ],
)
def test_anything_but_arrays_is_refused(capsys, protocol, value, named):
    assert named in complaint(pickle.dumps({"data": value}, protocol))
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize("value", [[1, 2], np.arange(3), "text", None, 3])
def test_a_pickle_of_something_else_than_a_dictionary(value):
    complaint(pickle.dumps(value))


def test_stand_ins_cannot_be_changed_by_a_pickle():
    names = ["numpy\ndtype", "numpy\nndarray", "_codecs\nencode", "numpy.core.multiarray\nscalar"]
    for name in names:
        # build((None, {"__init__": 1})) on the class itself
        complaint(b"\x80\x02c" + name.encode() + b"\nN}U\x08__init__K\x01s\x86b.")
    assert load_arrays(pickle.dumps({"a": np.arange(3)}), "here")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("opcode", [b"r" + struct.pack("<I", 2**31), b"p2147483648\n"])
def test_few_bytes_cannot_ask_for_much_memory(opcode):
    assert "memoise" in complaint(b"\x80\x02}" + opcode + b".")


def test_an_array_smaller_than_its_shape():
    content = pickle.dumps({"data": np.arange(4, dtype="u1")}, protocol=4)
    assert content.count(b"K\x04\x85") == 1
    complaint(content.replace(b"K\x04\x85", b"K\x09\x85"))


@given(st.binary(max_size=200))
def test_any_bytes_are_arrays_or_a_user_error(data):
    for start in (b"", b"\x80\x02", b"\x80\x04}"):
        try:
            assert isinstance(load_arrays(start + data, "here"), dict)
        except UserError as error:
            assert "\n" not in str(error)


@given(st.data())
def test_a_damaged_pickle_is_arrays_or_a_user_error(data):
    content = bytearray(python2_batch(np.zeros((1, 6), np.uint8), [3]))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert all(isinstance(array, np.ndarray) for array in load_arrays(bytes(content), "here").values())
    except UserError as error:
        assert "\n" not in str(error)


def test_the_python_2_fixture_uses_opcodes_of_protocol_2_only():
    content = python2_batch(np.zeros((1, 6), np.uint8), [3])
    assert max(opcode.proto for opcode, _, _ in pickletools.genops(io.BytesIO(content))) == 2
