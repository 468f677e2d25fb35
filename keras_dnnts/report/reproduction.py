"""What it takes to repeat a run."""

from pathlib import Path
from typing import Any

from keras_dnnts.report import text
from keras_dnnts.results import Result
from keras_dnnts.results.findings import count_skipped

COUNTS = {"train": "Trained on", "validation": "Validated on", "test": "Tested on", "held_out": "Held out"}


def describe_reproduction(result: Result) -> dict[str, Any]:
    """What repeats the run: commands, config, versions, machine and time."""
    environment, counts, unit = result.environment, result.dataset["counts"], result.study.example[1]
    machine = environment.get("machine", {})
    versions = {"keras_dnnts": environment.get("keras_dnnts"), "python": environment.get("python")}
    versions |= environment.get("versions", {})
    facts = {
        "Data": f"{result.dataset['name']} ({result.dataset['source']})",
        "Content hash": result.dataset["content_hash"],
        **{title: _count(counts[name], unit) for name, title in COUNTS.items() if name in counts},
        "Left out": count_skipped(result),
        "Parameters": f"{result.details['parameters']:,}",
        "Backend": " ".join(filter(None, (environment["backend"], environment.get("device")))),
        "Machine": ", ".join(
            filter(None, (machine.get("processor"), machine.get("system"), _cores(machine.get("cores"))))
        ),
        "Training time": _duration(sum(result.metrics["train_seconds"].values)) + f" ({text.count_seeds(result)})",
    }
    return {
        "command": text.command(result),
        "has_members": bool(result.study.member_weights(result.config)),
        "relative_folder": _relative_folder(result.config["data_dir"]),
        "facts": {name: fact for name, fact in facts.items() if fact},
        "config": {name: text.describe_value(value) for name, value in result.config.items() if value is not None},
        "versions": {name: version for name, version in versions.items() if version},
    }


def _count(value: Any, unit: str) -> str:
    values = value if isinstance(value, list) else [value]
    low, high = min(values), max(values)
    return "" if not high else f"{low:,} {unit}" if low == high else f"{low:,} to {high:,} {unit}"


def _relative_folder(data_dir: str | None) -> str | None:
    return data_dir if data_dir and not Path(data_dir).is_absolute() else None


def _cores(cores: int | None) -> str | None:
    return None if cores is None else f"{cores} core{'s' if cores > 1 else ''}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
