"""The model card of a run: what it says, and that nothing in a result is taken for Markdown."""

import dataclasses

from keras_dnnts.report import write_report
from keras_dnnts.report.card import write_card
from keras_dnnts.results import Metric
from tests.finished_runs import cifar_result, names_result
from tests.report.illustrated import NASTY, illustrated_names, save


def test_a_card_has_the_numbers_with_intervals():
    result = cifar_result()
    metrics = result.metrics | {"test_accuracy": Metric((0.5,), ((0.41, 0.59),))}
    card = write_card(dataclasses.replace(result, metrics=metrics))
    assert card.startswith("---\nlibrary_name: keras\ntags: [keras-dnnts, cifar]\n---\n\n# ")
    assert "41.0 to 59.0\xa0% over examples, one seed |" in card
    assert 'load_model("model-seed-0.keras")' in card
    assert "One seed was trained" in card
    several = write_card(names_result(seeds=2, seed=3, model="markov"))
    assert "means ± standard deviations over 2 seeds" in several
    assert "`model-seed-0.npz`, `model-seed-1.npz`" in several
    assert "One seed" not in several
    assert "FILE.py" not in card
    assert "load_model" not in several


def test_names_of_classes_stay_text():
    card = write_card(illustrated_names(NASTY))
    assert "<script>" not in card
    assert card.count("\n") == write_card(illustrated_names(tuple("abcdefgh"))).count("\n")


def test_a_card_that_is_there_stays(tmp_path):
    folder = save(names_result(), tmp_path / "run")
    write_report(folder, tmp_path / "page.html")
    assert not (folder / "README.md").exists()
    write_report(folder)
    assert (folder / "README.md").read_text(encoding="utf-8") == write_card(names_result())
    (folder / "README.md").write_text("mine", encoding="utf-8")
    write_report(folder)
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"
