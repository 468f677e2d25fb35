"""Which networks there are, an entry each: its builder, and what else the study needs to know of it.

An entry needs a builder and a title; a network that leaves ``taps`` out may name its layers ``tap1``, ``tap2``, …
Imports no engine: a builder's module is imported once it is called.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import build_own_model, is_own_model, title_of
from keras_dnnts.study import from_module

PENULTIMATE = "pre_logits"
"""The layer whose output is what the last layer gets; a network without it has no embedding."""
TAP = re.compile(r"tap(\d+)", re.ASCII)
_MODELS = "keras_dnnts.studies.cifar.models"


@dataclass(frozen=True)
class Architecture:
    """A network.

    Attributes:
        build: ``(image_size, classes, width, seed)`` to a functional Keras model, see :func:`build_alexnet`.
        title: how titles write it.
        minimum_image_size: the smallest images its strides leave anything of.
        taps: layers whose activation maps are shown.
        any_size: whether it takes images of other sizes than the one it was built for.
        adapt: of the network and training images (N, H, W, 3) float32 as it takes them, sets what is to be computed
            from images before training; None where nothing is.
        recipe: knobs for which a recipe has no value of its own.
        own_recipe: knobs that it sets whatever the recipe, as one of another kind than recipes are made for.
        reported: the reference's numbers by metric; empty where it lacks the network.
    """

    build: Callable[..., Any]
    title: str
    minimum_image_size: int = 1
    taps: tuple[str, ...] = ()
    any_size: bool = False
    adapt: Callable[..., Any] | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    own_recipe: Mapping[str, Any] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)


ARCHITECTURES = {
    "alexnet": Architecture(
        build=from_module(f"{_MODELS}.alexnet:build_alexnet"),
        title="AlexNet",
        minimum_image_size=63,
        taps=("conv1", "conv2", "conv4"),
        recipe={"learning_rate": 1e-3, "step_factor": 1.0},
        reported={"test_accuracy": 0.6246, "test_loss": 1.0807, "epochs_run": 19},
    ),
    "resnet50": Architecture(
        build=from_module(f"{_MODELS}.resnet50:build_resnet50"),
        title="ResNet50",
        minimum_image_size=33,
        taps=("stage1_block1_conv1", "stage2_block1_conv1", "stage3_block1_conv1"),
        recipe={"learning_rate": 1e-4, "step_factor": 0.5},
        reported={"test_accuracy": 0.7446, "test_loss": 0.7436, "epochs_run": 15},
    ),
    "linear": Architecture(
        build=from_module(f"{_MODELS}.linear:build_linear"),
        title="Softmax regression",
        own_recipe={
            "image_size": 32,
            "optimizer": "adam",
            "learning_rate": 3e-4,
            "schedule": "linear",
            "epochs": 30,
            "patience": 0,
            "augmentation": ("flip",),
        },
    ),
    "airbench": Architecture(
        build=from_module(f"{_MODELS}.airbench:build_airbench"),
        title="Airbench",
        minimum_image_size=17,
        taps=("block1_conv1", "block2_conv1", "block3_conv1"),
        any_size=True,
        adapt=from_module(f"{_MODELS}.airbench:whiten_patches"),
    ),
}


def find_architecture(arch: str) -> Architecture:
    """Return a network's entry; that of a person's own runs their code once it builds.

    Raises:
        UserError: there is none of this name.
    """
    if is_own_model(arch):
        return Architecture(build=partial(_build_own, arch), title=title_of(arch))
    if arch not in ARCHITECTURES:
        shown = repr(arch) if len(arch) <= 80 else f"{arch[:80]!r}…"
        known = ", ".join(ARCHITECTURES)
        raise UserError(f"unknown {option_name('arch')} {shown}: use one of {known}, or FILE.py:FUNCTION")
    return ARCHITECTURES[arch]


def find_problem(model: Any, image_size: int, classes: int) -> str | None:
    """Say why a functional model is no network for images of this size and so many classes; None where it is one."""
    images, logits = (None, image_size, image_size, 3), (None, classes)
    for tensors, what, wanted in ((model.inputs, "inputs", images), (model.outputs, "outputs", logits)):
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if shapes != [wanted]:
            return f"its {what} have shapes {', '.join(map(str, shapes))}: it must be one, {wanted}"
    last = model.outputs[0]._keras_history.operation
    if getattr(getattr(last, "activation", None), "__name__", "") == "softmax" or type(last).__name__ == "Softmax":
        return "it ends in softmax: it must return logits, the values before that"
    for layer in model.layers:
        axes = 2 if layer.name == PENULTIMATE else 4 if TAP.fullmatch(layer.name) else None
        shape = getattr(getattr(layer, "output", None), "shape", None)
        if axes is not None and (shape is None or len(shape) != axes):
            what = "features (None, D)" if axes == 2 else "maps (None, height, width, channels)"
            return f"its layer {layer.name} gives {shape}: under that name it must give {what}"
    return None


def _build_own(arch: str, image_size: int, classes: int, width: float, seed: int) -> Any:
    return build_own_model(
        arch, (image_size, classes, width), lambda model: find_problem(model, image_size, classes), {"seed": seed}
    )


def find_taps(arch: str, layers: Sequence[str]) -> tuple[str, ...]:
    """The layers whose activation maps are shown: the entry's, or those named ``tap1``, ``tap2``, … in this order.

    >>> find_taps("my_net.py:build", ["tap2", "conv", "tap1", "logits"])
    ('tap1', 'tap2')
    """
    if taps := find_architecture(arch).taps:
        return taps
    numbered = {name: int(match[1]) for name in layers if (match := TAP.fullmatch(name))}
    return tuple(sorted(numbered, key=lambda name: numbered[name]))


def title_of_config(config: Mapping[str, Any]) -> str:
    """How titles write a config's network, and that it started from the weights of another run."""
    title = find_architecture(config["arch"]).title
    if not config.get("pretrained"):
        return title
    return f"{title} (pretrained, head trained)" if config.get("freeze") else f"{title} (pretrained)"
