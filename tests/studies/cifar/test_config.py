"""A recipe's knobs, where they come from, and what becomes of them."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keras_dnnts.config import load_config
from keras_dnnts.errors import UserError
from keras_dnnts.studies.cifar import STUDY
from keras_dnnts.studies.cifar.architectures import ARCHITECTURES, Architecture
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.illustrations import axes_that_may_be_empty, illustration_axes
from keras_dnnts.studies.cifar.recipes import KNOBS, RECIPES, resolve

# As they were when they were called protocols, with what their code did otherwise.
SHARED = {
    "optimizer": "adam",
    "weight_decay": 0.0,
    "schedule": "step",
    "step_epochs": 5,
    "epochs": 50,
    "batch_size": 128,
    "loss": "cross_entropy",
    "label_smoothing": 0.0,
    "augmentation": ("flip", "crop", "rotate"),
    "patience": 3,
    "image_size": 224,
}
OF_RECIPES = {
    "sound": {"resampling": "smooth", "weights": "best", "evaluation": "plain"},
    "reference": {"resampling": "pil", "weights": "last", "evaluation": "augmented"},
}
OF_NETWORKS = {
    "alexnet": {"learning_rate": 0.001, "step_factor": 1.0},
    "resnet50": {"learning_rate": 0.0001, "step_factor": 0.5},
}

configs = st.builds(
    CifarConfig,
    arch=st.none() | st.sampled_from(list(ARCHITECTURES)) | st.just(r"C:\nets\my.py:build"),
    # The third has no validation, so that any patience but 0 is refused: see below.
    recipe=st.sampled_from(sorted(set(RECIPES) - {"fast"})),
    optimizer=st.sampled_from(["adamw", "sgd"]),
    schedule=st.none() | st.sampled_from(["constant", "step", "linear", "cosine"]),
    step_factor=st.none() | st.floats(0.1, 1.0),
    learning_rate=st.none() | st.floats(1e-9, 1e9),
    weight_decay=st.none() | st.floats(0, 1),
    augmentation=st.none() | st.lists(st.sampled_from(["flip", "crop", "rotate"])).map(tuple),
    label_smoothing=st.none() | st.floats(0, 0.99),
    patience=st.none() | st.integers(0, 9),
)


@given(config=configs)
def test_toml_round_trip_of_a_complete_config(config, tmp_path_factory):
    assert all(getattr(config, knob) is not None for knob in set(KNOBS) - {"initial_image_size"})
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_bytes(config.to_toml().encode())
    assert load_config(path) == config
    assert load_config(path).to_dict() == config.to_dict()


@pytest.mark.parametrize("arch", OF_NETWORKS)
@pytest.mark.parametrize("recipe", OF_RECIPES)
def test_recipes_are_what_the_protocols_were(arch, recipe):
    expected = SHARED | OF_RECIPES[recipe] | OF_NETWORKS[arch]
    config = CifarConfig(arch=arch, recipe=recipe)
    assert {name: getattr(config, name) for name in expected} == expected


def test_what_is_given_goes_before_the_recipe_and_that_before_the_network():
    mine = RECIPES["sound"] | {"arch": "resnet50", "learning_rate": 0.1, "epochs": 7}
    network = ARCHITECTURES["resnet50"].recipe
    knobs = resolve({"epochs": 9, "learning_rate": None}, mine, network)
    assert (knobs["arch"], knobs["learning_rate"], knobs["epochs"]) == ("resnet50", 0.1, 9)
    assert knobs["step_factor"] == 0.5  # the network's: the recipe has none
    assert resolve({"learning_rate": 0.2}, mine, network)["learning_rate"] == 0.2
    assert resolve({}, RECIPES["sound"], {})["learning_rate"] == 0.001
    assert set(knobs) == set(KNOBS)


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_chooses_the_data(recipe):
    assert RECIPES[recipe].keys() <= {*KNOBS}
    assert not RECIPES[recipe].keys() & {"dataset", "data_dir", "train_images", "seed"}


def test_the_file_of_an_older_version_is_read(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text('experiment = "cifar"\nprotocol = "reference"\nepochs = 3\n', encoding="utf-8")
    assert load_config(path) == CifarConfig(recipe="reference", epochs=3)
    assert load_config(path, {"weights": "best"}).weights == "best"
    with pytest.raises(UserError, match=r"old\.toml: protocol is 'reference' and recipe is 'sound'"):
        load_config(path, {"recipe": "sound"})


def test_augmentation_has_one_order_and_may_be_empty():
    assert CifarConfig(augmentation=("rotate", "flip", "flip")).augmentation == ("flip", "rotate")
    assert CifarConfig(augmentation=()).augmentation == ()


@pytest.mark.parametrize("recipe", RECIPES)
def test_flips_can_be_left_out_of_every_recipe(recipe):
    usual, without = CifarConfig(recipe=recipe), CifarConfig(recipe=recipe, no_flip=True)
    assert without.augmentation == tuple(step for step in usual.augmentation if "flip" not in step)
    assert without.augmentation != usual.augmentation
    assert CifarConfig(**{name: getattr(without, name) for name in without.options()}) == without
    assert CifarConfig(recipe=recipe, no_flip=True, augmentation=("crop",)).augmentation == ("crop",)


@pytest.mark.parametrize(
    ("knobs", "culprit"),
    [
        ({"arch": "vgg"}, "unknown arch 'vgg': use one of alexnet, resnet50, linear, airbench, or FILE.py:FUNCTION"),
        ({"arch": "my_net.py"}, "FILE.py:FUNCTION"),
        ({"recipe": "lucky"}, "lucky"),
        ({"image_size": 62}, "image_size 62 is too small for alexnet: use at least 63"),
        ({"optimizer": "adam", "weight_decay": 0.1}, "use adamw, sgd or muon"),
        ({"momentum": 1.0}, "less than 1"),
        ({"label_smoothing": 1.0}, "less than 1"),
        ({"augmentation": ("flip", "blur")}, "blur"),
        ({"loss": "hinge"}, "hinge"),
        ({"step_factor": 1e300}, "step_factor"),
        ({"no_flip": True, "augmentation": ("flip", "crop")}, "no_flip is given, but augmentation has flip"),
        ({"freeze": True}, "freeze needs pretrained"),
        ({"pretrained_hash": "sha256:1"}, "pretrained_hash needs pretrained"),
        ({"pretrained": ""}, "pretrained is empty"),
    ],
)
def test_bad_knobs_are_named(knobs, culprit):
    with pytest.raises(UserError) as error:
        CifarConfig(**knobs)
    assert culprit in str(error.value)


@pytest.mark.parametrize("schedule", ["constant", "step", "linear", "cosine"])
def test_schedules_are_those_of_torch(schedule):
    config = CifarConfig(schedule=schedule, epochs=11, learning_rate=0.3, step_epochs=3, step_factor=0.7)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedulers = torch.optim.lr_scheduler
    theirs = {
        "constant": lambda: schedulers.ConstantLR(optimizer, factor=1.0),
        "step": lambda: schedulers.StepLR(optimizer, step_size=3, gamma=0.7),
        "linear": lambda: schedulers.LinearLR(optimizer, 1.0, 0.0, total_iters=11),
        "cosine": lambda: schedulers.CosineAnnealingLR(optimizer, T_max=11),
    }[schedule]()
    for epoch in range(11):
        assert config.learning_rate_of(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        theirs.step()


def test_rates_do_not_depend_on_what_was_asked_before():
    config = CifarConfig(schedule="cosine", epochs=6)
    rates = [config.learning_rate_of(epoch) for epoch in range(6)]
    assert [config.learning_rate_of(epoch) for epoch in reversed(range(6))] == rates[::-1]
    assert all(np.diff(rates) < 0)
    assert math.isclose(rates[3], config.learning_rate / 2)


def test_another_architecture_is_one_entry(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", Architecture(lambda *_: None, "TinyNet"))
    config = CifarConfig(arch="tiny", image_size=8)
    assert STUDY.model_title(config.to_dict()) == "TinyNet"
    assert (config.learning_rate, config.step_factor) == (0.001, 1.0)
    assert STUDY.reference.reported(config.to_dict()) == {}


def test_a_network_of_another_kind_has_knobs_of_its_own():
    config = CifarConfig(arch="linear")
    assert (config.image_size, config.augmentation, config.schedule) == (32, ("flip",), "linear")
    assert CifarConfig(arch="linear", no_flip=True).augmentation == ()
    assert CifarConfig(arch="linear", image_size=8).image_size == 8


def test_titles_tell_where_a_network_started():
    started = CifarConfig(pretrained="runs/a").to_dict()
    assert STUDY.model_title(started) == "AlexNet (pretrained)"
    assert STUDY.model_title(started | {"freeze": True}) == "AlexNet (pretrained, head trained)"
    assert STUDY.reference.reported(started) == {}


def test_reference_numbers_stand_with_the_networks():
    reference = STUDY.reference
    assert reference.reported({"arch": "alexnet"})["test_accuracy"] == 0.6246
    assert reference.reported({"arch": "my.py:build"}) == {}
    assert reference.changed_settings(CifarConfig(arch="resnet50", recipe="reference").to_dict()) == {}
    changed = CifarConfig(epochs=3, augmentation=(), schedule="linear").to_dict()
    assert reference.changed_settings(changed) == {
        "epochs": (3, 50),
        "augmentation": ("none", "flip, crop, rotate"),
        "schedule": ("linear", "step"),
        "resampling": ("smooth", "pil"),
        "weights": ("best", "last"),
        "evaluation": ("plain", "augmented"),
    }


@pytest.mark.parametrize(
    ("config", "sentence", "note"),
    [
        (CifarConfig().to_dict(), "Only training images are augmented; the weights of the epoch with the lowest", ""),
        (CifarConfig(recipe="reference").to_dict(), "As in the reference, validation and test", "reference recipe"),
        ({"protocol": "reference"}, "As in the reference, validation and test", "reference recipe"),
        (CifarConfig(augmentation=(), weights="last").to_dict(), "No image is augmented; the last epoch's weights", ""),
        (CifarConfig(evaluation="augmented").to_dict(), "Validation and test images", "augmented test images"),
    ],
)
def test_how_data_were_used_is_said(config, sentence, note):
    assert STUDY.describe_training(config).startswith(sentence)
    assert STUDY.note(config) == note


def test_what_is_shown_fits_the_format_of_results():
    needed, optional = illustration_axes()
    declared = {**STUDY.result_format.arrays, **STUDY.result_format.optional}
    for name, axes in {**needed, **optional}.items():
        assert declared[name] == axes
    assert axes_that_may_be_empty() <= STUDY.result_format.may_be_empty


def test_the_study_is_described_without_numpy_or_keras():
    code = (
        "import sys; from keras_dnnts.registry import find_study; find_study('cifar').config(); "
        "print({'numpy', 'keras', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_fast_recipe_and_what_goes_with_it(tmp_path):
    config = CifarConfig(recipe="fast", epochs=12, image_size=40)
    assert [config.image_size_of(epoch) for epoch in (0, 2, 3, 5, 6, 11)] == [24, 24, 32, 32, 40, 40]
    (tmp_path / "config.toml").write_bytes(config.to_toml().encode())
    assert load_config(tmp_path / "config.toml") == config
    assert CifarConfig(recipe="fast", arch="resnet50", image_size=40).initial_image_size is None
    assert CifarConfig(recipe="fast", image_size=20).initial_image_size is None


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"recipe": "fast", "patience": 3}, "patience 3 needs: use patience 0 or train_on part"),
        ({"recipe": "fast", "weights": "best"}, "weights best needs: use weights last or train_on part"),
        ({"train_on": "all"}, "weights best needs"),
        ({"initial_image_size": 64}, "alexnet takes images of one size only"),
        ({"recipe": "fast", "initial_image_size": 40}, "from 17 to the image size, 32"),
        ({"augmentation": ("alternating_flip", "flip")}, "alternating_flip goes without flip"),
        ({"augmentation": ("crop", "shift")}, "shift goes without crop"),
        ({"weight_averaging": 1.0}, "less than 1"),
        ({"weight_averaging": 0.9}, "weight_averaging 0.9 needs weights last"),
    ],
)
def test_knobs_of_the_fast_recipe_that_do_not_fit(knobs, message):
    with pytest.raises(UserError) as error:
        CifarConfig(**knobs)
    assert message.replace("_", "-").replace(" ", "") in str(error.value).replace("--", "").replace("_", "-").replace(
        " ", ""
    )


def test_a_recipes_rates_are_its_optimizers():
    other = CifarConfig(recipe="fast", optimizer="adamw")
    assert (other.learning_rate, other.momentum, other.weight_decay) == (0.001, 0.9, 0.01)
    assert CifarConfig(recipe="fast", optimizer="adam").weight_decay == 0
    linear = CifarConfig(recipe="fast", arch="linear")
    assert (linear.optimizer, linear.learning_rate) == ("adam", 3e-4)


def test_sizes_are_checked_once_they_are_fitted_to_ones_own_images():
    own = CifarConfig(recipe="fast", data_dir="photos", initial_image_size=48)
    assert own.resolved("sha256:0", image_size=96).initial_image_size == 48
    with pytest.raises(UserError, match="from 17 to the image size, 32"):
        own.resolved("sha256:0", image_size=32)
    with pytest.raises(UserError, match="use at least 63"):
        CifarConfig(recipe="fast", arch="alexnet", data_dir="photos").resolved("sha256:0", image_size=32)
    assert CifarConfig(recipe="fast", data_dir="photos").resolved("sha256:0", image_size=96).initial_image_size == 24


@pytest.mark.parametrize(("given", "devices"), [("2", 2), (3, 3), ("all", "all"), (None, None)])
def test_devices(given, devices):
    assert CifarConfig(devices=given).devices == devices


@pytest.mark.parametrize("devices", ["0", 0, "some", "-1", "2.5"])
def test_devices_that_are_none(devices):
    with pytest.raises(UserError, match=r"devices is .*: use a number from 1 on, or all"):
        CifarConfig(devices=devices)


def test_jax_has_no_statistics_per_device():
    with pytest.raises(UserError, match="batch_statistics per-device: jax computes as if on one device"):
        CifarConfig(backend="jax", batch_statistics="per-device")
