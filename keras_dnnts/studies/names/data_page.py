"""The section of the page on a run's data."""

from typing import Any

import numpy as np

from keras_dnnts.report.page import render_part
from keras_dnnts.report.sections import Section
from keras_dnnts.results import Result
from keras_dnnts.studies.names.data_facts import state_bound, state_copies, state_lengths, state_shared
from keras_dnnts.studies.names.findings import state_left_out
from keras_dnnts.studies.names.words import Words, find_words

PACKAGE = "keras_dnnts.studies.names"
MOST_ROWS = 20


def build_data_section(result: Result) -> Section:
    """Counts of each language, copies, names of several languages, lengths, and letters that were dropped."""
    counts, names = result.dataset["counts"], result.dataset.get("names")
    words = find_words(result.dataset)
    facts = [state_copies(counts, words)]
    if names:
        facts += [state_shared(names, words), _state_bound(result, words), state_lengths(names)]
    facts.append(state_left_out(result, "--letters"))
    body = render_part(
        PACKAGE,
        "data.html.jinja",
        facts=[fact for fact in facts if fact],
        rows=_list_classes(counts),
        most_rows=MOST_ROWS,
        words=words,
        lengths=_list_lengths(names) if names else [],
    )
    return Section("The data", body, render_part(PACKAGE, "data.css"), first=True)


def _state_bound(result: Result, words: Words) -> str:
    part = next(iter(result.parts))
    bound = result.arrays.get(f"bound_{part}")
    if bound is None:
        return ""
    by_class, overall = bound.mean(axis=0).tolist()
    return state_bound(by_class, overall, result.parts[part].partition(" (")[0], words)


def _list_classes(counts: dict[str, Any]) -> list[dict[str, Any]]:
    """Lines and distinct names of each class, the most lines first."""
    lines, distinct = counts["lines"], counts.get("distinct_names")
    most = max(lines.values())
    return [
        {
            "name": name,
            "lines": f"{lines[name]:,}",
            "distinct": f"{distinct[name]:,}" if distinct else None,
            "width": 100 * lines[name] / most,
            "distinct_width": 100 * (distinct or lines)[name] / most,
        }
        for name in sorted(lines, key=lambda name: (-lines[name], name))
    ]


def _list_lengths(names: dict[str, Any]) -> list[dict[str, Any]]:
    """How many distinct names have each number of letters."""
    lengths = np.array(names["lengths"])
    known = np.flatnonzero(lengths > 0)
    if not len(known):
        return []
    return [
        {"length": length, "count": int(lengths[length]), "height": 100 * lengths[length] / lengths.max()}
        for length in range(known[0], known[-1] + 1)
    ]
