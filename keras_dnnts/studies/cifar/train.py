"""How the image study trains: epochs of batches, validation after each, early stopping."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_dnnts import backend
from keras_dnnts.analysis import count_confusions, mean_cross_entropy, measure_accuracy, wilson_interval
from keras_dnnts.datasets.image_dataset import LabelledImages
from keras_dnnts.datasets.image_split import select_parts, select_test_paths
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import describe_code, is_own_model
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.ranks import find_ranks
from keras_dnnts.running.callbacks import (
    EarlyStopping,
    Epoch,
    EpochHistory,
    EpochProgress,
    EpochStart,
    FirstEpochSnapshot,
    LearningRateLog,
    MemoryRelease,
    ModelState,
    SharedLogs,
    Stateful,
    restored_checkpoint,
)
from keras_dnnts.running.compilation import compile_steps
from keras_dnnts.running.memory import keep_freed_memory
from keras_dnnts.running.run import Run
from keras_dnnts.running.seeding import seed_all
from keras_dnnts.studies.cifar import HISTORY
from keras_dnnts.studies.cifar.architectures import find_architecture, find_taps
from keras_dnnts.studies.cifar.augment import prepare_batch
from keras_dnnts.studies.cifar.compiling import compile_model
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.data import CifarData
from keras_dnnts.studies.cifar.evaluate import (
    build_feature_extractor,
    has_features,
    neighbour_accuracy,
    predict,
    predict_views,
)
from keras_dnnts.studies.cifar.illustrate import (
    ImageSet,
    draw,
    draw_one_a_class,
    list_mistakes,
    show_activations,
    show_augmented,
    show_embeddings,
    show_images,
    show_mistakes,
)
from keras_dnnts.studies.cifar.image_batches import ImageBatches, OneOfEachShape
from keras_dnnts.studies.cifar.precision import settle_precision
from keras_dnnts.studies.cifar.transfer import freeze, load_pretrained, start_from
from keras_dnnts.study import SeedOutcome

SMALL_IMAGE = 64  # pixels a side; what larger ones need of memory is to be no more than it is
DTYPE_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
ADAPTED_TO = 5000  # training images
ADAPTED_PIXELS = ADAPTED_TO * 32**2  # of large images, fewer
SHOWN_ACTIVATIONS = 4  # test images, each of a class of its own
COLUMNS = [field.name for field in dataclasses.fields(Epoch)]


@dataclass(frozen=True)
class Prepared:
    """A compiled network and what it is trained, validated and tested on.

    Attributes:
        extractor: of the embedded images' features; None for a network without any.
        embedded: the images in the embedding.
    """

    model: keras.Model
    train: ImageBatches
    validation: ImageBatches
    test: ImageBatches
    test_images: ImageSet
    extractor: keras.Model | None
    embedded: ImageSet


@dataclass(frozen=True)
class Trained:
    """A trained network with what was recorded; ``snapshot`` holds its features after the first epoch."""

    prepared: Prepared
    history: EpochHistory
    stopping: EarlyStopping
    snapshot: FirstEpochSnapshot | None


class CifarTraining:
    """See :class:`keras_dnnts.study.Training`."""

    side_by_side = 1
    unit = "images"

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config: CifarConfig = run.config
        self.data: CifarData = run.data
        assert self.config.epochs is not None
        self.round_size = self.data.train_images
        self.steps = self.config.epochs * self.data.train_images
        assert self.config.batch_size is not None and self.config.image_size is not None
        if self.config.image_size <= SMALL_IMAGE:
            keep_freed_memory()
        per_device = self.config.batch_statistics == "per-device"
        devices = backend.using_devices(self.config.devices, per_device, self.config.batch_size)
        run.resources.enter_context(devices)
        self._built: dict[int, keras.Model] = {}
        self._pretrained = load_pretrained(self.config)
        if self._pretrained is not None or is_own_model(str(self.config.arch)):
            # Before the run has a folder: a file that does not fit leaves none.
            self._built[self.config.seed] = self._build(self.config.seed)

    def _build(self, seed: int) -> keras.Model:
        model = build_model(self.config, len(self.data.dataset.classes), seed)
        if self._pretrained is not None:
            start_from(model, self._pretrained)
        return model

    def prepare(self, seed: int) -> Prepared:
        """Put the images on the device, and build and compile the network."""
        config = self.config
        train, validation, test = select_parts(self.data.dataset, self.data.splits[seed])
        batches = _make_batches(config, train, validation, test, seed)
        with backend.on_all_devices():
            model = self._built.pop(seed, None)
            if model is None:
                model = self._build(seed)
            if config.pretrained is None:
                self._adapt(model, train, seed)
            model = backend.distribute(model)
            compile_model(model, config, len(batches[0]))
        test_images = ImageSet(*test, select_test_paths(self.data.dataset, self.data.splits[seed]))
        embedded = draw(test_images, config.embedding_images, seed)
        # Only the first process shows images.
        shows_features = has_features(model) and not find_ranks().follows
        extractor = build_feature_extractor(model) if shows_features else None
        return Prepared(model, *batches, test_images, extractor, embedded)

    def _adapt(self, model: keras.Model, train: LabelledImages, seed: int) -> None:
        """Set what a network computes from training images before it is trained, from some drawn at random."""
        adapt = find_architecture(str(self.config.arch)).adapt
        if adapt is None:
            return
        images, _ = train
        rng = random_stream(seed, Purpose.WHITENING)
        assert self.config.image_size is not None
        count = max(1, min(ADAPTED_TO, ADAPTED_PIXELS // self.config.image_size**2))
        drawn = np.sort(rng.permutation(len(images))[:count])
        adapt(model, ops.convert_to_numpy(prepare_batch(images[drawn], self.config.image_size)))

    def train(self, seed: int, prepared: Prepared) -> Trained:
        """Train the epochs that are left."""
        config, run, model = self.config, self.run, prepared.model
        with backend.on_all_devices():
            learned = ModelState(model)
        # Processes would notice a loss that is not finite at different steps, and wait for each other.
        history = EpochHistory(learned, stops_within_epoch=find_ranks().count == 1)
        stopping = EarlyStopping(config.patience or 0, restore_best=config.weights == "best")
        snapshot = None
        if prepared.extractor is not None:
            snapshot = FirstEpochSnapshot(lambda: self._extract_features(prepared))
        parts: dict[str, Stateful] = {"history": history, "stopping": stopping}
        if snapshot is not None:
            parts["snapshot"] = snapshot
        checkpoint = restored_checkpoint(run, seed, learned, parts, COLUMNS, lambda: _rows(history.epochs))
        shaped = backend.batches_of_any_size if config.initial_image_size else backend.batches_of_one_size
        validation = backend.batches_of_one_size(prepared.validation) if prepared.validation.images else None
        if not checkpoint.finished:
            few = shaped(OneOfEachShape(prepared.train, _first_epochs_of_sizes(config)))
            history.compile_seconds += compile_steps(model, lambda: model.fit(few, shuffle=False, verbose=0))
        done = self.steps if checkpoint.finished else checkpoint.epochs * prepared.train.images
        run.progress.skip(done, run.label(seed))
        model.fit(
            shaped(prepared.train),
            validation_data=validation,
            initial_epoch=checkpoint.epochs,
            epochs=checkpoint.epochs if checkpoint.finished else config.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[
                MemoryRelease(),
                EpochStart(seed, [prepared.train, prepared.validation]),
                _schedule(config),
                *([SharedLogs()] if find_ranks().count > 1 else []),
                history,
                EpochProgress(run.progress, run.label(seed), prepared.train, history),
                *([snapshot] if snapshot is not None else []),
                stopping,
                *run.callbacks,
                checkpoint,
            ],
        )
        return Trained(prepared, history, stopping, snapshot)

    def finish(self, seed: int, trained: Trained) -> SeedOutcome:
        """Save the network, measure it, and pick the images that are shown."""
        prepared, history = trained.prepared, trained.history
        self._save(seed, prepared.model, history)
        labels = prepared.test_images.labels
        classes = len(self.data.dataset.classes)
        logits = predict(prepared.model, prepared.test)
        guesses = logits.argmax(axis=1)
        copies = self.data.number_test_images(seed)
        accuracy = _measure_accuracy(labels == guesses, copies)
        metrics = {"test_accuracy": accuracy, **self._measure_losses(trained, logits, labels)}
        if self.config.multi_crop:
            views = predict_views(prepared.model, prepared.test)
            metrics["test_accuracy_multi_crop"] = _measure_accuracy(labels == views.argmax(axis=1), copies)
        metrics["images_per_second"] = prepared.train.images * history.epochs_per_second
        self._check_finite(seed, metrics)
        is_shown = seed == self.config.seed and not find_ranks().follows
        arrays, details = self._illustrate(seed, trained, logits) if is_shown else ({}, {})
        return SeedOutcome(
            metrics=metrics,
            confusions={"test": count_confusions(labels, guesses, classes)},
            parameters=_count_parameters(prepared.model),
            columns=COLUMNS,
            rows=_rows(history.epochs),
            curves={
                **{f"history_{name}": np.array([getattr(epoch, name) for epoch in history.epochs]) for name in HISTORY},
                **self._count_effective(labels, guesses, copies),
            },
            arrays=arrays,
            details=details,
            environment=describe_code(str(self.config.arch)),
        )

    def _count_effective(self, labels: np.ndarray, guesses: np.ndarray, copies: np.ndarray) -> dict[str, np.ndarray]:
        """How many distinct test images each class counts for, where images have copies."""
        if not self.data.copies.count_copied():
            return {}
        classes = len(self.data.dataset.classes)
        return {"effective_test": measure_accuracy(labels, guesses, classes, copies.tolist()).effective}

    def _extract_features(self, prepared: Prepared) -> np.ndarray:
        assert self.config.batch_size is not None and self.config.image_size is not None
        embedded = prepared.embedded.images, prepared.embedded.labels
        batches = ImageBatches(embedded, self.config.batch_size, self.config.image_size, whole=True)
        return predict(prepared.extractor, batches)

    def _save(self, seed: int, model: keras.Model, history: EpochHistory) -> None:
        """Save history and network, whatever came of them.

        Raises:
            UserError: training ended with a loss that was not finite.
        """
        self.run.save_history(seed, COLUMNS, _rows(history.epochs))
        # Without the optimizer, whose moments take twice the room of the weights.
        self.run.directory.save_model(keras.Model(model.input, model.output, name=model.name), seed)
        if history.failed_epoch is not None:
            kept = f"the history and the weights up to epoch {history.failed_epoch - 1}"
            what = f"seed {seed}: the training loss is not finite in epoch {history.failed_epoch}"
            raise UserError(f"{what}: {self._advise(kept)}")

    def _check_finite(self, seed: int, metrics: dict[str, Any]) -> None:
        for name in ("validation_loss", "test_loss"):
            if not math.isfinite(metrics.get(name, 0.0)):
                what = f"seed {seed}: the {name.replace('_', ' ')} is not finite"
                raise UserError(f"{what}: {self._advise('history and weights')}")

    def _advise(self, kept: str) -> str:
        names = ["dense_learning_rate", "bias_learning_rate"] if self.config.optimizer == "muon" else []
        rate = ", ".join(f"{option_name(name)} than {getattr(self.config, name)}" for name in [*names, "learning_rate"])
        return f"try a lower {rate}; {self.run.directory.path} keeps {kept}"

    def _measure_losses(self, trained: Trained, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        history, best_epoch = trained.history, trained.stopping.best_epoch
        # The epoch whose weights the model now has.
        kept = history.epochs[-1 if self.config.weights == "last" else best_epoch - 1]
        validated = {
            "validation_accuracy": kept.validation_accuracy,
            "validation_loss": kept.validation_loss,
            "best_epoch": best_epoch,
        }
        if self.config.weight_averaging and trained.prepared.validation.images:
            validated |= self._validate(trained)
        return {
            "test_loss": mean_cross_entropy(logits, labels),
            **(validated if trained.prepared.validation.images else {}),
            "train_loss": kept.train_loss,
            "epochs_run": len(history.epochs),
            "train_seconds": sum(history.training_seconds),
            "compile_seconds": history.compile_seconds,
        }

    def _validate(self, trained: Trained) -> dict[str, float]:
        """What the average of the weights is worth, where epochs were validated with the weights of their last step."""
        validation = trained.prepared.validation
        validation.start_epoch(len(trained.history.epochs) - 1)
        logits, labels = predict(trained.prepared.model, validation), validation.labels
        loss, accuracy = mean_cross_entropy(logits, labels), float((logits.argmax(axis=1) == labels).mean())
        return {"validation_accuracy": accuracy, "validation_loss": loss}

    def _illustrate(
        self, seed: int, trained: Trained, logits: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The images that are shown, and what is known of the embedding where there is one."""
        config, prepared = self.config, trained.prepared
        assert config.arch is not None and config.image_size is not None
        shown = draw_one_a_class(prepared.test_images, SHOWN_ACTIVATIONS, seed)
        taps = find_taps(config.arch, [layer.name for layer in prepared.model.layers])
        arrays = {
            **show_mistakes(prepared.test_images, logits),
            **show_activations(prepared.model, taps, shown, config.image_size),
            **show_images(prepared.test_images, logits),
            **show_augmented(prepared.train.as_whole()),
        }
        details: dict[str, Any] = {"neighbour_accuracy": {}}
        if mistakes := list_mistakes(arrays, self.data.dataset.classes):
            details["mistakes"] = mistakes
        if trained.snapshot is None or trained.snapshot.value is None:
            return arrays, details
        features = {"first": trained.snapshot.value, "final": self._extract_features(prepared)}
        arrays |= show_embeddings(features, prepared.embedded, seed)
        labels = arrays["embedding_label"]
        shares = {when: neighbour_accuracy(arrays[f"embedding_{when}"], labels) for when in ("first", "final")}
        return arrays, details | {"neighbour_accuracy": shares}


def _measure_accuracy(right: np.ndarray, copies: np.ndarray) -> tuple[float, tuple[float, float]]:
    """The share right of all images with its 95 % interval, for which copies, which have one number, are no evidence
    of their own: Kish's effective number of images counts.
    """
    share = right.mean()
    low, high = wilson_interval(share, len(right) ** 2 / (np.bincount(copies) ** 2).sum())
    return float(share), (float(low), float(high))


def build_model(config: CifarConfig, classes: int, seed: int) -> keras.Model:
    """Build a config's network, of this package or a person's own.

    Raises:
        UserError: a person's own does not fit.
    """
    assert config.arch is not None and config.image_size is not None
    seed_all(seed)
    with _dtype_policy(DTYPE_POLICIES[settle_precision(config)]):
        model = find_architecture(config.arch).build(config.image_size, classes, config.width, seed)
    if config.freeze:
        freeze(model)
    return model


def count_parameters(config: CifarConfig, classes: int) -> int:
    """The number of trainable parameters of a config's network."""
    return _count_parameters(build_model(config, classes, config.seed))


def _count_parameters(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _make_batches(
    config: CifarConfig, train: LabelledImages, validation: LabelledImages, test: LabelledImages, seed: int
) -> tuple[ImageBatches, ImageBatches, ImageBatches]:
    shared: dict[str, Any] = {"batch_size": config.batch_size, "seed": seed, "resampling": config.resampling}
    evaluated = shared | {"augmentation": config.augmentation if config.evaluation == "augmented" else ()}
    evaluated["image_size"] = config.image_size
    train_batches = ImageBatches(
        train, image_size=config.image_size_of, shuffled=True, augmentation=config.augmentation or (), **shared
    )
    # Numbered on, so that no two batches of an epoch are augmented alike.
    validation_batches = ImageBatches(validation, first_batch=len(train_batches), **evaluated)
    after_validation = len(train_batches) + len(validation_batches)
    return train_batches, validation_batches, ImageBatches(test, first_batch=after_validation, **evaluated)


def _schedule(config: CifarConfig) -> keras.callbacks.Callback:
    if config.schedule == "linear_by_step":
        return LearningRateLog(config.learning_rate_of)
    return keras.callbacks.LearningRateScheduler(config.learning_rate_of)


def _first_epochs_of_sizes(config: CifarConfig) -> list[int]:
    """For every size of training images, the first epoch that has it."""
    assert config.epochs is not None
    first: dict[int, int] = {}
    for epoch in range(config.epochs):
        first.setdefault(config.image_size_of(epoch), epoch)
    return list(first.values())


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _rows(epochs: Sequence[Epoch]) -> list[tuple[float, ...]]:
    return [dataclasses.astuple(epoch) for epoch in epochs]
