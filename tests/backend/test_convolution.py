"""Convolutions by im2col against PyTorch's, and where layers take them; torch only."""

import keras
import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from keras_dnnts.backend import Conv2D
from tests.devices import on_cpu

if keras.backend.backend() == "torch":  # beside another engine, its layers would take the place of that one's
    from keras_dnnts.backend.torch import convolution

pytestmark = [pytest.mark.one_engine, on_cpu]

SHAPES = {
    "plain": ((5, 4), (3, 3), (1, 1), 1),
    "strided": ((8, 7), (3, 3), (2, 2), 1),
    "not square": ((7, 6), (2, 3), (3, 2), 0),
    "last rows in no window": ((8, 8), (3, 3), (2, 2), 0),
    "one pixel with padding": ((4, 5), (1, 1), (2, 1), 1),
    "a wide padding": ((6, 5), (3, 3), (1, 2), 2),
}


def convolve(maps, kernel, strides, padding):
    return F.conv2d(maps.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), None, strides, padding).permute(0, 2, 3, 1)


@pytest.mark.parametrize(("maps", "size", "strides", "padding"), SHAPES.values(), ids=SHAPES.keys())
def test_outputs_and_gradients_are_those_of_pytorch(maps, size, strides, padding):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    inputs = draw(2, *maps, 3).requires_grad_()
    kernel = draw(4, *size, 3).permute(1, 2, 3, 0).requires_grad_()
    outputs = convolution.Im2colConvolution.apply(inputs, kernel, strides, padding)
    expected = convolve(inputs, kernel, strides, padding)
    torch.testing.assert_close(outputs, expected)
    gradient = draw(*expected.shape)
    found, wanted = (torch.autograd.grad(each, (inputs, kernel), gradient) for each in (outputs, expected))
    torch.testing.assert_close(found, wanted)


def count_im2col(outputs):
    """How many convolutions by im2col lie behind these outputs."""
    functions, seen = [outputs.grad_fn], set()
    while functions:
        function = functions.pop()
        if function is not None and function not in seen:
            seen.add(function)
            functions += [each for each, _ in function.next_functions]
    return sum("Im2colConvolution" in function.name() for function in seen)


@pytest.mark.parametrize(
    ("side", "filters", "dtype", "amx", "taken"),
    [
        (4, 8, "mixed_bfloat16", False, True),
        (5, 8, "mixed_bfloat16", False, False),
        (4, 8, "float32", True, False),
        (7, 128, "mixed_bfloat16", True, True),
        (7, 128, "mixed_bfloat16", False, False),
        (7, 127, "mixed_bfloat16", True, False),
        (8, 128, "mixed_bfloat16", True, False),
    ],
)
def test_layers_take_it_for_small_maps(monkeypatch, side, filters, dtype, amx, taken):
    monkeypatch.setattr(convolution, "_has_amx", lambda: amx)
    layer = Conv2D(filters, 3, padding=1, dtype=dtype)
    maps = np.random.default_rng(0).normal(size=(2, side, side, 5)).astype("float32")
    assert count_im2col(layer(maps)) == taken


@pytest.mark.parametrize("options", [{"use_bias": False}, {"strides": 2, "activation": "relu"}])
def test_a_layer_trains_in_bfloat16_as_in_pytorch(options):
    random = np.random.default_rng(1)
    maps = torch.from_numpy(random.normal(size=(3, 4, 4, 5)).astype("float32")).to(torch.bfloat16)
    layer = Conv2D(6, 3, padding=1, dtype="mixed_bfloat16", **options)
    layer.build(maps.shape)
    for weight in layer.weights:
        weight.assign(torch.from_numpy(random.normal(size=weight.shape)).to(torch.bfloat16))
    outputs = layer(maps)
    assert count_im2col(outputs) == 1
    gradient = torch.from_numpy(random.normal(size=outputs.shape)).to(torch.bfloat16)
    outputs.backward(gradient)

    kernel, *bias = (weight.value.detach().double().requires_grad_() for weight in layer.weights)
    expected = convolve(maps.double(), kernel, layer.strides, 1) + sum(bias)
    expected = torch.relu(expected) if layer.activation is keras.activations.relu else expected
    expected.backward(gradient.double())
    for found, wanted in zip(
        (outputs, *(w.value.grad for w in layer.weights)), (expected, *(w.grad for w in (kernel, *bias))), strict=True
    ):
        torch.testing.assert_close(found.double(), wanted, rtol=0.01, atol=0.01 * wanted.abs().max().item())


class Operations(TorchDispatchMode):
    """Notes the names of PyTorch's operations, and the most elements that one returned."""

    def __init__(self):
        super().__init__()
        self.names, self.elements = set(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        outputs = function(*args, **(kwargs or {}))
        self.names.add(function.overloadpacket._qualified_op_name)
        if isinstance(outputs, torch.Tensor):
            self.elements = max(self.elements, outputs.numel())
        return outputs


@pytest.mark.parametrize("options", [{"kernel_size": 1, "strides": 2}, {"kernel_size": 3, "padding": 1}])
def test_inference_does_not_repeat_the_kernel(options):
    maps = torch.zeros(8, 4, 4, 32, dtype=torch.bfloat16)
    layer = Conv2D(16, use_bias=False, dtype="mixed_bfloat16", **options)
    layer.build(maps.shape)
    with torch.no_grad(), Operations() as operations:
        layer(maps)
    assert "aten::mm" in operations.names
    assert "aten::bmm" not in operations.names
    assert operations.elements <= 9 * maps.numel()


def test_maps_smaller_than_the_kernel_are_an_error():
    layer = Conv2D(6, 3, dtype="mixed_bfloat16")
    layer.build((None, 4, 4, 5))
    for side in (1, 2):
        with pytest.raises(RuntimeError, match=r"[Kk]ernel size"):
            layer(torch.zeros(2, side, side, 5, dtype=torch.bfloat16))


def test_groups_and_dilation_stay_convolutions():
    maps = np.random.default_rng(2).normal(size=(2, 4, 4, 6)).astype("float32")
    for options in ({"groups": 2}, {"dilation_rate": 2, "padding": 1}):
        outputs = Conv2D(6, 3, dtype="mixed_bfloat16", **options)(maps)
        assert count_im2col(outputs) == 0
