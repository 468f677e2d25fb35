"""The part of the page in which a person types a name: the models of runs, packed for ``try_out.js``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_dnnts.config import config_from_dict
from keras_dnnts.datasets.alphabets import list_spellings
from keras_dnnts.datasets.letters import MAX_LINE_LETTERS
from keras_dnnts.errors import UserError
from keras_dnnts.report import heat
from keras_dnnts.report.page import render_part
from keras_dnnts.report.sections import Section
from keras_dnnts.results import RESULTS, Result, load_result
from keras_dnnts.running.saved_models import SavedModel, find_saved_model
from keras_dnnts.studies.names.config import MODELS, NamesConfig, title_of
from keras_dnnts.studies.names.decisions import PRIORS, prior_of
from keras_dnnts.studies.names.members import read_members
from keras_dnnts.studies.names.page_models import PageModel, pack_model
from keras_dnnts.studies.names.words import find_words

PACKAGE = "keras_dnnts.studies.names"


@dataclass
class _Run:
    """A run on the page: its models, the first seed's first, and what follows from its config."""

    label: str
    folder: Path
    result: Result
    config: NamesConfig
    saved: list[SavedModel] = field(default_factory=list)
    models: list[PageModel] = field(default_factory=list)


def build_trial(folders: Mapping[str, Path], most_bytes: int) -> Section | None:
    """Return the section in which models of runs, by label, read what a person types; None where there is no model.

    A model that is missing or damaged is left out; of one that is too large for ``most_bytes``, or that the page cannot
    compute beside others, a line says so.
    """
    runs = [_load(label, folder) for label, folder in folders.items()]
    known = [run for run in runs if _is_known(run.config)]
    _take_models(known, most_bytes)
    left_out = [_explain(run) for run in runs if run not in known or (run.saved and not run.models)]
    shown = [run for run in runs if run.models]
    if not shown and not left_out:
        return None
    half = sum(model.size(half=False) for run in shown for model in run.models) > most_bytes
    described = [_describe(run, half) for run in shown]
    models = {
        "spellings": list_spellings(),
        "longest": MAX_LINE_LETTERS,
        "levels": heat.LEVELS,
        "gamma": heat.GAMMA,
        "runs": described,
    }
    body = render_part(
        PACKAGE,
        "try_out.html.jinja",
        models=models,
        left_out=left_out,
        half=half,
        several=len(folders) > 1,
        words=find_words(runs[0].result.dataset),
        choices=_list_choices(shown),
        priors=PRIORS if any(run["shifts"] for run in described) else (),
    )
    return Section("Try a name", body, render_part(PACKAGE, "try_out.css"), needs_script=bool(shown))


def _load(label: str, folder: Path) -> _Run:
    result = load_result(folder)
    config = config_from_dict(result.config, where=str(folder / RESULTS))
    assert isinstance(config, NamesConfig)
    return _Run(label, folder, result, config)


def _is_known(config: NamesConfig) -> bool:
    models = [model for _, model in read_members(config.model)] or [config.model]
    return {*models} <= {*MODELS}


def _take_models(runs: Sequence[_Run], most_bytes: int) -> None:
    """Take the first seed of every run, the smallest first, then further seeds in turn, as long as there is room."""
    firsts = {}
    for run in runs:
        if (saved := _find(run, run.config.seed)) is not None:
            run.saved.append(saved[0])
            firsts[run.label] = saved[1]
    left = most_bytes
    for run in sorted((run for run in runs if run.saved), key=lambda run: firsts[run.label].size(half=True)):
        if (size := firsts[run.label].size(half=True)) <= left:
            run.models.append(firsts[run.label])
            left -= size
    growing = [run for run in runs if run.models]
    while growing:
        for run in list(growing):
            number = len(run.models)
            more = _find(run, run.config.seed + number) if number < run.config.seeds else None
            if more is None or (size := more[1].size(half=True)) > left:
                growing.remove(run)
                continue
            run.saved.append(more[0])
            run.models.append(more[1])
            left -= size


def _find(run: _Run, seed: int) -> tuple[SavedModel, PageModel] | None:
    """A seed's model; None where it cannot be used: the page can do without."""
    try:
        saved = find_saved_model(run.folder, seed)
        return saved, pack_model(saved)
    except (UserError, OSError):
        return None


def _explain(run: _Run) -> str:
    """Why a model is not on the page."""
    why = "is too large for this page" if run.saved else "has layers of its own, which a page cannot compute"
    title = title_of(run.config.to_dict())
    name = title if run.label == title else f"{run.label} ({title})"
    return f"{name} {why}: use keras-dnnts predict"


def _describe(run: _Run, half: bool) -> dict[str, Any]:
    saved = run.saved[0]
    return {
        "label": run.label,
        "alphabet": run.config.alphabet,
        "raw": run.config.is_raw,
        "classes": list(saved.classes),
        "models": [model.to_plain(half) for model in run.models],
        "shifts": _list_shifts(saved, len(run.models)),
    }


def _list_shifts(saved: SavedModel, seeds: int) -> list[dict[str, list[float]]]:
    """What is added to log-probabilities under each prior, for every seed; none for runs of earlier versions."""
    arrays = saved.result.arrays
    if not {"trained_share", "training_names"} <= arrays.keys():
        return []
    rows = zip(arrays["trained_share"][:seeds], arrays["training_names"][:seeds], strict=True)
    return [
        {prior: np.log(prior_of(prior, names) / trained).round(9).tolist() for prior in PRIORS}
        for trained, names in rows
    ]


def _list_choices(runs: Sequence[_Run]) -> list[tuple[str, str]]:
    """What one can choose of several seeds: (seed's place or ``mean``, in words); nothing where each run has one."""
    most = max((len(run.models) for run in runs), default=0)
    if most < 2:
        return []
    if len(runs) > 1:
        return [("0", "first seed of each run"), ("mean", "mean over seeds")]
    run = runs[0]
    seeds = [(str(i), f"seed {run.config.seed + i}") for i in range(most)]
    return [*seeds, ("mean", f"mean of {most} seeds")]
