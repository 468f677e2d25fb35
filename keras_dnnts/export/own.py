"""A person's own model as ONNX: traced by PyTorch, whose exporter knows any layer that Keras computes there.

It imports Keras, PyTorch and ONNX only where it is called: Keras's engine is chosen there.
"""

import contextlib
import importlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from keras_dnnts.errors import UserError, option_name
from keras_dnnts.export import Exported, Inputs, check_installed
from keras_dnnts.running.saved_models import SavedModel

# What a model is loaded with to be traced. On a GPU, Keras may choose kernels that have no ONNX operator.
ENGINE, DEVICE = "torch", "cpu"
OPSET = 18  # the one that PyTorch's exporter writes; it translates to any other
MOST_SHOWN = 200  # characters of what PyTorch says
_ADVICE_ON_TORCH = "The error above occurred"  # how it begins what it tells those who call it


def check_engine(backend: str) -> None:
    """Check that an own model can be exported on an engine, before it is loaded there.

    Raises:
        UserError: the engine is another than PyTorch, or a package is missing.
    """
    if backend != ENGINE:
        name = option_name("backend")
        raise UserError(f"{name} {backend}: a model of your own is exported by {ENGINE}: leave {name} out")
    check_installed("onnxscript")


def export_own(
    saved: SavedModel, model: Any, inputs: list[Inputs], output: str, about: str, metadata: dict[str, str]
) -> Exported:
    """Trace a model, for batches of any size.

    Args:
        saved: where it comes from.
        model: the functional Keras model, loaded on ``ENGINE`` and ``DEVICE``.
        inputs: arrays by name, a dict a batch, the last of more than one; their other sides are the ONNX model's.
        output: name of the model's one output.
        about: a sentence about the ONNX model.
        metadata: more to read by name.

    Raises:
        UserError: the model cannot be exported.
    """
    from keras_dnnts.export.graph import describe_model

    try:
        with _quiet(), _written_out_loops():
            proto = _trace(model, inputs[-1], output)
            describe_model(proto, about, metadata)
            _try_out(proto, inputs)
    # PyTorch's exporter, ONNX and a person's own layers raise whatever they like.
    except Exception as error:
        raise UserError(
            f"{saved.path}: cannot be exported ({_first_cause(error)}): compute with operations that ONNX has, for "
            "batches of any size and that do not depend on the values"
        ) from error
    return Exported(proto, inputs, model)


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).partition(_ADVICE_ON_TORCH)[0]
    return f"{type(error).__name__}: {' '.join(text.split())[:MOST_SHOWN]}".removesuffix(": ")


def _trace(model: Any, inputs: Inputs, output: str) -> Any:
    import torch

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)

    example = tuple(torch.from_numpy(array) for array in inputs.values())
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in example)
    with torch.no_grad():
        # On its own, torch.onnx.export would freeze a batch that cannot vary, without a word.
        program = torch.export.export(Traced().eval(), example, dynamic_shapes={"tensors": shapes}, strict=False)
        exported = torch.onnx.export(
            program, input_names=list(inputs), output_names=[output], opset_version=OPSET, dynamo=True, verbose=False
        )
    assert exported is not None
    proto = exported.model_proto
    _tidy(proto)
    return proto


def _tidy(proto: Any) -> None:
    """Name the side that varies, and leave out where in a person's files the operators came from."""
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for part in (proto.graph, *proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""


def _try_out(proto: Any, inputs: list[Inputs]) -> None:
    """Run it on every batch: what was traced for one may fail for another."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it raises what it would log
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )
    for arrays in inputs:
        session.run(None, arrays)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of PyTorch's exporter, which prints, warns and logs."""
    disabled = logging.root.manager.disable
    nowhere = io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextlib.contextmanager
def _written_out_loops() -> Iterator[None]:
    """Recurrent layers written out step by step.

    Keras's loop on PyTorch turns a batch into a list of its examples, which makes their number part of the graph; its
    unrolled form does not, but fails on a mask where it goes backwards.
    """
    backend: Any = importlib.import_module("keras.src.backend")
    tree = importlib.import_module("keras").tree
    loop = backend.rnn

    def written_out(
        step: Any,
        inputs: Any,
        states: Any,
        go_backwards: bool = False,
        mask: Any = None,
        time_major: bool = False,
        **options: Any,
    ) -> Any:
        if go_backwards:
            axis = 0 if time_major else 1
            inputs = tree.map_structure(lambda sequence: sequence.flip(axis), inputs)
            mask = None if mask is None else mask.flip(axis)
        return loop(step, inputs, states, mask=mask, time_major=time_major, **options | {"unroll": True})

    backend.rnn = written_out
    try:
        yield
    finally:
        backend.rnn = loop
