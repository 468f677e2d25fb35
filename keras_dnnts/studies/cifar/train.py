"""The CIFAR-10 experiment: images, splits, training a network once a seed, analyses, result."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from keras_dnnts.config import CifarConfig
from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.image_dataset import LabelledImages
from keras_dnnts.datasets.image_split import ImageSplit, select_parts, split_images
from keras_dnnts.datasets.images import load_image_dataset
from keras_dnnts.errors import UserError
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.results import Result, collect_metrics
from keras_dnnts.running.console import RunProgress
from keras_dnnts.running.interruption import Interruption
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.runtime import choose_backend, describe_environment, start_engine

if TYPE_CHECKING:
    from keras_dnnts.running.callbacks import EarlyStopping, Epoch, EpochHistory, FirstEpochSnapshot
    from keras_dnnts.running.callbacks.checkpoint import Stateful
    from keras_dnnts.studies.cifar.image_batches import ImageBatches

DTYPE_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
SHOWN_ACTIVATIONS = 4  # test images


def run_cifar(
    config: CifarConfig, directory: RunDirectory, console: Console | None, interruption: Interruption | None = None
) -> Result:
    """Train the network once a seed, evaluate it, and leave everything in ``directory``.

    Raises:
        UserError: the data, backend, device or folder cannot be used, or the loss stopped being finite.
        Interrupted: ``interruption`` was requested; ``directory`` can be resumed.
    """
    choose_backend(config.backend, config.device)
    data_dir = Path(config.data_dir) if config.data_dir else None
    dataset = load_image_dataset(config.dataset, data_dir, config.dataset_name, config.image_size)
    splits = [split_images(dataset, seed, config.train_images) for seed in config.all_seeds]
    train_images = len(splits[0].train)
    if config.batch_size > train_images:
        raise UserError(f"--batch-size is {config.batch_size}, but there are only {train_images} training images")
    start_engine()
    total = config.epochs * train_images * config.seeds
    with directory.open(config, dataset.content_hash):
        with RunProgress(total, "images", console, round_size=train_images) as progress:
            study = _Study(config, dataset, directory, progress, interruption or Interruption())
            runs = [_run_seed(study, split, seed) for split, seed in zip(splits, config.all_seeds, strict=True)]
        result = _gather(config, dataset, splits[0], runs)
        directory.save_result(result)
    return result


@dataclass(frozen=True)
class _Study:
    """What all seeds of a run share."""

    config: CifarConfig
    dataset: ImageDataset
    directory: RunDirectory
    progress: RunProgress
    interruption: Interruption


@dataclass(frozen=True)
class _SeedRun:
    """What one seed found: its numbers, its epochs and test confusion counts (K, K).

    ``illustrations`` show single images; only the first seed has them.
    """

    metrics: dict[str, Any]
    epochs: "list[Epoch]"
    confusion: np.ndarray
    parameters: int
    illustrations: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Batches:
    train: "ImageBatches"
    validation: "ImageBatches"
    test: "ImageBatches"


def _run_seed(study: _Study, split: ImageSplit, seed: int) -> _SeedRun:
    """What the seed found, in this process or an earlier one."""
    from keras_dnnts.running.callbacks import Epoch

    checkpoints = study.directory.checkpoints
    outcome = checkpoints.load_outcome(seed)
    if outcome is None:
        run = _train_and_measure(study, split, seed)
        epochs = [dataclasses.astuple(epoch) for epoch in run.epochs]
        checkpoints.save_outcome(seed, vars(run) | {"epochs": epochs})
        return run
    run = _SeedRun(**outcome | {"epochs": [Epoch(*epoch) for epoch in outcome["epochs"]]})
    study.progress.skip(study.config.epochs * len(split.train))
    _write_history(study.directory, seed, run.epochs)
    return run


def _train_and_measure(study: _Study, split: ImageSplit, seed: int) -> _SeedRun:
    from keras_dnnts.analysis import build_feature_extractor, count_confusions, measure_accuracy, predict
    from keras_dnnts.results.illustrations import show_images
    from keras_dnnts.running.callbacks import FirstEpochSnapshot
    from keras_dnnts.studies.cifar.image_batches import ImageBatches

    config, dataset, directory = study.config, study.dataset, study.directory
    classes = len(dataset.classes)
    train, validation, test = select_parts(dataset, split)
    batches = _make_batches(config, train, validation, test, seed)
    model = _build_model(config, classes, seed)
    embedded = _draw(test, config.embedding_images, seed, Purpose.EMBEDDED_IMAGES)
    extractor = build_feature_extractor(model)
    embedded_batches = ImageBatches(embedded, config.batch_size, config.image_size)
    snapshot = FirstEpochSnapshot(lambda: predict(extractor, embedded_batches))
    history, stopping = _train(study, model, batches, seed, snapshot)
    _save_training(config, model, history, seed, directory)

    logits = predict(model, batches.test)
    accuracy = measure_accuracy(test[1], logits.argmax(axis=1), classes, copies_of=range(len(logits)))
    metrics = {"test_accuracy": accuracy.overall, **_measure_losses(config, history, stopping, logits, test[1])}
    metrics["images_per_second"] = batches.train.images * history.epochs_per_second
    _check_finite(metrics, config, seed, directory.path)
    illustrations = {}
    if seed == config.seed:
        features = {"first": snapshot.value, "final": predict(extractor, embedded_batches)}
        illustrations = (
            _show_mistakes(test, logits)
            | _show_activations(config, model, _draw(test, SHOWN_ACTIVATIONS, seed, Purpose.SHOWN_IMAGES))
            | _show_embeddings(features, embedded, seed)
            | show_images(test, logits)
        )
    return _SeedRun(
        metrics=metrics,
        epochs=history.epochs,
        confusion=count_confusions(test[1], logits.argmax(axis=1), classes),
        parameters=sum(math.prod(weight.shape) for weight in model.trainable_weights),
        illustrations=illustrations,
    )


def _make_batches(
    config: CifarConfig, train: LabelledImages, validation: LabelledImages, test: LabelledImages, seed: int
) -> _Batches:
    from keras_dnnts.studies.cifar.image_batches import ImageBatches

    shared: dict[str, Any] = {"batch_size": config.batch_size, "image_size": config.image_size, "seed": seed}
    evaluated = shared | {"augmentation": "reference" if config.protocol == "reference" else None}
    train_batches = ImageBatches(train, shuffled=True, augmentation=config.protocol, **shared)
    # Numbered on, so that no two batches of an epoch are augmented alike.
    validation_batches = ImageBatches(validation, first_batch=len(train_batches), **evaluated)
    after_validation = len(train_batches) + len(validation_batches)
    return _Batches(train_batches, validation_batches, ImageBatches(test, first_batch=after_validation, **evaluated))


def _build_model(config: CifarConfig, classes: int, seed: int) -> Any:
    import keras

    from keras_dnnts import models
    from keras_dnnts.backend import Adam
    from keras_dnnts.running.seeding import seed_all

    build = {"alexnet": models.build_alexnet, "resnet50": models.build_resnet50}[config.arch]
    seed_all(seed)
    with _dtype_policy(DTYPE_POLICIES[config.precision]):
        model = build(config.image_size, classes, config.width, seed)
    model.compile(
        optimizer=Adam(config.learning_rate_of(epoch=0)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _train(
    study: _Study, model: Any, batches: _Batches, seed: int, snapshot: "FirstEpochSnapshot"
) -> "tuple[EpochHistory, EarlyStopping]":
    import keras

    from keras_dnnts.running.callbacks import (
        Checkpoint,
        EarlyStopping,
        EpochHistory,
        EpochProgress,
        EpochStart,
        ModelState,
    )

    config, checkpoints = study.config, study.directory.checkpoints
    learnt = ModelState(model)
    history = EpochHistory(learnt)
    stopping = EarlyStopping(config.patience, restore_best=config.protocol != "reference")
    parts: dict[str, Stateful] = {"history": history, "stopping": stopping, "snapshot": snapshot}
    label = f"seed {seed} · " if config.seeds > 1 else ""

    def save(state: Any) -> None:
        checkpoints.save_training(seed, state)
        _write_history(study.directory, seed, history.epochs)

    checkpoint = Checkpoint(learnt, parts, save, config.checkpoint_seconds, study.interruption)
    checkpoint.restore(checkpoints.load_training(seed))
    study.progress.skip((config.epochs if checkpoint.finished else checkpoint.epochs) * batches.train.images)
    with study.interruption.after_step():
        model.fit(
            batches.train,
            validation_data=batches.validation,
            initial_epoch=checkpoint.epochs,
            epochs=checkpoint.epochs if checkpoint.finished else config.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[
                EpochStart(seed, [batches.train, batches.validation]),
                keras.callbacks.LearningRateScheduler(config.learning_rate_of),
                history,
                EpochProgress(study.progress, label, batches.train, history),
                snapshot,
                stopping,
                checkpoint,
            ],
        )
    return history, stopping


def _write_history(directory: RunDirectory, seed: int, epochs: "Sequence[Epoch]") -> None:
    from keras_dnnts.running.callbacks import Epoch

    columns = [field.name for field in dataclasses.fields(Epoch)]
    directory.write_history(seed, columns, [dataclasses.astuple(epoch) for epoch in epochs])


def _save_training(
    config: CifarConfig, model: Any, history: "EpochHistory", seed: int, directory: RunDirectory
) -> None:
    import keras

    _write_history(directory, seed, history.epochs)
    # Without the optimizer, whose moments take twice the room of the weights.
    directory.save_model(keras.Model(model.inputs, model.outputs, name=model.name), seed)
    if history.failed_epoch is not None:
        raise UserError(
            f"seed {seed}: the training loss is not finite in epoch {history.failed_epoch}: "
            + _advice(config, directory.path, f"the history and the weights up to epoch {history.failed_epoch - 1}")
        )


def _check_finite(metrics: dict[str, Any], config: CifarConfig, seed: int, folder: Path) -> None:
    for name in ("validation_loss", "test_loss"):
        if not math.isfinite(metrics[name]):
            what = name.replace("_", " ")
            raise UserError(f"seed {seed}: the {what} is not finite: " + _advice(config, folder, "history and weights"))


def _advice(config: CifarConfig, folder: Path, kept: str) -> str:
    return f"try a lower --learning-rate than {config.learning_rate}; {folder} keeps {kept}"


def _measure_losses(
    config: CifarConfig, history: "EpochHistory", stopping: "EarlyStopping", logits: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    from keras_dnnts.analysis import mean_cross_entropy

    # The epoch whose weights the model now has.
    kept = history.epochs[-1 if config.protocol == "reference" else stopping.best_epoch - 1]
    return {
        "test_loss": mean_cross_entropy(logits, labels),
        "validation_accuracy": kept.validation_accuracy,
        "validation_loss": kept.validation_loss,
        "train_loss": kept.train_loss,
        "epochs_run": len(history.epochs),
        "best_epoch": stopping.best_epoch,
        "train_seconds": sum(epoch.seconds for epoch in history.epochs),
    }


def _draw(data: LabelledImages, most: int, seed: int, purpose: Purpose) -> LabelledImages:
    """Up to ``most`` of the images, without regard to their order."""
    images, labels = data
    chosen = np.sort(random_stream(seed, purpose).permutation(len(labels))[:most])
    return images[chosen], labels[chosen]


def _show_mistakes(test: LabelledImages, logits: np.ndarray) -> dict[str, np.ndarray]:
    from keras_dnnts.analysis import most_confident_mistakes

    images, labels = test
    mistakes = most_confident_mistakes(logits, labels)
    return {
        "mistake_image": images[mistakes.indices],
        "mistake_truth": labels[mistakes.indices],
        "mistake_guess": mistakes.guesses,
        "mistake_confidence": mistakes.confidences,
    }


def _show_activations(config: CifarConfig, model: Any, shown: LabelledImages) -> dict[str, np.ndarray]:
    from keras_dnnts.analysis import compute_activations
    from keras_dnnts.models import ACTIVATION_TAPS
    from keras_dnnts.studies.cifar.augment import prepare_batch

    images, labels = shown
    activations = compute_activations(model, ACTIVATION_TAPS[config.arch], prepare_batch(images, config.image_size))
    named = {f"activation_{layer}": maps for layer, maps in activations.items()}
    return {"activation_image": images, "activation_label": labels, **named}


def _show_embeddings(features: dict[str, Any], embedded: LabelledImages, seed: int) -> dict[str, np.ndarray]:
    from keras_dnnts.analysis import embed
    from keras_dnnts.results.illustrations import make_thumbnails

    images, labels = embedded
    points = {f"embedding_{when}": embed(values, seed) for when, values in features.items()}
    return {"embedding_image": make_thumbnails(images), "embedding_label": labels, **points}


def _gather(config: CifarConfig, dataset: ImageDataset, split: ImageSplit, runs: list[_SeedRun]) -> Result:
    from keras_dnnts.analysis import most_frequent_confusions, neighbour_accuracy

    confusions = np.stack([run.confusion for run in runs])
    shown = runs[0].illustrations
    return Result(
        experiment=config.experiment,
        config=config.to_dict(),
        dataset=_describe(dataset, split),
        environment=describe_environment(),
        metrics=collect_metrics([run.metrics for run in runs]),
        details={
            "parameters": runs[0].parameters,
            "recall": {"test": _recall(confusions.sum(axis=0), dataset.classes)},
            "most_frequent_confusions": {"test": most_frequent_confusions(confusions.sum(axis=0), dataset.classes)},
            "illustrated_seed": config.seed,
            "neighbour_accuracy": {
                when: neighbour_accuracy(shown[f"embedding_{when}"], shown["embedding_label"])
                for when in ("first", "final")
            },
        },
        arrays={**_stack_histories([run.epochs for run in runs]), "confusion_test": confusions, **shown},
    )


def _recall(confusion: np.ndarray, classes: tuple[str, ...]) -> dict[str, float | None]:
    """Fraction right of each class; None for a class without images."""
    counts = zip(classes, confusion.diagonal().tolist(), confusion.sum(axis=1).tolist(), strict=True)
    return {name: right / total if total else None for name, right, total in counts}


def _stack_histories(histories: "list[list[Epoch]]") -> dict[str, np.ndarray]:
    """Every number of the epochs as (seeds, most epochs run) float64, NaN where a seed stopped earlier."""
    shape = len(histories), max(map(len, histories))
    names = ("learning_rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    arrays = {f"history_{name}": np.full(shape, np.nan) for name in names}
    for row, epochs in enumerate(histories):
        for name in names:
            arrays[f"history_{name}"][row, : len(epochs)] = [getattr(epoch, name) for epoch in epochs]
    return arrays


def _describe(dataset: ImageDataset, split: ImageSplit) -> dict[str, Any]:
    labels = dataset.train_labels
    if dataset.test_labels is not None:
        labels = np.concatenate([labels, dataset.test_labels])
    images = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    return {
        "name": dataset.name,
        "source": dataset.source,
        "stand_in": dataset.stand_in,
        "content_hash": dataset.content_hash,
        "classes": list(dataset.classes),
        "counts": {
            "images": dict(zip(dataset.classes, images, strict=True)),
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        },
    }
