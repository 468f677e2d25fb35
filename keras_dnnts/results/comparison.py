"""Several finished runs side by side."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_dnnts.errors import UserError
from keras_dnnts.metrics import MetricKind
from keras_dnnts.results import FORMAT_VERSION, Metric, Result, load_result
from keras_dnnts.results.conclusions import headline_metrics
from keras_dnnts.results.findings import state_conclusions

TABLE = "comparison.md"


def load_runs(folders: Iterable[Path]) -> dict[str, Result]:
    """Read finished runs, labelled by their folders.

    Raises:
        UserError: a folder holds no finished run, or the runs are of different studies.
    """
    results = {label: load_result(folder) for label, folder in label_folders(folders).items()}
    if len(results) < 1:
        raise UserError("compare needs at least one run directory")
    experiments = {result.experiment for result in results.values()}
    if len(experiments) > 1:
        raise UserError(f"runs of different experiments cannot be compared: {', '.join(sorted(experiments))}")
    return results


def label_folders(folders: Iterable[Path]) -> dict[str, Path]:
    """The folders of runs, each once, by what a comparison calls them: their names, or paths where names repeat."""
    paths = {str(folder): folder for folder in folders}
    names = {folder.resolve().name for folder in paths.values()}
    if len(names) == len(paths):
        paths = {folder.resolve().name: folder for folder in paths.values()}
    # The bytes of a file name may be no text, which tables are.
    return {os.fsencode(label).decode("utf-8", "backslashreplace"): folder for label, folder in paths.items()}


def find_differences(results: Mapping[str, Result]) -> list[str]:
    """Say in plain words what makes these runs hard to compare."""
    data = {result.dataset["content_hash"] for result in results.values()}
    uses = {result.study.use(result.config) for result in results.values()}
    warnings = []
    if len(data) > 1:
        names = ", ".join(f"{label}: {result.dataset['name']}" for label, result in results.items())
        warnings.append(f"these runs used different data ({names}): differences may come from the data")
    if len(uses) > 1:
        names = ", ".join(f"{label}: {result.study.use(result.config)}" for label, result in results.items())
        warnings.append(
            f"these runs used different protocols or recipes ({names}): their accuracies mean different things"
        )
    return warnings


def tabulate(results: Mapping[str, Result], details: bool = True) -> tuple[list[str], list[list[str]]]:
    """Return the header, one column a run, and a row a quantity: metrics are mean ± sd over seeds.

    Args:
        results: by label.
        details: whether metrics are among them that are details and that no run is judged by.
    """
    runs = results.values()
    rows = [
        ["seeds", *(str(result.config["seeds"]) for result in runs)],
        ["parameters", *(f"{result.details['parameters']:,}" for result in runs)],
    ]
    judged = {name for result in runs for name in headline_metrics(result)}
    for kind in next(iter(runs)).study.metrics:
        metrics = [result.metrics.get(kind.name) for result in runs]
        if any(metrics) and (details or not kind.detail or kind.name in judged):
            rows.append([kind.title, *(format_metric(kind, metric) for metric in metrics)])
    return ["", *results], rows


def format_metric(kind: MetricKind, metric: Metric | None) -> str:
    """Format as mean ± sd over seeds, a dash where there is none."""
    return "–" if metric is None else kind.format(metric.mean, metric.sd)


def to_markdown(header: list[str], rows: list[list[str]], warnings: list[str], conclusions: Sequence[str] = ()) -> str:
    """Return the table, the warnings and the conclusions as Markdown."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *escaped]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    notes = "".join(f"\n**Warning:** {warning}.\n" for warning in warnings)
    concluded = "\n## Conclusions\n\n" if conclusions else ""
    concluded += "".join(f"{line[: len(line) - len(line.lstrip())]}- {line.strip()}\n" for line in conclusions)
    return f"{table}\n{notes}{concluded}"


def describe_comparison(results: Mapping[str, Result]) -> dict[str, Any]:
    """What ``comparison.json`` holds: plain values."""
    return {
        "format_version": FORMAT_VERSION,
        "warnings": find_differences(results),
        "conclusions": [line.strip() for line in state_conclusions(results)],
        "runs": {
            label: {
                "parameters": result.details["parameters"],
                "config": result.config,
                "dataset": {key: result.dataset[key] for key in ("name", "stand_in", "content_hash")},
                "metrics": {name: metric.to_dict() for name, metric in result.metrics.items()},
            }
            for label, result in results.items()
        },
    }


def save_tables(results: Mapping[str, Result], folder: Path) -> None:
    """Write ``comparison.md`` and ``comparison.json``."""
    markdown = to_markdown(*tabulate(results), find_differences(results), state_conclusions(results))
    (folder / TABLE).write_text(markdown, encoding="utf-8")
    text = json.dumps(describe_comparison(results), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "comparison.json").write_text(text + "\n", encoding="utf-8")
