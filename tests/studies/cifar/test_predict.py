"""Images against what the training process itself counted."""

import csv
import io
import json
import os
import shutil

import keras
import numpy as np
import pytest

from keras_dnnts.datasets.images import load_image_dataset
from keras_dnnts.results import load_result
from tests.datasets.image_trees import encoded, write_folder
from tests.names_folders import call

pytestmark = [pytest.mark.one_engine, pytest.mark.slow]

CLASSES = ("<bee>", 'cow, "Kuh"', "鶚 owl")


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_DNNTS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def write_animals(folder, sizes):
    """Images of three classes whose colours tell them apart under noise, of these sizes in turn."""
    rng = np.random.default_rng(0)
    tree = {}
    for part, count in (("train", 14), ("test", 5)):
        for label, name in enumerate(CLASSES):
            for i in range(count):
                height, width = sizes[i % len(sizes)]
                image = rng.integers(0, 200, (height, width, 3), dtype=np.uint8)
                image[..., label] += 50
                tree[f"{part}/{name}/{i}.png"] = encoded(image)
    return write_folder(folder, tree)


def train(folder, sizes):
    animals = write_animals(folder / "animals", sizes)
    size = ("--image-size", 63, "--width", 0.05, "--batch-size", 8, "--embedding-images", 6, "--epochs", 2, "--quiet")
    options = ("--backend", keras.backend.backend(), "--data-dir", animals, "--learning-rate", 0.003)
    assert call("cifar", *options, *size, "--out", folder / "run") == 0
    return animals, folder / "run"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp("wide"), [(12, 10)])


@pytest.fixture(scope="module")
def trained_on_mixed(tmp_path_factory):
    return train(tmp_path_factory.mktemp("mixed"), [(12, 10), (30, 44), (90, 70), (20, 20), (25, 20)])


@pytest.mark.parametrize(
    "run_of",
    [pytest.param("trained", marks=pytest.mark.every_engine), "trained_on_mixed"],
)
def test_predictions_are_the_runs_own_evaluation(run_of, request, capsys):
    animals, run = request.getfixturevalue(run_of)
    result = load_result(run)
    model = keras.saving.load_model(run / "model-seed-0.keras", safe_mode=True)
    capsys.readouterr()
    assert call("predict", run, animals / "test", "--json", "--top-k", "3") == 0

    rows = json.loads(capsys.readouterr().out)["predictions"]
    truths = [next(name for name in CLASSES if f"/{name}/" in row["input"]) for row in rows]
    confusions = np.zeros((3, 3), int)
    for row, truth in zip(rows, truths, strict=True):
        confusions[CLASSES.index(truth), CLASSES.index(row["guesses"][0]["class"])] += 1
    np.testing.assert_array_equal(confusions, result.arrays["confusion_test"][0])
    right = [
        {g["class"]: g["probability"] for g in row["guesses"]}[name] for row, name in zip(rows, truths, strict=True)
    ]
    assert -np.log(right).mean() == pytest.approx(result.metrics["test_loss"].mean, rel=1e-4)

    from keras_dnnts.studies.cifar.augment import prepare_batch

    dataset = load_image_dataset(data_dir=animals, largest_side=63)
    expected = keras.ops.softmax(model(prepare_batch(dataset.test_images, 63), training=False))
    expected = keras.ops.convert_to_numpy(expected)[np.arange(15), dataset.test_labels]
    np.testing.assert_allclose(right, expected, atol=1e-5)


def test_files_in_their_order(trained, capsys):
    animals, run = trained
    files = [animals / "test" / CLASSES[2] / "1.png", animals / "train" / CLASSES[0] / "3.png"]
    capsys.readouterr()
    assert call("predict", run, *files, "--csv", "--top-k", "1") == 0

    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["input", "problem", "class_1", "probability_1"]
    assert [row[0] for row in rows] == [str(file) for file in files]


@pytest.mark.parametrize("shape", [None, [12], "12x10", [12, -1]], ids=["older", "one side", "text", "negative"])
def test_the_shape_of_images_is_the_data_sets(shape, trained, tmp_path, capsys):
    animals, run = trained
    image = animals / "test" / CLASSES[0] / "0.png"
    assert call("predict", run, image, "--json") == 0
    expected = capsys.readouterr().out

    copy = shutil.copytree(run, tmp_path / "run")
    plain = json.loads((copy / "results.json").read_text(encoding="utf-8"))
    assert plain["dataset"].pop("image_shape") == [12, 10]
    if shape is not None:
        plain["dataset"]["image_shape"] = shape
    (copy / "results.json").write_text(json.dumps(plain), encoding="utf-8")
    code = call("predict", copy, image, "--json")
    out, error = capsys.readouterr()
    if shape is None:  # results of older versions show images of this shape
        assert (code, out) == (0, expected)
    else:
        assert code == 2
        assert "image_shape" in error
        assert len(error.splitlines()) == 1


def test_every_file_has_a_row_and_what_is_passed_over_is_counted(trained, tmp_path, capsys):
    animals, run = trained
    good = (animals / "test" / CLASSES[0] / "0.png").read_bytes()
    files = {"a.png": good, "b.jpg": b"", "c.png": good[:60], "d.jfif": good, "notes.txt": b"x", "Thumbs.db": b"x"}
    new = write_folder(tmp_path / "new", files)
    os.mkfifo(new / "e.png")
    (new / "f.png").symlink_to("nowhere")
    (tmp_path / "text.csv").write_text("no image", encoding="utf-8")
    capsys.readouterr()
    assert call("predict", run, new, tmp_path / "text.csv", "--csv", "--top-k", "1") == 0

    out, error = capsys.readouterr()
    rows = {row["input"].rpartition("/")[2]: row for row in csv.DictReader(io.StringIO(out))}
    problems = {
        "b.jpg": "is empty (0 bytes)",
        "c.png": "cannot be decoded",
        "e.png": "is not a file",
        "f.png": "is a link that leads nowhere",
        "text.csv": "is damaged or not an image",
    }
    assert rows.keys() == {"a.png", "d.jfif", *problems}
    for name, row in rows.items():
        assert row["problem"].startswith(problems.get(name, ""))
        assert bool(row["class_1"]) == (name not in problems)
    assert rows["a.png"]["probability_1"] == rows["d.jfif"]["probability_1"]
    assert "skipped 1 file that is not an image" in error

    assert call("predict", run, new / "b.jpg") == 0
    assert "is empty" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["missing", "dangling", "empty folder", "none", "stdin", "file"])
def test_bad_inputs_are_one_clear_line(kind, trained, tmp_path, capsys):
    animals, run = trained
    good = animals / "test" / CLASSES[0] / "0.png"
    (tmp_path / "link.png").symlink_to("nowhere")
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    (tmp_path / "empty folder").mkdir()
    inputs, culprit = {
        "missing": ([good, tmp_path / "nowhere.png"], "nowhere.png"),
        "dangling": ([good, tmp_path / "link.png"], "link.png"),
        "empty folder": ([good, tmp_path / "empty folder"], "holds no images"),
        "none": ([], "nothing to predict"),
        "stdin": (["-"], "names"),
        "file": ([good, "--file", tmp_path / "notes.txt"], "names"),
    }[kind]
    capsys.readouterr()

    assert call("predict", run, *inputs) == 2

    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1, error
    assert culprit in error


def test_a_damaged_or_foreign_model_is_one_clear_line(trained, capsys):
    animals, run = trained
    image = animals / "test" / CLASSES[0] / "0.png"
    path = run / "model-seed-0.keras"
    content = path.read_bytes()
    other = keras.Sequential([keras.Input((63, 63, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    try:
        for damage in (lambda: path.write_bytes(content[:5000]), lambda: other.save(path), path.unlink):
            damage()
            capsys.readouterr()
            assert call("predict", run, image, "--backend", keras.backend.backend()) == 2
            error = capsys.readouterr().err
            assert len(error.splitlines()) == 1, error
            assert str(path) in error
    finally:
        path.write_bytes(content)
