"""A study that the package does not know: points on rings, told apart by a dense network.

``python -m tests.rings_study`` is the command line with it.
"""

import hashlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from keras_dnnts.analysis import count_confusions, log_softmax, measure_accuracy
from keras_dnnts.cli import main
from keras_dnnts.config import Config, option
from keras_dnnts.metrics import MetricKind
from keras_dnnts.predict import Prediction, most_probable
from keras_dnnts.random_streams import random_stream
from keras_dnnts.registry import register
from keras_dnnts.running.saved_models import load_keras_model
from keras_dnnts.study import SeedOutcome, Study

CLASSES = ("inner", "middle", "outer")
COLUMNS = ["epoch", "loss"]


@dataclass(frozen=True, kw_only=True)
class RingsConfig(Config):
    experiment: ClassVar[str] = "rings"
    model_option: ClassVar[str] = "network"

    network: str = option("dense", "Network.", "Model", choices=("dense",))
    points: int = option(300, "Points to train on.", "Data", at_least=6)
    epochs: int = option(6, "Epochs to train.", "Training", at_least=1)
    learning_rate: float = option(0.1, "Step size.", "Training", above=0)


class RingsData:
    name, source, stand_in, classes = "rings", "drawn", False, CLASSES

    def __init__(self, config: RingsConfig) -> None:
        self.dataset = self
        self.train, self.test = (self._draw(config, part) for part in ("train", "test"))
        self.content_hash = "sha256:" + hashlib.sha256(self.train[0].tobytes()).hexdigest()

    def _draw(self, config: RingsConfig, part: str) -> tuple[np.ndarray, np.ndarray]:
        rng = random_stream(config.seed, f"rings, {part}")
        labels = rng.integers(0, 3, config.points).astype("int32")
        angle, radius = rng.uniform(0, 2 * np.pi, config.points), labels + rng.uniform(0.1, 0.9, config.points)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype("float32"), labels

    def describe(self) -> dict[str, Any]:
        return {"counts": {"points": dict(zip(CLASSES, np.bincount(self.train[1], minlength=3).tolist(), strict=True))}}


class RingsTraining:
    side_by_side, unit, round_size = 1, "epochs", None

    def __init__(self, run: Any) -> None:
        self.run, self.steps = run, run.config.epochs
        self.keras = importlib.import_module("keras")
        self.callbacks = importlib.import_module("keras_dnnts.running.callbacks")
        self.seeding = importlib.import_module("keras_dnnts.running.seeding")

    def prepare(self, seed: int) -> Any:
        keras = self.keras
        self.seeding.seed_all(seed)
        layers = [keras.Input((2,)), keras.layers.Dense(24, activation="tanh"), keras.layers.Dense(3)]
        model = keras.Sequential(layers)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.SGD(self.run.config.learning_rate, momentum=0.9)
        model.compile(optimizer, loss=loss, metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")])
        return model

    def train(self, seed: int, model: Any) -> Any:
        config, data, checkpoints = self.run.config, self.run.data, self.run.directory.checkpoints
        learned = self.callbacks.ModelState(model)
        history = self.callbacks.EpochHistory(learned)
        checkpoint = self.callbacks.Checkpoint(
            learned,
            {"history": history},
            lambda state: checkpoints.save_training(seed, state),
            config.checkpoint_seconds,
            self.run.interruption,
            lambda: self.run.offer_history(seed, COLUMNS, lambda: _rows(history)),
        )
        checkpoint.restore(checkpoints.load_training(seed))
        if not checkpoint.finished:
            rate = self.keras.callbacks.LearningRateScheduler(lambda epoch: config.learning_rate / (1 + epoch))
            model.fit(
                *data.train,
                validation_data=data.test,
                shuffle=False,
                initial_epoch=checkpoint.epochs,
                epochs=config.epochs,
                verbose=0,
                callbacks=[rate, history, checkpoint],
            )
        return model, history

    def finish(self, seed: int, trained: Any) -> SeedOutcome:
        model, history = trained
        self.run.directory.save_model(model, seed)
        points, labels = self.run.data.test
        guesses = np.asarray(model.predict(points, verbose=0)).argmax(axis=1)
        losses = np.array([epoch.train_loss for epoch in history.epochs])
        return SeedOutcome(
            metrics={
                "test_accuracy": measure_accuracy(labels, guesses, 3, range(len(labels))).overall,
                "train_seconds": sum(epoch.seconds for epoch in history.epochs),
            },
            confusions={"test": count_confusions(labels, guesses, 3)},
            parameters=model.count_params(),
            columns=COLUMNS,
            rows=_rows(history),
            curves={"loss": losses},
        )


def _rows(history: Any) -> list[tuple[float, float]]:
    return [(epoch.epoch, epoch.train_loss) for epoch in history.epochs]


def predict(saved: Any, inputs: Any, file: Any, top: int, backend: Any, device: str) -> Iterator[list[Prediction]]:
    points = np.array([text.split(",") for text in inputs], "float32")
    model = load_keras_model(saved, backend or saved.config.backend, device)
    guesses = most_probable(log_softmax(np.asarray(model.predict(points, verbose=0))), saved.classes, top)
    yield [Prediction(text, guess) for text, guess in zip(inputs, guesses, strict=True)]


STUDY = Study(
    name="rings",
    config=RingsConfig,
    question="Which ring is this point on?",
    about="Train a dense network to tell rings of points apart.",
    metrics=(
        MetricKind("test_accuracy", "test accuracy", "share", True, headline="accuracy on test points"),
        MetricKind("train_seconds", "train seconds", "seconds", False),
    ),
    parts={"test": "test points"},
    parts_of=lambda config: ("test",),
    example=("points", "points"),
    model_title=lambda config: "Dense network",
    load_data=RingsData,
    survey=lambda config: ([f"data: {config.points} points drawn at random"], 3),
    count_parameters=lambda config, classes: 147,
    training=RingsTraining,
    predict=predict,
)
register(STUDY)

if __name__ == "__main__":
    main()
