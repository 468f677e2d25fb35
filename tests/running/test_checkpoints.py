"""States on disk."""

import math

import numpy as np
import pytest

from keras_dnnts.errors import UserError
from keras_dnnts.running.checkpoints import Checkpoints, load_state, save_state


def nested_state(rng):
    return {
        "numbers": [1, -2.5, math.inf, 1e-300, 0.1 + 0.2, True, None, "ÿ \n"],
        "array": rng.standard_normal((3, 5)).astype(np.float32),
        "deep": {"a b": ({"array": rng.integers(0, 9, (4,))}, [], {}), "scalar": np.float32(1.1)},
        "empty": np.zeros((0, 2), np.uint8),
        "zero_dimensions": np.array(7, np.int64),
    }


def assert_equal(found, expected):
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_equal(found[key], value)
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    else:
        assert found == expected


def test_state_comes_back_to_the_last_bit(tmp_path):
    state = nested_state(np.random.default_rng(0))
    save_state(tmp_path / "state.npz", state)
    assert_equal(load_state(tmp_path / "state.npz"), state)
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_no_state(tmp_path):
    assert load_state(tmp_path / "state.npz") is None


@pytest.mark.parametrize("seed", range(20))
def test_damage_names_the_file(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "state.npz"
    save_state(path, nested_state(rng))
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(len(content))])
    with pytest.raises(UserError, match=r"state\.npz: is damaged"):
        load_state(path)


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "state.npz", state=np.array({"a": 1}, dtype=object))
    with pytest.raises(UserError, match=r"state\.npz: is damaged"):
        load_state(tmp_path / "state.npz")


@pytest.mark.parametrize("version", [1, 99])  # 1 drew other random numbers
def test_another_version(tmp_path, version):
    np.savez(tmp_path / "state.npz", state=np.array(f'{{"format_version": {version}, "state": 1}}'))
    with pytest.raises(UserError, match=f"format {version}, .*overwrite"):
        load_state(tmp_path / "state.npz")


def test_outcome_replaces_training(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.identity() is None
    checkpoints.begin({"content_hash": "x"})
    checkpoints.save_training(3, {"epochs": 1})
    checkpoints.save_outcome(3, {"losses": np.arange(2)})
    assert checkpoints.load_training(3) is None
    assert_equal(checkpoints.load_outcome(3), {"losses": np.arange(2)})
    assert checkpoints.identity() == {"content_hash": "x"}
    checkpoints.begin({"content_hash": "y"})
    assert checkpoints.load_outcome(3) is None
