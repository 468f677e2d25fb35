"""Updates of per-example training on CUDA: the reference's plain PyTorch loop there against this package's engines."""

from experiments.benchmarks.per_example import CELLS, PLAIN, engine_training, plain_training, updates_of_a_turn
from experiments.benchmarks.timing import Row, Side, compare, take_turns
from keras_dnnts.datasets import NamesDataset


def measure(engine: str, dataset: NamesDataset, quick: bool) -> list[Row]:
    """Time the updates of every cell."""
    rows = []
    for cell in CELLS:
        trainings = {PLAIN: plain_training(cell, dataset, "cuda"), "generic": engine_training(cell, "generic", dataset)}
        sides = {}
        for name, train in trainings.items():
            updates = updates_of_a_turn(train, 0.5 if quick else 2)
            sides[name] = Side(lambda train=train, updates=updates: train(updates), updates)
        rows += compare(
            f"{cell.upper()} update on CUDA", engine, take_turns(sides, 3 if quick else 9), PLAIN, "µs", 1e6
        )
    return rows
