"""The names experiment: data, splits, training a cell once a seed, evaluation, result."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from keras_dnnts.config import NamesConfig
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.splits import NamesSplit, split_names
from keras_dnnts.errors import UserError
from keras_dnnts.results import Result, collect_metrics
from keras_dnnts.running.console import RunProgress
from keras_dnnts.running.interruption import Interruption
from keras_dnnts.running.run_directory import RunDirectory
from keras_dnnts.running.runtime import choose_backend, describe_environment, start_engine
from keras_dnnts.studies.names.data import load_names_dataset
from keras_dnnts.studies.names.stream import draw_examples

if TYPE_CHECKING:
    from keras_dnnts.running.callbacks import UpdateHistory

CHUNK_SIZE = 1000  # updates a training step, and a point of the loss curve


def run_names(
    config: NamesConfig, directory: RunDirectory, console: Console | None, interruption: Interruption | None = None
) -> Result:
    """Train the cell once a seed, evaluate it, and leave everything in ``directory``.

    Raises:
        UserError: the data, backend, device or folder cannot be used, or the loss stopped being finite.
        Interrupted: ``interruption`` was requested; ``directory`` can be resumed.
    """
    choose_backend(config.backend, config.device)
    data_dir = Path(config.data_dir) if config.data_dir else None
    dataset = load_names_dataset(config.dataset, data_dir, config.letters)
    splits = [_split(config, dataset, seed) for seed in config.all_seeds]
    start_engine()
    with directory.open(config, dataset.content_hash):
        with RunProgress(config.iterations * config.seeds, "steps", console) as progress:
            runs = _run_seeds(_Study(config, dataset, directory, progress, interruption or Interruption()), splits)
        result = _gather(config, dataset, splits, runs)
        directory.save_result(result)
    return result


@dataclass(frozen=True)
class _Study:
    """What all seeds of a run share."""

    config: NamesConfig
    dataset: NamesDataset
    directory: RunDirectory
    progress: RunProgress
    interruption: Interruption


@dataclass(frozen=True)
class _Training:
    """A trained model, its losses by chunk, and the engine that made the updates."""

    model: Any
    history: "UpdateHistory"
    engine: str


@dataclass(frozen=True)
class _SeedRun:
    """What one seed found: its numbers, and for each side its confusion counts (K, K) and recall (K,).

    ``illustrations`` show single names; results keep the first seed's.
    """

    metrics: dict[str, Any]
    losses: np.ndarray
    confusions: dict[str, np.ndarray]
    recall: dict[str, np.ndarray]
    parameters: int
    engine: str
    illustrations: dict[str, np.ndarray]


def _split(config: NamesConfig, dataset: NamesDataset, seed: int) -> NamesSplit:
    if config.protocol == "reference":
        return NamesSplit(train=np.arange(len(dataset.texts)), held_out=np.arange(0))
    return split_names(dataset, config.held_out, seed)


def _run_seeds(study: _Study, splits: Sequence[NamesSplit]) -> list[_SeedRun]:
    """Train seeds side by side, for the fused kernel leaves Python free; evaluate one after the other.

    Seeds share nothing, so that each finds what it would find alone.
    """
    seeds = study.config.all_seeds
    outcomes = {seed: study.directory.checkpoints.load_outcome(seed) for seed in seeds}
    # Before there are threads: Keras builds one model at a time.
    untrained = {seed: _build(study, seed) for seed in seeds if outcomes[seed] is None}
    with study.interruption.after_step(), _threads(study) as pool:
        trainings = {
            seed: pool.submit(_train, study, split, seed, *untrained[seed])
            for split, seed in zip(splits, seeds, strict=True)
            if seed in untrained
        }
        runs = []
        for split, seed in zip(splits, seeds, strict=True):
            if (outcome := outcomes[seed]) is None:
                runs.append(_finish(study, split, seed, trainings[seed]))
            else:
                runs.append(_remember(study, seed, outcome))
    return runs


@contextmanager
def _threads(study: _Study) -> Iterator[ThreadPoolExecutor]:
    """As many threads as seeds can be trained at once; where one fails, the others stop."""
    from keras_dnnts.models import runs_fused

    config = study.config
    side_by_side = min(config.seeds, _cores()) if runs_fused(config.engine, config.hidden_units) else 1
    with ThreadPoolExecutor(side_by_side) as pool:
        try:
            yield pool
        except BaseException:
            study.interruption.requested = True
            pool.shutdown(cancel_futures=True)
            raise


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _build(study: _Study, seed: int) -> tuple[Any, str]:
    """The compiled model of a seed, and the engine that will make its updates."""
    from keras_dnnts.models import build_char_rnn, compile_char_rnn

    config, dataset = study.config, study.dataset
    width, classes = len(dataset.alphabet) + 1, len(dataset.classes)
    model = build_char_rnn(config.cell, width, classes, config.hidden_units, seed)
    return model, compile_char_rnn(model, config.learning_rate, config.engine)


def _train(study: _Study, split: NamesSplit, seed: int, model: Any, engine: str) -> _Training:
    from keras_dnnts.running.callbacks import Checkpoint, ModelState, UpdateHistory, UpdateProgress

    config, dataset, directory, progress = study.config, study.dataset, study.directory, study.progress
    stream = split.train[draw_examples(dataset.labels[split.train], config.iterations, seed)]
    learnt = ModelState(model)
    history = UpdateHistory(config.iterations, CHUNK_SIZE, learnt)

    def save(state: Any) -> None:
        directory.checkpoints.save_training(seed, state)
        _write_history(study, seed, history.losses)

    checkpoint = Checkpoint(learnt, {"history": history}, save, config.checkpoint_seconds, study.interruption)
    checkpoint.restore(directory.checkpoints.load_training(seed))
    done = min(checkpoint.epochs * CHUNK_SIZE, config.iterations)
    progress.skip(done)
    label = f"seed {seed} · " if config.seeds > 1 else ""
    if not checkpoint.finished:
        left = stream[done:]
        model.fit(
            x=(dataset.letters[left], dataset.lengths[left]),
            y=dataset.labels[left],
            batch_size=min(CHUNK_SIZE, config.iterations),
            steps_per_epoch=1,
            initial_epoch=checkpoint.epochs,
            epochs=-(-config.iterations // CHUNK_SIZE),
            shuffle=False,
            verbose=0,
            callbacks=[history, UpdateProgress(progress, label, dataset, stream, history), checkpoint],
        )
    _write_history(study, seed, history.losses)
    return _Training(model, history, engine)


def _finish(study: _Study, split: NamesSplit, seed: int, training: Future[_Training]) -> _SeedRun:
    trained = training.result()
    study.directory.save_model(trained.model, seed)
    run = _measure(study, split, seed, trained)
    study.directory.checkpoints.save_outcome(seed, vars(run))
    return run


def _remember(study: _Study, seed: int, outcome: dict[str, Any]) -> _SeedRun:
    """What a seed found in an earlier process."""
    run = _SeedRun(**outcome)
    study.progress.skip(study.config.iterations)
    _write_history(study, seed, run.losses.tolist())
    return run


def _write_history(study: _Study, seed: int, losses: Sequence[float]) -> None:
    steps = np.minimum(np.arange(1, len(losses) + 1) * CHUNK_SIZE, study.config.iterations).tolist()
    study.directory.write_history(seed, ["step", "loss"], list(zip(steps, losses, strict=True)))


def _measure(study: _Study, split: NamesSplit, seed: int, training: _Training) -> _SeedRun:
    from keras_dnnts.results.illustrations import show_reading

    model, history = training.model, training.history
    if history.failed:
        raise UserError(
            f"seed {seed}: the loss is not finite at step {history.failed_update}: try a lower --learning-rate than "
            f"{study.config.learning_rate}; {study.directory.path} keeps the history and the weights up to step "
            f"{len(history.losses) * CHUNK_SIZE}"
        )
    metrics: dict[str, Any] = {}
    confusions, recall = {}, {}
    illustrations: dict[str, np.ndarray] = {}
    for side, counts, accuracy, shown in _evaluate(model, study.dataset, split):
        metrics[f"{side}_accuracy_by_class"], metrics[f"{side}_accuracy"] = accuracy.by_class, accuracy.overall
        confusions[side], recall[side] = counts, accuracy.recall
        illustrations |= shown
    unseen = "held_out" if len(split.held_out) else "train"
    illustrations |= show_reading(model, study.dataset, getattr(split, unseen), unseen)
    metrics["final_loss"] = history.losses[-1]
    metrics["train_seconds"] = sum(history.seconds)
    metrics["steps_per_second"] = history.updates_per_second
    losses, engine = np.array(history.losses), training.engine
    return _SeedRun(metrics, losses, confusions, recall, model.count_params(), engine, illustrations)


def _evaluate(model: Any, dataset: NamesDataset, split: NamesSplit) -> Iterator[tuple[str, np.ndarray, Any, dict]]:
    from keras_dnnts.analysis import count_confusions, measure_accuracy, predict_log_probabilities
    from keras_dnnts.results.illustrations import show_names

    log_probabilities = predict_log_probabilities(model, dataset.letters, dataset.lengths)
    guesses = log_probabilities.argmax(axis=1)
    for side, lines in (("train", split.train), ("held_out", split.held_out)):
        if len(lines):
            labels, classes = dataset.labels[lines], len(dataset.classes)
            names = [dataset.texts[line] for line in lines]
            yield (
                side,
                count_confusions(labels, guesses[lines], classes),
                measure_accuracy(labels, guesses[lines], classes, copies_of=names),
                show_names(dataset, lines, log_probabilities, side),
            )


def _gather(config: NamesConfig, dataset: NamesDataset, splits: list[NamesSplit], runs: list[_SeedRun]) -> Result:
    from keras_dnnts.analysis import most_frequent_confusions

    arrays = {
        "loss": np.stack([run.losses for run in runs]),
        "loss_step": np.minimum((np.arange(len(runs[0].losses)) + 1) * CHUNK_SIZE, config.iterations),
    }
    details: dict[str, Any] = {"parameters": runs[0].parameters, "recall": {}, "most_frequent_confusions": {}}
    for side in runs[0].confusions:
        arrays[f"confusion_{side}"] = np.stack([run.confusions[side] for run in runs])
        recall = np.mean([run.recall[side] for run in runs], axis=0)
        details["recall"][side] = dict(zip(dataset.classes, recall.tolist(), strict=True))
        details["most_frequent_confusions"][side] = most_frequent_confusions(
            arrays[f"confusion_{side}"].sum(axis=0), dataset.classes
        )
    return Result(
        experiment=config.experiment,
        config=config.to_dict(),
        dataset=_describe(dataset, splits),
        environment=describe_environment() | {"engine": runs[0].engine},
        metrics=collect_metrics([run.metrics for run in runs]),
        details=details | {"illustrated_seed": config.seed},
        arrays=arrays | runs[0].illustrations,
    )


def _describe(dataset: NamesDataset, splits: list[NamesSplit]) -> dict[str, Any]:
    lines = np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
    distinct = [len({dataset.texts[i] for i in np.flatnonzero(dataset.labels == k)}) for k in range(len(lines))]
    return {
        "name": dataset.name,
        "source": dataset.source,
        "stand_in": dataset.stand_in,
        "content_hash": dataset.content_hash,
        "classes": list(dataset.classes),
        "counts": {
            "lines": dict(zip(dataset.classes, lines, strict=True)),
            "distinct_names": dict(zip(dataset.classes, distinct, strict=True)),
            "skipped": dataset.skipped,
            "longest_name": int(dataset.lengths.max()),
            "train": [len(split.train) for split in splits],
            "held_out": [len(split.held_out) for split in splits],
        },
    }
