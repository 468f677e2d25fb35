"""Trains small networks on one device and on several, and saves what came of it: ``python -m … ENGINE FILE``.

For torch, several processes run this under torchrun; for JAX and TensorFlow, one process with two devices.
"""

import os
import sys
from contextlib import nullcontext, suppress
from functools import partial
from tempfile import TemporaryDirectory

ENGINE, FILE = sys.argv[1:3]
os.environ["KERAS_BACKEND"] = ENGINE
if ENGINE == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2 --xla_cpu_multi_thread_eigen=false"
if ENGINE == "tensorflow":
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_dnnts import CifarConfig, NamesConfig, UserError, run  # noqa: E402
from keras_dnnts.backend import (  # noqa: E402
    Adam,
    BatchNormalization,
    Conv2D,
    Muon,
    distribute,
    on_all_devices,
    part_of,
    using_devices,
)
from keras_dnnts.ranks import find_ranks  # noqa: E402
from keras_dnnts.running.callbacks import EpochStart  # noqa: E402
from keras_dnnts.studies.cifar.image_batches import ImageBatches  # noqa: E402
from keras_dnnts.studies.cifar.models.alexnet import build_alexnet  # noqa: E402
from keras_dnnts.studies.cifar.models.resnet50 import build_resnet50  # noqa: E402

CLASSES, BATCH_SIZE = 3, 16
ONE_LEFT = BATCH_SIZE + 1  # images, of which one device has none of the last batch
IMAGES = 21  # so that the last batch is another one, and uneven


def build_small(image_size, classes, width, seed):
    """What batches can be told apart by: normalisation over them, and dropout."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((image_size, image_size, 3))
    maps = BatchNormalization("relu")(Conv2D(6, 3, strides=2, padding=1, use_bias=False)(images))
    features = keras.layers.Dropout(0.5)(keras.layers.Flatten(data_format="channels_last")(maps))
    return keras.Model(images, keras.layers.Dense(classes)(features))


# At the smallest size of their images. In single precision, the order of a batch alone changes ResNet50's first
# gradient by some per cent, and at higher rates such differences grow within twenty steps to the whole loss.
NETWORKS = {"small": (build_small, 9, "float32", 1e-3)}
if ENGINE == "torch":
    NETWORKS |= {"alexnet": (build_alexnet, 63, "float64", 1e-2), "resnet50": (build_resnet50, 33, "float64", 1e-6)}
OPTIMIZERS = {
    "sgd": partial(keras.optimizers.SGD, momentum=0.9),
    "adam": partial(Adam, use_ema=True, ema_momentum=0.9),
    "muon": Muon,
}


def in_precision(model, precision):
    """A network whose last layer, too, computes in this precision."""
    if precision == "float32":
        return model
    twin = keras.models.clone_model(
        model, clone_function=lambda layer: type(layer).from_config(layer.get_config() | {"dtype": precision})
    )
    twin.set_weights(model.get_weights())
    return twin


def make_batches(size, count, batch_size=BATCH_SIZE, **how):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, count).astype(np.int32)
    return ImageBatches((images, labels), batch_size, size, seed=4, shuffled=True, **how)


def train(name, optimizer, epochs, images=IMAGES):
    """History, gradients of the first step, predictions and variables."""
    build, size, precision, rate = NETWORKS[name]
    keras.config.set_dtype_policy(precision)
    with on_all_devices():
        model = build(image_size=size, classes=CLASSES, width=0.05, seed=1)
        keras.config.set_dtype_policy("float32")
        model = distribute(in_precision(model, precision))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=precision)
        model.compile(OPTIMIZERS[optimizer](rate), loss=loss, metrics=["accuracy"])
    batches = make_batches(size, images, augmentation=("flip", "crop", "rotate"))
    validation = make_batches(size, 19, first_batch=len(batches))
    found = {}
    if optimizer == "sgd":
        first = make_batches(size, BATCH_SIZE)
        model.optimizer.learning_rate = 1e-30  # the weights stay, and momentum keeps the gradient
        model.fit(first, shuffle=False, verbose=0, callbacks=[EpochStart(5, [first])])
        found = {f"gradient_{i}": to_numpy(m) / -1e-30 for i, m in enumerate(model.optimizer.momentums)}
        for momentum in model.optimizer.momentums:
            momentum.assign(np.zeros(momentum.shape))
        model.optimizer.learning_rate = rate
    history = model.fit(
        batches,
        validation_data=validation,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[EpochStart(5, [batches, validation])],
    ).history
    weights = [v for v in model.variables if "seed" not in v.name]
    return found | {
        **{name: np.array(values) for name, values in history.items()},
        "predictions": np.asarray(model.predict(validation, verbose=0), np.float64),
        **{f"variable_{i}": to_numpy(v) for i, v in enumerate(weights)},
    }


def to_numpy(variable):
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def measure_statistics():
    """The moving statistics of a normalisation after steps on 5 images and on 1, and both batches as it gets them."""
    batches = [np.random.default_rng(i).normal(2, 3, (i, 4, 5, 3)).astype("float32") for i in (5, 1)]
    with on_all_devices():
        images = keras.Input(batches[0].shape[1:])
        normalise = BatchNormalization(momentum=0.7)
        features = keras.layers.Flatten(data_format="channels_last")(normalise(images))
        model = distribute(keras.Model(images, keras.layers.Dense(CLASSES)(features)))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    for batch in batches:
        model.fit(Whole(batch), shuffle=False, verbose=0)
    return {
        **{f"batch_{i}": batch for i, batch in enumerate(batches)},
        "mean": to_numpy(normalise.moving_mean),
        "variance": to_numpy(normalise.moving_variance),
    }


class Whole(keras.utils.PyDataset):
    """One batch of images, this process's part of it, with labels for all."""

    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 1

    def __getitem__(self, index):
        count = len(self.images)
        return keras.ops.convert_to_tensor(self.images[part_of(count)]), keras.ops.zeros(count, "int32")


def train_all(found, prefix):
    if ENGINE == "tensorflow":  # which takes seconds to trace a training
        return {f"{prefix}/small/{key}": value for key, value in train("small", "sgd", 10, ONE_LEFT).items()}
    for name in NETWORKS:
        # ResNet50's statistics of five images are too sensitive for what is asked of it here.
        found[name] = train(name, "sgd", epochs=10, images=29 if name == "resnet50" else IMAGES)
    found["adam"] = train("small", "adam", epochs=10)
    found["muon"] = train("small", "muon", epochs=2)
    found["one_left"] = train("small", "sgd", epochs=3, images=ONE_LEFT)
    return {f"{prefix}/{name}/{key}": value for name, values in found.items() for key, value in values.items()}


class Halt(keras.callbacks.Callback):
    """Ends a run after its first epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


class Epochs(keras.callbacks.Callback):
    """Notes which epochs begin."""

    def __init__(self):
        super().__init__()
        self.begun = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(epoch)


def study_config(devices):
    return CifarConfig(
        dataset="digits",
        arch="linear",
        backend=ENGINE,
        devices=devices,
        train_images=120,
        batch_size=16 if ENGINE == "jax" else 15,  # which two devices share unevenly
        epochs=2,
        embedding_images=9,
        checkpoint_seconds=0,
    )


def run_studies():
    """Metrics and device of whole runs: on one device, on two, of names after that, begun on two and ended on one."""
    results = {"one": run(study_config(1)), "several": run(study_config(2))}
    results["names"] = run(NamesConfig(dataset="starter", hidden_units=4, iterations=50, backend=ENGINE))
    with TemporaryDirectory() as folder:
        with suppress(KeyboardInterrupt):
            run(study_config(2), folder, overwrite=True, callbacks=[Halt()])
        epochs = Epochs()
        results["resumed"] = run(study_config(1), folder, resume=True, callbacks=[epochs])
    assert epochs.begun == [1]
    return {
        f"{name}/run_{key}": value
        for name, result in results.items()
        for key, value in {
            "device": np.array(result.environment["device"]),
            **{name: np.array(metric.values) for name, metric in result.metrics.items()},
        }.items()
    }


def main():
    several = find_ranks().count if ENGINE == "torch" else 2
    saved = {}
    if not find_ranks().follows:
        with using_devices(1, False, BATCH_SIZE) if ENGINE != "torch" else nullcontext():
            saved = train_all({}, "one")
    with using_devices(several, False, BATCH_SIZE):
        saved |= train_all({}, "several")
    if ENGINE != "jax":
        epochs, images = (2, ONE_LEFT) if ENGINE == "tensorflow" else (10, IMAGES)
        with using_devices(several, True, BATCH_SIZE):
            found = train("small", "sgd", epochs, images) | measure_statistics()
            saved |= {f"apart/{name}": value for name, value in found.items()}
    if ENGINE != "torch":
        saved |= run_studies()
    try:
        with using_devices(several + 1, False, 12 * BATCH_SIZE):
            pass
    except UserError as error:
        saved["refusal"] = np.array(str(error))
    np.savez(f"{FILE}-{find_ranks().rank}.npz", **saved)


main()
