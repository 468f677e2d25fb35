"""The image study: convolutional networks trained from scratch."""

from collections.abc import Mapping
from typing import Any

from keras_dnnts.errors import option_name
from keras_dnnts.metrics import MetricKind
from keras_dnnts.studies.cifar.architectures import title_of_config
from keras_dnnts.studies.cifar.config import CifarConfig, complete
from keras_dnnts.studies.cifar.reference import CifarReference
from keras_dnnts.study import ResultFormat, Selection, Study, from_module

EPILOG = """
\b
Recipes:
  sound      only training images are augmented, with one smooth resampling;
             the weights of the epoch with the lowest validation loss are kept.
  reference  as in the notebook: validation and test images are augmented too, with
             the notebook's operations, and the last epoch's weights are kept.
  fast       a small network (airbench) on images of 32 pixels, in minutes on two CPU cores;
             all training images are trained on, without validation.
\b
Parts: the training images of each class are split into 70 % training, 10 %
validation and 20 % test. If the data have their own test images (CIFAR-10, a
test/ folder), the last 20 % are set aside. A val/ folder is the validation part;
20 % of the training images are then the test part, unless there is a test/ folder.
The fast recipe trains on all of them but the test part.
\b
Your own images (--data-dir): image size, batch size, learning rate, epochs,
patience and rate steps that are not given are chosen from the number of images
and their sizes, except with the reference recipe; --dry-run shows them.
\b
Your own model (--arch FILE.py:FUNCTION): FUNCTION(image_size, classes, width=1.0)
returns a Keras functional model from images (batch, image_size, image_size, 3),
float32 from -1 to 1, to logits (batch, classes). Layers named tap1, tap2, … get
activation maps, and one named pre_logits the t-SNE maps.
"""
METRICS = (
    MetricKind("test_accuracy", "test accuracy", "share", higher_is_better=True, headline="accuracy on test images"),
    MetricKind("test_loss", "test loss", "nats", higher_is_better=False),
    MetricKind("test_accuracy_multi_crop", "test accuracy, multi-crop", "share", higher_is_better=True, optional=True),
    MetricKind("validation_accuracy", "validation accuracy", "share", higher_is_better=True, optional=True),
    MetricKind("validation_loss", "validation loss", "nats", higher_is_better=False, optional=True),
    MetricKind("train_loss", "training loss", "nats", higher_is_better=False),
    MetricKind("epochs_run", "epochs run", "count"),
    MetricKind("best_epoch", "best epoch", "count", optional=True),
    MetricKind("train_seconds", "train seconds", "seconds", higher_is_better=False),
    MetricKind("images_per_second", "images/s", "per second", higher_is_better=True),
    MetricKind("compile_seconds", "compile seconds", "seconds", higher_is_better=False, optional=True),
)
HISTORY = ("learning_rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
HERE = __name__


def _describe_training(config: Mapping[str, Any]) -> str:
    knobs = complete(config)
    if knobs["evaluation"] == "augmented":
        augmented = "Validation and test images are augmented too"
    else:
        augmented = "Only training images are augmented" if knobs["augmentation"] else "No image is augmented"
    kept = "the last epoch's weights" if knobs["weights"] == "last" else None
    if knobs["weight_averaging"]:
        kept = "an average of the weights over the last steps"
    kept = kept or "the weights of the epoch with the lowest validation loss"
    if knobs["recipe"] == "reference" and knobs["evaluation"] == "augmented":
        return f"As in the reference, {augmented[0].lower()}{augmented[1:]}, and {kept} are kept."
    trained_on = "Trained on all training images, without validation. " if knobs["train_on"] == "all" else ""
    return f"{trained_on}{augmented}; {kept} are kept."


def _note(config: Mapping[str, Any]) -> str:
    knobs = complete(config)
    if knobs["recipe"] == "reference":
        return "reference recipe"
    return "augmented test images" if knobs["evaluation"] == "augmented" else ""


def _lacks_validation(config: CifarConfig) -> str | None:
    if config.train_on == "part":
        return None
    name = option_name("train_on")
    return f"{name} {config.train_on} leaves no validation images to compare settings on: use {name} part"


STUDY = Study(
    name="cifar",
    config=CifarConfig,
    question="Image classification",
    about="Train AlexNet, ResNet50, airbench, softmax regression or your own network on CIFAR-10 or your own images.",
    epilog=EPILOG,
    metrics=METRICS,
    parts={"test": "test images"},
    parts_of=lambda config: ("test",),
    one_device="",
    training_loss="history_train_loss",
    finding=from_module(f"{HERE}.findings:state_headline"),
    example=("images", "images"),
    model_title=title_of_config,
    use=lambda config: f"{complete(config)['recipe']} recipe",
    describe_training=_describe_training,
    note=_note,
    folders_are_classes=True,
    load_data=from_module(f"{HERE}.data:load_data"),
    resolve=from_module(f"{HERE}.data:resolve"),
    foresee=from_module(f"{HERE}.data:foresee"),
    choices=from_module(f"{HERE}.data:list_choices"),
    survey=from_module(f"{HERE}.data:survey"),
    count_parameters=from_module(f"{HERE}.train:count_parameters"),
    training=from_module(f"{HERE}.train:CifarTraining"),
    result_format=ResultFormat(
        fields={
            "config": {"arch": str},
            "dataset": {"counts": {"images": {"*": int}, "train": int, "validation": int, "test": int}},
            "details": {"illustrated_seed": int, "neighbour_accuracy": {"*": float}},
        },
        arrays={
            # NaN where a seed stopped before the others.
            **{f"history_{name}": "float seeds epochs" for name in HISTORY},
            "mistake_image": "byte mistakes height width 3",
            "mistake_truth": "class mistakes",
            "mistake_guess": "class mistakes",
            "mistake_confidence": "finite mistakes",
        },
        # A network without taps has no activation maps, one without pre_logits no embedding; only files have paths.
        optional={
            "augmented_image": "byte augmenteds . . 3",
            "augmented_label": "class augmenteds",
            "activation_image": "byte activations height width 3",
            "activation_label": "class activations",
            "activation_path": "text activations",
            "activation_?*": "finite activations . . .",
            "embedding_label": "class embeddings",
            "embedding_first": "finite embeddings 2",
            "embedding_final": "finite embeddings 2",
            "embedding_image": "byte embeddings . . 3",
            "embedding_path": "text embeddings",
            "example_test_image": "byte examples_test . . 3",
            "example_test_truth": "class examples_test",
            "example_test_guess": "class examples_test",
            "example_test_confidence": "finite examples_test",
            "example_test_path": "text examples_test",
            "mistake_path": "text mistakes",
            "effective_test": "finite seeds classes",
        },
        may_be_empty=frozenset({"mistakes"}),
    ),
    reference=CifarReference(),
    curves=from_module(f"{HERE}.page:build_curves"),
    plot_curves=from_module(f"{HERE}.figures:plot_losses"),
    figures=from_module(f"{HERE}.figures:cifar_figures"),
    sections=from_module(f"{HERE}.page:build_sections"),
    comparison_sections=from_module(f"{HERE}.page:build_comparison_sections"),
    summary=from_module(f"{HERE}.findings:summarise"),
    notes=from_module(f"{HERE}.findings:list_notes"),
    predict=from_module(f"{HERE}.predict:predict"),
    export=from_module(f"{HERE}.export:export"),
    selection=Selection(
        metric="validation_accuracy",
        words="accuracy on validation images",
        kept_back=("test_accuracy", "test_accuracy_multi_crop", "test_loss"),
        find_problem=_lacks_validation,
    ),
    register_layers=from_module(f"{HERE}.models:register_layers"),
    data_sets=from_module(f"{HERE}.data:list_data_sets"),
)
