"""The contract of a study: all that the package asks of one. A study is a folder, and nothing else knows its name.

What a study gives as a function may stand in a module of its own that is imported once it is needed
(:func:`from_module`): describing a study then costs nothing, and a module that needs an engine is imported after the
engine has been chosen.
"""

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from keras_dnnts.config import Config
from keras_dnnts.metrics import MetricKind

if TYPE_CHECKING:
    import numpy as np


def from_module(path: str) -> Callable[..., Any]:
    """Return the function or class at ``"package.module:name"``, imported once it is called."""
    module, _, name = path.partition(":")

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    return call


class Dataset(Protocol):
    """What is known of a data set, as :class:`keras_dnnts.datasets.NamesDataset` has it."""

    @property
    def name(self) -> str:
        """What results and titles call it."""

    @property
    def source(self) -> str:
        """Where it came from, for a person."""

    @property
    def stand_in(self) -> bool:
        """Whether it stands in for other data that were out of reach."""

    @property
    def content_hash(self) -> str:
        """``"sha256:<hex>"`` over all that it holds."""

    @property
    def classes(self) -> tuple[str, ...]:
        """K class names in the order of labels."""


class StudyData(Protocol):
    """The data of a run, read and split for every seed before an engine starts."""

    @property
    def dataset(self) -> Dataset:
        """The data set."""

    def describe(self) -> dict[str, Any]:
        """What results say of it: ``counts``, by what is counted, and whatever else the study wants to keep."""


@dataclass(frozen=True)
class SeedOutcome:
    """What one seed found.

    Attributes:
        metrics: a number, or ``(number, (low, high))`` with its 95 % interval, by name.
        confusions: (K, K) int counts by part of the data, row = truth, column = guess.
        parameters: number of trainable parameters.
        columns: of ``history.csv``, but for the seed; without any, there is no such file.
        rows: of ``history.csv``; None for what was not measured.
        curves: (points,) float by name; results hold them of all seeds, NaN where a seed has fewer points.
        arrays: whatever else results hold; only the first seed's are kept.
        details: plain values; only the first seed's are kept.
        environment: what is to be known of how it was computed; only the first seed's is kept.
    """

    metrics: dict[str, Any]
    confusions: dict[str, "np.ndarray"]
    parameters: int
    columns: list[str]
    rows: Sequence[tuple[float | None, ...]]
    curves: dict[str, "np.ndarray"]
    arrays: dict[str, "np.ndarray"] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


class Training(Protocol):
    """How a study trains; made from the :class:`keras_dnnts.running.run.Run` once the engine has started.

    Attributes:
        side_by_side: number of seeds that can be trained at once, in threads.
        steps: number of steps of one seed's training, as progress counts them.
        unit: what a step is called, in the plural.
        round_size: number of steps that fill the bar; None for all of them.
    """

    side_by_side: int
    steps: int
    unit: str
    round_size: int | None

    def prepare(self, seed: int) -> Any:
        """Build what is trained. In the main thread."""

    def train(self, seed: int, prepared: Any) -> Any:
        """Train it, from its last checkpoint on. Perhaps in a thread."""

    def finish(self, seed: int, trained: Any) -> SeedOutcome:
        """Save the model, measure it and pick what is shown. In the main thread, seed after seed."""


NOTEBOOK_TITLE = "Deep Neural Networks and Time-Series Models"
NOTEBOOK_URL = "https://github.com/Jayadeep-Potarlanka/deep-neural-networks-and-time-series-models"


class Reference(Protocol):
    """Numbers that somebody else reports for a study.

    They are shown only beside the same metric of a run that had the very data and changed no setting.

    Attributes:
        title: what it is called.
        url: where it is.
    """

    title: str
    url: str

    def reported(self, config: Mapping[str, Any]) -> dict[str, float]:
        """The reported numbers for a config's model, by metric; empty for a model that it lacks."""

    def has_data_of(self, dataset: Mapping[str, Any]) -> bool:
        """Whether a run had the very data."""

    def changed_settings(self, config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The settings in which a run departs from it: by name, (the run's, the reference's)."""

    def measured_on(self) -> str:
        """What its accuracies were measured on, in words."""


@dataclass(frozen=True)
class Selection:
    """How settings are compared without the data that runs are judged on in the end.

    Attributes:
        metric: of the validation part, by which settings are ranked.
        words: what it is in a sentence, such as ``"accuracy on validation images"``.
        part: what counts of the data call the validation part.
        settings: options that let a run measure it and leave the final part alone; empty where every run measures both.
        kept_back: metrics of the final part, where every run measures them.
        find_problem: of a config, why a run of it cannot be compared; None where it can.
    """

    metric: str
    words: str
    part: str = "validation"
    settings: Mapping[str, Any] = field(default_factory=dict)
    kept_back: tuple[str, ...] = ()
    find_problem: Callable[[Any], str | None] = lambda config: None


@dataclass(frozen=True)
class ResultFormat:
    """What a study's results must hold, in the terms of :mod:`keras_dnnts.results.format`.

    Attributes:
        fields: of ``results.json``, beside those that all studies have.
        arrays: of ``results.npz``, beside the confusion counts, of a model that was trained step by step.
        optional: of ``results.npz``, only checked where they are there.
        may_be_empty: axes that may have no entry.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    may_be_empty: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ensembles:
    """How a study puts finished runs together, to a run like any other.

    Attributes:
        same: fields of the config, beside those of the data and the seeds, in which the runs must agree.
        config: of the runs' configs and their weights, the config of the run they become.
        weights: of a config, the weights of the runs that were put together; empty for any other run.
        prior: which of the study's priors what they say together assumes.
        training: of the members (:class:`keras_dnnts.running.ensembles.Member`) and the run, a :class:`Training`.
    """

    same: tuple[str, ...]
    config: Callable[[Sequence[Any], Sequence[float]], Config]
    weights: Callable[[Mapping[str, Any]], tuple[float, ...]]
    prior: str
    training: Callable[..., Training]


def _nothing(*_: Any, **__: Any) -> list:
    return []


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study.

    Attributes:
        name: of the command, and of ``experiment`` in configs and results.
        config: its config.
        question: what it asks, in words.
        about: what the command does, in a sentence.
        epilog: what its help ends with.
        metrics: all that is measured, in the order of tables.
        parts: the parts of the data that models are judged on, in words, the most telling first.
        parts_of: those of them that a run of a config has.
        one_device: why a run computes on one device only, in words; empty where it can on several.
        trains: whether a config's model is trained step by step on an engine; otherwise it is fitted at once, in NumPy:
            no engine starts, there is neither loss nor history, and its file is no Keras model.
        unused: of a config, options that it has and that change nothing, with the reason in words.
        training_loss: the array (seeds, points) in which results keep the loss while a model was trained, or None.
        finding: of a result and a share in per cent, the first heading of its page: how many examples of the most
            telling part are told right, in a sentence.
        has_copies: whether examples may be copies of one another, so that their number alone gives no interval.
        example: what an example is called, and what counts of examples count, both in the plural.
        classes: what classes are called, in the plural.
        reworded: of a result's data set, the fields of this study in which texts about these data say something else.
        model_title: how titles write a config's model.
        use: how a config uses the data, in a word or two, such as ``sound protocol``.
        describe_training: the same in a sentence.
        note: what tables and titles must say of a config beside its data; empty for what is usual.
        survey: of a config, for ``--dry-run``: facts about its data in sentences, and the number of classes. Downloads
            and writes nothing, and decodes no image.
        count_parameters: of a config and a number of classes, the parameters of its model, or None where they depend on
            the data. The engine runs, where there is one.
        load_data: reads and splits the data of a config. No engine runs yet.
        resolve: of a config and its data, the fields that the data have settled, such as which data set was taken.
        foresee: of a config, for ``--dry-run``: those of these fields that are known before the data are read.
        choices: of the data that were read, lines that say what was chosen for them, before training begins.
        folders_are_classes: whether every folder in ``data_dir`` is a class, as a run in it would become.
        training: makes a :class:`Training` from a run. The engine runs, where there is one.
        result_format: what results hold.
        reference: numbers that somebody else reports, or None.
        curves: of results by label, charts for the page: dicts of ``title`` and ``chart``.
        plot_curves: draws results by label into axes, for the figure of a comparison.
        figures: of a result, what draws each figure, by name.
        sections: of a result, its own sections of the page, see :mod:`keras_dnnts.report.sections`.
        comparison_sections: likewise of one of several runs: ``(result, identity, most_bytes)``.
        try_out: of the folders of finished runs by label, and how many bytes it may take, a section of the page in
            which a person tries their models, or None.
        summary: of a result, lines to print after a run.
        notes: of a result, sentences under the table of numbers.
        priors: what ``predict`` can take class frequencies to be, by name, as its ``prior``; empty where it cannot.
        predict: ``(saved, inputs, file, top, backend, device)`` to blocks of predictions, or None.
        export: ``(saved, length, backend)`` to a :class:`keras_dnnts.export.Exported`, or None.
        ensembles: how finished runs are put together, or None where they cannot be.
        selection: how settings are compared on validation data, or None where there are none.
        register_layers: imports whatever Keras must know to load its models.
        data_sets: what the ``data`` command lists: (title, where it is); ``fetch`` downloads what is missing first.
    """

    name: str
    config: type[Config]
    question: str
    about: str
    epilog: str = ""
    metrics: tuple[MetricKind, ...]
    parts: Mapping[str, str]
    parts_of: Callable[[Mapping[str, Any]], tuple[str, ...]]
    one_device: str = "this study trains on one device"
    trains: Callable[[Mapping[str, Any]], bool] = lambda config: True
    unused: Callable[[Mapping[str, Any]], Mapping[str, str]] = lambda config: {}
    training_loss: str | None = None
    finding: Callable[[Any, str], str] | None = None
    has_copies: bool = False
    example: tuple[str, str] = ("examples", "examples")
    classes: str = "classes"
    reworded: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda dataset: {}
    model_title: Callable[[Mapping[str, Any]], str]
    use: Callable[[Mapping[str, Any]], str] = lambda config: ""
    describe_training: Callable[[Mapping[str, Any]], str] = lambda config: ""
    note: Callable[[Mapping[str, Any]], str] = lambda config: ""
    survey: Callable[[Any], tuple[Sequence[str], int]]
    count_parameters: Callable[[Any, int], int | None]
    load_data: Callable[[Any], Any]
    resolve: Callable[[Any, Any], Mapping[str, Any]] = lambda config, data: {}
    foresee: Callable[[Any], Mapping[str, Any]] = lambda config: {}
    choices: Callable[[Any], Sequence[str]] = _nothing
    folders_are_classes: bool = False
    training: Callable[[Any], Training]
    result_format: ResultFormat = ResultFormat()
    reference: Reference | None = None
    curves: Callable[[Mapping[str, Any]], Sequence[dict[str, Any]]] = _nothing
    plot_curves: Callable[[Mapping[str, Any], Any], None] | None = None
    figures: Callable[[Any], Mapping[str, Callable[[], Any]]] | None = None
    sections: Callable[[Any], Sequence[Any]] = _nothing
    comparison_sections: Callable[[Any, str, int], Sequence[Any]] = _nothing
    try_out: Callable[[Mapping[str, Path], int], Any] = lambda folders, most_bytes: None
    summary: Callable[[Any], Sequence[str]] = _nothing
    notes: Callable[[Any], Sequence[str]] = _nothing
    priors: tuple[str, ...] = ()
    predict: Callable[..., Iterator[list[Any]]] | None = None
    export: Callable[..., Any] | None = None
    ensembles: Ensembles | None = None
    selection: Selection | None = None
    register_layers: Callable[[], Any] = _nothing
    data_sets: Callable[[bool], Sequence[tuple[str, str]]] = _nothing

    def for_data(self, dataset: Mapping[str, Any]) -> "Study":
        """The study in the words that fit a result's data set."""
        changes = self.reworded(dataset)
        return dataclasses.replace(self, **changes) if changes else self

    def kind(self, metric: str) -> MetricKind | None:
        """The kind of a metric, or None for one that the study does not know."""
        return next((kind for kind in self.metrics if kind.name == metric), None)

    def member_weights(self, config: Mapping[str, Any]) -> tuple[float, ...]:
        """The weights of the runs that a config's run was put together from; empty for any other run."""
        return self.ensembles.weights(config) if self.ensembles else ()

    def own_prior(self, config: Mapping[str, Any]) -> str | None:
        """Which of ``priors`` a config's model assumes, where that is not simply how it was trained."""
        return self.ensembles.prior if self.ensembles and self.member_weights(config) else None

    def kinds_of(self, config: Mapping[str, Any]) -> list[MetricKind]:
        """The metrics that every run of a config has."""
        parts, trains = self.parts_of(config), self.trains(config)
        kinds = (kind for kind in self.metrics if not kind.optional and (trains or not kind.of_training))
        return [kind for kind in kinds if kind.part is None or kind.part in parts]
