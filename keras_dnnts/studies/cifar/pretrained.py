"""Weights of an own earlier run to start from: found and hashed, before an engine runs."""

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

from keras_dnnts.config import SHOWN_HASH, shown
from keras_dnnts.errors import UserError, option_name
from keras_dnnts.own_models import is_own_model
from keras_dnnts.results import load_result
from keras_dnnts.running.saved_models import LARGEST_WEIGHTS_BYTES, WEIGHTS, find_saved_model
from keras_dnnts.studies.cifar.config import CifarConfig

MODEL_CONFIG = "config.json"
_BLOCK_BYTES = 2**20


def resolve_pretrained(config: CifarConfig) -> dict[str, Any]:
    """The options that name the weights to start from: the file, wherever the run is repeated, and its hash.

    Raises:
        UserError: they are missing, no Keras model, of another network, or not those that the config names by their
            hash.
    """
    if config.pretrained is None:
        return {}
    path = find_weights(config)
    found = hash_weights(path)
    if config.pretrained_hash is not None and config.pretrained_hash != found:
        wanted = shown(config.pretrained_hash[:SHOWN_HASH])[1:-1]
        raise UserError(
            f"{_name(config)}: has other weights than the run was started with (hash {found[:SHOWN_HASH]}…, not "
            f"{wanted}…): put them back, or start a new run"
        )
    return {"pretrained": os.path.abspath(path), "pretrained_hash": found}  # noqa: PTH100  keeps links


def find_weights(config: CifarConfig) -> Path:
    """The ``.keras`` file that a config starts from: the one it names, or the first seed's of the run it names.

    Raises:
        UserError: it is missing, or the run is not finished, of another study or another network.
    """
    path = Path(str(config.pretrained))
    if not path.is_dir():
        if not path.is_file():
            raise UserError(f"{_name(config)}: is missing: name a .keras file of an earlier run, or its folder")
        return path
    earlier = load_result(path).config
    arch, own = str(earlier.get("arch")), is_own_model(str(config.arch))
    if earlier["experiment"] != config.experiment:
        raise UserError(f"{_name(config)}: is a run of {earlier['experiment']}: name one of {config.experiment}")
    if arch != config.arch and not (own and is_own_model(arch)):
        raise UserError(
            f"{_name(config)}: is a run of {option_name('arch')} {arch}, not {config.arch}: the networks must be equal"
        )
    return find_saved_model(path, code=config.arch if own else None).path


def hash_weights(path: Path) -> str:
    """The SHA-256 of what a ``.keras`` file holds, ``sha256:`` before it: the network and its weights, but no times.

    Raises:
        UserError: the file is no Keras model, or unpacks to more than ``LARGEST_WEIGHTS_BYTES``.
    """
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_WEIGHTS_BYTES:
                raise ValueError(f"it unpacks to more than {LARGEST_WEIGHTS_BYTES} bytes")
            for name in (MODEL_CONFIG, WEIGHTS):
                with archive.open(name) as file:
                    while block := file.read(_BLOCK_BYTES):
                        digest.update(block)
    # A damaged archive raises whatever it leads its reader to.
    except Exception as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(
            f"{option_name('pretrained')} {path}: is not a Keras model ({reason}): name a .keras file of an earlier "
            "run, or its folder"
        ) from error
    return f"sha256:{digest.hexdigest()}"


def _name(config: CifarConfig) -> str:
    return f"{option_name('pretrained')} {config.pretrained}"
