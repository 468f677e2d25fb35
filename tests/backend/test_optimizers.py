import keras
import numpy as np
import pytest
import torch

from keras_dnnts.backend import Adam, Conv2D

pytestmark = pytest.mark.every_engine

SHAPES = [(4, 3), (7,), (2, 2, 3, 5)]
STEPS = 12


def gradients_by_step(seed=0):
    """Gradients of very different sizes, some zero: epsilon matters to the small ones alone."""
    random = np.random.default_rng(seed)
    for _ in range(STEPS):
        scales = [10.0 ** random.integers(-9, 2, shape) * (random.random(shape) > 0.1) for shape in SHAPES]
        yield [(scale * random.normal(size=scale.shape)).astype("float32") for scale in scales]


def variables_of_zeros():
    """Two plain variables and a kernel, whose memory may be in another order. Moves are compared best from zero."""
    convolution = Conv2D(5, 2, use_bias=False)
    convolution.build((1, 8, 8, 3))
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in SHAPES[:2]] + [convolution.kernel]
    variables[2].assign(np.zeros(SHAPES[2]))
    return variables


def apply(optimizer, gradients, variables):
    optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)


def test_moves_as_pytorchs_adam():
    variables = variables_of_zeros()
    optimizer = Adam(3e-3)
    references = [torch.zeros(shape, requires_grad=True) for shape in SHAPES]
    reference = torch.optim.Adam(references, lr=3e-3)
    for step, gradients in enumerate(gradients_by_step()):
        if step == STEPS // 2:
            optimizer.learning_rate = reference.param_groups[0]["lr"] = 1e-3
        for weight, gradient in zip(references, gradients, strict=True):
            weight.grad = torch.from_numpy(gradient)
        reference.step()
        apply(optimizer, gradients, variables)
        for variable, weight in zip(variables, references, strict=True):
            np.testing.assert_allclose(np.array(variable), weight.detach(), rtol=1e-4, atol=1e-9)


def test_first_update_by_a_tiny_gradient():
    variable = keras.Variable(np.zeros(1, "float32"))
    apply(Adam(1e-3), [np.full(1, 1e-6, "float32")], [variable])
    assert np.array(variable)[0] == pytest.approx(-1e-3 / 1.01, rel=1e-4)


def test_saved_moments_continue_the_same_way():
    variables, copies = variables_of_zeros(), variables_of_zeros()
    optimizer = Adam(3e-3)
    *first, last = gradients_by_step()
    for gradients in first:
        apply(optimizer, gradients, variables)
    resumed = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    resumed.build(copies)
    for saved, variable in zip(optimizer.variables + variables, resumed.variables + copies, strict=True):
        variable.assign(np.array(saved))
    apply(optimizer, last, variables)
    apply(resumed, last, copies)
    for variable, copy in zip(variables, copies, strict=True):
        np.testing.assert_array_equal(np.array(copy), np.array(variable))


def test_trains_with_clipping_accumulation_and_a_schedule():
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.GlobalAveragePooling2D(data_format="channels_last")(Conv2D(5, 2)(inputs))
    model = keras.Model(inputs, outputs)
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 1, 0.5)
    model.compile(Adam(schedule, global_clipnorm=1e-3, gradient_accumulation_steps=2), "mse")
    images = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")
    before = model.get_weights()
    model.fit(images, np.ones((6, 5), "float32"), batch_size=3, epochs=2, verbose=0)
    for now, then in zip(model.get_weights(), before, strict=True):
        moved = np.abs(now - then)
        assert 0 < moved.max() <= 1.5e-2 * 1.01
