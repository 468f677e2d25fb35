"""The single images that results keep to be shown beside their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np

from keras_dnnts.results.records import ArrayRecord, items_axis

MISTAKE, ACTIVATION, EMBEDDING, EXAMPLE = "mistake", "activation", "embedding", "example_test"
TRAINED_ON = "augmented"

MAPS = {"first": "After epoch 1", "final": "At the end"}
MOST_IN_LEGEND = 20  # classes of an embedding that are named beside it


@dataclass(frozen=True)
class ImageExamples(ArrayRecord):
    """Images of every cell of the confusion matrix.

    Attributes:
        image: (M, h, w, 3) uint8 thumbnails.
        truth, guess: (M,) int64 indices of classes.
        confidence: (M,) float64 probabilities the model gave its guesses.
        path: (M,) str, their files within the data; None where they have none.
    """

    image: Annotated[np.ndarray, "byte items . . 3"]
    truth: Annotated[np.ndarray, "class items"]
    guess: Annotated[np.ndarray, "class items"]
    confidence: Annotated[np.ndarray, "finite items"]
    path: Annotated[np.ndarray | None, "text items"] = None


@dataclass(frozen=True)
class ImageMistakes(ImageExamples):
    """Wrong guesses, the surest first.

    Attributes:
        image: (M, H, W, 3) uint8, as the data have them.
    """

    image: Annotated[np.ndarray, "byte items height width 3"]


@dataclass(frozen=True)
class Embedding(ArrayRecord):
    """Images on two t-SNE maps.

    Attributes:
        label: (M,) int indices of classes.
        first, final: (M, 2) float32 places, after the first epoch and at the end.
        image: (M, h, w, 3) uint8 thumbnails; None in older results.
        path: (M,) str, their files within the data; None where they have none.
    """

    label: Annotated[np.ndarray, "class items"]
    first: Annotated[np.ndarray, "finite items 2"]
    final: Annotated[np.ndarray, "finite items 2"]
    image: Annotated[np.ndarray | None, "byte items . . 3"] = None
    path: Annotated[np.ndarray | None, "text items"] = None

    def named_classes(self) -> list[int]:
        """The classes that have an image, where there are few enough to name them."""
        found = np.unique(self.label).tolist()
        return found if len(found) <= MOST_IN_LEGEND else []

    def place(self, when: str) -> np.ndarray:
        """The places on one map, (M, 2) float from 0 to 1: the longer side filled, the other centred, in proportion."""
        points = self.first if when == "first" else self.final
        low, high = points.min(axis=0), points.max(axis=0)
        return (points - (low + high) / 2) / max(float((high - low).max()), 1e-9) + 0.5


@dataclass(frozen=True)
class AugmentedImages(ArrayRecord):
    """The first training images of the first epoch, as the network got them.

    Attributes:
        image: (M, s, s, 3) uint8, shrunk.
        label: (M,) int indices of classes.
    """

    image: Annotated[np.ndarray, "byte items . . 3"]
    label: Annotated[np.ndarray, "class items"]


@dataclass(frozen=True)
class Activations(ArrayRecord):
    """What some layers of a network make of images.

    Attributes:
        image: (M, H, W, 3) uint8.
        label: (M,) int indices of classes.
        maps: (M, h, w, C) float32 by layer, at least one layer.
        path: (M,) str, their files within the data; None where they have none.
    """

    image: np.ndarray
    label: np.ndarray
    maps: dict[str, np.ndarray]
    path: np.ndarray | None = None

    def to_arrays(self, prefix: str = ACTIVATION) -> dict[str, np.ndarray]:
        """The arrays under the names that results give them."""
        layers = {f"{prefix}_{layer}": maps for layer, maps in self.maps.items()}
        path = {} if self.path is None else {f"{prefix}_path": self.path}
        return {f"{prefix}_image": self.image, f"{prefix}_label": self.label, **path, **layers}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str = ACTIVATION) -> Self | None:
        """What results hold; None where they hold no layer, as those of a model without taps."""
        start = f"{prefix}_"
        found = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        image, label, path = (found.pop(name, None) for name in ("image", "label", "path"))
        return None if image is None or label is None or not found else cls(image, label, found, path)

    @classmethod
    def axes(cls, prefix: str = ACTIVATION) -> dict[str, str]:
        """What the arrays must be; the pattern stands for every layer."""
        shown = items_axis(prefix)
        return {
            f"{prefix}_image": f"byte {shown} height width 3",
            f"{prefix}_label": f"class {shown}",
            f"{prefix}_path": f"text {shown}",
            f"{prefix}_?*": f"finite {shown} . . .",
        }


def illustration_axes() -> tuple[dict[str, str], dict[str, str]]:
    """What illustrates a result, for :class:`keras_dnnts.study.ResultFormat`: what all have, and what some lack."""
    needed = ImageMistakes.axes(MISTAKE)
    path = f"{MISTAKE}_path"
    optional = Activations.axes() | Embedding.axes(EMBEDDING) | ImageExamples.axes(EXAMPLE) | {path: needed.pop(path)}
    optional |= AugmentedImages.axes(TRAINED_ON)
    # Where images have copies, fewer count.
    return needed, optional | {"effective_test": "finite seeds classes"}


def axes_that_may_be_empty() -> frozenset[str]:
    """Axes without an entry where a model makes no mistake."""
    return frozenset({items_axis(MISTAKE)})
