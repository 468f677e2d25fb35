"""The page of a run while it goes, drawn from what it has saved so far."""

import functools
import time
from unittest import mock

import numpy as np
import pytest

from keras_dnnts import NamesConfig
from keras_dnnts.report import live as live_page
from keras_dnnts.report import write_live_page, write_report, write_report_or_warn
from keras_dnnts.results.unfinished import CHECKPOINTS, CONFIG
from keras_dnnts.running.live import RUNNING, STOPPED, Live, Progress
from tests.chromium import open_chromium
from tests.names_folders import call, write_names

DATASET = {"name": "names of <Rings>", "source": "a folder", "classes": ["a", "b"]}
COLUMNS = ["step", "loss", "held_out_accuracy", "never"]
SMALL = ("--hidden-units", "8", "--iterations", "4300", "--seeds", "2", "--quiet")


def save_progress(folder, state=RUNNING, written=None, **more):
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(NamesConfig(seeds=2).to_toml(), encoding="utf-8")
    random = np.random.default_rng(7)
    rows = {
        seed: [(1000 * (i + 1), float(random.random()), 0.125 * i if i % 2 else None, None) for i in range(points)]
        for seed, points in ((0, 9), (1, 4))
    }
    Progress(state, written or time.time(), DATASET, 13_000, 200_000, "steps", COLUMNS, rows, **more).save(folder)
    return folder


def test_a_run_that_goes_is_shown_as_far_as_it_has_come(tmp_path):
    text = write_live_page(save_progress(tmp_path)).read_text(encoding="utf-8")
    assert '<meta http-equiv="refresh" content="10">' in text
    assert "13,000 of 200,000 steps" in text
    assert "names of &lt;Rings&gt;" in text
    assert "Held out accuracy" in text and "Never" not in text
    assert "As of" in text


@pytest.mark.parametrize(("last", "at_the_edge"), [(9000, True), (9900, False)])
def test_the_last_number_below_a_chart_makes_room_only_at_the_edge(last, at_the_edge, tmp_path):
    save_progress(tmp_path)
    rows = {0: [(step, 0.5) for step in (7000, 8000, last)]}
    Progress(RUNNING, time.time(), DATASET, 1, 2, "steps", ["step", "loss"], rows).save(tmp_path)
    text = write_live_page(tmp_path).read_text(encoding="utf-8")
    assert ('class="x-ticks long to-the-edge"' in text) == at_the_edge
    assert ('class="x-ticks long"' in text) != at_the_edge


def test_losses_come_before_rates_and_times(tmp_path):
    save_progress(tmp_path)
    columns, rows = ["epoch", "learning_rate", "train_loss", "seconds"], {0: [(1, 0.5, 2.5, 7.0), (2, 0.4, 2.25, 7.5)]}
    Progress(RUNNING, time.time(), DATASET, 1, 2, "epochs", columns, rows).save(tmp_path)
    page = live_page.describe_live(Progress.load(tmp_path), tmp_path)
    assert [chart["title"] for chart in page["charts"]] == ["Training loss", "Learning rate", "Seconds"]


def test_a_run_that_stopped_says_why_and_how_to_go_on(tmp_path):
    save_progress(tmp_path, STOPPED, note="the loss is not finite")
    text = write_live_page(tmp_path).read_text(encoding="utf-8")
    assert 'http-equiv="refresh"' not in text
    assert "the loss is not finite" in text
    assert f"--resume {tmp_path}" in text
    assert "Stopped before its end" in text


def test_a_run_without_a_number_yet_has_a_page(tmp_path):
    save_progress(tmp_path)
    Progress(RUNNING, time.time(), DATASET, 0, 0, "steps").save(tmp_path)
    assert "Training so far" not in write_live_page(tmp_path).read_text(encoding="utf-8")


def test_where_no_report_can_be_written_no_live_page_stays(tmp_path, caplog):
    write_live_page(save_progress(tmp_path))
    write_report_or_warn(tmp_path)  # it holds no results
    assert not (tmp_path / "report.html").exists()
    (tmp_path / "report.html").write_text("an older report", encoding="utf-8")
    write_report_or_warn(tmp_path)
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.one_engine
def test_a_run_has_a_page_while_it_goes_and_the_report_at_its_end(tmp_path):
    pages = []
    write = live_page.write_live_page

    def keep(folder, progress):
        pages.append(write(folder, progress).read_text(encoding="utf-8"))

    folder, names = tmp_path / "run", write_names(tmp_path / "names")
    often = mock.patch("keras_dnnts.cli.experiment.Live", functools.partial(Live, seconds=0.02))
    with often, mock.patch("keras_dnnts.cli.experiment.write_live_page", keep):
        assert call("names", "--data-dir", names, "--out", folder, *SMALL) == 0
    assert "http-equiv" in pages[0] and 'http-equiv="refresh"' in pages[0]
    final = (folder / "report.html").read_bytes()
    assert b'http-equiv="refresh"' not in final
    assert write_report(folder).read_bytes() == final
    assert call("names", "--data-dir", names, "--out", tmp_path / "alone", *SMALL) == 0
    assert {path.name for path in folder.iterdir()} == {path.name for path in (tmp_path / "alone").iterdir()}


@pytest.mark.browser
@pytest.mark.parametrize(("age", "dead"), [(0, False), (600, True)])
def test_the_page_says_when_a_run_has_died(age, dead, request, tmp_path):
    page = write_live_page(save_progress(tmp_path, written=time.time() - age))
    with open_chromium(request) as chromium:
        tab = chromium.new_page()
        tab.goto(page.as_uri())
        assert tab.is_visible("#silent") == dead
        if dead:
            assert "No news of the run for 10 minutes" in tab.inner_text("#silent")
