"""From the start of a process to the first training step, less what importing Keras takes; data are cached."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from experiments.benchmarks.timing import Row

# Stops where the first step would begin, and prints seconds: of `import keras`, and since the start.
PROCESS = """
import os, sys, time
start = time.perf_counter()
import keras
imported = time.perf_counter() - start
def stop(*_):
    print(imported, time.perf_counter() - start, flush=True)
    os._exit(0)
keras.callbacks.CallbackList.on_train_batch_begin = stop
from keras_dnnts.cli import main
main(sys.argv[1:])
"""


def measure(engine: str, names: Path | None, images: Path | None, quick: bool) -> list[Row]:
    """Time both commands; the first start, which fills caches, does not count."""
    commands = {
        "names": ["names", *(["--data-dir", str(names)] if names else ["--dataset", "starter"])],
        "cifar": ["cifar", "--image-size", "64", *(["--data-dir", str(images)] if images else ["--dataset", "digits"])],
    }
    rows = []
    for name, arguments in commands.items():
        seconds = np.array([_start(arguments, engine) for _ in range(2 if quick else 4)])[1:]
        imported, total = np.median(seconds[:, 0]), np.median(seconds[:, 1] - seconds[:, 0])
        rows += [Row(f"start of {name}", "import keras", engine, float(imported), "s")]
        rows += [Row(f"start of {name}", "from there to the first step", engine, float(total), "s")]
    return rows


def _start(arguments: list[str], engine: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROCESS, *arguments, "--backend", engine, "--out", f"{folder}/run"]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(figure) for figure in run.stdout.split()[-2:]]
