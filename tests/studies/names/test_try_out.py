"""The page computes models of names in JavaScript: what it says must be what ``predict`` says."""

import json
import random
import shutil
import unicodedata

import keras
import numpy as np
import pytest

from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET, list_spellings, unify
from keras_dnnts.report import write_comparison, write_report
from keras_dnnts.results.comparison import label_folders, load_runs
from keras_dnnts.studies.names import page_models
from keras_dnnts.studies.names.config import BASELINES, CELLS
from keras_dnnts.studies.names.models import build_char_rnn
from keras_dnnts.studies.names.try_out import build_trial
from tests.chromium import open_chromium
from tests.finished_runs import names_result
from tests.names_folders import call, write_names

OWN_ALPHABET = "abcdeéABCßдж '"
CLASSES = ("Elbisch", "<b>精霊</b>", "الجن", "🧝, elf")


def save_run(folder, cell, seeds=1, units=32, letters=REFERENCE_ALPHABET, **changes):
    """A finished run whose models have random weights of a trained model's size."""
    folder.mkdir(parents=True)
    result = names_result(seeds=seeds, classes=CLASSES, cell=cell, **changes)
    result.config.update(letters=letters, hidden_units=units)
    result.save(folder)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        model = build_char_rnn(cell, len(letters) + 1, len(CLASSES), units, seed=seed)
        *recurrent, kernel, bias = model.get_weights()
        changed = [weight * rng.uniform(1, 2, weight.shape) for weight in recurrent]
        model.set_weights([*changed, rng.normal(0, 1, kernel.shape), bias])
        model.save(folder / f"model-seed-{seed}.keras")
    return folder


def train_batched(folder, names, letters, model, *options):
    """A finished run of a network that is trained in batches, whose weights are then made random."""
    small = ("--epochs", 1, "--batch-size", 8, "--letters", letters)
    assert call("names", "--data-dir", names, "--model", model, *small, *options, "--out", folder, "--quiet") == 0
    path, rng = folder / "model-seed-0.keras", np.random.default_rng(5)
    network = keras.saving.load_model(path, compile=False)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    network.save(path)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    found = {cell: save_run(folder / cell, cell, seeds=2, units=128) for cell in CELLS}
    found["own"] = save_run(folder / "own", "gru", letters=OWN_ALPHABET)
    found["raw"] = save_run(folder / "raw", "lstm", protocol="reference")
    names = write_names(folder / "names")
    letters = REFERENCE_ALPHABET + "-ë"
    for model in BASELINES:
        found[model] = folder / model
        options = ("--letters", letters, "--model", model, "--out", found[model], "--quiet")
        assert call("names", "--data-dir", names, *options) == 0
    found["char-cnn"] = train_batched(folder / "char-cnn", names, letters, "char-cnn")
    found["bi-gru"] = train_batched(folder / "bi-gru", names, letters, "bi-gru", "--members", 2, "--ngrams", 2)
    found["no n-grams"] = train_batched(folder / "no", names, letters, "bi-gru", "--ngrams", 0)
    found["ensemble"] = folder / "ensemble"
    members = (found["ngram-logistic"], found["markov"], found["char-cnn"])
    assert call("ensemble", *members, "--weights", "1,0.25,0.5", "--out", found["ensemble"], "--quiet") == 0
    return found


@pytest.fixture(scope="module")
def names():
    written = [
        "Schmidhuber",
        "O’Neill",
        "Oʼneill",
        "Éowyn",
        "Ślusàrski",
        "Lúthien",
        "van  der   Berg",
        " Ann ",
        "Ann-Marie",
    ]
    written += [
        "ﬁnch",
        "Ｙａｍａｄａ",
        "Ann\u200bie",
        "e\u0301e\u0301",
        "Иванов",
        "دمشق",
        "山田",
        "ßdжa",
        "İi",
        "3rd",
        "…",
        "ŉa",
    ]
    written += [
        "a" * 199,
        "Ba" * 100,
        "a" * 201,
        "bcd" * 167,
        "é",
        "'",
        ". ,",
        "ab\u3000cd",
        "-ab",
        "Ⅷ",
        "x\u0301",
        "ǆ",
        "각",
    ]
    rng = random.Random(1)
    pools = (REFERENCE_ALPHABET, OWN_ALPHABET, REFERENCE_ALPHABET + "éèñßøłš’‘`-–\u0300\u0301\u00a0", "ابتдж山ABé e")
    while len(written) < 200:
        text = "".join(rng.choices(rng.choice(pools), k=rng.randint(1, 20)))
        if text.strip():
            written.append(text)
    return written


def predicted(run, names, folder, capsys, *options):
    """What ``predict --json`` says of each: its problem, what it ignored, and the probability of each class."""
    file = folder / "names.txt"
    file.write_text("\n".join(names) + "\n", encoding="utf-8")
    capsys.readouterr()
    assert call("predict", run, "--file", file, "--json", "--top-k", 99, *options) == 0
    plain = json.loads(capsys.readouterr().out)
    assert len(plain["predictions"]) == len(names)
    return [
        (
            row["problem"] or "",
            row["ignored"],
            [{guess["class"]: guess["probability"] for guess in row["guesses"]}.get(c) for c in plain["classes"]],
        )
        for row in plain["predictions"]
    ]


def check_equal(found, expected, atol, least=100):
    """Compare what the page says of every name with what ``predict`` does."""
    for page, (problem, ignored, probabilities) in zip(found, expected, strict=True):
        assert (page["problem"], page["ignored"]) == (problem, ignored)
        if not problem:
            np.testing.assert_allclose(page["last"], probabilities, rtol=0, atol=atol)
    assert sum(not problem for problem, *_ in expected) > least


@pytest.fixture(scope="module")
def page(request):
    with open_chromium(request) as chromium:
        yield chromium.new_page(viewport={"width": 1200, "height": 900})


def read_all(page, names):
    """Of every name, what each run on the page says."""
    return page.evaluate("names => names.map(document.querySelector('.try-out').read)", names)


@pytest.mark.browser
@pytest.mark.one_engine
def test_the_page_says_what_predict_says(runs, names, page, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("keras_dnnts.report.comparison.TRIAL_BYTES", 10_000_000)
    page.goto(write_comparison(load_runs(runs.values()), tmp_path, label_folders(runs.values())).as_uri())
    found = read_all(page, names)
    for place, run in enumerate(runs.values()):
        check_equal([each[place] for each in found], predicted(run, names, tmp_path, capsys), 1e-4)
    page.locator("[data-prior]").select_option("even")
    some = names[::10]
    found = read_all(page, some)
    for label in ("markov", "bi-gru", "ensemble"):
        place = list(runs).index(label)
        expected = predicted(runs[label], some, tmp_path, capsys, "--prior", "even")
        check_equal([each[place] for each in found], expected, 1e-4, least=10)
    page.locator("[data-prior]").select_option("")
    page.locator("[data-seed]").select_option("mean")
    first, second = (predicted(runs["gru"], ["Bernardo"], tmp_path, capsys, "--seed", seed)[0][2] for seed in (0, 1))
    mean = read_all(page, ["Bernardo"])[0][list(runs).index("gru")]["last"]
    np.testing.assert_allclose(mean, (np.array(first) + second) / 2, atol=1e-4)


@pytest.mark.browser
@pytest.mark.one_engine
@pytest.mark.parametrize("cell", CELLS)
def test_weights_in_16_bits_are_close(runs, names, page, tmp_path, capsys, cell, monkeypatch):
    monkeypatch.setattr("keras_dnnts.report.run.TRIAL_BYTES", 600_000)
    page.goto(write_report(runs[cell], tmp_path / "report.html").as_uri())
    assert ("16 bits" in page.locator(".try-out").inner_text()) == (cell != "rnn")
    found = [each[0] for each in read_all(page, names)]
    check_equal(found, predicted(runs[cell], names, tmp_path, capsys), 2e-3 if cell != "rnn" else 1e-4)


@pytest.mark.browser
@pytest.mark.one_engine
def test_a_name_is_typed(runs, page):
    page.goto(write_report(runs["own"]).as_uri())
    box, answers = page.locator(".try-out input"), page.locator(".try-out .readings")
    box.focus()
    page.keyboard.type("bad<")
    assert answers.locator("thead th").all_inner_texts() == ["b", "a", "d"]
    assert "Ignored: <" in answers.inner_text()
    last = page.evaluate("document.querySelector('.try-out').read('bad')[0].last")
    best = CLASSES[int(np.argmax(last))]
    assert f"bad → {best}, {100 * max(last):.1f}" in answers.locator(".verdict").inner_text()
    page.locator(".try-out [role=status]", has_text=best).wait_for(state="attached")
    shares = [int(cell or 0) for cell in answers.locator("tbody td:last-child").all_inner_texts()]
    assert abs(sum(shares) - 100) <= 2
    box.fill("1")
    assert answers.locator(".verdict").inner_text() == "no usable letter"
    box.fill("")
    assert answers.inner_text().strip() == ""


@pytest.mark.browser
@pytest.mark.one_engine
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1200, "light")])
def test_everybody_can_use_the_box(runs, page, tmp_path, width, theme):
    from axe_playwright_python.sync_playwright import Axe

    chosen = {label: runs[label] for label in ("gru", "own", "markov")}
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=theme)
    page.goto(write_comparison(load_runs(chosen.values()), tmp_path, label_folders(chosen.values())).as_uri())
    page.get_by_label("A surname").fill("bad Abba B" * 5)
    assert page.locator(".try-out .scroll").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    violations = Axe().run(page, ".try-out").response["violations"]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []


@pytest.mark.browser
@pytest.mark.one_engine
@pytest.mark.parametrize("broken", [True, False])
def test_the_rest_of_a_page_needs_no_box(runs, page, tmp_path, broken):
    path = write_report(runs["own"], tmp_path / "report.html")
    if broken:
        whole = path.read_text(encoding="utf-8")
        assert whole.count("function namesReader") == 1
        path.write_text(whole.replace("function namesReader", "function another"), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.locator(".try-out input").is_visible() != broken
    page.locator(".matrix button").first.click()
    assert page.locator(".matrix button").first.get_attribute("aria-pressed") == "true"


@pytest.mark.one_engine
def test_models_that_cannot_be_shown_are_left_out(tmp_path):
    runs = {"a": save_run(tmp_path / "a", "rnn", units=8), "b": save_run(tmp_path / "b", "lstm", seeds=3, units=8)}
    assert build_trial({"a": tmp_path / "a"}, 10).body.strip().endswith("use keras-dnnts predict</bdi></p>")
    sizes = [len(build_trial(runs, most).body) for most in (8_000, 12_000, 20_000, 100_000)]
    assert sizes == sorted(sizes)
    (tmp_path / "a" / "model-seed-0.keras").write_bytes(b"no model")
    assert build_trial({"a": tmp_path / "a"}, 1000) is None
    assert "a (RNN)" not in build_trial(runs, 100_000).body
    shutil.rmtree(tmp_path / "b")
    save_run(tmp_path / "b", "lstm").joinpath("model-seed-0.keras").unlink()
    page = write_report(tmp_path / "b").read_text(encoding="utf-8")
    assert "try-out" not in page


def test_of_a_persons_own_model_the_page_says_why_it_cannot_be_tried(tmp_path):
    names_result(cell="my_cell.py:build_model").save(tmp_path)
    assert "(build_model) has layers of its own, which a page cannot compute" in build_trial({"a": tmp_path}, 10).body


def test_whole_numbers_are_packed_without_loss():
    for most, kind in ((255, "uint8"), (256, "uint16"), (2**16, "uint32")):
        packed = page_models._to_text(page_models._narrow(np.array([0, most]), half=True))
        assert packed["type"] == kind


def test_spellings_are_those_of_names():
    spellings = list_spellings()
    for number in [*range(0xD800), *range(0xE000, 0x110000, 7)]:
        text = unicodedata.normalize("NFC", f"ä{chr(number)}b")
        spelled = unicodedata.normalize("NFC", "".join(spellings.get(letter, letter) for letter in text))
        assert " ".join(spelled.split()) == unify(text), number
