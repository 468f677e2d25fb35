"""Which precision auto means: by the CPU's flags and the engine, never by a clock."""

import pytest

from keras_dnnts.studies.cifar import precision
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.precision import has_cpu_bfloat16, settle_precision


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags : fpu amx_bf16 amx_tile\n", True),
        ("flags : fpu avx2\nmodel name: avx512_bf16\n", False),
        ("", False),
    ],
)
def test_flags_are_read_as_linux_writes_them(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert has_cpu_bfloat16(tmp_path / "cpuinfo") is expected
    assert not has_cpu_bfloat16(tmp_path / "missing")


@pytest.mark.parametrize("has_it", [True, False])
def test_auto_is_settled_and_what_is_given_stays(monkeypatch, has_it):
    monkeypatch.setattr(precision, "has_cpu_bfloat16", lambda: has_it)
    for given in ("float32", "bfloat16"):
        assert settle_precision(CifarConfig(recipe="fast", precision=given, device="cpu")) == given
    settled = settle_precision(CifarConfig(recipe="fast", device="cpu"))
    assert settled == ("bfloat16" if has_it else "float32")
    assert settle_precision(CifarConfig(device="cpu")) == "float32"
