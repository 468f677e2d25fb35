"""The CIFAR-10 experiment through its real entry point, small."""

import csv
import json
import tomllib

import keras
import numpy as np
import pytest

from keras_dnnts.datasets.image_split import select_parts, split_images
from keras_dnnts.datasets.images import load_image_dataset
from keras_dnnts.results import load_result
from keras_dnnts.studies.cifar.augment import augment_batch, draw_parameters, prepare_batch
from tests.datasets.image_trees import encoded, write_folder
from tests.devices import on_cpu
from tests.names_folders import call

pytestmark = [pytest.mark.every_engine, pytest.mark.slow]

SIZES = {"alexnet": 63, "resnet50": 33}
VOLATILE = ("_seconds", "_per_second")
CLASSES = ("bee", "cow", "owl")
SEED = 4
# After two epochs the rate jumps, and the losses with it.
UNSTABLE = ("--epochs", "4", "--learning-rate", "0.005", "--step-epochs", "2", "--step-factor", "100")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DNNTS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def animals(tmp_path):
    """60 training and 12 test images of three classes, each of its own colour under noise."""
    rng = np.random.default_rng(0)
    tree = {}
    for part, count in (("train", 20), ("test", 4)):
        for label, name in enumerate(CLASSES):
            for i in range(count):
                image = rng.integers(0, 160, (12, 10, 3), dtype=np.uint8)
                image[..., label] += 90
                tree[f"{part}/{name}/{i}.png"] = encoded(image)
    return write_folder(tmp_path / "animals", tree)


def small(animals, arch="alexnet"):
    sizes = ("--image-size", SIZES[arch], "--width", 0.05, "--batch-size", 16, "--embedding-images", 10)
    # Batches of one size, so that an engine that compiles does so once.
    sizes += ("--train-images", 32)
    return ("--arch", arch, "--data-dir", animals, *sizes, "--seed", SEED, "--quiet")


def run(animals, out, *more, arch="alexnet", figures=False):
    backend = keras.backend.backend()
    assert call("cifar", *small(animals, arch), "--backend", backend, "--out", out, *more, figures=figures) == 0
    return load_result(out)


def load_model(out):
    return keras.saving.load_model(out / f"model-seed-{SEED}.keras", safe_mode=True)


@pytest.mark.one_engine
def test_leaves_a_complete_run_behind(animals, tmp_path, capsys):
    more = ("--epochs", "2", "--train-images", 42, "--seeds", "2", "--dataset-name", "farm")
    result = run(animals, tmp_path / "run", *more, figures=True)

    files = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    figures = ("curves", "confusion_test", "mistakes", "activation_maps", "tsne")
    assert files == {
        *("config.toml", "history.csv", "results.json", "results.npz", "report.html", "README.md"),
        *("model-seed-4.keras", "model-seed-5.keras"),
        *(f"figures/{name}.{kind}" for name in figures for kind in ("png", "svg")),
    }
    printed = " ".join(capsys.readouterr().out.split())
    assert "AlexNet on farm" in printed
    assert all(name in printed for name in ("test loss", "test accuracy", *CLASSES))
    with (tmp_path / "run" / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["epoch"]) for row in rows] == [("4", "1"), ("4", "2"), ("5", "1"), ("5", "2")]
    for name in ("learning_rate", "train_loss", "validation_accuracy"):
        np.testing.assert_allclose([float(row[name]) for row in rows], result.arrays[f"history_{name}"].ravel())


@pytest.mark.one_engine
def test_results_json_keeps_its_contract(animals, tmp_path):
    run(animals, tmp_path / "run", "--epochs", "1")

    plain = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert plain["experiment"] == "cifar"
    assert plain["config"]["learning_rate"] == 0.001
    assert plain["dataset"]["counts"] == {
        "images": dict.fromkeys(CLASSES, 24),
        "train": 32,
        "validation": 6,
        "test": 12,
    }
    assert set(plain["metrics"]) == {
        *("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "train_loss"),
        *("epochs_run", "best_epoch", "train_seconds", "images_per_second", "compile_seconds"),
    }
    seconds, rate = (plain["metrics"][name]["mean"] for name in ("train_seconds", "images_per_second"))
    assert round(seconds * rate) == 32
    low, high = plain["metrics"]["test_accuracy"]["intervals_95"][0]
    assert 0 <= low <= plain["metrics"]["test_accuracy"]["mean"] <= high <= 1
    assert set(plain["details"]["recall"]["test"]) == set(CLASSES)
    assert all(animals.joinpath(one["image"]).is_file() for one in plain["details"]["mistakes"])
    assert all(one["image"].startswith(f"test/{one['truth']}/") for one in plain["details"]["mistakes"])
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))
    assert config == {name: value for name, value in plain["config"].items() if value is not None}


@on_cpu
def test_embeddings_are_of_the_weights_they_say(animals, tmp_path):
    short, long = (run(animals, tmp_path / n, "--epochs", n, "--protocol", "reference").arrays for n in ("1", "2"))

    np.testing.assert_array_equal(long["embedding_first"], short["embedding_final"])
    np.testing.assert_array_equal(long["embedding_label"], short["embedding_label"])
    assert not np.allclose(long["embedding_first"], long["embedding_final"])


def parts_of(animals, size):
    dataset = load_image_dataset("auto", animals, largest_side=size)
    return select_parts(dataset, split_images(dataset, SEED))


def losses_of(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


@pytest.mark.one_engine
def test_sound_recipe_keeps_the_best_weights_and_tests_on_plain_images(animals, tmp_path):
    result = run(animals, tmp_path / "run", *UNSTABLE)

    model, history = load_model(tmp_path / "run"), result.arrays["history_validation_loss"][0]
    _, validation, test = parts_of(animals, 63)
    for (images, labels), name in ((validation, "validation"), (test, "test")):
        logits = model.predict(prepare_batch(images, 63), verbose=0)
        assert losses_of(logits, labels).mean() == pytest.approx(result.metrics[f"{name}_loss"].mean, rel=1e-4)
        assert (logits.argmax(axis=1) == labels).mean() == pytest.approx(result.metrics[f"{name}_accuracy"].mean)
    assert history.argmin() < 3, "the last epoch must not be the best, or this test says nothing"
    assert result.metrics["validation_loss"].mean == history.min()
    assert result.metrics["best_epoch"].mean == history.argmin() + 1


@pytest.mark.one_engine
def test_reference_recipe_keeps_the_last_weights_and_augments_what_it_tests_on(animals, tmp_path):
    result = run(animals, tmp_path / "run", *UNSTABLE, "--recipe", "reference")

    history = result.arrays["history_validation_loss"][0]
    assert history.argmin() < 3, "the last epoch must not be the best, or this test says nothing"
    assert result.metrics["validation_loss"].mean == history[-1]
    model = load_model(tmp_path / "run")
    _, validation, test = parts_of(animals, 63)
    train_batches = 2
    # Validation as in the last epoch, and its one batch counts on from the training batches; then comes the test.
    for (images, labels), name, epoch, batch in (
        (validation, "validation", 3, train_batches),
        (test, "test", 0, train_batches + 1),
    ):
        drawn = draw_parameters(len(images), SEED, epoch, batch)
        logits = model.predict(augment_batch(images, drawn, 63, "pil"), verbose=0)
        assert losses_of(logits, labels).mean() == pytest.approx(result.metrics[f"{name}_loss"].mean, rel=1e-4)


@pytest.mark.one_engine
def test_rate_steps_after_epochs_five_and_ten(animals, tmp_path):
    more = ("--epochs", "11", "--patience", "99", "--step-factor", "0.5", "--step-epochs", "5", "--train-images", 16)
    rates = run(animals, tmp_path / "run", *more).arrays["history_learning_rate"][0]
    np.testing.assert_allclose(rates, [0.001] * 5 + [0.0005] * 5 + [0.00025], rtol=1e-6)


@pytest.mark.one_engine
def test_resnet50_in_bfloat16(animals, tmp_path):
    result = run(animals, tmp_path / "run", "--epochs", "1", "--precision", "bfloat16", arch="resnet50")

    model = load_model(tmp_path / "run")
    stem, logits = model.get_layer("stem"), model.get_layer("logits")
    assert (stem.compute_dtype, stem.kernel.dtype, logits.compute_dtype) == ("bfloat16", "float32", "float32")
    assert keras.config.dtype_policy().name == "float32"
    assert result.config["learning_rate"] == 0.0001
    assert result.arrays["activation_stage1_block1_conv1"].shape == (3, 9, 9, 3)  # an image of each class


def test_loss_that_is_not_finite_ends_the_run_with_what_it_had(animals, tmp_path, capsys):
    out = tmp_path / "run"
    backend = keras.backend.backend()
    assert call("cifar", *small(animals), "--backend", backend, "--out", out, "--learning-rate", "1e30") == 2

    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "not finite in epoch 1" in error
    assert "--learning-rate" in error
    assert (out / "history.csv").is_file()
    assert not (out / "results.json").exists()
    assert all(np.isfinite(weights).all() for weights in load_model(out).get_weights())


@pytest.mark.one_engine
def test_results_are_saved_before_figures_are_drawn(animals, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("keras_dnnts.figures.draw_figures", fail)
    with pytest.raises(MemoryError):
        run(animals, tmp_path / "run", "--epochs", "1", figures=True)
    assert load_result(tmp_path / "run").metrics["epochs_run"].mean == 1


BAD_OPTIONS = {
    "architecture": (["--arch", "vgg"], "vgg"),
    "protocol": (["--protocol", "lucky"], "lucky"),
    "recipe": (["--recipe", "lucky"], "lucky"),
    "optimizer": (["--optimizer", "lion"], "lion"),
    "schedule": (["--schedule", "zigzag"], "zigzag"),
    "augmentation": (["--augmentation", "flip,blur"], "blur"),
    "momentum": (["--momentum", 1], "--momentum is 1"),
    "label smoothing": (["--label-smoothing", 1], "--label-smoothing is 1"),
    "weight decay": (["--weight-decay", 0.1], "--weight-decay is 0.1"),
    "knob": (["--set", "dropout=0.1"], "dropout"),
    "precision": (["--precision", "int4"], "int4"),
    "small for alexnet": (["--image-size", 62], "at least 63"),
    "small for resnet50": (["--arch", "resnet50", "--image-size", 32], "at least 33"),
    "batch above data": (["--batch-size", 33], "only 32 training images: use at most 32"),
    "train images above data": (["--train-images", 43], "has 42 images"),
    "no train images": (["--train-images", 0], "--train-images is 0"),
    "no batch": (["--batch-size", 0], "--batch-size is 0"),
    "no epochs": (["--epochs", 0], "--epochs is 0"),
    "patience": (["--patience", -1], "--patience is -1"),
    "no step": (["--step-epochs", 0], "--step-epochs is 0"),
    "factor": (["--step-factor", 0], "--step-factor is 0"),
    "rate": (["--learning-rate", "nan"], "--learning-rate is nan"),
    "width": (["--width", "-1"], "--width is -1"),
    "one embedded image": (["--embedding-images", 1], "--embedding-images is 1"),
    "no data": (["--data-dir", "nowhere"], "nowhere"),
}


@pytest.mark.one_engine
@pytest.mark.parametrize(("options", "culprit"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options_are_one_clear_line_and_leave_no_folder(options, culprit, animals, tmp_path, capsys):
    assert call("cifar", *small(animals), "--out", tmp_path / "run", *options) == 2

    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert culprit in error
    assert not (tmp_path / "run").exists()


@pytest.mark.one_engine
def test_comparison_of_two_networks(animals, tmp_path, capsys):
    runs = [tmp_path / name for name in ("one", "two")]
    for folder, more in zip(runs, ((), ("--width", 0.1)), strict=True):
        run(animals, folder, "--epochs", "1", *more)
    capsys.readouterr()
    assert call("compare", *runs, "--out", tmp_path / "comparison") == 0

    captured = capsys.readouterr()
    assert captured.err == ""
    assert "test accuracy" in captured.out
    assert (tmp_path / "comparison" / "comparison.png").is_file()


@on_cpu
@pytest.mark.one_engine
def test_saved_config_runs_again(animals, tmp_path):
    first = run(animals, tmp_path / "one", "--epochs", "1")
    assert call("run", tmp_path / "one" / "config.toml", "--out", tmp_path / "two", "--quiet") == 0
    assert load_result(tmp_path / "two").metrics["test_loss"] == first.metrics["test_loss"]


def run_fast(animals, out, *more):
    sizes = ("--width", 0.05, "--batch-size", 16, "--epochs", 4, "--embedding-images", 10, "--seed", SEED, "--quiet")
    options = ("--recipe", "fast", "--data-dir", animals, *sizes, "--backend", keras.backend.backend(), "--out", out)
    assert call("cifar", *options, *more, figures="--figures" in more) == 0
    return load_result(out)


def test_fast_recipe_trains_on_all_that_is_not_tested(animals, tmp_path, capsys):
    result = run_fast(animals, tmp_path / "run")

    assert result.dataset["counts"] | {"images": None} == {"images": None, "train": 60, "validation": 0, "test": 12}
    assert not {"validation_accuracy", "validation_loss", "best_epoch"} & set(result.metrics)
    assert np.isnan(result.arrays["history_validation_loss"]).all()
    np.testing.assert_allclose(result.arrays["history_learning_rate"][0], 0.08 * np.array([4, 3, 2, 1]) / 4)
    printed = " ".join(capsys.readouterr().out.split())
    assert "test accuracy, multi-crop" in printed and "validation" not in printed
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Trained on all training images, without validation" in page

    # The mean answer to six views of each test image, by hand.
    model, dataset = load_model(tmp_path / "run"), load_image_dataset("auto", animals, largest_side=32)
    labels, total = dataset.test_labels, 0
    for share, offset in ((0.5, 0), (0.25, 1), (0.25, -1)):
        for images in (dataset.test_images, dataset.test_images[:, :, ::-1]):
            padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
            height, width = images.shape[1:3]
            moved = padded[:, 1 + offset : 1 + offset + height, 1 + offset : 1 + offset + width]
            total = total + share / 2 * model.predict(prepare_batch(moved, 32), verbose=0)
    accuracy = result.metrics["test_accuracy_multi_crop"].mean
    assert accuracy == pytest.approx((np.asarray(total).argmax(axis=1) == labels).mean())
    plain = model.predict(prepare_batch(dataset.test_images, 32), verbose=0)
    assert result.metrics["test_accuracy"].mean == pytest.approx((plain.argmax(axis=1) == labels).mean())
    assert losses_of(plain, labels).mean() == pytest.approx(result.metrics["test_loss"].mean, rel=1e-3)


@pytest.mark.one_engine
def test_without_test_images_of_their_own_a_fifth_of_them_is_not_trained_on(animals, tmp_path):
    result = run_fast(animals / "train", tmp_path / "run", "--epochs", 1)
    assert {name: result.dataset["counts"][name] for name in ("train", "validation", "test")} == {
        "train": 48,
        "validation": 0,
        "test": 12,
    }


@pytest.mark.one_engine
def test_fast_recipe_with_validation(animals, tmp_path):
    result = run_fast(animals, tmp_path / "run", "--train-on", "part", "--no-multi-crop", "--epochs", 1)
    assert result.metrics["validation_loss"].mean > 0 and "test_accuracy_multi_crop" not in result.metrics


@pytest.mark.one_engine
def test_the_average_of_the_weights_is_what_is_validated(animals, tmp_path):
    more = ("--train-on", "part", "--no-multi-crop", "--weight-averaging", 0.9, "--image-size", 32)
    result, model = run_fast(animals, tmp_path / "run", *more), load_model(tmp_path / "run")
    _, (images, labels), _ = parts_of(animals, 32)
    logits = model.predict(prepare_batch(images, 32), verbose=0)
    assert losses_of(logits, labels).mean() == pytest.approx(result.metrics["validation_loss"].mean, rel=1e-2)
    last = result.arrays["history_validation_loss"][0, -1]
    assert abs(last - result.metrics["validation_loss"].mean) > 1e-3, "else this says nothing of the average"
