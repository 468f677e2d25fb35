"""What a CIFAR-10 result found, in the words of a figure's title. Where that is not clear, the words claim nothing."""

import math

from keras_dnnts.results import Result
from keras_dnnts.results.findings import state_recall
from keras_dnnts.studies.cifar.illustrations import Embedding, ImageMistakes

Z_95 = 1.96


def state_headline(result: Result, share: str) -> str:
    """The first heading of a run's page."""
    return f"{result.model_name} recognises {share} of test images"


def summarise(result: Result) -> list[str]:
    """Lines to print after a run."""
    return [f"Test accuracy by class: {state_recall(result, 'test')}"]


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
        return f"{result.model_name}: every test image right"
    return f"{result.model_name}: its surest mistakes, up to {_whole_percent(float(mistakes.confidence.max()))} sure"


def state_neighbours(result: Result, embedding: Embedding) -> str:
    """Say whether images of a class lie closer together at the end than after the first epoch.

    A difference is claimed where its 95 % interval, for two independent shares (the images are the same, which only
    narrows it), leaves out 0.
    """
    shares = result.details["neighbour_accuracy"]
    first, final, count = shares["first"], shares["final"], len(embedding.label)
    margin = Z_95 * math.sqrt((first * (1 - first) + final * (1 - final)) / count)
    what = f"{result.model_name}: t-SNE of {count:,} test images' features"
    if final - first > margin:
        return f"{what}: classes drew apart in training"
    if first - final > margin:
        return f"{what}: classes were further apart after epoch 1"
    return what


def _whole_percent(share: float) -> str:
    return "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"
