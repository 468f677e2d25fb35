"""Images of every format, at each of its depths, transparent or turned: all become RGB of 8 bits."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from keras_dnnts.datasets.image_folders import decode_image
from keras_dnnts.errors import UserError
from tests.datasets.image_trees import random_image
from tests.datasets.raw_images import png, pnm, tiff


def decoded(data):
    return decode_image(data, "x", 224)


def saved(image, image_format="PNG", **options):
    """What becomes of an image of Pillow's."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return decoded(file.getvalue())


def over_white(colours, alpha):
    opacity = alpha[..., None] / 255
    return colours * opacity + 255 * (1 - opacity)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_rgb(mode):
    grey = np.array([[0, 255], [255, 0]], np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode)
    found = saved(image, "TIFF" if mode == "CMYK" else "PNG")
    np.testing.assert_array_equal(found, np.stack([grey] * 3, axis=-1), strict=True)


@pytest.mark.parametrize("most", [1, 15, 255, 1000, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_pnm_of_every_depth(kind, most):
    values = np.random.default_rng(most).integers(0, most + 1, (3, 4, 3) if kind in (3, 6) else (3, 4))
    values.flat[:2] = 0, most
    image = decoded(pnm(kind, most, values))
    expected = values if values.ndim == 3 else np.dstack([values] * 3)
    np.testing.assert_allclose(image, expected * 255 / most, atol=1)
    assert (image.min(), image.max()) == (0, 255)


@pytest.mark.parametrize("data", [b"P1\n3 2\n0 1 0 1 1 0\n", b"P4\n3 2\n\x40\xc0"])
def test_bitmaps_are_white_where_they_are_0(data):
    assert decoded(data)[..., 1].tolist() == [[255, 0, 255], [0, 0, 255]]


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_upper_byte(image_format):
    grey = np.random.default_rng(0).integers(0, 2**16, (3, 4), dtype=np.uint16)
    np.testing.assert_array_equal(saved(Image.fromarray(grey), image_format)[..., 1], grey // 256)


@pytest.mark.parametrize("order", "<>")
def test_tiffs_of_16_bits(order):
    values = np.random.default_rng(0).integers(0, 2**16, (3, 4, 4), dtype=np.uint16)
    upper = (values >> 8).astype(np.uint8)

    def read(channels):
        data = values[..., :channels].astype(f"{order}u2").tobytes()
        return decoded(tiff([16] * channels, 1 if channels == 1 else 2, (3, 4), data, order))

    np.testing.assert_array_equal(read(1), np.dstack([upper[..., 0]] * 3))
    np.testing.assert_array_equal(read(3), upper[..., :3])
    np.testing.assert_allclose(read(4), over_white(upper[..., :3], upper[..., 3]), atol=1)


def test_tiffs_of_12_bits_and_of_inverted_grey():
    assert decoded(tiff([12], 1, (1, 2), bytes([0x80, 0x0F, 0xFF])))[0, :, 0].tolist() == [0x80, 0xFF]
    values = np.array([0x1234, 0xFFFF], "<u2")
    assert decoded(tiff([16], 0, (1, 2), values.tobytes()))[0, :, 0].tolist() == [255 - 0x12, 0]


def test_premultiplied_transparency():
    np.testing.assert_allclose(decoded(tiff([8, 8], 1, (1, 1), bytes([64, 128]), alpha=1))[0, 0], 64 + 127, atol=1)


@pytest.mark.parametrize("sample_format", [2, 3])
def test_numbers_without_an_agreed_white_are_refused(sample_format):
    with pytest.raises(UserError, match="no agreed white"):
        decoded(tiff([32], 1, (1, 2), bytes(8), sample_format=sample_format))


@pytest.mark.parametrize(("depth", "key"), [(1, 1), (2, 2), (4, 7), (8, 9), (16, 300)])
def test_the_transparent_grey_of_a_png(depth, key):
    values = [0, key, 2**depth - 1]
    row = "".join(f"{value:0{depth}b}" for value in values)
    row += "0" * (-len(row) % 8)
    image = decoded(png(0, depth, 3, int(row, 2).to_bytes(len(row) // 8, "big"), struct.pack(">H", key)))
    assert image[0, :, 0].tolist() == [0, 255, 255]


def test_the_transparent_colour_of_a_png_of_16_bits():
    row = struct.pack(">6H", 300, 2000, 65535, 300, 2000, 0)
    assert decoded(png(2, 16, 2, row, struct.pack(">3H", 300, 2000, 65535)))[0].tolist() == [[255] * 3, [1, 7, 0]]


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF", "GIF"])
def test_transparent_colours_lie_over_white(image_format):
    colours, alpha = random_image(0), random_image(1)[..., 0]
    if image_format == "GIF":  # which knows only two degrees of it
        alpha = np.where(alpha > 127, 255, 0).astype(np.uint8)
        colours = (colours // 128 * 255).astype(np.uint8)
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    found = saved(Image.fromarray(np.dstack([colours, alpha])), image_format, **options)
    np.testing.assert_allclose(found, over_white(colours, alpha), atol=1)


def test_transparent_greys_lie_over_white():
    grey, alpha = random_image(0)[..., 0], random_image(1)[..., 0]
    found = saved(Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]))
    np.testing.assert_allclose(found, over_white(np.dstack([grey] * 3), alpha), atol=1)


@pytest.mark.parametrize("transparency", [bytes(range(16)), 5])
def test_transparent_entries_of_palettes_lie_over_white(transparency, recwarn):
    palette = Image.fromarray(random_image(0)).quantize(16)
    alphas = np.array([*transparency] if isinstance(transparency, bytes) else [255 * (i != 5) for i in range(16)])
    expected = over_white(np.asarray(palette.convert("RGB")), alphas[np.asarray(palette)])
    np.testing.assert_allclose(saved(palette, transparency=transparency), expected, atol=1)
    assert not recwarn.list


def test_icons_of_one_colour_stay_different():
    alphas = [np.where(random_image(seed)[..., 0] > 99, 255, 0).astype(np.uint8) for seed in range(9)]
    icons = [saved(Image.fromarray(np.dstack([np.zeros((5, 7, 3), np.uint8), alpha]))) for alpha in alphas]
    assert len({icon.tobytes() for icon in icons}) == len(icons)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "grey of 16 bits", "palette"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_photos_are_turned_upright(turned, kind):
    # What EXIF's tag 274 says of each: how the picture was stored, which here is undone by hand.
    ways = [lambda a: a, lambda a: a[:, ::-1], lambda a: a[::-1, ::-1], lambda a: a[::-1]]
    ways += [lambda a, way=way: way(a).swapaxes(0, 1) for way in ways]
    upright = np.kron(random_image(0), np.ones((16, 16, 1), np.uint8)) if kind == "JPEG" else random_image(0)
    expected = np.dstack([upright[..., 0]] * 3) if kind == "grey of 16 bits" else upright
    pixels = upright[..., 0].astype(np.uint16) * 256 if kind == "grey of 16 bits" else upright
    image = Image.fromarray(np.ascontiguousarray(ways[turned - 1](pixels)))
    image = image.quantize(256) if kind == "palette" else image
    exif = Image.Exif()
    exif[274] = turned
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    found = saved(image, kind if kind in ("TIFF", "JPEG", "WEBP") else "PNG", exif=exif, **options)
    np.testing.assert_allclose(found.astype(int), expected, atol=4 if kind == "JPEG" else 0)
