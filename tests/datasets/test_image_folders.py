import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from keras_dnnts.datasets import image_folders
from keras_dnnts.datasets.archives import iterate_members
from keras_dnnts.datasets.image_folders import decode_image, read_image_folders
from keras_dnnts.errors import UserError
from tests.datasets.image_trees import (
    complaint_about,
    encoded,
    pack_tar,
    pack_zip,
    random_image,
    small_tree,
    write_folder,
)


def read(source, largest_side=224):
    return read_image_folders(iterate_members(source), source, largest_side)


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def complaint(source):
    return complaint_about(read, source)


@pytest.fixture
def folder(tmp_path):
    """Classes "cat" and "dog" in train and test, for a test to spoil."""
    return write_folder(tmp_path / "pets", small_tree())


def test_images_and_labels_in_order(folder):
    tree = small_tree()
    data = read(folder)
    assert data.classes == ("cat", "dog")
    assert (data.name, data.source, data.stand_in) == ("pets", str(folder), False)
    for part, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        names = ["cat/1", "cat/2", "cat/3", "dog/a", "dog/b"]
        expected = np.stack([decoded(tree[f"{part}/{name}.png"]) for name in names])
        np.testing.assert_array_equal(images, expected, strict=True)
        np.testing.assert_array_equal(labels, np.array([0, 0, 0, 1, 1], np.int32), strict=True)


def test_every_image_keeps_its_path_in_the_source(folder, tmp_path):
    names = ["cat/1.png", "cat/2.png", "cat/3.png", "dog/a.png", "dog/b.png"]
    for data in (read(folder), read(pack_zip(tmp_path / "pets.zip", small_tree()))):
        assert data.train_paths.tolist() == [f"train/{name}" for name in names]
        assert data.test_paths.tolist() == [f"test/{name}" for name in names]


def test_a_single_tree_has_no_test_part(tmp_path):
    data = read(write_folder(tmp_path / "pets", small_tree(parts=[""])))
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1]
    assert (data.test_images, data.test_labels) == (None, None)


@pytest.mark.parametrize("parts", [("",), ("train/", "test/")])
@pytest.mark.parametrize("around", ["", "download/", "./a/b/"])
def test_the_same_tree_in_every_form_has_one_content_hash(tmp_path, parts, around):
    tree = small_tree(parts)
    expected = read(write_folder(tmp_path / "folder", tree)).content_hash
    wrapped = {around + name: data for name, data in tree.items()}
    for source in (
        write_folder(tmp_path / "wrapped", wrapped),
        pack_tar(tmp_path / "a.tar.xz", wrapped, "w:xz"),
        pack_tar(tmp_path / "a.tar", dict(reversed(wrapped.items()))),
        pack_zip(tmp_path / "a.zip", wrapped),
    ):
        assert read(source).content_hash == expected


def test_an_archive_is_named_by_its_stem(tmp_path):
    assert read(pack_tar(tmp_path / "pets.tar.gz", small_tree(), "w:gz")).name == "pets"


def test_the_content_hash_covers_pixels_labels_and_classes(tmp_path):
    tree = small_tree([""])
    other_pixel = decoded(tree["dog/a.png"]).copy()
    other_pixel[0, 0, 0] ^= 1
    variants = [
        tree,
        tree | {"dog/a.png": encoded(other_pixel)},
        {name.replace("cat", "cow"): data for name, data in tree.items()},
        {name.replace("cat/3", "dog/0"): data for name, data in tree.items()},
        small_tree(),
    ]
    hashes = {
        read(write_folder(tmp_path / str(number), variant)).content_hash for number, variant in enumerate(variants)
    }
    assert len(hashes) == len(variants)


def test_many_classes_are_sorted(tmp_path):
    names = [f"class {letter}" for letter in "qwertyuiopasdfghjklzxcvbnm"]
    tree = {f"{name}/x.png": encoded(random_image(seed)) for seed, name in enumerate(names)}
    data = read(write_folder(tmp_path / "letters", tree))
    assert data.classes == tuple(sorted(names))
    for image, name in zip(data.train_images, data.classes, strict=True):
        np.testing.assert_array_equal(image, decoded(tree[f"{name}/x.png"]))


@pytest.mark.parametrize("suffix", ["PNG", "bmp", "tiff", "ppm"])
def test_lossless_formats(tmp_path, suffix):
    image = random_image(5)
    tree = small_tree([""]) | {f"dog/x.{suffix}": encoded(image, suffix.upper())}
    np.testing.assert_array_equal(read(write_folder(tmp_path, tree)).train_images[-1], image)


def test_jpegs_decode_as_pillow_does(tmp_path):
    data = encoded(random_image(5), "JPEG")
    images = read(write_folder(tmp_path, small_tree([""]) | {"dog/x.jpg": data})).train_images
    np.testing.assert_array_equal(images[-1], decoded(data))


@pytest.mark.parametrize("side", [6, 224])
def test_images_of_one_size_keep_it_up_to_the_largest_side(tmp_path, side):
    image = random_image(0, height=12, width=9)
    data = read(write_folder(tmp_path, {f"{name}/x.png": encoded(image) for name in "ab"}), largest_side=side)
    expected = Image.fromarray(image) if side > 9 else Image.fromarray(image).resize((6, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.train_images, np.stack([np.asarray(expected)] * 2))


def test_images_of_several_sizes_become_squares_of_the_median_side(tmp_path):
    images = [random_image(1, 8, 20), random_image(2, 11, 11), random_image(3, 30, 14)]
    tree = {f"{name}/x.png": encoded(image) for name, image in zip("abc", images, strict=True)}
    data = read(write_folder(tmp_path, tree), largest_side=12)
    assert data.train_images.shape == (3, 11, 11, 3)
    np.testing.assert_array_equal(data.train_images[1], images[1])
    expected = ImageOps.fit(Image.fromarray(images[0]), (11, 11), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.train_images[0], np.asarray(expected))


def test_what_is_cut_off_is_cut_off_on_both_sides(tmp_path):
    stripes = np.zeros((4, 12, 3), np.uint8)
    stripes[:, 4:8] = 200
    tree = {"a/x.png": encoded(stripes), "b/x.png": encoded(random_image(0, 4, 4))}
    assert (read(write_folder(tmp_path, tree)).train_images[0] == 200).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_rgb(mode):
    grey = np.array([[0, 255], [255, 0]], np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF" if mode == "CMYK" else "PNG")
    np.testing.assert_array_equal(decode_image(file.getvalue(), "x", 9), np.stack([grey] * 3, axis=-1), strict=True)


def test_16_bit_grey_keeps_its_upper_byte():
    grey = np.random.default_rng(0).integers(0, 2**16, (3, 4), dtype=np.uint16)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    np.testing.assert_array_equal(decode_image(file.getvalue(), "x", 9)[..., 1], grey // 256)


@pytest.mark.parametrize("turned", range(1, 9))
def test_photos_are_turned_upright(turned):
    # What EXIF's tag 274 says of each: how the picture was stored, which here is undone by hand.
    ways = [lambda a: a, lambda a: a[:, ::-1], lambda a: a[::-1, ::-1], lambda a: a[::-1]]
    ways += [lambda a, way=way: way(a).transpose(1, 0, 2) for way in ways]
    upright = random_image(0)
    stored = Image.fromarray(np.ascontiguousarray(ways[turned - 1](upright)))
    exif = Image.Exif()
    exif[274] = turned
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(decode_image(file.getvalue(), "photo", 224), upright)


def test_transparency_is_dropped(recwarn):
    colours = random_image(0)
    file = io.BytesIO()
    Image.fromarray(np.dstack([colours, random_image(1)[..., 0]])).save(file, "PNG")
    np.testing.assert_array_equal(decode_image(file.getvalue(), "x", 9), colours)
    palette, file = Image.fromarray(colours).quantize(16), io.BytesIO()
    palette.save(file, "PNG", transparency=bytes(range(16)))
    np.testing.assert_array_equal(decode_image(file.getvalue(), "x", 9), np.asarray(palette.convert("RGB")))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ({"train/cat/x.png": b""}, "'train/cat/x.png' is damaged"),
        ({"test/dog/x.jpg": b"<html>404</html>"}, "'test/dog/x.jpg' is damaged"),
        ({"train/cat/x.png": encoded(random_image(0))[:-30]}, "'train/cat/x.png'"),
        ({"train/cat/x.jpg": encoded(random_image(0, 99, 99), "JPEG")[:-900]}, "'train/cat/x.jpg' cannot be decoded"),
        ({"train/cow/x.png": encoded(random_image(0))}, "'cow' is in only one"),
        ({"val/cat/x.png": encoded(random_image(0))}, "'val' beside 'train' and 'test'"),
        ({"loose.png": encoded(random_image(0))}, "'loose.png' does not lie in a class folder"),
        ({"train/loose.png": encoded(random_image(0))}, "'train/loose.png' does not lie in a class folder"),
        ({"train/cat/more/x.png": encoded(random_image(0))}, "'train/cat/more/x.png' does not lie in a class folder"),
        ({"train/cat/1.xml": b"<annotation/>"}, "'train/cat/1.xml' lies among the images"),
        ({"train/cat/x.eps": b"%!PS-Adobe-3.0 EPSF-3.0"}, "'train/cat/x.eps' lies among the images"),
        ({"train/cat/x.png": b"%!PS-Adobe-3.0 EPSF-3.0"}, "'train/cat/x.png' is damaged"),
    ],
)
def test_bad_trees(tmp_path, added, named):
    tree = small_tree() | added
    assert named in complaint(write_folder(tmp_path / "folder", tree))
    assert named in complaint(pack_tar(tmp_path / "a.tar.gz", tree, "w:gz"))
    assert named in complaint(pack_zip(tmp_path / "a.zip", tree))


def test_an_empty_class_folder(folder):
    (folder / "train" / "cow").mkdir()
    (folder / "test" / "cow").mkdir()
    assert "class 'cow' has no images in its train folder" in complaint(folder)


def test_a_test_folder_without_classes(tmp_path):
    folder = write_folder(tmp_path / "pets", small_tree(["train/"]))
    (folder / "test").mkdir()
    assert "class 'cat' is in only one of" in complaint(folder)


def test_a_train_folder_alone_has_no_test_part(tmp_path):
    assert read(write_folder(tmp_path / "pets", small_tree(["train/"]))).test_images is None


def test_one_class_only(tmp_path):
    images = {f"{number}.png": encoded(random_image(number)) for number in range(3)}
    assert "one folder ('cat')" in complaint(write_folder(tmp_path / "cat", {f"cat/{n}": x for n, x in images.items()}))
    assert "one folder ('.')" in complaint(write_folder(tmp_path / "loose", images))
    parts = {f"{part}/cat/{name}": data for part in ("train", "test") for name, data in images.items()}
    assert "one class only (cat)" in complaint(write_folder(tmp_path / "parts", parts))


def test_no_images(tmp_path):
    assert "no images" in complaint(tmp_path)
    assert "no images" in complaint(pack_zip(tmp_path / "a.zip", {"notes.txt": b"x"}))


def test_files_beside_the_class_folders_are_left_alone(folder):
    before = read(folder).content_hash
    write_folder(folder, dict.fromkeys(["README.md", "train/labels.csv", "train/.x.png", "train/cat/Thumbs.db"], b""))
    assert read(folder).content_hash == before


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_an_image_that_is_there_twice(tmp_path, pack):
    image = encoded(random_image(0))
    source = pack(tmp_path / "pets", {"cat/1.png": image, "./cat/1.png": image, "dog/1.png": image})
    assert "holds 'cat/1.png' twice" in complaint_about(read, source)


def test_folders_that_are_not_named_in_utf8(tmp_path):
    folder = write_folder(tmp_path / "pets", small_tree())
    try:
        for part in ("train", "test"):
            (folder / part / "cat").rename(folder / part / "\udcff")  # how Python writes the byte 0xff
    except OSError:
        pytest.skip("needs a file system that takes any bytes")
    assert "is not UTF-8" in complaint_about(read, folder)


def test_decompression_bombs(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5 * 7 - 1)
    assert "'test/cat/1.png' cannot be decoded (Image size (35 pixels)" in complaint(folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5 * 7)
    monkeypatch.setattr(image_folders, "LARGEST_DECODED_BYTES", 10 * 5 * 7 * 3 - 1)
    assert "decodes to more than 1049 bytes" in complaint(folder)
    monkeypatch.setattr(image_folders, "LARGEST_DECODED_BYTES", 10 * 5 * 7 * 3)
    assert len(read(folder).train_images) == 5


SIGNATURES = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"]
ignores_metadata_warnings = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@ignores_metadata_warnings
@given(st.binary(max_size=2000), st.sampled_from(SIGNATURES))
def test_any_bytes_are_an_image_or_a_user_error(data, signature):
    try:
        assert decode_image(signature + data, "x.png", 32).ndim == 3
    except UserError as error:
        assert str(error).startswith("x.png")
        assert "\n" not in str(error)


@ignores_metadata_warnings
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_a_damaged_image_is_an_image_or_a_user_error(image_format, changes):
    data = bytearray(encoded(random_image(0, 9, 12), image_format))
    for position, value in changes:
        data[int(position * len(data))] = value
    try:
        image = decode_image(bytes(data), "x", 32)
        assert (image.dtype, image.shape[2]) == (np.uint8, 3)
    except UserError as error:
        assert "\n" not in str(error)


REAL_IMAGES = Path(__file__).parents[2] / ".." / "shared" / "data" / "cifar10-jpeg.tar.xz"


@pytest.mark.skipif(not REAL_IMAGES.exists(), reason="needs the JPEG copy of CIFAR-10 beside the repository")
def test_the_first_real_images():
    files = (member for member in iterate_members(REAL_IMAGES) if member.read is not None)
    data = read_image_folders(itertools.islice(files, 4990, 5010), REAL_IMAGES, 224)
    assert (data.name, data.classes) == ("cifar10-jpeg", ("airplane", "automobile"))
    assert data.train_images.shape == (20, 32, 32, 3)
    assert data.train_labels.tolist() == [0] * 10 + [1] * 10
