"""Scikit-learn's handwritten digits: small real images that need no network."""

import numpy as np
from PIL import Image

from keras_dnnts.datasets import ImageDataset
from keras_dnnts.datasets.image_dataset import build_image_dataset

IMAGE_SIDE = 32
_LARGEST_INK = 16  # grey levels of the original 8x8 images


def load_digits() -> ImageDataset:
    """1,797 digits "0" to "9", brought from 8x8 grey to 32x32 RGB bilinearly, without a test part.

    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    from sklearn import datasets  # takes over a second to import

    digits = datasets.load_digits()
    ink = np.rint(digits.images * (255 / _LARGEST_INK)).astype(np.uint8)
    images = np.stack([_enlarge(image) for image in ink])
    classes = tuple(str(digit) for digit in digits.target_names)
    return build_image_dataset(
        "scikit-learn digits", "scikit-learn", classes, (images, digits.target.astype(np.int32)), None
    )


def _enlarge(grey: np.ndarray) -> np.ndarray:
    enlarged = Image.fromarray(grey).resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(enlarged.convert("RGB"))
