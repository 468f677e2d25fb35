"""The names experiment: data, splits, training a cell once a seed, evaluation, result."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from keras_dnnts.config import NamesConfig
from keras_dnnts.console import RunProgress
from keras_dnnts.datasets import NamesDataset
from keras_dnnts.datasets.names import load_names_dataset
from keras_dnnts.datasets.splits import NamesSplit, split_names
from keras_dnnts.datasets.stream import draw_examples
from keras_dnnts.errors import UserError
from keras_dnnts.results import Result, collect_metrics
from keras_dnnts.run_directory import append_history, open_run_directory, save_model
from keras_dnnts.runtime import choose_backend, describe_environment, start_engine

CHUNK_SIZE = 1000  # updates a training step, and a point of the loss curve


def run_names(config: NamesConfig, folder: Path, console: Console | None) -> Result:
    """Train the cell once a seed, evaluate it, and leave everything in ``folder``.

    Raises:
        UserError: the data, backend, device or folder cannot be used, or the loss stopped being finite.
    """
    choose_backend(config.backend, config.device)
    data_dir = Path(config.data_dir) if config.data_dir else None
    dataset = load_names_dataset(config.dataset, data_dir, config.letters)
    splits = [_split(config, dataset, seed) for seed in config.all_seeds]
    start_engine()
    open_run_directory(folder, config)
    with RunProgress(config.iterations * config.seeds, "steps", console) as progress:
        runs = [
            _run_seed(config, dataset, split, seed, folder, progress)
            for split, seed in zip(splits, config.all_seeds, strict=True)
        ]
    result = _gather(config, dataset, splits, runs)
    result.save(folder)
    return result


@dataclass(frozen=True)
class _SeedRun:
    """What one seed found: its numbers, and for each side its confusion counts (K, K) and recall (K,)."""

    metrics: dict[str, Any]
    losses: np.ndarray
    confusions: dict[str, np.ndarray]
    recall: dict[str, np.ndarray]
    parameters: int
    engine: str


def _split(config: NamesConfig, dataset: NamesDataset, seed: int) -> NamesSplit:
    if config.protocol == "reference":
        return NamesSplit(train=np.arange(len(dataset.texts)), held_out=np.arange(0))
    return split_names(dataset, config.held_out, seed)


def _run_seed(
    config: NamesConfig, dataset: NamesDataset, split: NamesSplit, seed: int, folder: Path, progress: RunProgress
) -> _SeedRun:
    from keras_dnnts.callbacks import UpdateHistory, UpdateProgress
    from keras_dnnts.models import build_char_rnn, compile_char_rnn

    stream = split.train[draw_examples(dataset.labels[split.train], config.iterations, seed)]
    width, classes = len(dataset.alphabet) + 1, len(dataset.classes)
    model = build_char_rnn(config.cell, width, classes, config.hidden_units, seed)
    engine = compile_char_rnn(model, config.learning_rate, config.engine)
    history = UpdateHistory(config.iterations, CHUNK_SIZE)
    label = f"seed {seed} · " if config.seeds > 1 else ""
    model.fit(
        x=(dataset.letters[stream], dataset.lengths[stream]),
        y=dataset.labels[stream],
        batch_size=min(CHUNK_SIZE, config.iterations),
        steps_per_epoch=1,
        epochs=-(-config.iterations // CHUNK_SIZE),
        shuffle=False,
        verbose=0,
        callbacks=[history, UpdateProgress(progress, label, dataset, stream, history)],
    )
    steps = np.minimum(np.arange(1, len(history.losses) + 1) * CHUNK_SIZE, config.iterations)
    append_history(folder, seed, ["step", "loss"], list(zip(steps.tolist(), history.losses, strict=True)))
    save_model(model, folder, seed)
    if history.failed_update is not None:
        raise UserError(
            f"seed {seed}: the loss is not finite at step {history.failed_update}: try a lower --learning-rate than "
            f"{config.learning_rate}; {folder} keeps the history and the weights up to step {len(steps) * CHUNK_SIZE}"
        )
    metrics: dict[str, Any] = {}
    confusions, recall = {}, {}
    for side, counts, accuracy in _evaluate(model, dataset, split):
        metrics[f"{side}_accuracy_by_class"], metrics[f"{side}_accuracy"] = accuracy.by_class, accuracy.overall
        confusions[side], recall[side] = counts, accuracy.recall
    metrics["final_loss"] = history.losses[-1]
    metrics["train_seconds"] = sum(history.seconds)
    metrics["steps_per_second"] = history.updates_per_second
    return _SeedRun(metrics, np.array(history.losses), confusions, recall, model.count_params(), engine)


def _evaluate(model: Any, dataset: NamesDataset, split: NamesSplit) -> Iterator[tuple[str, np.ndarray, Any]]:
    from keras_dnnts.analysis import count_confusions, measure_accuracy, predict_log_probabilities

    guesses = predict_log_probabilities(model, dataset.letters, dataset.lengths).argmax(axis=1)
    for side, lines in (("train", split.train), ("held_out", split.held_out)):
        if len(lines):
            labels, classes = dataset.labels[lines], len(dataset.classes)
            names = [dataset.texts[line] for line in lines]
            yield (
                side,
                count_confusions(labels, guesses[lines], classes),
                measure_accuracy(labels, guesses[lines], classes, copies_of=names),
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
        details=details,
        arrays=arrays,
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
            "train": [len(split.train) for split in splits],
            "held_out": [len(split.held_out) for split in splits],
        },
    }
