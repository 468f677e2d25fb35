"""Optimizers and losses of recipes against plain PyTorch."""

import keras
import numpy as np
import pytest
import torch

from keras_dnnts.studies.cifar.compiling import build_loss, build_optimizer, compile_model
from keras_dnnts.studies.cifar.config import CifarConfig

pytestmark = pytest.mark.every_engine

OPTIMIZERS = {
    "adam": ({"optimizer": "adam"}, lambda p, lr: torch.optim.Adam(p, lr)),
    "adamw": ({"optimizer": "adamw", "weight_decay": 0.2}, lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.2)),
    "adamw's own decay": ({"optimizer": "adamw"}, lambda p, lr: torch.optim.AdamW(p, lr)),
    "sgd": ({"optimizer": "sgd", "momentum": 0.7}, lambda p, lr: torch.optim.SGD(p, lr, momentum=0.7)),
    "plain sgd with decay": (
        {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.2},
        lambda p, lr: torch.optim.SGD(p, lr, weight_decay=0.2),
    ),
}


def small_model():
    layers = keras.layers
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(3)])


@pytest.mark.parametrize(("knobs", "theirs"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_updates_are_those_of_torch(knobs, theirs):
    config = CifarConfig(**knobs, learning_rate=0.02)
    model, rng = small_model(), np.random.default_rng(0)
    compile_model(model, config, steps_per_epoch=3)
    weights = [torch.nn.Parameter(torch.tensor(np.array(w), dtype=torch.float64)) for w in model.trainable_variables]
    optimizer = theirs(weights, 0.02)
    for _ in range(8):
        x, y = rng.normal(size=(6, 4)).astype("float32"), rng.integers(0, 3, 6)
        model.train_on_batch(x, y)
        hidden = torch.tanh(torch.tensor(x, dtype=torch.float64) @ weights[0] + weights[1])
        loss = torch.nn.functional.cross_entropy(hidden @ weights[2] + weights[3], torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for ours, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_loss_with_smoothed_labels_is_that_of_torch(smoothing):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(0, 3, (20, 7)).astype("float32"), rng.integers(0, 7, 20).astype("int32")
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(labels).long(), label_smoothing=smoothing
    )
    loss = build_loss(CifarConfig(label_smoothing=smoothing))
    for shaped in (labels, labels[:, None]):
        assert float(loss(shaped, logits)) == pytest.approx(theirs.item(), rel=1e-5)


def test_the_plain_loss_is_measured_beside_a_smoothed_one():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.integers(0, 3, 8)
    model = small_model()
    compile_model(model, CifarConfig(label_smoothing=0.4), steps_per_epoch=3)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    logits = torch.tensor(keras.ops.convert_to_numpy(model(x)))
    for name, smoothing in (("loss", 0.4), ("cross_entropy", 0.0)):
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(y), label_smoothing=smoothing)
        assert logs[name] == pytest.approx(expected.item(), rel=1e-5)
    compile_model(model, CifarConfig(), steps_per_epoch=3)
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == {"loss", "accuracy"}


def test_the_first_rate_is_the_schedules():
    assert float(build_optimizer(CifarConfig(learning_rate=0.5, schedule="cosine"), 3).learning_rate) == pytest.approx(
        0.5
    )


@pytest.mark.one_engine
def test_a_rate_that_falls_by_step_ends_at_zero():
    config = CifarConfig(optimizer="sgd", schedule="linear_by_step", learning_rate=0.5, epochs=4)
    optimizer = build_optimizer(config, steps_per_epoch=10)
    for step, rate in [(0, 0.5), (13, 0.5 * 27 / 40), (40, 0.0)]:
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(rate, abs=1e-7)
    assert config.learning_rate_of(1) == pytest.approx(0.5 * 30 / 40)


def test_averaged_weights_are_those_of_a_plain_average():
    config = CifarConfig(optimizer="sgd", learning_rate=0.3, momentum=0.0, weight_averaging=0.6, weights="last")
    model, rng = small_model(), np.random.default_rng(2)
    compile_model(model, config, steps_per_epoch=4)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.integers(0, 3, 8)
    weights = [torch.nn.Parameter(torch.tensor(np.array(w), dtype=torch.float64)) for w in model.trainable_variables]
    optimizer, average = torch.optim.SGD(weights, 0.3), None
    for start in range(0, 8, 2):
        hidden = torch.tanh(torch.tensor(x[start : start + 2], dtype=torch.float64) @ weights[0] + weights[1])
        loss = torch.nn.functional.cross_entropy(hidden @ weights[2] + weights[3], torch.tensor(y[start : start + 2]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average = average or [weight.detach().clone() for weight in weights]  # it begins after the first step
        average = [0.6 * old + 0.4 * new.detach() for old, new in zip(average, weights, strict=True)]
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    for ours, expected in zip(model.get_weights(), average, strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-4, atol=1e-5)
