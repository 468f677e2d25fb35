"""What a finished sweep leaves: its results, a table, a figure for each option, a page."""

from pathlib import Path

from keras_dnnts.figures.sweep import save_sweep_figures
from keras_dnnts.report.sweep import write_sweep_report
from keras_dnnts.results import RESULTS
from keras_dnnts.results.comparison import to_markdown
from keras_dnnts.results.sweeps import SweepResult, tabulate_sweep
from keras_dnnts.running.run_directory import FIGURES
from keras_dnnts.whole_files import write_whole_text

TABLE = "sweep.md"


def save_sweep(sweep: SweepResult, folder: Path, plan: str) -> None:
    """Write ``results.json``, the table, the figures and the page.

    Raises:
        OSError: one cannot be written.
    """
    sweep.save(folder / RESULTS)
    problems = [f"{label}: {problem}" for label, problem in sweep.problems.items()]
    write_whole_text(folder / TABLE, to_markdown(*tabulate_sweep(sweep), problems, sweep.conclusions))
    if sweep.finished:
        save_sweep_figures(sweep, folder / FIGURES)
        write_sweep_report(sweep, folder, plan)
