"""A names model as ONNX."""

import numpy as np

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.export import Exported, Inputs, to_json
from keras_dnnts.export.graph import build_model
from keras_dnnts.export.own import DEVICE, check_engine, export_own
from keras_dnnts.own_models import is_own_model
from keras_dnnts.random_streams import Purpose, random_stream
from keras_dnnts.running.saved_models import SavedModel, load_keras_model
from keras_dnnts.studies.names.config import CELLS, NamesConfig
from keras_dnnts.studies.names.onnx_graph import build_names_graph
from keras_dnnts.studies.names.predict import read_names_weights

LONGEST_REAL_NAME = 19  # of the reference's names


def export(saved: SavedModel, length: int | None, backend: str) -> Exported:
    """Build the ONNX model of a run's model, with inputs to compare both on.

    Args:
        saved: the model.
        length: letters of the padded names; None is the longest name of the run's data, at least 19.
        backend: engine to compare with.

    Raises:
        UserError: it is damaged, or cannot be exported.
    """
    config = saved.config
    assert isinstance(config, NamesConfig)
    if config.is_batched:
        raise UserError(
            f"{saved.path.parent}: {config.model} cannot be exported, for its layers have no ONNX operators here: "
            f"export a run with {option_name('model')} {', '.join(CELLS)}"
        )
    alphabet = config.alphabet
    length = length or max(LONGEST_REAL_NAME, _longest_name(saved))
    about = (
        f"letters: indices into the metadata's 'letters', each name padded on the right to {length} with "
        f"{len(alphabet)}; lengths: letters of each name, from 1 to {length}; output: natural logarithms of the "
        "probabilities of the metadata's 'classes'"
    )
    metadata = {"classes": to_json(saved.classes), "letters": to_json(list(alphabet))}
    inputs = [_random_names(batch, length, len(alphabet)) for batch in Exported.VERIFIED_BATCHES]
    if is_own_model(config.model):
        check_engine(backend)
        model = load_keras_model(saved, backend, DEVICE)
        if len(model.inputs) != 2 or model.output_shape != (None, len(saved.classes)):
            raise UserError(f"{saved.path}: is not the model that {saved.path.parent} describes; restore it")
        return export_own(saved, model, inputs, "log_probabilities", about, metadata)
    graph = build_names_graph(config.model, *read_names_weights(saved), length)
    return Exported(build_model(graph, about, metadata), inputs, load_keras_model(saved, backend))


def _longest_name(saved: SavedModel) -> int:
    # Runs of earlier versions do not say.
    longest = saved.result.dataset["counts"].get("longest_name")
    return longest if isinstance(longest, int) else 0


def _random_names(batch: int, length: int, letters: int) -> Inputs:
    rng = random_stream(0, Purpose.EXPORT_CHECK, batch)
    return {
        "letters": rng.integers(0, letters, (batch, length), dtype=np.int32),
        "lengths": rng.integers(1, length, batch, dtype=np.int32, endpoint=True),
    }
