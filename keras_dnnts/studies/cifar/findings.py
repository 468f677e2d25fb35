"""What a CIFAR-10 result found, in the words of a figure's title. Where that is not clear, the words claim nothing."""

import math
from collections.abc import Mapping, Sequence

from keras_dnnts.metrics import PER_CENT, percent
from keras_dnnts.results import Result
from keras_dnnts.results.findings import shorten, state_recall
from keras_dnnts.studies.cifar.config import complete
from keras_dnnts.studies.cifar.illustrations import MAPS, Activations, Embedding, ImageMistakes

Z_95 = 1.96


PART_NAMES = {"train": "training", "validation": "validation", "test": "test"}
MOST_NAMED = 12  # classes of one part
MOST_LEFT_OUT = 10  # files
MOST_COPIES = 5  # images


def state_headline(result: Result, share: str) -> str:
    """The first heading of a run's page."""
    return f"{result.model_name} recognises {share} of test images"


def summarise(result: Result) -> list[str]:
    """Lines to print after a run."""
    lines = [f"Test accuracy by class: {state_recall(result, 'test')}", state_missing_classes(result)]
    return [line for line in (*lines, *state_copies(result), state_own_parts(result), state_left_out(result)) if line]


def name_missing_classes(missing: Mapping[str, Sequence[str]]) -> str:
    """Name the classes that have no image in a part of the data, given by part."""
    lacks = [f"without a {name} image: {_list(missing[part])}" for part, name in PART_NAMES.items() if part in missing]
    return f"classes {'; '.join(lacks)}"


def _list(names: Sequence[str]) -> str:
    named = ", ".join(shorten(name) for name in names[:MOST_NAMED])
    return named if len(names) <= MOST_NAMED else f"{named} and {len(names) - MOST_NAMED} more"


def state_missing_classes(result: Result) -> str | None:
    """Name the classes that a run cannot say anything of; None where every class is in every part."""
    missing = result.dataset.get("missing_classes")
    if not missing:
        return None
    some = ", for at least one seed" if result.config["seeds"] > 1 else ""
    return _sentence(f"{name_missing_classes(missing)}{some}")


def state_copies(result: Result) -> list[str]:
    """Say how many images are copies of others, and where that makes numbers say less; empty where none are."""
    copies = result.dataset.get("copies")
    if not copies:
        return []
    tested, conflicting = copies["of_training_images"], copies["of_other_classes"]
    lines = []
    if tested:
        share = f"{100 * tested / result.dataset['counts']['test']:.2g}{PER_CENT} of them"
        what = "test images are copies of training images" if tested > 1 else "test image is a copy of a training image"
        lines.append(f"{tested:,} {what} ({share}): correct answers there may be memorised")
    if validated := copies.get("validation"):
        what = "images are copies" if validated > 1 else "image is a copy"
        lines.append(f"{validated:,} validation {what} of training images: correct answers there may be memorised")
    if files := copies.get("files"):
        lines.append(name_copies(files, copies["across_parts"]))
    if not tested and not validated:
        lines.append(f"{copies['images']:,} images have identical copies, which are kept in the same part of the data")
    if conflicting:
        lines.append(f"{conflicting:,} images have a copy of another class")
    return lines


def name_copies(files: Sequence[Sequence[str]], count: int) -> str:
    """Name the files of images that have copies in another part, up to :data:`MOST_COPIES` of ``count`` images."""
    named = "; ".join(" = ".join(of_image) for of_image in files[:MOST_COPIES])
    more = f"; and {count - MOST_COPIES:,} more" if count > MOST_COPIES else ""
    return f"identical images in several parts: {named}{more}"


def state_training_images(result: Result, count: int) -> str:
    """Say what happened to the training images that are shown before the network got them."""
    steps = complete(result.config)["augmentation"]
    how = f"random {', '.join(steps).replace('_', ' ')}" if steps else "not augmented"
    return f"{count} training images as the network saw them ({how})"


def state_class_counts(result: Result) -> str:
    """Say how many training images the classes have."""
    counts, classes = result.dataset["class_counts"]["train"], result.dataset["classes"]
    least, most = min(counts), max(counts)
    if least == most:
        return f"{most:,} training images of each of {len(classes)} classes"
    fewest, many = classes[counts.index(least)], classes[counts.index(most)]
    return f"Training images per class: from {least:,} ({shorten(fewest)}) to {most:,} ({shorten(many)})"


def state_own_parts(result: Result) -> str | None:
    """Say which parts of the data a source with validation images has itself; None for other sources."""
    own = result.dataset.get("own_parts")
    if not own:
        return None
    where = "the source has its own validation and test images" if "test" in own else None
    return _sentence(where or "the source has its own validation images; 20 % of its training images are the test part")


def state_left_out(result: Result) -> str | None:
    """Count and name the files that could not be used; None where all could."""
    left_out = result.dataset.get("left_out")
    if not left_out:
        return None
    named = "; ".join(f"{path} {problem}" for path, problem in left_out[:MOST_LEFT_OUT])
    more = f"; and {len(left_out) - MOST_LEFT_OUT:,} more" if len(left_out) > MOST_LEFT_OUT else ""
    return f"{len(left_out):,} file{'s' if len(left_out) > 1 else ''} left out: {named}{more}"


def list_notes(result: Result) -> list[str]:
    """What makes the numbers of a run say less, in sentences."""
    lines = [
        state_missing_classes(result),
        *state_copies(result),
        state_own_parts(result),
        state_left_out(result),
    ]
    return [f"{line}." for line in lines if line]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def state_epochs(result: Result) -> str:
    """Say after which epoch the validation loss of a run was lowest."""
    best, run = (result.metrics.get(name) for name in ("best_epoch", "epochs_run"))
    if best is None or run is None or run.mean < 2:
        return f"{result.model_name}: loss and accuracy"
    if len(best.values) > 1:
        return (
            f"{result.model_name}: validation loss lowest after {best.mean:.1f} of {run.mean:.1f} epochs "
            f"(mean of {len(best.values)} seeds)"
        )
    return f"{result.model_name}: validation loss lowest after epoch {best.values[0]:.0f} of {run.values[0]:.0f}"


def state_mistakes(result: Result, mistakes: ImageMistakes) -> str:
    """Say how sure a network was of the wrong guesses that are shown."""
    if not len(mistakes.confidence):
        return f"{result.model_name}: every test image classified correctly"
    most = _whole_percent(float(mistakes.confidence.max()))
    return f"{result.model_name}: most confident mistakes (confidence up to {most})"


def state_neighbours(result: Result, embedding: Embedding) -> str:
    """Say whether images of a class lie closer together at the end than after the first epoch.

    A difference is claimed where its 95 % interval, for two independent shares (the images are the same, which only
    narrows it), leaves out 0.
    """
    shares = result.details["neighbour_accuracy"]
    first, final, count = shares["first"], shares["final"], len(embedding.label)
    margin = Z_95 * math.sqrt((first * (1 - first) + final * (1 - final)) / count)
    what = f"t-SNE of the features of {count:,} test images"
    if final - first > margin:
        return f"{result.model_name}: classes moved apart during training ({what})"
    if first - final > margin:
        return f"{result.model_name}: classes were further apart after epoch 1 than at the end ({what})"
    return f"{result.model_name}: {what}"


def state_map(result: Result, when: str) -> str:
    """Say how many images lie among their own class on a map: it is the most common of the ten nearest neighbours."""
    share = percent(result.details["neighbour_accuracy"][when])
    return f"{MAPS[when]}: {share} among their own class"


def state_activations(result: Result, activations: Activations) -> str:
    """Say what of which layers is shown."""
    channels = {maps.shape[-1] for maps in activations.maps.values()}
    most = f"up to {max(channels)}" if len(channels) > 1 else f"the first {max(channels)}"
    layers = len(activations.maps)
    where = f"each of {layers} layers" if layers > 1 else "1 layer"
    return f"{result.model_name}: activation maps of {most} channels in {where}"


def _whole_percent(share: float) -> str:
    return f"over 99{PER_CENT}" if share > 0.99 else percent(share, 0)
