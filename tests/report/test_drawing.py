"""Charts, colours and pictures of the page."""

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_dnnts.figures.style import new_axes, set_value_axis, wrap_title
from keras_dnnts.report.charts import HEIGHT, WIDTH, Series, build_chart
from keras_dnnts.report.heat import LEVELS, THEMES, contrast, level, ramp
from keras_dnnts.report.images import build_sprite, encode_maps, encode_photo
from keras_dnnts.results.axes import choose_axis, ticks
from keras_dnnts.studies.cifar.page import build_curves
from tests.finished_runs import cifar_result


def decode(address):
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def points(path):
    return [tuple(map(float, pair.split())) for pair in re.findall(r"[ML]([-\d.]+ [-\d.]+)", path)]


def test_curves_are_where_their_axes_say():
    values = np.array([[2.0, 1.0, 0.5], [3.0, 2.0, np.nan]])
    chart = build_chart([Series("a", np.array([1, 2, 3]), values, 0)], "epoch", "loss", lambda v: f"{v:g}")
    places = {float(text): place for place, text in chart.y_ticks}
    (line,) = chart.lines
    heights = [100 * (1 - y / HEIGHT) for _, y in points(line.path)]
    per_unit = (places[2.0] - places[0.0]) / 2
    np.testing.assert_allclose(heights, [2.5 * per_unit, 1.5 * per_unit, 0.5 * per_unit], atol=0.1)
    assert [x for x, _ in points(line.path)] == [0, WIDTH / 2, WIDTH]
    assert line.band
    assert "from 2.5 at 1 to 0.5 at 3" in chart.summary


def test_one_epoch_is_a_dot_and_many_updates_are_thinned():
    one = build_chart([Series("a", np.array([1]), np.array([[0.3]]), 0)], "epoch", "loss", str)
    assert one.lines[0].path.endswith("h0")
    x, values = np.arange(1, 5001), np.linspace(3, 1, 5000)[None]
    many = build_chart([Series("a", x, values, 0)], "updates", "loss", str)
    assert len(points(many.lines[0].path)) <= 300


@pytest.mark.parametrize(
    "values",
    [
        [[0.0, 0.0, 0.0]],
        [[0.3, 0.3, 0.3]],
        [[-2.0, -2.0, -2.0]],
        [[np.nan, np.inf, 2.0]],
        [[np.nan, np.nan, np.nan]],
        [[1e300, 2.0, 1.0]],
        [[1e-300, 2e-300, 0.0]],
        [[1.0, np.inf, 2.0], [1.5, 3.0, np.nan]],
    ],
)
@pytest.mark.parametrize("from_zero", [True, False])
def test_whatever_the_values_are_there_is_a_chart(values, from_zero):
    series = Series("a", np.array([1, 2, 3]), np.array(values), 0)
    chart = build_chart([series], "epoch", "accuracy", lambda value: f"{value:g}", from_zero)
    (line,) = chart.lines
    assert "nan" not in line.path + line.band
    assert "inf" not in line.path + line.band
    heights = [y for _, y in points(line.path)]
    assert all(-0.1 <= y <= HEIGHT + 0.1 for y in heights)
    assert len(heights) == np.isfinite(values).any(axis=0).sum()
    assert len(chart.y_ticks) >= 2
    assert all(np.isfinite(place) for place, _ in chart.y_ticks)


def test_accuracies_of_zero_are_a_flat_line_at_the_bottom():
    chart = build_chart([Series("a", np.array([1]), np.zeros((1, 1)), 0)], "epoch", "accuracy", str)
    assert [y for _, y in points(chart.lines[0].path)] == [HEIGHT]
    assert chart.y_ticks[0][0] == 0


@pytest.mark.parametrize("values", [[3.0, 2.2, 1.1], [0.0, 0.0], [np.nan, 5.0]])
def test_figures_have_the_axis_of_the_page(values):
    chart = build_chart([Series("a", np.arange(len(values)), np.array([values]), 0)], "x", "y", lambda v: f"{v:g}")
    ax = new_axes(4, 3)
    set_value_axis(ax, [np.array([values])])
    assert [f"{tick:g}" for tick in ax.get_yticks()] == [label for _, label in chart.y_ticks]
    assert ax.get_ylim()[0] == choose_axis([np.array(values)]).low


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(3, 8))
def test_ticks_are_few_round_and_cover_the_range(low, span, count):
    values = ticks(low, low + span, count)
    steps = np.diff(values)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)
    assert values[0] <= low + 1e-6 * span + 1e-6
    assert values[-1] >= low + span - 1e-6 * span - 1e-6
    assert len(values) <= count + 2


@pytest.mark.parametrize("theme", THEMES)
def test_text_stands_out_on_every_step(theme):
    assert min(contrast(ground, text) for ground, text in ramp(theme)) >= 4.5
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


def test_steps_rise_with_the_share_and_none_is_none():
    assert level(0) == 0
    assert level(1e-9) == 1
    assert level(1) == LEVELS
    assert [level(i / 50) for i in range(51)] == sorted(level(i / 50) for i in range(51))


def test_every_picture_is_in_its_place_in_the_sprite():
    images = np.zeros((7, 16, 12, 3), np.uint8)
    images[np.arange(7), ..., 0] = 30 * np.arange(7)[:, None, None] + 20
    sprite = build_sprite(images, 100_000)
    assert (sprite.columns, sprite.rows, sprite.ratio) == (3, 3, 0.75)
    picture = np.asarray(decode(sprite.address).convert("RGB")).astype(int)
    assert picture.shape == (48, 36, 3)
    for i in range(7):
        tile = picture[i // 3 * 16 + 8, i % 3 * 12 + 6]
        assert abs(tile[0] - (30 * i + 20)) < 12


def test_noise_is_squeezed_to_its_bytes():
    images = np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), dtype=np.uint8)
    sprite = build_sprite(images, 60_000)
    assert len(sprite.address) <= 60_100
    assert decode(sprite.address).size[0] % sprite.columns == 0


def test_maps_run_from_black_to_white_each_by_itself():
    maps = np.random.default_rng(0).normal(size=(5, 5, 3)) * [1, 100, 0]
    strip = np.asarray(decode(encode_maps(maps)).convert("LA"))
    assert strip.shape[0] == 5
    tiles = [strip[:, 6 * i : 6 * i + 5, 0] for i in range(3)]
    assert [(tile.min(), tile.max()) for tile in tiles] == [(0, 255), (0, 255), (0, 0)]
    expected = (maps[..., 0] - maps[..., 0].min()) / np.ptp(maps[..., 0]) * 255
    np.testing.assert_allclose(tiles[0], expected, atol=1)


def test_photos_shrink_in_proportion():
    assert decode(encode_photo(np.zeros((400, 200, 3), np.uint8))).size == (80, 160)


def test_labels_of_accuracy_say_where_their_ticks_are():
    result = cifar_result(seeds=1)
    shares = np.array([[0.02, 0.11, 0.118, 0.12]])
    arrays = result.arrays | {f"history_{part}_accuracy": shares for part in ("train", "validation")}
    curves = build_curves({"AlexNet": dataclasses.replace(result, arrays=arrays)})
    (chart,) = [curve["chart"] for curve in curves if curve["chart"].y_label == "accuracy"]
    heights, labels = zip(*chart.y_ticks, strict=True)
    numbers = [float(label.removesuffix("\N{NO-BREAK SPACE}%")) for label in labels]
    assert any(number % 1 for number in numbers)
    np.testing.assert_allclose(np.diff(heights) / np.diff(numbers), heights[-1] / numbers[-1])


def test_a_title_wider_than_a_page_is_broken():
    long = " ".join(["word"] * 30)
    wrapped = wrap_title(f"{long}\nshort")
    assert wrapped.replace("\n", " ") == f"{long} short"
    assert max(map(len, wrapped.split("\n"))) <= 95
    assert wrapped.endswith("\nshort")
    assert wrap_title("as it is") == "as it is"
