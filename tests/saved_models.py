"""Save models on one engine, or load what others saved: ``python -m tests.saved_models save|load FOLDER``.

Saving leaves ``<model>.<engine>.keras`` and ``<model>.<engine>.npy``, its outputs. Loading leaves the outputs of every
model there is as ``<model>.<engine that saved>.on_<engine that loaded>.npy``.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from keras_dnnts.studies.cifar.models import build_alexnet, build_resnet50
from keras_dnnts.studies.names.models import build_char_rnn

BUILDERS = {
    "rnn": lambda: build_char_rnn("rnn", width=11, classes=5, hidden_units=20),
    "gru": lambda: build_char_rnn("gru", width=11, classes=5, hidden_units=20),
    "lstm": lambda: build_char_rnn("lstm", width=11, classes=5, hidden_units=20),
    "alexnet": lambda: build_alexnet(image_size=70, classes=5, width=1 / 16),
    "resnet50": lambda: build_resnet50(image_size=40, classes=5, width=1 / 16),
}


def save_models(folder):
    random = np.random.default_rng(1)
    for name, build in BUILDERS.items():
        model = build()
        # Away from the zeros and ones of initial biases and normalisation statistics.
        model.set_weights(
            [w * random.uniform(0.8, 1.2, w.shape) + random.uniform(0, 0.05, w.shape) for w in model.get_weights()]
        )
        model.save(folder / f"{name}.{keras.backend.backend()}.keras")
        np.save(folder / f"{name}.{keras.backend.backend()}.npy", outputs_of(model))


def load_models(folder):
    for path in folder.glob("*.keras"):
        model = keras.saving.load_model(path, safe_mode=True)
        np.save(path.with_suffix(f".on_{keras.backend.backend()}.npy"), outputs_of(model))


def outputs_of(model):
    random = np.random.default_rng(2)
    if len(model.inputs) == 1:
        inputs = random.normal(size=(3, *model.input_shape[1:])).astype("float32")
    else:
        inputs = [random.integers(0, 11, (4, 9), dtype=np.int32), np.array([9, 1, 4, 8], np.int32)]
    return keras.ops.convert_to_numpy(model(inputs, training=False))


if __name__ == "__main__":
    {"save": save_models, "load": load_models}[sys.argv[1]](Path(sys.argv[2]))
