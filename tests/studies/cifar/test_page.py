"""A page and the figures of one run say and show the same."""

import dataclasses
import html
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from keras_dnnts.results import load_result
from keras_dnnts.studies.cifar.figures import plot_activations, plot_curves, plot_embeddings, plot_mistakes
from keras_dnnts.studies.cifar.findings import PART_NAMES, list_notes
from keras_dnnts.studies.cifar.illustrate import ImageSet, draw_one_a_class
from keras_dnnts.studies.cifar.page import build_comparison_sections, build_curves, build_sections
from tests.finished_runs import cifar_result
from tests.report.illustrated import illustrated_cifar, save


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def with_paths(result):
    """The result as though its images were files."""
    arrays = {
        f"{kind}_path": np.array([f"cat/{kind} {i} $5.jpg" for i in range(len(result.arrays[f"{kind}_{count}"]))])
        for kind, count in (
            ("mistake", "truth"),
            ("activation", "label"),
            ("embedding", "label"),
            ("example_test", "truth"),
        )
    }
    return dataclasses.replace(result, arrays=result.arrays | arrays)


@pytest.mark.parametrize(("first", "final"), [(0.510, 0.334), (0.334, 0.510), (0.4, 0.4)])
def test_headings_are_the_titles_of_the_figures(first, final):
    result = illustrated_cifar(classes=("bee", "cow", "owl"), embedded=360)
    result.details["neighbour_accuracy"] = {"first": first, "final": final}
    mistakes, embedding, activations = build_sections(result)[:3]
    plots = (plot_mistakes, plot_embeddings, plot_activations)
    for section, plot in zip((mistakes, embedding, activations), plots, strict=True):
        title = plot(result).get_figure(root=True).get_suptitle()
        assert title.startswith(section.title)
    assert build_curves({"a": result})[0]["finding"] in plot_curves(result).get_figure().get_suptitle()
    assert "finding" not in build_curves({"a": result, "b": result})[0]
    assert ("moved apart during training" in embedding.title) == (final > first)
    assert ("further apart after epoch 1 than at the end" in embedding.title) == (first > final)
    maps = re.findall("<h3>(.*?)</h3>", embedding.body)
    assert maps == [ax.get_title() for ax in plot_embeddings(result).get_figure().axes]
    assert f"{100 * first:.1f}" in maps[0]
    assert build_comparison_sections(result, "a", 10_000)[0].title == embedding.title


def test_maps_have_one_orientation_and_one_set_of_classes():
    result = illustrated_cifar(classes=("bee", "cow", "owl"))
    result.arrays["embedding_label"] = np.where(result.arrays["embedding_label"] == 1, 2, 0)  # no cow
    body = build_sections(result)[1].body
    panel = plot_embeddings(result)
    paths = re.findall(r'class="dots" data-class="(\d)".*? d="(.*?)"', body)[:2]
    assert [label for label, _ in paths] == ["0", "2"]
    for (_, path), drawn in zip(paths, panel.collections, strict=True):
        places = np.array(re.findall(r"M(-?\d+) (-?\d+)", path), float)
        np.testing.assert_allclose(places / 1000, drawn.get_offsets() * (1, -1) + (0, 1), atol=0.001)
    named = re.findall(r'<button type="button" data-class="(\d)"', body)
    legend = [text.get_text() for text in panel.get_figure().legends[0].get_texts()]
    assert (named, legend) == (["0", "2"], ["bee", "owl"])


def test_many_classes_are_named_neither_on_the_page_nor_in_the_figure():
    result = illustrated_cifar(classes=tuple(f"class {i}" for i in range(40)), embedded=400)
    assert "<button" not in build_sections(result)[1].body
    assert not plot_embeddings(result).get_figure().legends


def test_every_shown_image_has_its_path(tmp_path):
    result = with_paths(illustrated_cifar())
    assert load_result(save(result, tmp_path / "run")).arrays.keys() == result.arrays.keys()
    mistakes, embedding, activations = build_sections(result)[:3]
    for section, kind in ((mistakes, "mistake"), (embedding, "embedding"), (activations, "activation")):
        for path in result.arrays[f"{kind}_path"]:
            assert path in html.unescape(section.body)
    for plot, kind in ((plot_mistakes, "mistake"), (plot_activations, "activation")):
        axes = plot(result).get_figure(root=True).axes
        texts = {text.get_text() for ax in axes for text in ax.texts}
        assert texts >= set(result.arrays[f"{kind}_path"].tolist())
    for section in build_sections(illustrated_cifar())[:4]:
        assert "path" not in re.sub(r"<path[^>]*>|\"paths\"", "", section.body)


def test_training_images_are_shown_and_counted():
    result = illustrated_cifar(classes=("bee", "cow", "owl"))
    seen, counted = build_sections(result)[3:]
    assert seen.title == "12 training images as the network saw them (random flip, crop, rotate)"
    assert re.findall(r'class="name">(\w+)<', seen.body) == [
        result.dataset["classes"][label] for label in result.arrays["augmented_label"]
    ]
    for part, counts in result.dataset["class_counts"].items():
        assert PART_NAMES[part] in counted.body
        assert all(f'class="number">{count:,}<' in counted.body for count in counts)
    assert "23 images have identical copies in several parts" in counted.body
    assert counted.body.count("<li>") == 20
    assert "And 3 more, all in results.json" in counted.body
    result.dataset["class_counts"]["train"] = [7, 7, 7]
    assert build_sections(result)[4].title == "7 training images of each of 3 classes"
    result.dataset["class_counts"]["train"] = [7, 1200, 6]
    counts = build_sections(result)[4]
    assert counts.title == "Training images per class: from 6 (owl) to 1,200 (cow)"
    assert counts.first  # of the data a reader learns before the numbers
    assert len(build_sections(cifar_result())) == 3  # an older result


def test_copies_in_several_parts_are_named_after_a_run():
    lines = list_notes(illustrated_cifar())
    (named,) = (line for line in lines if "several parts" in line)
    assert named.startswith("identical images in several parts: train/bee/1.jpg = test/cow/long long")
    assert "train/owl/2.jpg = test/owl/2.jpg = val/owl/2.jpg; " in named
    assert named.endswith("; and 18 more.")


def test_a_run_without_mistakes_says_so():
    (section, *_) = build_sections(cifar_result(mistakes=0))
    assert section.title == "AlexNet: every test image classified correctly"


@pytest.mark.parametrize(
    ("counts", "expected"), [((50, 50, 1), {0, 1, 2}), ((90, 1, 1, 1, 1, 1), 4), ((5, 0, 3), {0, 2})]
)
def test_no_two_activation_maps_are_of_one_class(counts, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = ImageSet(np.arange(len(labels)), labels, np.array([f"{i}.png" for i in range(len(labels))]))
    for seed in range(5):
        shown = draw_one_a_class(images, 4, seed)
        assert len(set(shown.labels)) == len(shown.labels)
        assert len(shown.labels) == expected if isinstance(expected, int) else set(shown.labels) == expected
        assert shown.paths.tolist() == [f"{i}.png" for i in shown.images]
