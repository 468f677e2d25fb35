import keras
import numpy as np
import pytest
import torch

from keras_dnnts.backend import Adam, Conv2D, Muon

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
            np.testing.assert_allclose(np.array(variable), weight.detach(), rtol=1e-4, atol=1e-8)


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


def orthogonalized(matrix, steps):
    """Newton and Schulz's iterations, in float64."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (np.linalg.norm(wide) + 1e-7)
    for _ in range(steps):
        square = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * square + 2.0315 * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def muon_step(weight, momentum, gradient, rate, share):
    """One step of plain Muon (kernels) or of SGD with Nesterov's momentum (all else); returns the new pair."""
    if weight.ndim < 4:
        ratio = {1: 3.0, 2: 7.0}[weight.ndim]
        gradient = gradient + 0.02 / (ratio * rate) * weight
        momentum = 0.85 * momentum + gradient
        return weight - share * rate * ratio * (gradient + 0.85 * momentum), momentum
    momentum = 0.7 * momentum + gradient
    filters = (gradient + 0.7 * momentum).transpose(3, 2, 0, 1)
    step = orthogonalized(filters.reshape(len(filters), -1), 3).reshape(filters.shape).transpose(2, 3, 1, 0)
    return weight * np.sqrt(weight.shape[3]) / np.linalg.norm(weight) - share * rate * step, momentum


@pytest.mark.parametrize("filters", [5, 29], ids=["wide", "tall"])  # more filters than entries of each: tall
def test_moves_as_plain_muon(filters):
    rng, shapes = np.random.default_rng(4), [(4, 3), (7,), (2, 2, 3, filters)]
    convolution = Conv2D(filters, 2, use_bias=False)
    convolution.build((1, 8, 8, 3))
    variables = [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in shapes[:2]]
    variables.append(convolution.kernel)
    schedule = keras.optimizers.schedules.PolynomialDecay(0.05, 10, end_learning_rate=0.0)
    optimizer = Muon(
        schedule, momentum=0.7, bias_ratio=3.0, dense_ratio=7.0, weight_decay=0.02, initial_rate=0.05, ns_steps=3
    )
    optimizer.build(variables)
    plain = [(np.array(variable, np.float64), np.zeros(variable.shape)) for variable in variables]
    for step in range(5):
        gradients = [rng.normal(size=shape).astype("float32") for shape in shapes]
        apply(optimizer, gradients, variables)
        share = 1 - step / 10
        plain = [
            muon_step(*pair, gradient.astype(np.float64), 0.05, share)
            for pair, gradient in zip(plain, gradients, strict=True)
        ]
    for variable, (weight, _) in zip(variables, plain, strict=True):
        np.testing.assert_allclose(np.array(variable), weight, rtol=1e-4, atol=2e-5)


def test_a_steps_singular_values_are_near_one():
    convolution = Conv2D(6, 3, use_bias=False)
    convolution.build((1, 8, 8, 4))
    kernel = convolution.kernel
    gradient = np.random.default_rng(5).normal(size=kernel.shape).astype("float32")
    optimizer = Muon(1.0, momentum=0.0, ns_steps=5)
    optimizer.build([kernel])
    before = np.array(kernel, np.float64)
    apply(optimizer, [gradient], [kernel])
    step = before * np.sqrt(6) / np.linalg.norm(before) - np.array(kernel)
    values = np.linalg.svd(step.transpose(3, 0, 1, 2).reshape(6, -1), compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.3


def test_muon_is_made_again_from_its_config():
    optimizer = Muon(0.3, momentum=0.7, bias_ratio=3.0, dense_ratio=7.0, weight_decay=0.02, ns_steps=4)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, Muon) and again.get_config() == optimizer.get_config()
