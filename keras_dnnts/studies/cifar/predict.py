"""A trained network on images, prepared as a run's own evaluation prepares them where it does not augment."""

import numpy as np

from keras_dnnts.config import CifarConfig
from keras_dnnts.errors import UserError
from keras_dnnts.predict import log_softmax
from keras_dnnts.running.saved_models import SavedModel, load_keras_model


def image_shape(saved: SavedModel) -> tuple[int, int]:
    """Height and width of the images of the run's data set, as its results show some.

    Raises:
        UserError: they show none.
    """
    shown = saved.result.arrays.get("activation_image")
    if shown is None or shown.ndim != 4:
        raise UserError(f"{saved.path.parent}: its results lack activation_image; run the experiment again")
    return shown.shape[1], shown.shape[2]


def predict_log_probabilities(saved: SavedModel, images: np.ndarray, backend: str, device: str) -> np.ndarray:
    """Return (N, K) float32 log-probabilities of images (N, H, W, 3) uint8.

    Args:
        saved: the model.
        images: of the shape of the run's data set.
        backend: engine, any.
        device: where to compute.

    Raises:
        UserError: engine or device are not there, or the model is damaged or not the one the results describe.
    """
    config = saved.config
    assert isinstance(config, CifarConfig)
    model = load_keras_model(saved, backend, device)
    size, classes = config.image_size, len(saved.classes)
    if (model.input_shape, model.output_shape) != ((None, size, size, 3), (None, classes)):
        raise UserError(f"{saved.path}: is not the model that {saved.path.parent} describes; put that back")
    from keras_dnnts.analysis import predict
    from keras_dnnts.studies.cifar.image_batches import ImageBatches

    labels = np.zeros(len(images), np.int32)
    return log_softmax(predict(model, ImageBatches((images, labels), config.batch_size, size)))
