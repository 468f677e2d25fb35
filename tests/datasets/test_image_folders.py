import io
import itertools
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from keras_dnnts.datasets import image_folders
from keras_dnnts.datasets.archives import iterate_members
from keras_dnnts.datasets.image_folders import decode_image, list_images, read_image_folders
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


@pytest.mark.parametrize("suffix", ["PNG", "bmp", "tiff", "ppm", "apng", "dib", "pnm"])
def test_lossless_formats(tmp_path, suffix):
    image = random_image(5)
    other = {"apng": "PNG", "dib": "BMP", "pnm": "PPM"}
    tree = small_tree([""]) | {f"dog/x.{suffix}": encoded(image, other.get(suffix, suffix.upper()))}
    np.testing.assert_array_equal(read(write_folder(tmp_path, tree)).train_images[-1], image)


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "jfif", "jpe", "jif", "pjpeg"])
def test_jpegs_decode_as_pillow_does(tmp_path, suffix):
    data = encoded(random_image(5), "JPEG")
    images = read(write_folder(tmp_path, small_tree([""]) | {f"dog/x.{suffix}": data})).train_images
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


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ({"train/cat/x.png": b""}, "'train/cat/x.png' is empty"),
        ({"train/cat/x.heic": b"x"}, "'train/cat/x.heic' is in an unsupported format (.heic)"),
        ({"test/dog/x.jpg": b"<html>404</html>"}, "'test/dog/x.jpg' is damaged"),
        ({"train/cat/x.png": encoded(random_image(0))[:-30]}, "'train/cat/x.png'"),
        ({"train/cat/x.jpg": encoded(random_image(0, 99, 99), "JPEG")[:-900]}, "'train/cat/x.jpg' cannot be decoded"),
        ({"train/cow/x.png": encoded(random_image(0))}, "'cow' is in only one"),
        ({"val/cat/x.png": encoded(random_image(0))}, "class 'dog' is in only one of the parts, 'train', not in 'val'"),
        ({"eval/cat/x.png": encoded(random_image(0))}, "'eval' beside 'test' and 'train'"),
        ({"Train/cat/x.png": encoded(random_image(0))}, "'Train', 'test' and 'train', two folders for the same part"),
        ({"loose.png": encoded(random_image(0))}, "'loose.png' is not in a class folder"),
        ({"train/loose.png": encoded(random_image(0))}, "'train/loose.png' is not in a class folder"),
        ({"train/cat/more/x.png": encoded(random_image(0))}, "'train/cat/more/x.png' is not in a class folder"),
        ({"train/cat/1.xml": b"<annotation/>"}, "'train/cat/1.xml' is not an image file"),
        ({"train/cat/x.eps": b"%!PS-Adobe-3.0 EPSF-3.0"}, "'train/cat/x.eps' is in an unsupported format"),
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
    assert "test/ holds no images" in complaint(folder)


def test_a_train_folder_alone_has_no_test_part(tmp_path):
    assert read(write_folder(tmp_path / "pets", small_tree(["train/"]))).test_images is None


def test_one_class_only(tmp_path):
    images = {f"{number}.png": encoded(random_image(number)) for number in range(3)}
    assert "one folder ('cat')" in complaint(write_folder(tmp_path / "cat", {f"cat/{n}": x for n, x in images.items()}))
    assert "one folder ('.')" in complaint(write_folder(tmp_path / "loose", images))
    parts = {f"{part}/cat/{name}": data for part in ("train", "test") for name, data in images.items()}
    assert "only one class (cat)" in complaint(write_folder(tmp_path / "parts", parts))


def test_no_images(tmp_path):
    assert "no images" in complaint(tmp_path)
    assert "no images" in complaint(pack_zip(tmp_path / "a.zip", {"notes.txt": b"x"}))


def test_files_beside_the_class_folders_are_left_alone(folder):
    before = read(folder).content_hash
    write_folder(folder, dict.fromkeys(["README.md", "train/labels.csv", "train/.x.png", "train/cat/Thumbs.db"], b""))
    assert read(folder).content_hash == before


BAD_FILES = {
    "train/cat/notes.txt": b"x",
    "train/cat/IMG_1.HEIC": b"x",
    "test/dog/half.png": encoded(random_image(0))[:60],
    "test/dog/empty.jpg": b"",
    "train/loose.png": encoded(random_image(0)),
}


@pytest.mark.parametrize("act", [read, lambda source: list_images(iterate_members(source), source)])
def test_all_bad_files_are_named_at_once(tmp_path, act):
    source = write_folder(tmp_path / "pets", small_tree() | BAD_FILES)
    message = complaint_about(act, source)
    undamaged = {"test/dog/half.png", "test/dog/empty.jpg"} if act is not read else set()
    for path in BAD_FILES.keys() - undamaged:
        assert repr(path) in message
    assert f"{len(BAD_FILES) - len(undamaged)} files cannot be used" in message
    assert "skip_bad" in message


def test_many_bad_files_are_counted_and_the_first_named(tmp_path):
    bad = {f"train/cat/{number:02}.jpg": b"x" for number in range(13)}
    message = complaint(write_folder(tmp_path / "pets", small_tree() | bad))
    assert "13 files cannot be used" in message
    assert "'train/cat/09.jpg' is damaged" in message
    assert "'train/cat/10.jpg'" not in message
    assert "and 3 more" in message


@pytest.mark.parametrize("write", [write_folder, pack_tar, pack_zip])
def test_bad_files_can_be_left_out(tmp_path, write):
    whole = read(write_folder(tmp_path / "whole", small_tree()))
    assert whole.left_out == ()
    source = write(tmp_path / "pets", small_tree() | BAD_FILES)
    data = read_image_folders(iterate_members(source), source, 224, skip_bad=True)
    assert data.content_hash == whole.content_hash
    assert dict(data.left_out).keys() == BAD_FILES.keys()
    assert dict(data.left_out)["train/cat/notes.txt"] == "is not an image file"
    assert [path for path, _ in data.left_out] == sorted(BAD_FILES)


def test_what_cannot_be_opened_is_a_bad_file(folder):
    os.mkfifo(folder / "train" / "cat" / "pipe.png")
    (folder / "train" / "cat" / "link.png").symlink_to("nowhere")
    (folder / "train" / "cat" / "loop.png").symlink_to("loop.png")
    (folder / "train" / "fish.jpg").mkdir()
    (folder / "test" / "circle").symlink_to(folder)
    message = complaint(folder)
    for problem in (
        "'train/cat/pipe.png' is not a file",
        "'train/cat/link.png' is a link",
        "'train/cat/loop.png' cannot be",
        "'train/fish.jpg' is a folder, not an image",
        "'test/circle' is a link to a folder around it",
    ):
        assert problem in message
    data = read_image_folders(iterate_members(folder), folder, 224, skip_bad=True)
    assert (len(data.train_images), len(data.left_out)) == (5, 5)


def test_nothing_but_bad_files(tmp_path):
    source = write_folder(tmp_path / "pets", small_tree() | {f"train/cat/{i}.png": b"x" for i in (1, 2, 3)})
    with pytest.raises(UserError, match="class 'cat' has no images in its train folder"):
        read_image_folders(iterate_members(source), source, 224, skip_bad=True)


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
@pytest.mark.parametrize("test", [None, "Test", "testing"])
def test_folders_of_parts(tmp_path, train, validation, test):
    names = [f"{part}/" for part in (train, validation, test) if part]
    tree = small_tree(names)
    data = read(write_folder(tmp_path / "pets", tree))
    for images, labels, paths, part in (
        (data.train_images, data.train_labels, data.train_paths, train),
        (data.validation_images, data.validation_labels, data.validation_paths, validation),
        (data.test_images, data.test_labels, data.test_paths, test),
    ):
        if part is None:
            assert images is labels is paths is None
            continue
        assert labels.tolist() == [0, 0, 0, 1, 1]
        expected = [f"{part}/{name}.png" for name in ("cat/1", "cat/2", "cat/3", "dog/a", "dog/b")]
        assert paths.tolist() == expected
        np.testing.assert_array_equal(images, np.stack([decoded(tree[path]) for path in expected]))


def test_a_validation_part_is_no_test_part(tmp_path):
    trees = {part: small_tree(["train/", part]) for part in ("val/", "test/")}
    hashes = {read(write_folder(tmp_path / part, tree)).content_hash for part, tree in trees.items()}
    assert len(hashes) == 2


def test_parts_without_train(tmp_path):
    assert "but no 'train'" in complaint(write_folder(tmp_path / "pets", small_tree(["val/", "test/"])))


def test_classes_may_have_names_of_parts(tmp_path):
    tree = {f"{name}/{i}.png": encoded(random_image(i)) for name in ("train", "car", "ship") for i in range(3)}
    assert read(write_folder(tmp_path / "vehicles", tree)).classes == ("car", "ship", "train")


@pytest.mark.parametrize("write", [write_folder, pack_zip])
def test_names_in_several_unicode_forms_are_one(tmp_path, write):
    tree = {name.replace("cat", "Löwe"): data for name, data in small_tree().items()}
    composed = {unicodedata.normalize("NFC", name): data for name, data in tree.items()}
    mixed = {
        unicodedata.normalize("NFD" if name.startswith("test") else "NFC", name): data for name, data in tree.items()
    }
    one, other = (read(write(tmp_path / str(i), tree)) for i, tree in enumerate((composed, mixed)))
    assert one.classes == other.classes == ("Löwe", "dog")
    assert one.content_hash == other.content_hash


def test_one_class_in_two_unicode_forms_is_joined(tmp_path):
    tree = small_tree([""]) | {f"{form}/{i}.png": encoded(random_image(i)) for i in (7, 8) for form in ("é", "e\u0301")}
    data = read(write_folder(tmp_path / "pets", tree))
    assert data.classes == ("cat", "dog", "é")
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]


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
