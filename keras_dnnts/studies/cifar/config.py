"""The config of the image study."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_dnnts.config import Config, option, shown
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.studies.cifar.architectures import ARCHITECTURES, Architecture, find_architecture
from keras_dnnts.studies.cifar.recipes import (
    AUGMENTATION_STEPS,
    EVALUATIONS,
    INSTEAD_OF,
    KNOBS,
    LOSSES,
    OPTIMIZERS,
    PRECISIONS,
    RECIPES,
    RESAMPLINGS,
    SCHEDULES,
    TRAINING_SETS,
    WEIGHTS,
    is_flip,
    resolve,
)

DATASETS = ("auto", "cifar10", "digits")

# Beyond these, slips of the finger fill the memory or the disk, or never end.
MOST_EPOCHS = 1_000_000
LARGEST_WIDTH = 8
LARGEST_IMAGE_SIZE = 4_096
OF_RECIPE = "the recipe's"
STATISTICS = ("synchronised", "per-device")


@dataclass(frozen=True, kw_only=True)
class CifarConfig(Config):
    """The image study: a convolutional network trained from scratch.

    A knob of the recipe that is not given is the recipe's, or the architecture's where the recipe has none; once built,
    a config holds a value for every knob.

    >>> from keras_dnnts import CifarConfig
    >>> config = CifarConfig(arch="resnet50", recipe="reference", epochs=5)
    >>> config.learning_rate, config.weights, config.epochs
    (0.0001, 'last', 5)
    """

    experiment: ClassVar[str] = "cifar"
    model_option: ClassVar[str] = "arch"
    renamed: ClassVar[Mapping[str, str]] = {"protocol": "recipe"}

    arch: str | None = option(
        None,
        "Network: alexnet, resnet50, airbench, linear (softmax regression), or your own as FILE.py:FUNCTION.",
        "Model",
        suggestions=tuple(ARCHITECTURES),
        default="the recipe's, alexnet",
    )
    recipe: str = option("sound", "Training recipe; see below.", "Training", choices=tuple(RECIPES))
    dataset: str = option(
        "auto",
        "CIFAR-10, scikit-learn's digits, or auto: CIFAR-10 if cached or downloadable, else the digits.",
        "Data",
        choices=DATASETS,
    )
    data_dir: str | None = option(
        None,
        "Your own images: a folder or archive (tar, zip) with a folder for each class, or CIFAR-10's original batches.",
        "Data",
        is_path=True,
        results_depend=False,
    )
    skip_bad: bool = option(
        False, "Leave out image files that cannot be used, and list them, instead of stopping.", "Data"
    )
    dataset_name: str | None = option(None, "Name for your own data in results and titles.", "Data")
    train_images: int | None = option(
        None, "Number of training images to use, sampled from each class.", "Data", at_least=1, default="all"
    )
    image_size: int | None = option(
        None,
        "Image side in pixels, at least 63 (alexnet), 33 (resnet50) or 17 (airbench).",
        "Data",
        at_least=1,
        at_most=LARGEST_IMAGE_SIZE,
        default="the recipe's, 224, or 32 (linear); your own images: their median side, at most 96",
    )
    train_on: str | None = option(
        None,
        "Which training images to train on: their training part, or all that are not tested on, without validation.",
        "Data",
        choices=TRAINING_SETS,
        default=OF_RECIPE,
    )
    width: float = option(
        1.0, "Multiplies the number of channels or units of every layer.", "Model", above=0, at_most=LARGEST_WIDTH
    )
    pretrained: str | None = option(
        None,
        "Start from the weights of an earlier run of the same network: its folder, or a .keras file. The last layer is "
        "new; classes may differ.",
        "Model",
        is_path=True,
        results_depend=False,  # the hash says which they are
    )
    pretrained_hash: str | None = option(
        None, "Hash that these weights must have, as in a run's config.toml.", "Model", default="any weights"
    )
    freeze: bool = option(False, "Train the last layer alone, on pretrained weights.", "Model")
    epochs: int | None = option(
        None,
        "Maximum number of epochs.",
        "Training",
        at_least=1,
        at_most=MOST_EPOCHS,
        default="the recipe's, 50; your own images: at least 400 updates",
    )
    batch_size: int | None = option(
        None,
        "Images per step.",
        "Training",
        at_least=1,
        default="the recipe's, 128; your own images: at most a tenth of the training part, about",
    )
    optimizer: str | None = option(
        None,
        "Optimizer; adamw is adam with decoupled weight decay, muon orthogonalises the steps of convolutions.",
        "Training",
        choices=OPTIMIZERS,
        default="the recipe's, adam",
    )
    learning_rate: float | None = option(
        None, "Initial learning rate.", "Training", above=0, default="the recipe's, 0.001 (alexnet), 0.0001 (resnet50)"
    )
    bias_learning_rate: float | None = option(
        None,
        "Initial learning rate of biases with muon, for the gradient summed over a batch.",
        "Training",
        above=0,
        default="the recipe's, 0.05",
    )
    dense_learning_rate: float | None = option(
        None, "Likewise of dense layers.", "Training", above=0, default="the recipe's, 0.5"
    )
    momentum: float | None = option(
        None, "Momentum of sgd, and of convolutions with muon.", "Training", at_least=0, default="the recipe's, 0.9"
    )
    weight_decay: float | None = option(
        None,
        "Weight decay per step: multiplied by the learning rate (adamw, sgd), or by its share of the initial one, and "
        "not of convolutions (muon).",
        "Training",
        at_least=0,
        default="the recipe's, 0.01 (adamw), 0 (sgd, muon)",
    )
    schedule: str | None = option(
        None,
        "Learning-rate schedule: constant, in steps, or falling to zero by epoch (linear, cosine) or by step.",
        "Training",
        choices=SCHEDULES,
        default="the recipe's, step",
    )
    step_epochs: int | None = option(
        None, "Epochs between changes of the learning rate (step).", "Training", at_least=1, default="the recipe's, 5"
    )
    step_factor: float | None = option(
        None, "Factor of each change (step).", "Training", above=0, default="the recipe's, 1 (alexnet), 0.5 (resnet50)"
    )
    loss: str | None = option(None, "Loss function.", "Training", choices=LOSSES, default=OF_RECIPE)
    label_smoothing: float | None = option(
        None, "Fraction of each label spread over all classes.", "Training", at_least=0, default="the recipe's, 0"
    )
    augmentation: tuple[str, ...] | None = option(
        None,
        "Random augmentation of training images: any of the choices, or none.",
        "Training",
        choices=AUGMENTATION_STEPS,
        default="the recipe's, flip,crop,rotate",
    )
    no_flip: bool = option(
        False, "Leave flips out of the augmentation: for images whose left and right matter.", "Training"
    )
    resampling: str | None = option(
        None,
        "How augmented images are resampled: smooth (once, bicubic) or pil (as PIL does, nearest pixel).",
        "Training",
        choices=RESAMPLINGS,
        default=OF_RECIPE,
    )
    initial_image_size: int | None = option(
        None,
        "Image side in the first quarter of the epochs, half-way to the image size in the second (airbench).",
        "Training",
        at_least=1,
        at_most=LARGEST_IMAGE_SIZE,
        default="the recipe's, or the image size",
    )
    weights: str | None = option(
        None,
        "Which weights are kept: those of the epoch with the lowest validation loss, or the last.",
        "Training",
        choices=WEIGHTS,
        default=OF_RECIPE,
    )
    weight_averaging: float | None = option(
        None,
        "Decay per step of an exponential moving average of the weights, which is what is kept; 0 averages nothing.",
        "Training",
        at_least=0,
        default="the recipe's, 0",
    )
    evaluation: str | None = option(
        None,
        "Whether validation and test images are augmented too.",
        "Training",
        choices=EVALUATIONS,
        default=OF_RECIPE,
    )
    multi_crop: bool | None = option(
        None,
        "Also measure the mean answer to six views of each test image: mirrored or not, shifted by a pixel or not.",
        "Training",
        default=OF_RECIPE,
    )
    patience: int | None = option(
        None,
        "Stop after this many epochs without a lower validation loss; 0 trains all epochs.",
        "Training",
        at_least=0,
        default="the recipe's, 3",
    )
    precision: str | None = option(
        None,
        "Precision of the computation; weights and loss stay float32. auto: bfloat16 with torch, where the hardware "
        "has it.",
        "Engine",
        choices=PRECISIONS,
        default="the recipe's, float32",
    )
    devices: str | int | None = option(
        None,
        "Devices that share every batch: a number, or all. With torch, start as many processes by torchrun instead.",
        "Engine",
        default="as many as torchrun starts, else 1",
        results_depend=False,  # but for rounding
    )
    batch_statistics: str = option(
        "synchronised",
        "What batch normalisation takes its statistics over: the batch of all devices, or each device's part of it.",
        "Engine",
        choices=STATISTICS,
    )
    embedding_images: int = option(2000, "Maximum number of test images in the t-SNE maps.", "Output", at_least=2)
    checkpoint_seconds: float = option(
        300.0, "Minimum seconds between checkpoints.", "Output", at_least=0, results_depend=False
    )

    def __post_init__(self) -> None:
        self._note_given()
        options = self.options()
        options["recipe"].check("recipe", self.recipe)
        recipe = RECIPES[self.recipe]
        architecture = find_architecture(self.arch or recipe["arch"])
        given = {name: getattr(self, name) for name in KNOBS}
        knobs = resolve(given, recipe, architecture.recipe, architecture.own_recipe)
        if self.no_flip:
            knobs["augmentation"] = self._leave_flips_out(given["augmentation"], knobs["augmentation"])
        for name, value in knobs.items():
            object.__setattr__(self, name, value)
        super().__post_init__()
        assert self.augmentation is not None and self.image_size is not None
        steps = tuple(step for step in AUGMENTATION_STEPS if step in self.augmentation)
        object.__setattr__(self, "augmentation", steps)
        self._check_steps(steps)
        # A size that is not given is fitted to a person's own images, and the config is then made again.
        fitted = self.data_dir is not None and self.recipe != "reference" and not self.is_given("image_size")
        self._settle_initial_size(architecture, fitted)
        if not fitted and self.image_size < architecture.minimum_image_size:
            raise UserError(
                f"{option_name('image_size')} {self.image_size} is too small for {self.arch}: "
                f"use at least {architecture.minimum_image_size}"
            )
        self._check_pretrained()
        self._check_below_one("momentum")
        self._check_below_one("label_smoothing")
        self._check_below_one("weight_averaging")
        self._check_without_validation()
        if self.weight_averaging and self.weights == "best":
            raise UserError(
                f"{option_name('weight_averaging')} {self.weight_averaging} needs {option_name('weights')} last: the "
                "average is what is kept"
            )
        if self.optimizer == "adam" and self.weight_decay:
            raise UserError(
                f"{option_name('weight_decay')} is {self.weight_decay}: {option_name('optimizer')} adam takes none: "
                "use adamw, sgd or muon"
            )
        self._check_last_rate()
        self._settle_devices()

    def _settle_devices(self) -> None:
        if isinstance(self.devices, str) and self.devices.isascii() and self.devices.isdigit():
            object.__setattr__(self, "devices", int(self.devices))
        if self.devices not in (None, "all") and (isinstance(self.devices, str) or self.devices < 1):
            raise UserError(f"{option_name('devices')} is {shown(self.devices)}: use a number from 1 on, or all")
        if self.batch_statistics == "per-device" and self.backend == "jax":
            raise UserError(
                f"{option_name('batch_statistics')} per-device: jax computes as if on one device: use synchronised, or "
                f"another {option_name('backend')}"
            )

    def _leave_flips_out(self, given: Sequence[str] | None, steps: Sequence[str]) -> tuple[str, ...]:
        if flips := list(filter(is_flip, given or ())):
            raise UserError(
                f"{option_name('no_flip')} is given, but {option_name('augmentation')} has {flips[0]}: "
                "leave one of them out"
            )
        return tuple(step for step in steps if not is_flip(step))

    def _check_pretrained(self) -> None:
        if self.pretrained == "":
            raise UserError(f"{option_name('pretrained')} is empty: name a file or a run, or leave the option out")
        for name in ("freeze", "pretrained_hash"):
            if self.pretrained is None and getattr(self, name):
                raise UserError(
                    f"{option_name(name)} needs {option_name('pretrained')}: name the weights to start from, or leave "
                    "it out"
                )

    def _check_steps(self, steps: tuple[str, ...]) -> None:
        for step, others in INSTEAD_OF.items():
            if step in steps and (other := next((one for one in others if one in steps), None)):
                raise UserError(f"{option_name('augmentation')} {step} goes without {other}: leave one of them out")

    def _settle_initial_size(self, architecture: Architecture, fitted: bool) -> None:
        size, full = self.initial_image_size, self.image_size
        assert full is not None
        if size is None:
            return
        too_large = size >= full and not fitted
        if not self.is_given("initial_image_size") and (not architecture.any_size or too_large):
            object.__setattr__(self, "initial_image_size", None)
        elif not architecture.any_size:
            raise UserError(f"{option_name('initial_image_size')} {size}: {self.arch} takes images of one size only")
        elif not (fitted or architecture.minimum_image_size <= size <= full):
            raise UserError(
                f"{option_name('initial_image_size')} is {size}: it must be from {architecture.minimum_image_size} "
                f"to the image size, {full}"
            )

    def _check_without_validation(self) -> None:
        if self.train_on != "all":
            return
        for name, wanted in (("weights", "last"), ("patience", 0)):
            if getattr(self, name) != wanted:
                raise UserError(
                    f"{option_name('train_on')} all leaves no images for validation, which {option_name(name)} "
                    f"{getattr(self, name)} needs: use {option_name(name)} {wanted} or {option_name('train_on')} part"
                )

    def _check_below_one(self, name: str) -> None:
        if not getattr(self, name) < 1:
            raise UserError(f"{option_name(name)} is {getattr(self, name)}: it must be less than 1")

    def _check_last_rate(self) -> None:
        assert self.epochs is not None
        with contextlib.suppress(OverflowError):
            if math.isfinite(self.learning_rate_of(self.epochs - 1)):
                return
        raise UserError(
            f"{option_name('step_factor')} is {self.step_factor}: after {self.epochs} epochs the learning rate "
            "would overflow"
        )

    def learning_rate_of(self, epoch: int) -> float:
        """The rate of an epoch, the first being 0: the schedule's share of ``learning_rate``.

        ``step`` multiplies by ``step_factor`` after every ``step_epochs``; ``linear`` and ``cosine``
        (https://arxiv.org/abs/1608.03983, without restarts) would reach 0 in the epoch after the last;
        ``linear_by_step`` is ``linear`` at the first step of an epoch and falls within it too.
        """
        assert self.learning_rate is not None and self.epochs is not None
        assert self.step_factor is not None and self.step_epochs is not None
        if self.schedule == "step":
            return self.learning_rate * self.step_factor ** (epoch // self.step_epochs)
        if self.schedule in ("linear", "linear_by_step"):
            return self.learning_rate * (1 - epoch / self.epochs)
        if self.schedule == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return self.learning_rate

    def image_size_of(self, epoch: int) -> int:
        """The side of training images in an epoch, the first being 0: ``initial_image_size`` for a quarter of them,
        half-way to ``image_size`` for another quarter, then that (progressive resizing,
        https://arxiv.org/abs/2104.00298).
        """
        assert self.image_size is not None and self.epochs is not None
        first, last = self.initial_image_size or self.image_size, self.image_size
        share = epoch / self.epochs
        return first if share < 1 / 4 else (first + last) // 2 if share < 1 / 2 else last


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """A result's config with the knobs that results of older versions lack, whose recipe was called a protocol."""
    recipe = config.get("recipe", config.get("protocol"))
    return {**RECIPES.get(str(recipe), RECIPES["sound"]), "recipe": recipe, **config}
