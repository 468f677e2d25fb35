"""Callbacks of training by epochs, driven as ``fit`` drives them."""

import io
import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from keras_dnnts.running.callbacks import Checkpoint, EarlyStopping, EpochHistory, EpochProgress, ModelState, epochs
from keras_dnnts.running.console import RunProgress
from keras_dnnts.running.interruption import Interrupted, Interruption

NAN, INFINITE = math.nan, math.inf
LOSSES = {
    "always better": [5, 4, 3, 2, 1],
    "stops after three": [3, 4, 4, 4, 1],
    "a tie is no improvement": [3, 3, 3, 3, 1],
    "improves just in time": [3, 4, 4, 2, 5, 5, 5, 1],
    "counts anew": [3, 4, 2, 4, 4, 1, 2, 2, 2, 0],
    "first NaN": [NAN, 3, 2, 4, 4, 4, 1],
    "NaN within": [3, NAN, 2, NAN, NAN, NAN, 1],
    "only NaN": [NAN, NAN, NAN, 1],
    "infinite": [INFINITE, INFINITE, 2, 1],
    "NaN, then a tie": [NAN, 2, 2, NAN, 2, 1],
}


class Weights:
    """Stands for a model whose only weight is the number of the epoch it was trained in."""

    def __init__(self):
        self.weights, self.stop_training = [Variable()], False
        self.trainable_variables = []
        self.optimizer = SimpleNamespace(build=lambda variables: None, variables=[])

    @property
    def epoch(self):
        return self.weights[0].value.item()

    @epoch.setter
    def epoch(self, number):
        self.weights[0].value.fill_(number)


class Variable:
    def __init__(self):
        self.value = torch.zeros(1)

    def assign(self, value):
        self.value.copy_(torch.as_tensor(value))


def plain_loop(losses, patience):
    """The reference's rule as its notebook has it: number of epochs run, and that of the best."""
    best, best_epoch, waited = math.inf, 0, 0
    for epoch, loss in enumerate(losses, start=1):
        if loss < best:
            best, best_epoch, waited = loss, epoch, 0
        else:
            waited += 1
            if patience and waited >= patience:
                return epoch, best_epoch
    return len(losses), best_epoch


@pytest.mark.parametrize("restore_best", [True, False])
@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
def test_early_stopping_is_the_reference_rule(losses, patience, restore_best):
    model = Weights()
    stopping = EarlyStopping(patience, restore_best)
    stopping.set_model(model)
    for epoch, loss in enumerate(losses):
        model.epoch = epoch + 1
        stopping.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    stopping.on_train_end()

    epochs_run, best_epoch = plain_loop(losses, patience)
    assert epoch + 1 == epochs_run
    assert stopping.best_epoch == best_epoch
    expected = best_epoch if restore_best and best_epoch else epochs_run
    assert model.epoch == expected


def epoch_logs(loss):
    return {"loss": loss, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "learning_rate": 0.1}


def test_loss_that_is_not_finite_gives_back_the_weights_from_before_the_epoch():
    model = Weights()
    learned = ModelState(model)
    history = EpochHistory(learned)
    history.set_model(model)
    for epoch, loss in enumerate([2.0, NAN]):
        history.on_epoch_begin(epoch)
        model.epoch = epoch + 1
        history.on_train_batch_end(0, {"loss": loss})
        history.on_train_batch_begin(1)
        assert model.stop_training == math.isnan(loss)
        history.on_test_begin()
        history.on_epoch_end(epoch, epoch_logs(loss))
        if not history.failed:
            learned.capture()
    assert history.failed_epoch == 2
    assert [epoch.train_loss for epoch in history.epochs] == [2.0]
    assert model.epoch == 1


def test_the_plain_loss_is_recorded_and_judged_where_another_is_minimised():
    model, stopping = Weights(), EarlyStopping(2, restore_best=False)
    history = EpochHistory(ModelState(model))
    for callback in (history, stopping):
        callback.set_model(model)
    for epoch, (minimised, plain) in enumerate([(5.0, 1.0), (4.0, 2.0), (3.0, 3.0)]):
        history.on_epoch_begin(epoch)
        history.on_test_begin()
        logs = epoch_logs(minimised) | {"val_loss": minimised, "cross_entropy": plain, "val_cross_entropy": plain}
        for callback in (history, stopping):
            callback.on_epoch_end(epoch, logs)
    assert [epoch.train_loss for epoch in history.epochs] == [1.0, 2.0, 3.0]
    assert [epoch.validation_loss for epoch in history.epochs] == [1.0, 2.0, 3.0]
    assert stopping.best_epoch == 1
    assert model.stop_training


def test_speed_times_seconds_are_the_epochs():
    history = EpochHistory(ModelState(Weights()))
    history.training_seconds = [10.0, 1.0, 3.0]
    assert history.epochs_per_second * sum(history.training_seconds) == pytest.approx(3)


def test_compilation_adds_up_over_processes():
    before, after = (EpochHistory(ModelState(Weights())) for _ in range(2))
    before.compile_seconds, after.compile_seconds = 2.0, 3.0
    after.set_state(before.get_state())
    assert after.compile_seconds == 5


class Batches:
    images, batch_size = 100, 16

    def __len__(self):
        return 7


def follow_epochs(monkeypatch, batch_seconds, count, stop_after):
    """Lines that ``EpochProgress`` prints while batches take ``batch_seconds`` each, and its progress."""
    ticks = itertools.count(step=batch_seconds)
    monkeypatch.setattr(epochs, "time", SimpleNamespace(perf_counter=lambda: next(ticks) * epochs.TIMED_BATCHES))
    output = io.StringIO()
    progress = RunProgress(Console(file=output, width=200))
    progress.plan(count * Batches.images, "images", Batches.images)
    history = EpochHistory(ModelState(Weights()))
    history._trained = 0
    shown = EpochProgress(progress, "seed 1 · ", Batches(), history)
    for callback in (history, shown):
        callback.set_model(Weights())
        callback.set_params({"epochs": count})
    for epoch in range(stop_after):
        for callback in (history, shown):
            callback.on_epoch_begin(epoch)
        for batch in range(len(Batches())):
            shown.on_train_batch_begin(batch)
            shown.on_train_batch_end(batch, epoch_logs(2.0))
        for callback in (history, shown):
            callback.on_epoch_end(epoch, epoch_logs(2.0))
    shown.on_train_end()
    return output.getvalue().splitlines(), progress


def test_progress_counts_every_image_and_takes_off_what_is_not_trained(monkeypatch):
    lines, progress = follow_epochs(monkeypatch, 0.001, count=5, stop_after=2)
    assert progress.done == progress.total == 200
    assert len(lines) == 2
    assert lines[1].startswith("seed 1 · epoch 2/5 · loss 2.0000, val. 1.0000 · accuracy 50.0\xa0%, val. 50.0\xa0%")


def test_long_run_is_announced_once_with_what_shortens_it(monkeypatch):
    # 100 epochs of 100 images in batches of 16, 10 seconds each: 6,250 seconds.
    lines, _ = follow_epochs(monkeypatch, 10, count=100, stop_after=2)
    announcements = [line for line in lines if "fewer epochs" in line]
    assert len(announcements) == 1
    assert "1:44:10" in announcements[0]
    assert "smaller images" in announcements[0]
    assert "fewer training images" in announcements[0]
    assert lines[0] == announcements[0]


def test_short_run_is_not_announced(monkeypatch):
    lines, _ = follow_epochs(monkeypatch, 5, count=100, stop_after=1)
    assert not any("fewer epochs" in line for line in lines)


def follow_checkpoints(seconds, epochs, interrupted_in=None, numbers=2**40):
    """How often a state left the device, and what was saved, over epochs whose number is the weight."""
    model, interruption, saved, moved = Weights(), Interruption(), [], []
    learned = ModelState(model)
    learned.__class__ = type("Sized", (ModelState,), {"bytes": 4 * numbers})
    get_state = learned.get_state
    learned.get_state = lambda: moved.append(1) or get_state()
    checkpoint = Checkpoint(learned, {}, saved.append, seconds, interruption)
    checkpoint.set_model(model)
    checkpoint.set_params({"epochs": epochs})
    checkpoint.on_train_begin()
    try:
        for epoch in range(epochs):
            checkpoint.on_train_batch_begin(0)
            model.epoch = epoch + 0.5
            interruption.requested = epoch == interrupted_in
            checkpoint.on_train_batch_begin(1)
            model.epoch = epoch + 1
            checkpoint.on_epoch_end(epoch)
    except Interrupted:
        pass
    return len(moved), [(state["epochs"], state["learnt"]["weights"][0].item()) for state in saved]


def test_states_leave_the_device_only_to_be_saved():
    assert follow_checkpoints(seconds=0, epochs=3) == (3, [(1, 1), (2, 2), (3, 3)])
    assert follow_checkpoints(seconds=1000, epochs=3) == (0, [])


def test_the_end_of_training_is_saved_where_that_is_quick():
    assert follow_checkpoints(seconds=1000, epochs=3, numbers=0) == (1, [(3, 3)])


def test_an_interruption_within_an_epoch_saves_the_end_of_the_last():
    assert follow_checkpoints(seconds=1000, epochs=5, interrupted_in=2) == (1, [(2, 2)])
    assert follow_checkpoints(seconds=0, epochs=5, interrupted_in=2) == (2, [(1, 1), (2, 2)])
