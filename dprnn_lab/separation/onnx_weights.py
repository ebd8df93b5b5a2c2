"""Smaller ONNX files: the large weights stored in float16 or int8, for browsers and phones.

Only the storage is smaller: the runtime restores float32 when it loads the file (float16) or computes (int8), and the
network computes in float32. So any runtime with the standard operators Cast and DequantizeLinear reads the file.
tests/benchmarks/precision.md has size, speed and what it costs in dB.

Notebook: 09_long_audio
"""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["TOLERANCES", "WEIGHTS", "store_weights_as"]

WEIGHTS = ("float32", "float16", "int8")
# The largest difference from PyTorch, of the peak, with which a file is written. Rounding in float32 grows along the
# RNNs: on 4 s of noise the bundled "small" is up to 3e-5 from float64 in PyTorch and 2.3e-4 in ONNX Runtime, at single
# samples (RMS 6e-6); on 1 s both are below 3e-6. Float16 weights: 0.05 there. These limits find a broken file; what
# smaller weights cost on speech is measured in dB (tests/benchmarks/precision.md).
TOLERANCES = {"float32": 1e-3, "float16": 0.15, "int8": 0.3}
FEWEST = 2048  # values; smaller tensors, such as filters, gains and biases, stay float32


def store_weights_as(proto: Any, weights: str) -> int:
    """Store the large weights of an ONNX model in another type, in place.

    Args:
        proto: an ``onnx.ModelProto``.
        weights: "float32" (nothing changes), "float16", or "int8": symmetric, with a scale for each row of the weights
            of a gate.

    Returns:
        The number of tensors changed.
    """
    if weights == "float32":
        return 0
    import onnx

    store: Callable[..., Any] = _as_float16 if weights == "float16" else _as_int8
    graph, added, changed = proto.graph, [], 0
    for tensor in list(graph.initializer):
        if (
            tensor.data_type != onnx.TensorProto.FLOAT
            or np.prod(tensor.dims) < FEWEST
            or len(tensor.dims) < 2
        ):
            continue
        values = onnx.numpy_helper.to_array(tensor)
        stored, node = store(onnx, tensor.name, values)
        graph.initializer.remove(tensor)
        graph.initializer.extend(stored)
        added.append(node)
        changed += 1
    for node in reversed(added):  # before all that use them
        graph.node.insert(0, node)
    return changed


def _as_float16(onnx: Any, name: str, values: np.ndarray) -> tuple[list[Any], Any]:
    half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_float16")
    return [half], onnx.helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT)


def _as_int8(onnx: Any, name: str, values: np.ndarray) -> tuple[list[Any], Any]:
    """``values = scale * int8``; a scale for each index of the last axis but one, the rows of a matrix."""
    axis = values.ndim - 2
    others = tuple(i for i in range(values.ndim) if i != axis)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12) / 127
    parts = {
        f"{name}_int8": np.round(values / scale).astype(np.int8),
        f"{name}_scale": scale.reshape(-1).astype(np.float32),
        f"{name}_zero": np.zeros(values.shape[axis], np.int8),
    }
    stored = [onnx.numpy_helper.from_array(part, key) for key, part in parts.items()]
    return stored, onnx.helper.make_node("DequantizeLinear", list(parts), [name], axis=axis)
