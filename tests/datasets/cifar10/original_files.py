"""Small batches in CIFAR-10's two original formats."""

import pickle

import numpy as np

TRAIN_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
BATCHES = [*TRAIN_BATCHES, "test_batch"]


def random_batches(rows=4):
    """``{batch: (images (rows, 32, 32, 3), labels (rows,))}``, all different."""
    rng = np.random.default_rng(0)
    return {
        name: (rng.integers(0, 256, (rows, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, rows)) for name in BATCHES
    }


def _planes(image):
    """The red, then the green, then the blue plane of an image."""
    return np.concatenate([image[..., channel].ravel() for channel in range(3)])


def binary_files(batches):
    files = {
        f"cifar-10-batches-bin/{name}.bin": b"".join(
            bytes([label]) + _planes(image).tobytes() for image, label in zip(images, labels, strict=True)
        )
        for name, (images, labels) in batches.items()
    }
    return files | {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n"}


def pickled_files(batches):
    contents = {
        name: {
            b"batch_label": b"training batch",
            b"labels": labels.tolist(),
            b"data": np.stack([_planes(image) for image in images]),
            b"filenames": [b"x.png"] * len(labels),
        }
        for name, (images, labels) in batches.items()
    }
    contents["batches.meta"] = {b"label_names": [b"airplane"]}
    return {f"cifar-10-batches-py/{name}": pickle.dumps(content, protocol=2) for name, content in contents.items()}
