import dataclasses
import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from PIL import Image, ImageOps
from scipy.ndimage import map_coordinates
from sklearn.datasets import load_sample_images

from keras_dnnts.studies.cifar.augment import (
    AugmentParameters,
    _neighbours,
    _resize_weights,
    augment_batch,
    draw_flipped,
    draw_parameters,
    prepare_batch,
)

pytestmark = pytest.mark.every_engine

# One step of an 8-bit pixel, in the range [-1, 1].
LEVEL = 2 / 255
# (height, width) of the images and the side they are resized to: larger, smaller, and one of each.
SHAPES = [((32, 32), 75), ((40, 30), 16), ((24, 48), 36)]


@pytest.mark.one_engine
@given(source=st.integers(1, 70), more=st.integers(0, 90))
def test_two_neighbours_are_all_that_an_enlarged_image_has_weights_for(source, more):
    target = source + more
    low, high, share = _neighbours(source, target)
    weights = np.zeros((target, source))
    np.add.at(weights, (np.arange(target), low), 1 - share)
    np.add.at(weights, (np.arange(target), high), share)
    np.testing.assert_allclose(weights, _resize_weights(source, target), atol=1e-5)
    assert low.dtype == high.dtype == np.int32 and share.dtype == np.float32


def random_images(count, shape):
    return np.random.default_rng(5).integers(0, 256, (count, *shape, 3), dtype=np.uint8)


def still(count, **changes):
    """Parameters that leave images as they are, but for the changes."""
    zeros = np.zeros(count, np.int32)
    unmoved = AugmentParameters(flip=zeros.astype(bool), dx=zeros, dy=zeros, angle=zeros.astype(np.float32))
    return dataclasses.replace(unmoved, **changes)


def augment(images, parameters, size, resampling="smooth"):
    return ops.convert_to_numpy(augment_batch(images, parameters, size, resampling))


def prepare(images, size):
    return ops.convert_to_numpy(prepare_batch(images, size))


def notebook_image(pixels, flip, dx, dy, angle, size):
    """The notebook's transforms of one image, as torchvision does them."""
    height, width, _ = pixels.shape
    image = Image.fromarray(pixels)
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = ImageOps.expand(image, border=4, fill=0)
    image = image.crop((4 + dx, 4 + dy, 4 + dx + width, 4 + dy + height))
    image = image.rotate(float(angle), Image.Resampling.NEAREST, fillcolor=(0, 0, 0))
    image = image.resize((size, size), Image.Resampling.BILINEAR)
    return (np.asarray(image) / 255 - 0.5) / 0.5


def cubic_kernel(distance):
    t = np.abs(distance)
    near = 1.25 * t**3 - 2.25 * t**2 + 1
    far = -0.75 * t**3 + 3.75 * t**2 - 6 * t + 3
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def source_positions(shape, flip, dx, dy, angle):
    """Where each pixel of a rotated crop lies in the image, turning it back as a complex number."""
    height, width = shape
    centre = complex((width - 1) / 2, (height - 1) / 2)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    position = (columns + 1j * rows - centre) * np.exp(1j * np.deg2rad(angle)) + centre + complex(dx, dy)
    return (width - 1 - position.real if flip else position.real), position.imag


def sound_image(pixels, flip, dx, dy, angle, size):
    """One image by Keys's formula over every pair of pixels, resized by PIL in floating point."""
    height, width, _ = pixels.shape
    x, y = source_positions((height, width), flip, dx, dy, angle)
    column_weights = cubic_kernel(x[..., None] - np.arange(width))
    row_weights = cubic_kernel(y[..., None] - np.arange(height))
    turned = np.einsum("ijh,ijw,hwc->ijc", row_weights, column_weights, pixels.astype(float)).clip(0, 255)
    return pil_resize(turned / 127.5 - 1, size)


def pil_resize(pixels, size):
    channels = [Image.fromarray(pixels[..., c].astype(np.float32)) for c in range(3)]
    return np.stack([np.asarray(c.resize((size, size), Image.Resampling.BILINEAR)) for c in channels], -1)


def one_by_one(transform, images, parameters, size):
    columns = (parameters.flip, parameters.dx, parameters.dy, parameters.angle)
    return np.stack([transform(pixels, *drawn, size) for pixels, *drawn in zip(images, *columns, strict=True)])


def test_draws_are_the_same_everywhere():
    drawn = draw_parameters(4, seed=1, epoch=2, batch=3)
    assert drawn.flip.tolist() == [True, False, True, True]
    assert drawn.dx.tolist() == [1, 2, -4, -3]
    assert drawn.dy.tolist() == [2, 2, -3, 0]
    np.testing.assert_allclose(drawn.angle, [-0.218527, -2.347394, 7.276166, 3.979702], rtol=1e-6)


@pytest.mark.one_engine
@pytest.mark.parametrize("other", [(8, 2, 3), (7, 3, 3), (7, 2, 4), (7, 3, 2)])
def test_draws_follow_seed_epoch_and_batch(other):
    drawn, again, different = (draw_parameters(64, *numbers) for numbers in [(7, 2, 3), (7, 2, 3), other])
    for field in ("flip", "dx", "dy", "angle"):
        np.testing.assert_array_equal(getattr(drawn, field), getattr(again, field))
        assert (getattr(drawn, field) != getattr(different, field)).any()


@pytest.mark.one_engine
def test_draws_cover_their_ranges_evenly():
    drawn = draw_parameters(20_000, seed=3, epoch=0, batch=0)
    assert drawn.flip.mean() == pytest.approx(0.5, abs=0.02)
    for shift in (drawn.dx, drawn.dy):
        values, counts = np.unique(shift, return_counts=True)
        assert values.tolist() == list(range(-4, 5))
        np.testing.assert_allclose(counts / len(shift), 1 / 9, atol=0.02)
    assert abs(np.corrcoef(drawn.dx, drawn.dy)[0, 1]) < 0.05
    counts, _ = np.histogram(drawn.angle, bins=6, range=(-15, 15))
    assert counts.sum() == len(drawn.angle)
    np.testing.assert_allclose(counts / len(drawn.angle), 1 / 6, atol=0.02)


@pytest.mark.one_engine
def test_shifts_cover_their_range_and_leave_other_draws_alone():
    drawn = draw_parameters(9_000, 3, 0, 0, ("flip", "shift"))
    assert drawn.reflect and not drawn.angle.any()
    np.testing.assert_array_equal(drawn.flip, draw_parameters(9_000, 3, 0, 0).flip)
    for shift in (drawn.dx, drawn.dy):
        values, counts = np.unique(shift, return_counts=True)
        assert values.tolist() == list(range(-2, 3))
        np.testing.assert_allclose(counts / len(shift), 1 / 5, atol=0.02)


@pytest.mark.one_engine
def test_alternating_flips_show_every_image_both_ways_in_two_epochs():
    flipped = draw_flipped(1000, seed=4)
    assert 0.45 < flipped.mean() < 0.55 and (flipped != draw_flipped(1000, seed=5)).any()
    for epoch in range(4):
        drawn = draw_parameters(1000, 4, epoch, 0, ("alternating_flip",), flipped)
        np.testing.assert_array_equal(drawn.flip, flipped if epoch % 2 == 0 else ~flipped)
        assert not drawn.dx.any() and not drawn.reflect


@pytest.mark.parametrize("resampling", ["smooth", "pil"])
def test_shifts_fill_with_the_mirror_image(resampling):
    images = random_images(12, (9, 13))
    drawn = draw_parameters(12, 6, 0, 0, ("flip", "shift"))
    expected = []
    for image, flip, dx, dy in zip(images, drawn.flip, drawn.dx, drawn.dy, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        # What is flipped is the image that the crop is taken from.
        padded = padded[:, ::-1] if flip else padded
        expected.append(padded[2 + dy : 11 + dy, 2 + dx : 15 + dx])
    result = augment(images, drawn, 9, resampling)
    np.testing.assert_allclose(result, prepare(np.stack(expected), 9), atol=1e-5)


STEP_SETS = [steps for n in range(4) for steps in itertools.combinations(("flip", "crop", "rotate"), n)]


@pytest.mark.parametrize("steps", STEP_SETS, ids="+".join)
def test_steps_left_out_leave_images_and_other_draws_alone(steps):
    everything, some = draw_parameters(64, 7, 2, 3), draw_parameters(64, 7, 2, 3, steps)
    for step, fields in {"flip": ("flip",), "crop": ("dx", "dy"), "rotate": ("angle",)}.items():
        for field in fields:
            drawn = getattr(everything, field)
            np.testing.assert_array_equal(getattr(some, field), drawn if step in steps else np.zeros_like(drawn))
            assert getattr(some, field).dtype == drawn.dtype


@pytest.mark.parametrize("steps", [("flip",), ("crop",), ("rotate",), ("crop", "rotate")], ids="+".join)
@pytest.mark.parametrize("resampling", ["smooth", "pil"])
def test_some_steps_are_the_plain_operations(steps, resampling):
    images, everything = random_images(8, (20, 28)), draw_parameters(8, 3, 1, 2)
    plain = {"smooth": sound_image, "pil": notebook_image}[resampling]
    zeros = np.zeros(8, np.int32)
    kept = still(
        8,
        flip=everything.flip if "flip" in steps else zeros.astype(bool),
        dx=everything.dx if "crop" in steps else zeros,
        dy=everything.dy if "crop" in steps else zeros,
        angle=everything.angle if "rotate" in steps else zeros.astype(np.float32),
    )
    result = augment(images, draw_parameters(8, 3, 1, 2, steps), 36, resampling)
    tolerance = {"smooth": 1e-4, "pil": 1.01 * LEVEL}[resampling]
    np.testing.assert_allclose(result, one_by_one(plain, images, kept, 36), atol=tolerance, rtol=0)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_pil_is_within_pil_s_rounding_of_the_notebook(shape, size):
    images, parameters = random_images(24, shape), draw_parameters(24, seed=1, epoch=0, batch=0)
    result = augment(images, parameters, size, "pil")
    assert result.shape == (24, size, size, 3)
    assert result.dtype == np.float32
    # PIL rounds twice, after resizing rows and after resizing columns: half a level each.
    expected = one_by_one(notebook_image, images, parameters, size)
    np.testing.assert_allclose(result, expected, atol=1.01 * LEVEL, rtol=0)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_smooth_is_one_cubic_resampling_then_the_resize(shape, size):
    images, parameters = random_images(12, shape), draw_parameters(12, seed=2, epoch=0, batch=0)
    result = augment(images, parameters, size)
    assert result.shape == (12, size, size, 3)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, one_by_one(sound_image, images, parameters, size), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_prepared_images_are_resized_as_pil_does_and_normalised(shape, size):
    images = random_images(3, shape)
    expected = np.stack([pil_resize((image / 255 - 0.5) / 0.5, size) for image in images])
    np.testing.assert_allclose(prepare(images, size), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("resampling", ["smooth", "pil"])
def test_flip_and_crop_alone_copy_pixels(resampling):
    images = random_images(3, (20, 28))
    dx, dy = np.array([[-3, 0, 4], [2, 0, -1]], np.int32)
    parameters = still(3, flip=np.array([False, True, True]), dx=dx, dy=dy)
    expected = np.zeros_like(images)
    expected[0, :18, 3:] = images[0, 2:, :25]
    expected[1] = images[1, :, ::-1]
    expected[2, 1:, :24] = images[2, :19, ::-1][:, 4:]
    np.testing.assert_allclose(augment(images, parameters, 40, resampling), prepare(expected, 40), atol=1e-4, rtol=0)


def test_smooth_keeps_what_the_rotation_brings_in_and_pil_does_not():
    """Of a white image cropped four pixels to the left, the top right corner turns in from beyond the crop."""
    images = np.full((1, 32, 32, 3), 255, np.uint8)
    parameters = still(1, dx=np.array([-4], np.int32), angle=np.array([15], np.float32))
    corner = {kind: augment(images, parameters, 32, kind)[0, 0, -1, 0] for kind in ("smooth", "pil")}
    assert corner["pil"] == -1
    assert corner["smooth"] > 0.9


def test_images_may_already_be_on_the_device():
    images, parameters = random_images(5, (32, 32)), draw_parameters(5, seed=4, epoch=0, batch=0)
    tensor = ops.convert_to_tensor(images)
    np.testing.assert_array_equal(augment(tensor, parameters, 40), augment(images, parameters, 40))


def turned_views(angles):
    """Patches of photographs as a 32x32 camera sees them: upright, and with the camera turned."""
    rng, upright, turned = np.random.default_rng(0), [], []
    photographs = load_sample_images().images
    for i, angle in enumerate(angles):
        photograph = photographs[i % len(photographs)]
        top, left = (rng.integers(0, extent - 256) for extent in photograph.shape[:2])
        patch = Image.fromarray(photograph[top : top + 256, left : left + 256])
        for views, view in ((upright, patch), (turned, patch.rotate(float(angle), Image.Resampling.BICUBIC))):
            views.append(np.asarray(view.resize((32, 32), Image.Resampling.BILINEAR)))
    return np.stack(upright), np.stack(turned)


def bilinear_image(pixels, angle, size):
    """Rotation and resize as one bilinear resampling."""
    height, width, _ = pixels.shape
    x, y = source_positions((height, width), flip=False, dx=0, dy=0, angle=angle)
    x, y = (pil_resize(np.repeat(axis[..., None], 3, -1), size)[..., 0] for axis in (x, y))
    return np.stack([map_coordinates(pixels[..., c] / 127.5 - 1, (y, x), order=1, cval=-1) for c in range(3)], -1)


def test_smooth_is_nearest_to_images_of_a_turned_camera():
    """Why the resize stays apart: cubic and then bilinear is nearer than a single bilinear resampling of both."""
    angles = np.linspace(-15, 15, 24, dtype=np.float32)
    images, turned = turned_views(angles)
    truth = prepare(turned, 224)
    candidates = {
        "smooth": augment(images, still(24, angle=angles), 224),
        "pil": augment(images, still(24, angle=angles), 224, "pil"),
        "bilinear": np.stack([bilinear_image(image, angle, 224) for image, angle in zip(images, angles, strict=True)]),
    }
    inner = slice(40, 184)
    error = {name: np.sqrt(np.mean((c - truth)[:, inner, inner] ** 2)) for name, c in candidates.items()}
    assert error["smooth"] < 0.8 * error["bilinear"]
    assert error["smooth"] < 0.5 * error["pil"]


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="asks torch whether anything waited")
@pytest.mark.parametrize("resampling", ["smooth", "pil"])
def test_nothing_waits_for_the_device(resampling):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    images, parameters = ops.convert_to_tensor(random_images(8, (32, 32))), draw_parameters(8, 0, 0, 0)
    augment_batch(images, parameters, 64, resampling)
    torch.cuda.set_sync_debug_mode("error")
    try:
        augment_batch(images, parameters, 64, resampling)
    finally:
        torch.cuda.set_sync_debug_mode("default")
