"""Every knob goes to TOML and back; what does not fit is named."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.config import BACKENDS, DEVICES, load_config
from keras_dnnts.errors import UserError
from keras_dnnts.studies.names.config import CELLS, ENGINES, PROTOCOLS, NamesConfig

configs = st.builds(
    NamesConfig,
    cell=st.sampled_from(CELLS),
    protocol=st.sampled_from(PROTOCOLS),
    data_dir=st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
    held_out=st.floats(0.01, 0.99),
    hidden_units=st.integers(1, 10_000),
    iterations=st.integers(1, 10**8),
    learning_rate=st.floats(1e-9, 1e9),
    seed=st.integers(0, 2**32 - 100),
    seeds=st.integers(1, 100),
    backend=st.sampled_from(BACKENDS),
    device=st.sampled_from(DEVICES),
    engine=st.sampled_from(ENGINES),
)


@given(config=configs)
def test_toml_round_trip(config, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_bytes(config.to_toml().encode())
    assert load_config(path) == config


def test_config_is_frozen_and_complete():
    with pytest.raises(dataclasses.FrozenInstanceError):
        NamesConfig().cell = "rnn"
    assert NamesConfig().to_dict().keys() == {"experiment"} | {f.name for f in dataclasses.fields(NamesConfig)}


def test_overrides_replace_the_file(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text('experiment = "names"\ncell = "rnn"\nseeds = 5\n', encoding="utf-8")
    config = load_config(path, {"seeds": 2, "data_dir": "here"})
    assert (config.cell, config.seeds, config.data_dir) == ("rnn", 2, "here")


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("", "experiment"),
        ('experiment = "poems"', "poems"),
        ('experiment = "names"\nsped = 3', "sped"),
        ('experiment = "names"\niterations = "many"', "many"),
        ('experiment = "names"\niterations = 2.5', "2.5"),
        ('experiment = "names"\nseeds = true', "True"),
        ('experiment = "names"\ncell = "cnn"', "cnn"),
        ("experiment = ", "TOML"),
    ],
)
def test_bad_files_name_the_culprit_and_the_file(tmp_path, text, culprit):
    path = tmp_path / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_config(path)
    assert culprit in str(error.value)
    assert str(path) in str(error.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"binary\.toml: is not UTF-8 \(byte 0\)"):
        load_config(tmp_path / "binary.toml")
