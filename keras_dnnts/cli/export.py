"""``keras-dnnts export``."""

from pathlib import Path
from typing import Any

from keras_dnnts.export import Exported
from keras_dnnts.export.verified import export_verified


def export_and_print(run: Path, out: Path | None, **options: Any) -> None:
    """Write a run's model as ONNX and print how far its outputs are from the model's.

    Args:
        run: the run directory.
        out: file to write; None is beside the model.
        options: as for :func:`keras_dnnts.export.verified.export_verified`.

    Raises:
        UserError: likewise.
    """
    written = export_verified(run, out, **options)
    saved, batches = written.saved, " and ".join(map(str, Exported.VERIFIED_BATCHES))
    print(f"{written.path}: {saved.result.model_name}, seed {saved.seed}, inputs {written.inputs}")
    print(
        f"Largest difference from the Keras model: {written.difference:.1e} "
        f"(outputs up to {written.largest:.1f}, batches of {batches})"
    )
