"""Every benchmark in one table, as JSON and Markdown too.

    python -m experiments.benchmarks --names-dir NAMES --out benchmarks.json

A process has one engine, so each part runs in a process of its own for every engine that is installed, on one core of
the CPU; start-up, whole commands, sweeps and the fast recipe's step keep all cores, and parts for CUDA need it. More
than half an hour on a quiet machine, a few minutes with --quick.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from experiments.benchmarks.timing import Row, keep_to_one_core, markdown, to_json
from keras_dnnts.running.memory import keep_freed_memory
from keras_dnnts.running.surroundings import settle_surroundings

ENGINES = ("torch", "jax", "tensorflow")
PARTS = (
    "per_example",
    "cnn_step",
    "fast_step",
    "augmentation",
    "evaluation",
    "start_up",
    "prompt",
    "memory",
    "cnn_step_gpu",
    "per_example_gpu",
    "sweeps",
)
TORCH_ONLY = ("cnn_step", "fast_step", "memory", "cnn_step_gpu", "sweeps")
ON_GPU = ("cnn_step_gpu", "per_example_gpu")
WITHOUT_GPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


def measure_part(part: str, engine: str, names: Path | None, images: Path | None, quick: bool) -> list[Row]:
    """Run one part in this process."""
    module: Any = importlib.import_module(f"experiments.benchmarks.{part}")
    if part == "start_up":
        return module.measure(engine, names, images, quick)
    if part == "prompt":
        return module.measure(engine, names, quick)
    if part in ON_GPU:
        data = [_load_names(names)] if part == "per_example_gpu" else []
        return module.measure(engine, *data, quick) if _cuda() else []
    if part in ("sweeps", "fast_step"):
        return module.measure(engine, quick)
    keep_to_one_core()
    _one_thread()
    if part in ("per_example", "evaluation"):
        return module.measure(engine, _load_names(names), quick)
    return module.measure(engine) if part == "memory" else module.measure(engine, quick)


def _cuda() -> bool:
    import torch

    from keras_dnnts.backend import runs_on_cpu

    return torch.cuda.is_available() and not runs_on_cpu()


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _load_names(names: Path | None) -> Any:
    from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET
    from keras_dnnts.datasets.bundled import load_starter_names
    from keras_dnnts.datasets.folders import load_text_folder

    return load_text_folder(names, REFERENCE_ALPHABET) if names else load_starter_names(REFERENCE_ALPHABET)


def run_part(part: str, engine: str, arguments: list[str]) -> dict[str, Any] | None:
    """Run one part in a process of its own; None, and a line, where it fails."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ | {"KERAS_BACKEND": engine}
    environment |= {} if part in ON_GPU else WITHOUT_GPU
    command = [sys.executable, "-m", "experiments.benchmarks", "--child", part, *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        click.echo(f"{part} on {engine} failed: {run.stderr.strip().splitlines()[-1:]}", err=True)
        return None
    return json.loads(run.stdout[run.stdout.index("{") :])


@click.command(context_settings={"show_default": True})
@click.option("--quick", is_flag=True, help="Fewer turns.")
@click.option("--parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Repeat for several.")
@click.option("--engines", multiple=True, type=click.Choice(ENGINES), default=ENGINES, help="Repeat for several.")
@click.option("--names-dir", type=click.Path(exists=True, path_type=Path), help="<Category>.txt files; else starters.")
@click.option("--images-dir", type=click.Path(exists=True, path_type=Path), help="Images for start-up; else digits.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save as JSON, and as Markdown beside it.")
@click.option("--child", hidden=True)
def main(
    quick: bool,
    parts: tuple[str, ...],
    engines: tuple[str, ...],
    names_dir: Path | None,
    images_dir: Path | None,
    out: Path | None,
    child: str | None,
) -> None:
    """Time this package beside plain PyTorch, on every engine that is installed."""
    if child:
        # As in the commands' own processes; on torch, those for small images.
        settle_surroundings()
        if os.environ["KERAS_BACKEND"] == "jax" or child == "fast_step":
            keep_freed_memory()
        rows = measure_part(child, os.environ["KERAS_BACKEND"], names_dir, images_dir, quick)
        from keras_dnnts.running.runtime import describe_environment

        click.echo(to_json(rows, describe_environment()))
        return
    options = {"--names-dir": names_dir, "--images-dir": images_dir}
    arguments = [str(word) for option, value in options.items() if value for word in (option, value)]
    arguments += ["--quick"] * quick
    collect(parts, [engine for engine in engines if importlib.util.find_spec(engine)], arguments, _save_to(out))


def collect(
    parts: tuple[str, ...],
    engines: list[str],
    arguments: list[str],
    show: Callable[[list[Row], dict[str, Any]], None],
) -> None:
    """Run every part on every engine it has, and show the table after all of them."""
    rows, environment = [], None
    for part in parts:
        for engine in engines:
            if engine == "torch" or part not in TORCH_ONLY:
                click.echo(f"{part} on {engine} …", err=True)
                found = run_part(part, engine, arguments)
                rows += [Row(**row) for row in found["rows"]] if found else []
                environment = environment or (found and found["environment"])
    if environment is None:
        raise click.ClickException("nothing could be measured")
    show(rows, environment)


def _save_to(out: Path | None) -> Callable[[list[Row], dict[str, Any]], None]:
    def show(rows: list[Row], environment: dict[str, Any]) -> None:
        table = markdown(rows, environment)
        click.echo(table)
        if out:
            out.write_text(to_json(rows, environment), encoding="utf-8")
            out.with_suffix(".md").write_text(table + "\n", encoding="utf-8")

    return show


if __name__ == "__main__":
    main()
