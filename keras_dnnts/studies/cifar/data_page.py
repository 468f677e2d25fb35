"""What the page says of the images that a network was trained on: some of them, and how many there are of what."""

from typing import Any

from keras_dnnts.report import text
from keras_dnnts.report.images import encode_photo
from keras_dnnts.report.page import render_part
from keras_dnnts.report.sections import Section
from keras_dnnts.results import Result
from keras_dnnts.studies.cifar.findings import PART_NAMES, state_class_counts, state_training_images
from keras_dnnts.studies.cifar.illustrations import TRAINED_ON, AugmentedImages

PACKAGE = "keras_dnnts.studies.cifar"
MOST_ROWS = 20  # classes that are listed at once
MOST_COPIES = 20  # images whose files are listed


def build_data_sections(result: Result) -> list[Section]:
    """Training images as the network saw them, and the number of images of each class; older results have neither."""
    sections = []
    seen, seed = AugmentedImages.from_arrays(result.arrays, TRAINED_ON), text.name_seed(result)
    if seen is not None:
        body = render_part(
            PACKAGE, "augmented.html.jinja", images=_list_images(result, seen), seed=text.name_seed(result)
        )
        sections.append(
            Section(state_training_images(result, len(seen.image)), body, first=True, short="Training images")
        )
    if "class_counts" in result.dataset:
        body = render_part(PACKAGE, "counts.html.jinja", **_tabulate(result), seed=seed)
        sections.append(Section(state_class_counts(result), body, first=True, short="Images per class"))
    return sections


def _list_images(result: Result, seen: AugmentedImages) -> list[dict[str, Any]]:
    classes = result.dataset["classes"]
    return [
        {"address": encode_photo(image), "label": classes[label]}
        for image, label in zip(seen.image, seen.label, strict=True)
    ]


def _tabulate(result: Result) -> dict[str, Any]:
    classes, counts = result.dataset["classes"], result.dataset["class_counts"]
    most = max(max(counts["train"]), 1)
    copies = result.dataset.get("copies", {})
    files = copies.get("files", [])
    return {
        "part_names": [PART_NAMES[part] for part in counts],
        "rows": [
            {
                "name": name,
                "counts": [f"{of_part[i]:,}" for of_part in counts.values()],
                "width": 100 * counts["train"][i] / most,
            }
            for i, name in enumerate(classes)
        ],
        "totals": [f"{sum(of_part):,}" for of_part in counts.values()],
        "most_rows": MOST_ROWS,
        "copies": files[:MOST_COPIES],
        "copied": copies.get("across_parts", 0),
    }
