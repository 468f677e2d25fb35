"""Small folders of names, for tests that need some data and do not care which."""

from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import pytest

from keras_dnnts.cli import main

NAMES = {
    "Elvish": [
        "Arwen",
        "Elrond",
        "Galadriel",
        "Legolas",
        "Celeborn",
        "Thranduil",
        "Éowyn",
        "Lúthien",
        "Finwë",
        "Tinúviel",
    ],
    "Dwarvish": ["Gimli", "Thorin", "Balin", "Dwalin", "Bombur", "Bofur", "Bifur", "Nori", "Ori", "Dori", "Balin"],
    "Hobbit": [
        "Baggins",
        "Gamgee",
        "Took",
        "Brandybuck",
        "Bracegirdle",
        "Cotton",
        "Proudfoot",
        "Boffin",
        "Took",
        "Balin",
    ],
}


def write_names(folder: Path, names: dict[str, list[str]] = NAMES) -> Path:
    """Write one ``<Category>.txt`` a category and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for category, lines in names.items():
        (folder / f"{category}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def call(*arguments: str | Path, figures: bool = False) -> int:
    """Run the command line in this process and return its exit code.

    Args:
        figures: whether runs draw them, which takes longer than all the rest of a small one.
    """
    undrawn = mock.patch("keras_dnnts.cli.finishing.draw_here", lambda *what: None)
    with nullcontext() if figures else undrawn, pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)
