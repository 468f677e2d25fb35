"""The names model as an ONNX graph, out of ONNX's own recurrent operators."""

from typing import Any

import numpy as np
from onnx import TensorProto

from keras_dnnts.export.graph import Graph

# ONNX's gates by their place in PyTorch's order: (z, r, h) out of (r, z, n), and (i, o, f, c) out of (i, f, g, o).
GATE_ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
OPERATORS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}


def build_names_graph(cell: str, recurrent: list[np.ndarray], head: list[np.ndarray], length: int) -> Any:
    """Build a graph of ``letters`` (batch, length) int32 and ``lengths`` (batch,) int32 to log-probabilities.

    Letters after a name's length have no influence.

    Args:
        cell: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        recurrent: the weights of :class:`.models.recurrent.Recurrent`, in its order and shapes.
        head: kernel (units, K) and bias (K,) of the dense layer behind it.
        length: of the padded names.

    Returns:
        a ``GraphProto`` with the output ``log_probabilities`` (batch, K) float32.
    """
    input_kernel, recurrent_kernel, input_bias, recurrent_bias = (_order_gates(w, cell) for w in recurrent)
    width = input_kernel.shape[1]
    units, classes = head[0].shape
    graph = Graph()
    graph.add_input("letters", TensorProto.INT32, ["batch", length])
    graph.add_input("lengths", TensorProto.INT32, ["batch"])
    steps = graph.add("Transpose", "letters", perm=[1, 0])
    steps = graph.add("Unsqueeze", steps, graph.constant("last_axis", np.array([2], np.int64)))
    matches = graph.add("Equal", steps, graph.constant("letter_indices", np.arange(width, dtype=np.int32)))
    one_hot = graph.add("Cast", matches, to=TensorProto.FLOAT)
    # The reset gate acts after the recurrent product, as in PyTorch.
    of_cell = {"linear_before_reset": 1} if cell == "gru" else {}
    _, last = graph.add_many(
        OPERATORS[cell],
        [
            one_hot,
            graph.constant("input_kernel", input_kernel[None]),
            graph.constant("recurrent_kernel", recurrent_kernel[None]),
            graph.constant("biases", np.concatenate([input_bias, recurrent_bias])[None]),
            "lengths",
        ],
        outputs=2,
        hidden_size=units,
        **of_cell,
    )
    last = graph.add("Squeeze", last, graph.constant("first_axis", np.array([0], np.int64)))
    logits = graph.add("Gemm", last, graph.constant("head_kernel", head[0]), graph.constant("head_bias", head[1]))
    graph.add("LogSoftmax", logits, output="log_probabilities", axis=1)
    graph.add_output("log_probabilities", ["batch", classes])
    return graph.build(f"char_{cell}")


def _order_gates(weight: np.ndarray, cell: str) -> np.ndarray:
    gates = np.split(weight, len(GATE_ORDER[cell]))
    return np.concatenate([gates[gate] for gate in GATE_ORDER[cell]])
