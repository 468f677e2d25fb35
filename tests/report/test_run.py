"""The page of one run: what it says, and that nothing in a result can break it."""

import dataclasses
import html.parser
import json
import re
import shlex
import subprocess
import sys

import click.testing
import numpy as np
import pytest
from scipy import stats

from keras_dnnts import CifarConfig, NamesConfig
from keras_dnnts.cli import commands
from keras_dnnts.cli.summary import print_summary
from keras_dnnts.figures import save_figures
from keras_dnnts.report import text, write_report, write_report_or_warn
from keras_dnnts.report.numbers import list_classes
from keras_dnnts.report.run import describe_run
from keras_dnnts.results import Metric
from keras_dnnts.studies.names.figures import plot_names_confusion, plot_training_loss
from keras_dnnts.study import NOTEBOOK_URL
from tests.finished_runs import cifar_result, names_result
from tests.names_folders import call
from tests.report.illustrated import NASTY, illustrated_cifar, illustrated_names, save

MOST_BYTES = 3_000_000


class Page(html.parser.HTMLParser):
    """The text, tags and JSON of a page, as a browser would understand it."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.texts, self.data, self.inside = [], [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attributes)))
        self.inside = [tag, dict(attributes).get("class")] if tag in ("script", "style") else []

    def handle_endtag(self, tag):
        self.inside = []

    def handle_data(self, data):
        if self.inside == ["script", "data"]:
            self.data.append(json.loads(data))
        elif not self.inside:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def read(result, tmp_path):
    path = write_report(save(result, tmp_path / "run"))
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("make", [illustrated_names, illustrated_cifar])
def test_class_names_stay_text(make, tmp_path):
    page = read(make(NASTY), tmp_path)
    assert page.tags == read(make(tuple("abcdefgh")), tmp_path / "plain").tags
    for name in NASTY:
        assert " ".join(name.split()) in page.text
        assert all(name in data["classes"] for data in page.data)


def test_asks_for_nothing_outside(tmp_path):
    for make in (illustrated_names, illustrated_cifar):
        page = read(make(), tmp_path / make.__name__)
        addresses = [
            value for _, attributes in page.attributes for name, value in attributes.items() if name in ("src", "href")
        ]
        assert all(address.startswith(("data:", "#", NOTEBOOK_URL)) for address in addresses)
        source = (tmp_path / make.__name__ / "run" / "report.html").read_text(encoding="utf-8")
        assert re.findall(r"url\((?!data:)", source) == []


def test_numbers_are_those_of_the_result(tmp_path):
    result = illustrated_names(("A", "B", "C"), seeds=4, cell="gru")
    page = read(result, tmp_path)
    held_out = result.metrics["held_out_accuracy_by_class"]
    values = 100 * np.array(held_out.values)
    reach = 3.182446 * values.std(ddof=1) / 2  # Student's t with 3 degrees of freedom
    low, high = max(values.mean() - reach, 0), min(values.mean() + reach, 100)
    assert f"{values.mean():.1f} % of held-out names classified correctly" in page.text
    assert f"{low:.1f} to {high:.1f} %" in page.text
    assert f"{values.mean():.1f} ± {values.std(ddof=1):.1f} %" in page.text
    assert "over 4 seeds" in page.text
    counts = result.arrays["confusion_held_out"].sum(axis=0)
    assert page.data[0]["counts"] == counts.tolist()
    labels = [attributes.get("aria-label") for tag, attributes in page.attributes if tag == "button"]
    assert f"A guessed as B: {100 * counts[0, 1] / counts[0].sum():.1f}\xa0%" in labels


def test_one_seed_has_the_interval_of_its_examples(tmp_path):
    accuracy = Metric((0.5,), ((0.41, 0.59),))
    result = cifar_result()
    page = read(dataclasses.replace(result, metrics=result.metrics | {"test_accuracy": accuracy}), tmp_path)
    assert (
        "50.0 % of test images classified correctly 95 % interval 41.0 to 59.0 % over examples, one seed" in page.text
    )
    assert "62.5 %" not in page.text  # neither the data nor the recipe are the reference's


def test_says_plainly_whose_data_these_are(tmp_path):
    stand_in = read(names_result(name="starter names", source="bundled", stand_in=True), tmp_path / "a")
    assert "Stand-in data: the real data were not available" in stand_in.text
    assert "cannot be compared with the reference’s" in stand_in.text
    own = read(names_result(name="my names", source="somewhere"), tmp_path / "b")
    assert "eference" not in own.text


def test_the_reference_stands_beside_the_same_measure_on_its_data(tmp_path):
    real = "sha256:0111cd9d41f90753b372d68767ad9202ffc28576ac2e13adac049041ec29a731"
    result = names_result(content_hash=real, cell="gru", protocol="reference")
    page = read(result, tmp_path / "a")
    assert "54.7 % reported by the reference" in page.text
    assert "github.com/Jayadeep-Potarlanka/deep-neural-networks-and-time-series-models" in page.text
    shorter = dataclasses.replace(result, config=result.config | {"iterations": 20_000})
    page = read(shorter, tmp_path / "b")
    assert "54.7 %" not in page.text
    assert "Differs from the reference in: iterations 20,000 (reference: 100,000)" in page.text


def test_reports_of_older_results_leave_out_what_they_lack(tmp_path):
    for make in (names_result, cifar_result):
        page = read(make(), tmp_path / make.__name__)
        assert "Confusion matrix" in page.text
        assert "Letter by letter" not in page.text
        assert all(data.get("examples") in ({}, None) for data in page.data)


def test_examples_of_a_cell_are_sorted_by_confidence(tmp_path):
    result = illustrated_names(("A", "B", "C"))
    examples = read(result, tmp_path).data[0]["examples"]
    arrays = result.arrays
    for cell, shown in examples.items():
        truth, guess = map(int, cell.split(","))
        members = (arrays["example_held_out_truth"] == truth) & (arrays["example_held_out_guess"] == guess)
        names = arrays["example_held_out_name"][members][np.argsort(-arrays["example_held_out_confidence"][members])]
        assert [name for name, _ in shown] == names.tolist()


def test_mistakes_say_where_the_guess_holds_too(tmp_path):
    page = read(illustrated_names(("A", "B", "C")), tmp_path)
    assert "1 of these 4 names also occurs in the guessed language" in page.text
    assert "Wrong1held_out" in page.text
    assert page.text.count("also occurs there") == 2  # one on each side


def test_names_say_from_which_file_and_line_they_come_where_results_know(tmp_path):
    result = illustrated_names(("A", "B", "C"))
    assert ".txt" not in read(result, tmp_path / "old").text
    result.arrays.update(mistake_held_out_line=np.arange(4) + 17, reading_held_out_line=np.array([3, 4]))
    page = read(result, tmp_path / "new")
    assert "B.txt, line 18" in page.text
    assert "A.txt, line 3" in page.text


def test_stays_small_with_many_thumbnails_of_noise(tmp_path):
    result = illustrated_cifar(tuple(f"class {i}" for i in range(10)), embedded=2000)
    path = write_report(save(result, tmp_path / "run"))
    assert path.stat().st_size < MOST_BYTES


def test_many_classes_stay_small_without_a_matrix(tmp_path):
    page = read(illustrated_cifar(tuple(f"class {i}" for i in range(40))), tmp_path)
    assert "matrix" not in [attributes.get("class") for _, attributes in page.attributes]
    assert (tmp_path / "run" / "report.html").stat().st_size < MOST_BYTES


@pytest.mark.parametrize(
    "config",
    [
        NamesConfig(cell="lstm", letters="ab '\"$", seeds=2),
        CifarConfig(arch="resnet50", dataset_name="a b", width=0.5),
        CifarConfig(recipe="reference", augmentation=(), optimizer="sgd"),
    ],
)
def test_the_command_gives_the_config_back(config, monkeypatch):
    make = names_result if config.experiment == "names" else cifar_result
    line = " ".join(text.command(dataclasses.replace(make(), config=config.to_dict())))
    seen = []
    monkeypatch.setattr(commands, "_run", lambda given, **_: seen.append(given))
    outcome = click.testing.CliRunner().invoke(commands.cli, shlex.split(line)[1:], standalone_mode=False)
    assert outcome.exception is None
    assert seen == [config]


def test_command_redraws_an_old_run_without_keras(tmp_path, capsys):
    folder = save(illustrated_names(), tmp_path / "run")
    assert call("report", folder) == 0
    assert str(folder / "report.html") in capsys.readouterr().out
    assert call("report", folder, "--out", tmp_path / "other.html") == 0
    assert (tmp_path / "other.html").read_bytes() == (folder / "report.html").read_bytes()
    code = (
        "import sys; from pathlib import Path; from keras_dnnts.report import write_report; "
        f"write_report(Path({str(folder)!r})); print([m for m in ('keras', 'torch', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_is_no_run_or_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    folder = save(names_result(), tmp_path / "run")
    for arguments in (("report", tmp_path / "empty"), ("report", folder, "--out", tmp_path / "nowhere" / "x.html")):
        assert call(*arguments) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("make", "name", "values"),
    [
        (illustrated_names, "mistake_train_truth", np.array([99, 0, 0, 0])),
        (illustrated_names, "mistake_held_out_name", np.arange(4)),
        (illustrated_names, "mistake_held_out_also", np.arange(4)),
        (illustrated_names, "reading_held_out_probability", np.zeros((2, 16, 7))),
        (illustrated_cifar, "embedding_image", np.zeros((2, 8, 8, 3), np.uint8)),
        (illustrated_cifar, "example_test_guess", np.array([0])),
    ],
)
def test_illustrations_that_do_not_fit_are_one_line(make, name, values, tmp_path, capsys):
    folder = save(dataclasses.replace(make(), arrays=make().arrays | {name: values}), tmp_path / "run")
    assert call("report", folder) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"array {name.rpartition('_')[0]}" in line
    write_report_or_warn(folder)  # says the same as a warning


def test_a_run_that_failed_to_learn_says_so_everywhere(tmp_path, capsys):
    result = names_result(seeds=1)
    metrics = result.metrics | {"held_out_accuracy_by_class": Metric((0.34,), ((0.3, 0.39),))}
    arrays = result.arrays | {
        "loss": np.array([[3.0, 8862.0]]),
        "loss_step": np.array([1000, 2000]),
        "confusion_held_out": np.array([[[1, 9, 0], [2, 40, 0], [1, 3, 1]]]),
    }
    failed = dataclasses.replace(result, metrics=metrics, arrays=arrays)
    said = "no better than always answering bird; the loss rose from 1.10 to 8,862"
    page = read(failed, tmp_path)
    assert "GRU is no better than always answering bird" in page.text
    assert said in page.text
    print_summary(failed, tmp_path)
    assert said in capsys.readouterr().out
    assert said in plot_names_confusion(failed, "held_out").get_title()
    assert "rises from 1.10 to 8,862" in plot_training_loss({"GRU": failed}).get_title()
    print_summary(result, tmp_path)
    assert "failed to learn" not in capsys.readouterr().out


def test_cells_of_page_and_figure_show_the_same(tmp_path):
    counts = np.array([[[999, 1, 0], [0, 0, 0], [5, 15, 980]]])
    result = dataclasses.replace(names_result(seeds=1), arrays=names_result(seeds=1).arrays)
    result.arrays["confusion_held_out"] = counts
    shown = [[cell["number"] for cell in row["cells"]] for row in describe_run(result)["confusions"][0]["rows"]]
    assert shown == [["100", "0", ""], ["", "", ""], ["0", "2", "98"]]
    written = plot_names_confusion(result, "held_out").texts
    texts = {tuple(map(int, reversed(text.get_position()))): text.get_text() for text in written}
    assert texts == {(i, j): text for i, row in enumerate(shown) for j, text in enumerate(row) if text}


def test_scores_of_classes_have_the_number_of_examples_and_wilson_s_interval(tmp_path):
    result = names_result(seeds=1)
    counts = np.array([[[30, 10, 0], [5, 15, 0], [0, 0, 0]]])
    effective = np.array([[20.0, 10.0, 0.0]])
    arrays = result.arrays | {"confusion_held_out": counts, "effective_held_out": effective}
    rows = list_classes(dataclasses.replace(result, arrays=arrays))["rows"]
    low, high = stats.binomtest(15, 20).proportion_ci(method="wilson")
    assert [row["name"] for row in rows] == ["airplane", "bird", "cat"]
    assert [row["count"] for row in rows] == ["40", "20", "0"]
    assert rows[1]["recall"]["text"] == "75.0\N{NO-BREAK SPACE}%"
    assert rows[0]["interval"] == f"{100 * low:.1f}–{100 * high:.1f}\N{NO-BREAK SPACE}%"
    assert rows[0]["precision"]["text"] == "85.7\N{NO-BREAK SPACE}%"
    assert rows[0]["f1"]["text"] == "80.0\N{NO-BREAK SPACE}%"
    assert (rows[2]["recall"], rows[2]["interval"], rows[2]["precision"]) == (None, None, None)
    # Names that an older version counted: how many copies there are is not known.
    assert all(row["interval"] is None for row in list_classes(result)["rows"])
    assert all(row["interval"] for row in list_classes(cifar_result())["rows"])


def test_pages_of_250_classes_and_of_accuracy_zero(tmp_path):
    result = cifar_result(classes=tuple(f"species {i}" for i in range(250)))
    zero = {f"history_{part}_accuracy": np.zeros((1, 4)) for part in ("train", "validation")}
    page = read(dataclasses.replace(result, arrays=result.arrays | zero), tmp_path)
    assert "species 249" in page.text
    assert {path.stem for path in save_figures(result, tmp_path / "figures")} >= {"confusion_test", "curves"}


def test_a_report_that_fails_costs_only_itself(tmp_path, caplog):
    folder = save(names_result(), tmp_path / "run")
    (folder / "report.html").mkdir()
    write_report_or_warn(folder)
    assert "the report cannot be written" in caplog.text


def test_lines_left_out_and_a_relative_data_folder_are_told(tmp_path, capsys):
    result = names_result()
    counts = result.dataset["counts"] | {"skipped": 1200}
    config = result.config | {"data_dir": "my-categories"}
    changed = dataclasses.replace(result, config=config, dataset=result.dataset | {"counts": counts})
    page = read(changed, tmp_path)
    assert "Left out 1,200 lines with no letter in the alphabet" in page.text
    assert "my-categories is relative to the folder in which the run was started" in page.text
    print_summary(changed, tmp_path)
    assert "Left out: 1,200 lines" in capsys.readouterr().out
    page = read(result, tmp_path / "other")
    assert "Left out" not in page.text
    assert "relative to" not in page.text


def test_a_page_is_opened_where_asked_for(tmp_path, monkeypatch, capsys):
    folder, opened = save(names_result(), tmp_path / "a run"), []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or len(opened) == 1)
    assert call("report", folder) == 0
    assert opened == []
    assert call("report", folder, "--open") == 0
    assert opened == [(folder / "report.html").as_uri()]
    assert capsys.readouterr().err == ""
    assert call("report", folder, "--open") == 0
    assert "no browser was found" in capsys.readouterr().err
