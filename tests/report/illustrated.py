"""Results with all that a report can show, of random numbers."""

import dataclasses
from typing import Any

import numpy as np

from keras_dnnts.results import Result
from tests.finished_runs import cifar_result, names_result

SOURCE_PARTS = ("train", "test", "val")
NASTY = (
    "<script>document.title='broken'</script>",
    "\"quotes\" & 'apostrophes' </table>",
    "👩‍🚀 emoji 🇩🇪",
    "שלום עולם",
    "العربية",
    "x" * 200,
    "two words" * 22,
    "Ünïcödé",
)


def illustrated_names(classes: tuple[str, ...] = NASTY, seeds: int = 3, seed: int = 0, **changes: Any) -> Result:
    """A names result with examples of every cell, mistakes and readings."""
    result, rng, count = names_result(seeds, seed, classes, **changes), np.random.default_rng(seed), len(classes)
    cells = np.argwhere(result.arrays["confusion_train"].sum(axis=0) > 0).repeat(2, axis=0)
    sides = [name.removeprefix("confusion_") for name in result.arrays if name.startswith("confusion_")]
    arrays = {}
    for side in sides:
        arrays[f"example_{side}_name"] = np.array([f"Name{i}" for i in range(len(cells))])
        arrays[f"example_{side}_truth"], arrays[f"example_{side}_guess"] = cells.T
        arrays[f"example_{side}_confidence"] = rng.random(len(cells))
        arrays[f"mistake_{side}_name"] = np.array([f"Wrong{i}{side}" for i in range(4)])
        arrays[f"mistake_{side}_truth"] = np.arange(4) % count
        arrays[f"mistake_{side}_guess"] = (np.arange(4) + 1) % count
        arrays[f"mistake_{side}_confidence"] = np.sort(rng.random(4))[::-1]
        arrays[f"mistake_{side}_also"] = np.array([False, True, False, False])
    beliefs = rng.dirichlet(np.ones(count), (2, 16)).astype(np.float32)
    beliefs[1, 3:] = np.nan
    reading = {"name": np.array(["Schlossberger'sh", "Lee"]), "truth": np.array([0, 1]), "probability": beliefs}
    arrays |= {f"reading_{sides[-1]}_{name}": values for name, values in reading.items()}
    return dataclasses.replace(
        result, arrays=result.arrays | arrays, details=result.details | {"illustrated_seed": result.config["seed"]}
    )


def illustrated_cifar(
    classes: tuple[str, ...] = ("<b>bee</b>", "cow", "owl"), seeds: int = 1, embedded: int = 60, side: int = 32
) -> Result:
    """A CIFAR-10 result with thumbnails of embedded images and of every cell."""
    result, rng = cifar_result(seeds, classes=classes), np.random.default_rng(1)
    cells = np.argwhere(result.arrays["confusion_test"].sum(axis=0) > 0).repeat(3, axis=0)
    arrays = {
        "example_test_image": rng.integers(0, 256, (len(cells), side, side, 3), dtype=np.uint8),
        "example_test_truth": cells[:, 0],
        "example_test_guess": cells[:, 1],
        "example_test_confidence": rng.random(len(cells)),
        "augmented_image": rng.integers(0, 256, (12, 40, 40, 3), dtype=np.uint8),
        "augmented_label": rng.integers(0, len(classes), 12),
        "embedding_image": rng.integers(0, 256, (embedded, side, side, 3), dtype=np.uint8),
        "embedding_label": rng.integers(0, len(classes), embedded),
        "embedding_first": rng.normal(size=(embedded, 2)).astype(np.float32),
        "embedding_final": rng.normal(size=(embedded, 2)).astype(np.float32),
    }
    two, three = [
        ["train/bee/1.jpg", f"test/cow/{'long ' * 30}.jpg"],
        ["train/owl/2.jpg", "test/owl/2.jpg", "val/owl/2.jpg"],
    ]
    copies = {
        "images": 105,
        "of_training_images": 23,
        "of_other_classes": 1,
        "across_parts": 23,
        "files": [two, three] * 11,
    }
    counts = {part: rng.integers(1, 999, len(classes)).tolist() for part in ("train", "validation", "test")}
    dataset = result.dataset | {"copies": copies, "class_counts": counts}
    return dataclasses.replace(result, arrays=result.arrays | arrays, dataset=dataset)


def save(result: Result, folder: Any) -> Any:
    """Save a result as a finished run's folder and return the folder."""
    folder.mkdir(parents=True)
    result.save(folder)
    return folder
