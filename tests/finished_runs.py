"""Results as a finished run leaves them, without training."""

from typing import Any

import numpy as np

from keras_dnnts.config import NamesConfig
from keras_dnnts.results import Metric, Result


def names_result(seeds: int = 3, seed: int = 0, classes: tuple[str, ...] = ("A", "B", "C"), **changes: Any) -> Result:
    """A names result of random numbers; ``changes`` replace dataset entries."""
    rng = np.random.default_rng(seed)
    config = NamesConfig(seeds=seeds, **{k: changes.pop(k) for k in ("cell", "protocol") if k in changes})
    count = len(classes)
    dataset = {"name": "names", "source": "x", "stand_in": False, "content_hash": "sha256:1", "classes": list(classes)}
    metrics = {
        "train_accuracy_by_class": Metric(tuple(rng.random(seeds)), ((0.1, 0.9),) * seeds),
        "held_out_accuracy_by_class": Metric(tuple(rng.random(seeds)), ((0.1, 0.9),) * seeds),
        "final_loss": Metric(tuple(rng.random(seeds))),
        "train_seconds": Metric(tuple(100 * rng.random(seeds))),
    }
    return Result(
        experiment="names",
        config=config.to_dict(),
        dataset=dataset | changes,
        environment={"backend": "torch"},
        metrics=metrics,
        details={"parameters": 1234, "recall": {}, "most_frequent_confusions": {}},
        arrays={
            "loss": 3 * rng.random((seeds, 4)),
            "loss_step": np.arange(1, 5) * 1000,
            "confusion_train": rng.integers(0, 50, (seeds, count, count)),
            "confusion_held_out": rng.integers(0, 50, (seeds, count, count)),
        },
    )
