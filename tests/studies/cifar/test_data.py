"""What a run says of its images, and what a dry run says before it has read any."""

import numpy as np
import pytest

from keras_dnnts.datasets.image_split import split_images
from keras_dnnts.datasets.images import load_image_dataset
from keras_dnnts.errors import UserError
from keras_dnnts.studies.cifar import data
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.data import load_data, resolve, survey
from tests.datasets.image_trees import encoded, write_folder


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    tree = {
        f"{part}/{name}/{i}.png": encoded(rng.integers(0, 255, (9, 7, 3), dtype=np.uint8))
        for part, count in (("train", 20), ("test", 4))
        for name in ("bee", "cow")
        for i in range(count)
    }
    return write_folder(tmp_path / "images", tree)


def test_data_are_described_with_their_counts_and_shape(images):
    config = CifarConfig(data_dir=str(images), image_size=63, batch_size=8, seed=3, seeds=2)
    loaded = load_data(config)
    assert loaded.describe() == {
        "image_shape": [9, 7],
        "counts": {"images": {"bee": 24, "cow": 24}, "train": 28, "validation": 4, "test": 8},
        "class_counts": {"train": [14, 14], "validation": [2, 2], "test": [4, 4]},
    }
    dataset = load_image_dataset(data_dir=images, largest_side=63)
    assert loaded.dataset.content_hash == dataset.content_hash
    for seed in (3, 4):
        np.testing.assert_array_equal(loaded.splits[seed].train, split_images(dataset, seed).train)


def test_a_survey_counts_images_and_decodes_none(images):
    for path in images.rglob("*.png"):
        path.write_bytes(b"no image")
    facts, classes = survey(CifarConfig(data_dir=str(images)))
    assert classes == 2
    assert "40 images in train, 8 images in test, 2 classes" in facts[0]
    assert not (images.parent / "cache").exists()


def test_surveys_of_what_is_known(monkeypatch):
    assert survey(CifarConfig(dataset="digits")) == (
        ["data: scikit-learn digits (scikit-learn), 1,797 images, 10 classes"],
        10,
    )
    for cached, words in ((True, "10 classes"), (False, "to be downloaded; scikit-learn's digits")):
        monkeypatch.setattr(data, "is_ready", lambda builder, cached=cached: cached)
        facts, classes = survey(CifarConfig())
        assert classes == 10
        assert words in facts[0]


@pytest.mark.parametrize("act", [load_data, survey])
def test_a_missing_file_of_an_own_network_is_known_before_the_data(act, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load_image_dataset", lambda *_: pytest.fail("read the data"))
    with pytest.raises(UserError, match=r"gone\.py: cannot be read"):
        act(CifarConfig(arch=f"{tmp_path}/gone.py:build", dataset="digits"))


@pytest.mark.parametrize("kind", ["no images", "one class", "a stray file"])
def test_a_survey_refuses_what_a_run_would(kind, images):
    if kind == "a stray file":
        (images / "train" / "bee" / "notes.txt").write_text("x", encoding="utf-8")
    for path in images.rglob("*.png"):
        if kind == "no images" or (kind == "one class" and path.parent.name == "cow"):
            path.unlink()
    for act in (survey, load_data):
        with pytest.raises(UserError) as error:
            act(CifarConfig(data_dir=str(images)))
        assert str(images) in str(error.value)


def write_images(folder, counts):
    """Noise in folders, ``counts`` images by folder."""
    rng = np.random.default_rng(1)
    tree = {
        f"{name}/{i}.png": encoded(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        for name, count in counts.items()
        for i in range(count)
    }
    return write_folder(folder, tree)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("own_cache")
def test_a_batch_size_that_was_not_given_is_at_most_the_training_part(tmp_path):
    folder = write_images(tmp_path / "photos", {"cat": 60, "dog": 60})
    config = CifarConfig(data_dir=str(folder), recipe="reference")
    assert resolve(config, load_data(config))["batch_size"] == 84
    assert "batch size: 84, as there are no more training images" in survey(config)[0]
    few = CifarConfig(data_dir=str(folder), train_images=20, image_size=64, recipe="reference")
    assert resolve(few, load_data(few))["batch_size"] == 20
    small = CifarConfig(data_dir=str(folder), batch_size=8)
    assert resolve(small, load_data(small))["batch_size"] == 8
    given = CifarConfig(data_dir=str(folder), batch_size=128)
    for act in (load_data, survey):
        with pytest.raises(UserError, match="batch_size is 128, but there are only 84 training images: use at most 84"):
            act(given)


@pytest.mark.usefixtures("own_cache")
def test_classes_that_a_part_lacks_are_named(tmp_path):
    folder = write_images(tmp_path / "photos", {"cat": 60, "dog": 60, "few": 1})
    about = load_data(CifarConfig(data_dir=str(folder), batch_size=8)).describe()
    missing = about["missing_classes"]
    assert all(names == ["few"] for names in missing.values())
    assert len(missing) == 2
    assert "missing_classes" not in load_data(CifarConfig(dataset="digits")).describe()


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("counts", "named"),
    [({"many": 200, "few": 1}, "without a test image: few"), (dict.fromkeys("abcdefghijkl", 1), "training image: ")],
)
def test_data_with_less_than_two_classes_to_test_are_refused(counts, named, tmp_path):
    folder = write_images(tmp_path / "photos", counts)
    with pytest.raises(UserError, match="fewer than two classes have both") as error:
        load_data(CifarConfig(data_dir=str(folder)))
    assert named in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("parts", [("",), ("train/", "test/")])
def test_copies_are_counted(parts, tmp_path):
    folder = write_images(tmp_path / "photos", {f"{part}{name}": 30 for part in parts for name in ("cat", "dog")})
    first, last = (folder / part / "cat/0.png" for part in (parts[0], parts[-1]))
    last.with_name("again.png").write_bytes(first.read_bytes())
    (folder / parts[0] / "dog/also.png").write_bytes(first.read_bytes())
    about = load_data(CifarConfig(data_dir=str(folder))).describe()
    copied = {"across_parts": 1, "files": [["train/cat/0.png", "train/dog/also.png", "test/cat/again.png"]]}
    copied = copied if len(parts) > 1 else {}
    assert about["copies"] == {"images": 3, "of_training_images": len(parts) - 1, "of_other_classes": 3, **copied}
    numbers = load_data(CifarConfig(data_dir=str(folder))).number_test_images(0)
    assert len(numbers) == about["counts"]["test"]
    assert "copies" not in load_data(CifarConfig(dataset="digits")).describe()


def test_a_validation_folder_is_used_and_recorded(images):
    (images / "test").rename(images / "val")
    loaded = load_data(CifarConfig(data_dir=str(images), image_size=63, batch_size=8))
    described = loaded.describe()
    assert described["counts"] == {"images": {"bee": 24, "cow": 24}, "train": 32, "validation": 8, "test": 8}
    assert described["own_parts"] == ["train", "validation"]
    facts, _ = survey(CifarConfig(data_dir=str(images)))
    assert "40 images in train, 8 images in validation" in facts[0]


def test_bad_files_are_left_out_on_request(images):
    expected = load_data(CifarConfig(data_dir=str(images), image_size=63, batch_size=8)).describe()
    (images / "train" / "bee" / "notes.txt").write_text("x", encoding="utf-8")
    (images / "test" / "cow" / "half.png").write_bytes(b"half")
    with pytest.raises(UserError, match="2 files cannot be used"):
        load_data(CifarConfig(data_dir=str(images), image_size=63, batch_size=8))
    config = CifarConfig(data_dir=str(images), image_size=63, batch_size=8, skip_bad=True)
    for _ in range(2):  # from the cache, the second time
        assert load_data(config).describe() == expected | {
            "left_out": [
                ["test/cow/half.png", "is damaged or not an image in a known format"],
                ["train/bee/notes.txt", "is not an image file"],
            ]
        }
    assert any("1" in fact for fact in survey(config)[0] if "left out" in fact)


def test_validation_images_that_are_copies_of_training_images_are_counted(images):
    (images / "test").rename(images / "val")
    (images / "val" / "bee" / "copy.png").write_bytes((images / "train" / "bee" / "0.png").read_bytes())
    described = load_data(CifarConfig(data_dir=str(images), image_size=63, batch_size=8)).describe()
    assert described["copies"] == {
        "images": 2,
        "of_training_images": 0,
        "of_other_classes": 0,
        "validation": 1,
        "across_parts": 1,
        "files": [["train/bee/0.png", "val/bee/copy.png"]],
    }


def test_automatic_precision_is_float32_for_grey_images_and_airbench(images, monkeypatch):
    monkeypatch.setattr(data, "settle_precision", lambda config: "bfloat16")
    for config, expected in (
        (CifarConfig(recipe="fast", dataset="digits"), "float32"),
        (CifarConfig(recipe="fast", dataset="digits", precision="bfloat16"), None),
        (CifarConfig(recipe="fast", data_dir=str(images)), "bfloat16"),
        (CifarConfig(arch="alexnet", precision="auto", dataset="digits"), "bfloat16"),
    ):
        assert resolve(config, load_data(config)).get("precision") == expected
