"""How finished runs on names become one: nothing is trained, what their models say is summed and measured."""

from collections.abc import Sequence

import numpy as np

from keras_dnnts.errors import UserError
from keras_dnnts.running.ensembles import Member, keep_member
from keras_dnnts.running.run import Run
from keras_dnnts.running.saved_models import ARRAYS_MODEL, find_saved_model
from keras_dnnts.studies.names.baseline_training import PrefixReader
from keras_dnnts.studies.names.config import NamesConfig
from keras_dnnts.studies.names.data import NamesData
from keras_dnnts.studies.names.ensemble import Ensemble, save_ensemble
from keras_dnnts.studies.names.illustrate import show_reading
from keras_dnnts.studies.names.measure import measure_beside, measure_sides, split_part_shown
from keras_dnnts.studies.names.predict import load_predictor
from keras_dnnts.study import SeedOutcome

SHARES = "trained_share"


class EnsembleTraining:
    """See :class:`keras_dnnts.study.Training`.

    Args:
        members: the finished runs.
        run: what they become.

    Raises:
        UserError: a member's model is missing or damaged, or its results do not say how frequent classes were.
    """

    unit = "sums"
    round_size = None
    steps = 1
    side_by_side = 1

    def __init__(self, members: Sequence[Member], run: Run) -> None:
        self.run, self.members = run, members
        self.config: NamesConfig = run.config
        self.data: NamesData = run.data
        # Before there is a run folder: a model may be damaged.
        self._shares = [self._read_shares(member) for member in members]
        self._ensembles = {seed: self._load(seed) for seed in self.config.all_seeds}

    def prepare(self, seed: int) -> Ensemble:
        """The members' models of a seed."""
        return self._ensembles[seed]

    def train(self, seed: int, prepared: Ensemble) -> Ensemble:
        """Nothing is left to train."""
        self.run.progress.advance(1, self.run.label(seed), "")
        return prepared

    def finish(self, seed: int, trained: Ensemble) -> SeedOutcome:
        """Keep the members' models, measure what they say together, and pick the names that are shown."""
        dataset, split, folder = self.data.dataset, self.data.splits[seed], self.run.directory.path
        for number, member in enumerate(self.members):
            keep_member(member, number, seed, folder)
        save_ensemble(trained, folder / f"model-seed-{seed}{ARRAYS_MODEL}")
        said = trained.log_probabilities(dataset.letters, dataset.lengths)
        even = np.full(len(dataset.classes), 1 / len(dataset.classes))
        found = measure_sides(dataset, split, said, even, measure_beside(dataset, split, self.config.logistic_beside))
        seconds = [member.result.metrics["train_seconds"].values[self._row(seed)] for member in self.members]
        return SeedOutcome(
            metrics={**found.metrics, "train_seconds": sum(seconds)},
            confusions=found.confusions,
            parameters=sum(member.result.details["parameters"] for member in self.members),
            columns=[],
            rows=[],
            curves=found.counts,
            details=found.details,
            arrays=found.arrays | show_reading(PrefixReader(trained), dataset, *split_part_shown(split)),
        )

    def _load(self, seed: int) -> Ensemble:
        backend, device = self.config.backend, self.config.device
        models = [load_predictor(find_saved_model(one.folder, seed), backend, device) for one in self.members]
        weights = np.array([member.weight for member in self.members])
        return Ensemble(models, weights, np.stack([shares[self._row(seed)] for shares in self._shares]))

    def _read_shares(self, member: Member) -> np.ndarray:
        """(seeds, K) float64: how frequent each class was in a member's training."""
        shares = member.result.arrays.get(SHARES)
        if shares is None:
            raise UserError(
                f"{member.folder}: is a run of an earlier version, which did not keep how frequent its classes were: "
                "run it again"
            )
        return shares

    def _row(self, seed: int) -> int:
        return seed - self.config.seed
