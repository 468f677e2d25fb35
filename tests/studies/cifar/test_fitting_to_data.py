"""What a person's own images settle, and what they leave alone."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.config import load_config
from keras_dnnts.datasets.cifar10.batches import CLASSES
from keras_dnnts.studies.cifar import fitting_to_data
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.data import foresee, list_choices, load_data, resolve, survey
from keras_dnnts.studies.cifar.fitting_to_data import fit_image_size, fit_training, measure_own_images
from tests.datasets.image_trees import encoded, pack_zip, write_folder


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """100 photos of two classes, of many sizes, whose shorter sides have the median 69.5."""
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    sides = np.arange(45, 95)
    tree = {
        f"{name}/{i}.png": encoded(
            rng.integers(0, 255, (side, side + i % 40, 3) if i % 2 else (side + 9, side, 3), dtype=np.uint8)
        )
        for name in ("bee", "cow")
        for i, side in enumerate(sides)
    }
    return write_folder(tmp_path / "photos", tree)


def test_photos_settle_what_is_not_given_and_the_run_repeats(photos, tmp_path):
    config = CifarConfig(data_dir=str(photos), epochs=3)
    loaded = load_data(config)
    settled = resolve(config, loaded)
    assert settled == {
        "image_size": 64,
        "batch_size": 8,
        "learning_rate": 0.00025,
        "patience": 23,
        "step_epochs": 23,
    }
    assert foresee(config) == settled
    (choice,) = list_choices(loaded)
    assert "70 training images (median side 69 pixels): 64x64 pixels; batches of 8" in choice
    assert "epochs" not in choice
    assert choice in survey(config)[0]

    saved = tmp_path / "config.toml"
    saved.write_text(config.resolved(loaded.dataset.content_hash, **settled).to_toml(), encoding="utf-8")
    again = load_config(saved)
    repeated = load_data(again)
    assert repeated.dataset.content_hash == loaded.dataset.content_hash
    assert dataclasses.replace(again, **resolve(again, repeated)) == again
    assert list_choices(repeated) == []


def test_archives_settle_the_same(photos, tmp_path):
    tree = {path.relative_to(photos).as_posix(): path.read_bytes() for path in sorted(photos.rglob("*.png"))}
    config = CifarConfig(data_dir=str(pack_zip(tmp_path / "photos.zip", tree)))
    assert foresee(config) == foresee(CifarConfig(data_dir=str(photos)))


def test_neither_the_reference_recipe_nor_cifar10_is_changed(photos, tmp_path, monkeypatch):
    assert measure_own_images(CifarConfig()) is None
    assert foresee(CifarConfig(data_dir=str(photos), recipe="reference")) == {}
    tree = {f"{name}/{i}.png": encoded(np.zeros((32, 32, 3), np.uint8)) for name in CLASSES for i in range(2)}
    config = CifarConfig(data_dir=str(write_folder(tmp_path / "copy", tree)))
    assert measure_own_images(config) is not None
    monkeypatch.setattr(fitting_to_data, "CIFAR10_IMAGES", 20)
    assert measure_own_images(config) is None


@pytest.mark.parametrize(
    ("arch", "side", "size"),
    [
        ("alexnet", 32, 64),
        ("alexnet", 79, 64),
        ("alexnet", 80, 80),
        ("alexnet", 900, 96),
        ("resnet50", 20, 48),
        ("linear", 900, 32),
        ("my.py:build", 50, 48),
        ("my.py:build", 7, 16),
    ],
)
def test_image_sizes_follow_the_median_side_and_the_network(arch, side, size):
    assert fit_image_size(CifarConfig(arch=arch), side) == {"image_size": size}
    assert fit_image_size(CifarConfig(arch=arch, image_size=100), side) == {}
    assert fit_image_size(CifarConfig(arch=arch), None) == {}


@given(images=st.integers(2, 10**6))
def test_an_epoch_has_some_updates_and_a_run_enough(images):
    config = CifarConfig()
    fitted = fit_training(config, images)
    batch = fitted["batch_size"]
    updates = math.ceil(images / batch)
    assert 1 <= batch <= min(128, images)
    assert updates >= 7 or batch <= 8
    assert fitted["epochs"] * updates >= 400
    assert fitted["epochs"] >= 50
    assert fitted["patience"] * updates >= 200
    if images >= 35_000:
        assert fitted == {"batch_size": 128, "epochs": 50, "patience": 3, "step_epochs": 5}


def test_what_is_given_is_left_alone():
    config = CifarConfig(batch_size=4, epochs=2, patience=0, step_epochs=1)
    assert fit_training(config, 100) == {}
    assert "patience" not in fit_training(CifarConfig(patience=0), 100)
    assert "learning_rate" not in fit_training(CifarConfig(learning_rate=0.1), 100)
    assert "learning_rate" not in fit_training(CifarConfig(pretrained="runs/a", freeze=True), 100)
