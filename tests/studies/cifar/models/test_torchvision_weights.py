import random

import keras
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from keras_dnnts.errors import UserError
from keras_dnnts.studies.cifar.models import build_alexnet, build_resnet50, load_torchvision_weights
from tests.studies.cifar.models import torch_references
from tests.training_step import gradients_of_training_step, relative_error

pytestmark = pytest.mark.every_engine

CLASSES = 7
SMALLEST = {"alexnet": 63, "resnet50": 33}


@pytest.fixture(params=["alexnet", "resnet50"])
def architecture(request):
    return request.param


def build_keras(architecture, **sizes):
    build = {"alexnet": build_alexnet, "resnet50": build_resnet50}[architecture]
    return build(**{"image_size": SMALLEST[architecture], "classes": CLASSES, "width": 0.125, **sizes})


def build_torch(architecture, seed=0, **sizes):
    """A PyTorch network in evaluation mode and without dropout, its moving statistics those of some random images."""
    torch.manual_seed(seed)
    reference = {"alexnet": torch_references.AlexNet, "resnet50": torch_references.ResNet50}[architecture]
    network = reference(**{"classes": CLASSES, "width": 0.125, **sizes})
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            # Few units lie near ReLU's kink, where rounding would choose between two gradients.
            torch.nn.init.normal_(module.bias, mean=1.0, std=0.3)
            module.momentum = 1.0
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        network(torch.randn(4, 3, 65, 65))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    return network.eval()


def without_dropout(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


def random_batch(image_size, examples=4, seed=1):
    rng = np.random.default_rng(seed)
    images = rng.normal(0.2, 1.0, (examples, image_size, image_size, 3)).astype("float32")
    return images, rng.integers(0, CLASSES, examples).astype("int32")


def to_torch(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def test_logits_in_evaluation_mode(architecture):
    network = build_torch(architecture, width=1.0)
    model = build_keras(architecture, width=1.0)
    load_torchvision_weights(model, network.state_dict())
    images, _ = random_batch(SMALLEST[architecture])
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
    assert np.ptp(expected, axis=0).max() > 1, "the images must matter"
    np.testing.assert_allclose(model.predict_on_batch(images), expected, atol=1e-4)


def test_loss_and_gradients_of_a_training_batch(architecture):
    network = build_torch(architecture)
    model = without_dropout(build_keras(architecture))
    load_torchvision_weights(model, network.state_dict())
    images, labels = random_batch(SMALLEST[architecture])

    expected_loss = F.cross_entropy(network.train()(to_torch(images)), torch.from_numpy(labels).long())
    expected_loss.backward()
    loss, gradients = gradients_of_training_step(model, images, labels)

    assert loss == pytest.approx(expected_loss.item(), rel=1e-3)
    expected_gradients = build_keras(architecture)
    load_torchvision_weights(
        expected_gradients,
        network.state_dict() | {name: weight.grad for name, weight in network.named_parameters()},
    )
    for gradient, expected in zip(gradients, expected_gradients.trainable_variables, strict=True):
        assert relative_error(gradient, np.array(expected)) < 1e-3, expected.path
    for statistic, expected in zip(moving_statistics(model), moving_statistics(expected_gradients), strict=True):
        assert relative_error(np.array(statistic), np.array(expected)) < 1e-3, expected.path


def moving_statistics(model):
    return [variable for variable in model.non_trainable_variables if "moving" in variable.name]


def test_takes_numpy_arrays(architecture):
    state = {name: value.numpy() for name, value in build_torch(architecture).state_dict().items()}
    from_arrays, from_tensors = build_keras(architecture), build_keras(architecture)
    load_torchvision_weights(from_arrays, state)
    load_torchvision_weights(from_tensors, build_torch(architecture).state_dict())
    for ours, theirs in zip(from_arrays.get_weights(), from_tensors.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_refuses_other_weights_and_keeps_its_own(architecture):
    model = build_keras(architecture)
    before = model.get_weights()
    state = dict(build_torch(architecture).state_dict())
    first, last = next(iter(state)), list(state)[-1]
    refusals = {
        first: {name: value for name, value in state.items() if name != first},
        "classifier.9.weight": state | {"classifier.9.weight": state[last]},
        last: dict(build_torch(architecture, classes=CLASSES + 1).state_dict()) | {first: state[first]},
    }
    for named, other in refusals.items():
        with pytest.raises(UserError, match=named.rsplit(".", 1)[0]):
            load_torchvision_weights(model, other)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_refuses_other_models():
    inputs = keras.Input((3,))
    with pytest.raises(UserError, match="perceptron"):
        load_torchvision_weights(keras.Model(inputs, keras.layers.Dense(2)(inputs), name="perceptron"), {})


def test_data_format_of_keras_changes_nothing(architecture):
    before, configs = keras.config.image_data_format(), []
    try:
        for data_format in ("channels_last", "channels_first"):
            keras.config.set_image_data_format(data_format)
            random.seed(0)
            configs.append(build_keras(architecture).get_config())
    finally:
        keras.config.set_image_data_format(before)
    assert configs[0] == configs[1]
