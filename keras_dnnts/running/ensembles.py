"""Finished runs that are put together: which ones can be, and what a run made of them keeps of each."""

import dataclasses
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from keras_dnnts.config import SHOWN_HASH, Config, config_from_dict
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import is_own_model
from keras_dnnts.results import ARRAYS, RESULTS, Result, load_result
from keras_dnnts.results.unfinished import CONFIG
from keras_dnnts.running.run_directory import MEMBERS
from keras_dnnts.running.saved_models import SavedModel, find_saved_model
from keras_dnnts.study import Training
from keras_dnnts.whole_files import whole_file


@dataclass(frozen=True)
class Member:
    """A finished run that others are put together with.

    Attributes:
        folder: its run directory.
        result: what it found.
        config: its config.
        weight: how much it counts.
    """

    folder: Path
    result: Result
    config: Config
    weight: float


@dataclass(frozen=True)
class Ensemble:
    """Finished runs that fit together.

    Attributes:
        members: the runs.
        config: of the run they become.
        training: in place of the study's own, for :func:`keras_dnnts.running.run.run_study`.
    """

    members: Sequence[Member]
    config: Config
    training: Callable[[Any], Training]

    def check_kept_apart(self, out: Path) -> None:
        """Check that no member lies where the run is written to: it would be replaced before it is read.

        Raises:
            UserError: one does.
        """
        for member in self.members:
            if member.folder.resolve().is_relative_to(out.resolve()):
                raise UserError(
                    f"{option_name('out')} {out}: holds {member.folder}, which is needed; name another folder"
                )


def load_ensemble(
    folders: Sequence[Path], weights: Sequence[float] | None = None, moved: Mapping[str, Any] | None = None
) -> Ensemble:
    """Read finished runs that are to be put together.

    Args:
        folders: run directories.
        weights: one a run; None is equal weights that add up to 1.
        moved: options that replace those of the first run's config, such as where the data are now.

    Raises:
        UserError: there are fewer than two runs, or one twice; one is not finished, or does not fit the first; the
            weights are not one positive number a run.
    """
    if len(folders) < 2:
        raise UserError("ensemble needs at least two runs: name the folder of another")
    for number, folder in enumerate(folders):
        if folder.resolve() in [earlier.resolve() for earlier in folders[:number]]:
            raise UserError(
                f"{folder}: is named twice: a larger weight ({option_name('weights')}) does what that would"
            )
    chosen = [1 / len(folders)] * len(folders) if weights is None else _checked_weights(weights, len(folders))
    members = [_load(folder, weight) for folder, weight in zip(folders, chosen, strict=True)]
    rules = members[0].result.study.ensembles
    for member in members:
        if member.result.study.ensembles is None or rules is None:
            raise UserError(f"{member.folder}: runs of {member.result.experiment} cannot be put together")
        _check_single(member)
        _check_fits(member, members[0], rules.same)
    assert rules is not None
    config = rules.config([member.config for member in members], [member.weight for member in members])
    return Ensemble(members, dataclasses.replace(config, **(moved or {})), partial(rules.training, members))


def keep_member(member: Member, number: int, seed: int, run: Path) -> None:
    """Copy a member's config, results and model of a seed into a run directory, which then needs nothing else."""
    folder = member_folder(run, number)
    folder.mkdir(parents=True, exist_ok=True)
    saved = find_saved_model(member.folder, seed)
    for path in (member.folder / CONFIG, member.folder / RESULTS, member.folder / ARRAYS, saved.path):
        if path.is_file():
            with whole_file(folder / path.name) as unfinished:
                shutil.copyfile(path, unfinished)


def find_member(saved: SavedModel, number: int) -> SavedModel:
    """The model of the same seed that a run directory keeps of a member, counted from 0.

    Raises:
        UserError: it is missing or damaged, or was no single model of the same classes.
    """
    member = find_saved_model(member_folder(saved.path.parent, number), saved.seed)
    if member.classes != saved.classes or member.result.study.member_weights(member.result.config):
        raise UserError(f"{member.path}: is not what this run was made of; restore it, or put the runs together again")
    return member


def member_folder(run: Path, number: int) -> Path:
    """Where a run directory keeps a member, counted from 0."""
    return run / MEMBERS / str(number + 1)


def _checked_weights(weights: Sequence[float], runs: int) -> Sequence[float]:
    given = ",".join(f"{weight:g}" for weight in weights)
    if len(weights) != runs:
        raise UserError(f"{option_name('weights')} {given}: there are {runs} runs; give one weight for each")
    if not all(0 < weight < math.inf for weight in weights):
        raise UserError(f"{option_name('weights')} {given}: each must be a positive finite number")
    return weights


def _load(folder: Path, weight: float) -> Member:
    result = load_result(folder)
    return Member(folder, result, config_from_dict(result.config, where=str(folder / RESULTS)), weight)


def _check_single(member: Member) -> None:
    if member.result.study.member_weights(member.result.config):
        raise UserError(f"{member.folder}: was put together from runs itself; name those instead")
    if is_own_model(member.config.model):
        raise UserError(f"{member.folder}: its model is your own code, which this command never runs: leave it out")


def _check_fits(member: Member, first: Member, same: Sequence[str]) -> None:
    """Check that two runs had the same study, data and splits."""
    if member.result.experiment != first.result.experiment:
        raise UserError(
            f"{member.folder}: is a run of {member.result.experiment}, but {first.folder} of {first.result.experiment}"
        )
    only = "only runs on the same data, with the same splits and seeds, can be put together"
    for field in ("content_hash", "classes"):
        found, wanted = (str(one.result.dataset[field]) for one in (member, first))
        if found != wanted:
            what = field.replace("_", " ")
            raise UserError(
                f"{member.folder}: its data have the {what} {found[:SHOWN_HASH]}…, but those of {first.folder} "
                f"{wanted[:SHOWN_HASH]}…: {only}"
            )
    for field in (*same, "seed", "seeds"):
        found, wanted = getattr(member.config, field), getattr(first.config, field)
        if found != wanted:
            raise UserError(f"{member.folder}: {field} is {found}, but {wanted} in {first.folder}: {only}")
