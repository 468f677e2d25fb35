"""Every knob of the names study."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_dnnts.config import Config, option, shown
from keras_dnnts.datasets.alphabets import REFERENCE_ALPHABET, checked_alphabet
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import is_own_model

PROTOCOLS = ("sound", "reference")
CELLS = ("rnn", "gru", "lstm")
SCHEDULES = ("constant", "linear", "cosine")
DRAWN_CLASSES = ("even", "root", "natural")
DRAWN_FROM = ("lines", "names")
ENGINES = ("auto", "fused", "generic")
SOURCES = ("auto", "names", "starter")

# Beyond these, slips of the finger fill the memory, or never end.
MOST_ITERATIONS = 100_000_000
MOST_HIDDEN_UNITS = 16_384


@dataclass(frozen=True, kw_only=True)
class NamesConfig(Config):
    """The names study: one recurrent cell tells a surname's language.

    >>> from keras_dnnts import NamesConfig
    >>> print(NamesConfig(cell="lstm", seeds=5).to_toml().splitlines()[0])
    experiment = "names"
    """

    experiment: ClassVar[str] = "names"
    model_option: ClassVar[str] = "cell"

    cell: str = option(
        "gru",
        f"Recurrent cell ({', '.join(CELLS)}), or your own model: FILE.py:FUNCTION.",
        "Model",
        suggestions=CELLS,
    )
    protocol: str = option("sound", "See below.", "Training", choices=PROTOCOLS)
    dataset: str = option(
        "auto",
        "Real names, bundled starter names, or auto: the real ones if cached or downloadable, else starter names.",
        "Data",
        choices=SOURCES,
    )
    data_dir: str | None = option(
        None,
        "Your own data: a folder of <Category>.txt files, one name per line.",
        "Data",
        is_path=True,
        results_depend=False,
    )
    letters: str = option(REFERENCE_ALPHABET, "Letters that the model reads.", "Data", default="the reference's 57")
    held_out: float = option(0.2, "Fraction of the distinct names held out (protocol sound).", "Data", above=0, below=1)
    hidden_units: int = option(128, "Recurrent units.", "Model", at_least=1, at_most=MOST_HIDDEN_UNITS)
    iterations: int = option(
        100_000, "Number of updates, of one example each.", "Training", at_least=1, at_most=MOST_ITERATIONS
    )
    learning_rate: float = option(0.005, "Step size of weight -= rate * gradient.", "Training", above=0)
    schedule: str = option(
        "constant",
        "How the learning rate goes on: constant, or to 0 at the last update, linear or as a cosine.",
        "Training",
        choices=SCHEDULES,
    )
    draw_classes: str = option(
        "even",
        "How often a class is drawn: even, all alike; natural, by its number of examples; root, by the root of that.",
        "Training",
        choices=DRAWN_CLASSES,
    )
    draw_from: str = option(
        "lines",
        "What is drawn within a class: lines, copies of names counting again, or (distinct) names.",
        "Training",
        choices=DRAWN_FROM,
    )
    engine: str = option(
        "auto",
        "fused: one compiled kernel on the CPU; generic: automatic differentiation, any device.",
        "Engine",
        choices=ENGINES,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell not in CELLS and not is_own_model(self.cell):
            known = ", ".join(CELLS)
            raise UserError(
                f"unknown {option_name('cell')} {shown(self.cell)}: use one of {known}, or FILE.py:FUNCTION"
            )
        checked_alphabet(self.letters, self.is_raw)

    @property
    def is_raw(self) -> bool:
        """Whether names keep their spelling and the blanks around them."""
        return self.protocol == "reference"

    @property
    def alphabet(self) -> str:
        """The usable letters as names are spelled."""
        return checked_alphabet(self.letters, self.is_raw)


def title_of(config: Mapping[str, Any]) -> str:
    """How titles write a config's model."""
    cell = config["cell"]
    return cell.upper() if cell in CELLS else cell.rpartition(":")[2]
