"""How a network is trained, as data. A recipe is a value for every knob; options override single ones."""

from collections.abc import Mapping
from typing import Any

OPTIMIZERS = ("adam", "adamw", "sgd", "muon")
SCHEDULES = ("constant", "step", "linear", "cosine", "linear_by_step")
LOSSES = ("cross_entropy",)
AUGMENTATION_STEPS = ("flip", "alternating_flip", "crop", "shift", "rotate")
"""In the order in which they are done."""
INSTEAD_OF = {"alternating_flip": ("flip",), "shift": ("crop", "rotate")}
"""Steps that others do without."""
RESAMPLINGS = ("smooth", "pil")
WEIGHTS = ("best", "last")
EVALUATIONS = ("plain", "augmented")
TRAINING_SETS = ("part", "all")
PRECISIONS = ("float32", "bfloat16", "auto")

SOUND: Mapping[str, Any] = {
    "arch": "alexnet",
    "image_size": 224,
    "optimizer": "adam",
    "momentum": 0.9,
    "schedule": "step",
    "step_epochs": 5,
    "epochs": 50,
    "batch_size": 128,
    "loss": "cross_entropy",
    "label_smoothing": 0.0,
    "augmentation": ("flip", "crop", "rotate"),
    "resampling": "smooth",
    "initial_image_size": None,
    "train_on": "part",
    "weights": "best",
    "weight_averaging": 0.0,
    "evaluation": "plain",
    "multi_crop": False,
    "patience": 3,
    "precision": "float32",
}
FAST: Mapping[str, Any] = {
    **SOUND,
    "arch": "airbench",
    "image_size": 32,
    "initial_image_size": 24,
    "optimizer": "muon",
    "learning_rate": 0.08,
    "momentum": 0.8,
    "bias_learning_rate": 0.053,
    "dense_learning_rate": 1.0,
    "weight_decay": 1e-3,
    "schedule": "linear_by_step",
    "epochs": 8,
    "batch_size": 500,
    "label_smoothing": 0.1,
    "augmentation": ("alternating_flip", "shift"),
    "train_on": "all",
    "weights": "last",
    "multi_crop": True,
    "patience": 0,
    "precision": "auto",
}
RECIPES: dict[str, Mapping[str, Any]] = {
    "sound": SOUND,
    "reference": {**SOUND, "resampling": "pil", "weights": "last", "evaluation": "augmented"},
    "fast": FAST,
}
"""By name. A recipe may choose network and image size, and never the data or their split."""

# What neither the recipe nor the network chooses.
WEIGHT_DECAYS = {"adam": 0.0, "adamw": 0.01, "sgd": 0.0}
OF_OPTIMIZER = ("learning_rate", "bias_learning_rate", "dense_learning_rate", "momentum", "weight_decay")
"""Knobs of a recipe that are chosen for its optimizer, and say nothing of another."""
OTHERWISE: Mapping[str, Any] = {
    "momentum": 0.9,
    "learning_rate": 1e-3,
    "bias_learning_rate": 0.05,
    "dense_learning_rate": 0.5,
    "step_factor": 1.0,
}
KNOBS = (*SOUND, *OTHERWISE, "weight_decay")


def is_flip(step: str) -> bool:
    """Whether a step of augmentation mirrors images."""
    return "flip" in step


def resolve(
    given: Mapping[str, Any],
    recipe: Mapping[str, Any],
    architecture: Mapping[str, Any],
    own: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A value for every knob: what is given, else the recipe's, else the architecture's, else the optimizer's own.

    Args:
        given: values by knob; None and what is left out count as not given.
        recipe: values by knob.
        architecture: the knobs that a network has a value for.
        own: the knobs that a network sets itself, whatever the recipe.

    >>> knobs = resolve({"optimizer": "adamw"}, RECIPES["sound"], {"learning_rate": 0.01})
    >>> knobs["learning_rate"], knobs["weight_decay"], knobs["epochs"]
    (0.01, 0.01, 50)
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if {**recipe, **(own or {}), **chosen}.get("optimizer") != recipe.get("optimizer"):
        recipe = {name: value for name, value in recipe.items() if name not in OF_OPTIMIZER}
    knobs = {**OTHERWISE, **architecture, **recipe, **(own or {}), **chosen}
    return {"weight_decay": WEIGHT_DECAYS.get(knobs["optimizer"], 0.0), **knobs}
