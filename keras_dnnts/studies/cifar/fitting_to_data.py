"""What a person's own images settle where an option is not given: image size, batch size and rate, number of epochs.

Recipes are made for tens of thousands of small images. A few hundred photos would get two updates an epoch from them,
at a size that costs more than it tells. What is chosen here is a function of the number of images and of their sizes
alone, so that any recipe can use it, and is saved in ``config.toml`` like options that were given.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from keras_dnnts.datasets.archives import iterate_members, list_members
from keras_dnnts.datasets.cifar10 import find_batches
from keras_dnnts.datasets.cifar10.batches import CLASSES as CIFAR10_CLASSES
from keras_dnnts.datasets.image_cache import remembered
from keras_dnnts.datasets.image_folders import list_images, measure_shorter_sides
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.studies.cifar.architectures import find_architecture
from keras_dnnts.studies.cifar.config import CifarConfig
from keras_dnnts.studies.cifar.recipes import is_flip

FITTED = ("image_size", "batch_size", "learning_rate", "epochs", "patience", "step_epochs")
MOST_MEASURED = 500  # images whose headers are read
CIFAR10_IMAGES = 50_000
RECIPE_IMAGES = 35_000
"""The training part of CIFAR-10, for which recipes count their epochs."""

SIZE_STEP = 16  # pixels
LARGEST_SIZE = 96  # larger photos cost more than they tell a network that is trained on a few hundred of them
UPDATES_AN_EPOCH = 10
SMALLEST_BATCH = 8
LEAST_UPDATES = 400
LEAST_PATIENCE = 200  # updates without a lower validation loss, and between changes of the rate


@dataclass(frozen=True)
class OwnImages:
    """What is known of a person's own images before one is decoded.

    Attributes:
        classes: number of classes.
        side: the median of their shorter sides in pixels; None where no header can be read.
    """

    classes: int
    side: int | None


def measure_own_images(config: CifarConfig, keep: bool = False) -> OwnImages | None:
    """Look at the images that options are to be fitted to.

    Args:
        config: names them.
        keep: whether what is found of an archive is kept on disk, as images are once they are decoded.

    Returns:
        None where nothing is fitted: for CIFAR-10, with the reference recipe, where all is given, and where images
        cannot be used, of which whoever reads them has more to say.
    """
    if config.data_dir is None or config.recipe == "reference" or all(map(config.is_given, FITTED)):
        return None
    source = Path(config.data_dir)
    try:
        found = remembered(source, f"median side of {MOST_MEASURED}", lambda: _look_at(source), keep)
    except UserError:
        return None
    return None if found is None else OwnImages(*found)


def _look_at(source: Path) -> tuple[int, int | None] | None:
    """Number of classes and median side of the images in a source; None for CIFAR-10."""
    if find_batches(iterate_members(source), source):
        return None
    layout = list_images(list_members(source), source, skip_bad=True)[0]["train"]
    paths = [path for of_class in layout.values() for path in of_class]
    side = _find_median_side(source, paths)
    is_cifar10 = set(layout) == set(CIFAR10_CLASSES) and len(paths) >= CIFAR10_IMAGES and side == 32
    return None if is_cifar10 else (len(layout), side)


def _find_median_side(source: Path, paths: Sequence[PurePosixPath]) -> int | None:
    some = frozenset(paths[:: -(-len(paths) // MOST_MEASURED)])
    sides = measure_shorter_sides(iterate_members(source), some)
    return int(np.median(sides)) if sides else None


def fit_image_size(config: CifarConfig, side: int | None) -> dict[str, int]:
    """The image size for photos whose shorter sides have this median, unless one is given.

    It is the median, at most :data:`LARGEST_SIZE` or what the network itself asks for, and at least what the network
    needs, in steps of :data:`SIZE_STEP` pixels.
    """
    if config.is_given("image_size") or side is None:
        return {}
    architecture = find_architecture(str(config.arch))
    most = architecture.own_recipe.get("image_size", LARGEST_SIZE)
    size = max(min(side, most) // SIZE_STEP, 1) * SIZE_STEP
    return {"image_size": max(size, -(-architecture.minimum_image_size // SIZE_STEP) * SIZE_STEP)}


def fit_training(config: CifarConfig, train_images: int) -> dict[str, Any]:
    """Batch size and rate, epochs and what is counted in epochs, unless they are given, for a number of images.

    A batch is a power of two of which an epoch has about :data:`UPDATES_AN_EPOCH` or more, at most the recipe's. The
    epochs are the recipe's, or more where these would be fewer than :data:`LEAST_UPDATES` updates, at most as many
    updates as the recipe makes on CIFAR-10. Patience and the steps of the rate last at least :data:`LEAST_PATIENCE`
    updates. The rate falls with the square root of the batch size (https://arxiv.org/abs/1404.5997), unless the last
    layer alone is trained.
    """
    assert config.batch_size is not None and config.epochs is not None and config.learning_rate is not None
    fitted: dict[str, Any] = {}
    batch_size = config.batch_size
    if not config.is_given("batch_size"):
        wanted = 2 ** round(math.log2(max(train_images / UPDATES_AN_EPOCH, 1)))
        batch_size = fitted["batch_size"] = min(max(wanted, SMALLEST_BATCH), batch_size, train_images)
        # A head alone is a convex problem, which takes any rate that the whole network takes.
        if not config.is_given("learning_rate") and batch_size < config.batch_size and not config.freeze:
            rate = config.learning_rate * math.sqrt(batch_size / config.batch_size)
            fitted["learning_rate"] = float(f"{rate:.2g}")
    updates = -(-train_images // batch_size)
    if not config.is_given("epochs"):
        of_recipe = config.epochs * -(-RECIPE_IMAGES // config.batch_size)
        fitted["epochs"] = max(config.epochs, -(-min(LEAST_UPDATES, of_recipe) // updates))
    for name in ("patience", "step_epochs"):
        value = getattr(config, name)
        if value and not config.is_given(name):
            fitted[name] = max(value, -(-LEAST_PATIENCE // updates))
    return fitted


def describe_fit(config: CifarConfig, fitted: Mapping[str, Any], train_images: int, side: int | None) -> str:
    """What was chosen, for whom and why, in a line; empty where all was given.

    Args:
        config: as it was given.
        fitted: the options that the images have settled, by name.
        train_images: number of training images.
        side: the median of the images' shorter sides in pixels, if known.
    """
    if not fitted:
        return ""
    chosen = []
    if "image_size" in fitted:
        chosen.append(f"{fitted['image_size']}x{fitted['image_size']} pixels")
    if "batch_size" in fitted:
        rate = f" at a rate of {fitted['learning_rate']:g}" if "learning_rate" in fitted else ""
        chosen.append(f"batches of {fitted['batch_size']}{rate}")
    if "epochs" in fitted:
        updates = -(-train_images // fitted.get("batch_size", config.batch_size))
        patience = fitted.get("patience", config.patience)
        stop = f", fewer after {patience} without improvement" if patience else ""
        chosen.append(f"up to {fitted['epochs']} epochs of {updates} updates{stop}")
    median = f" (median side {side:,} pixels)" if side is not None else ""
    return f"chosen for {train_images:,} training images{median}: {'; '.join(chosen)}{_describe_augmentation(config)}"


def _describe_augmentation(config: CifarConfig) -> str:
    steps = config.augmentation or ()
    advice = f" ({option_name('no_flip')} where left and right matter)" if any(map(is_flip, steps)) else ""
    return f"; augmentation {', '.join(steps) or 'none'}{advice}"
