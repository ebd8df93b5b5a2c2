"""The model as an ONNX file, for programs without PyTorch.

ONNX Runtime runs such a file from C, C++, C#, Java, JavaScript and more. The file holds the weights, the
network for one length and one batch size, and the configuration as metadata.

The length is fixed: the number of chunks and all shapes inside follow from it. Pad a shorter recording with
zeros; cut a longer one into overlapping windows, as ``separate`` does (notebook 09).

Needs ``pip install "dprnn-lab[onnx]"``. It uses PyTorch's exporter on top of ``torch.export`` (``dynamo=True``);
the older TorchScript exporter refuses segmentation.

Notebook: 09_long_audio
"""

import copy
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..files import write_whole
from ..model import DPRNNTasNet
from .onnx_weights import TOLERANCES, WEIGHTS, store_weights_as

__all__ = ["TOLERANCE", "ExportError", "export_onnx"]

TOLERANCE = TOLERANCES["float32"]
MOST_SAMPLES = 50_000_000


class ExportError(ValueError):
    """A model that can't be exported; the message says why, and what to do."""


def export_onnx(
    model: DPRNNTasNet,
    path: str | os.PathLike,
    samples: int,
    batch: int = 1,
    tolerance: float | None = None,
    *,
    any_batch: bool = False,
    weights: str = "float32",
) -> float:
    """Write the model to an ``.onnx`` file, after checking that ONNX Runtime computes the same numbers.

    The file has one input, ``mixture`` ``[batch, samples]``, and one output, ``estimates``
    ``[batch, n_src, samples]``, both float32. Its metadata are ``config`` (JSON: the arguments of
    :class:`DPRNNTasNet`), ``sample_rate``, ``batch``, ``samples`` and ``weights``. The write is atomic.

    Args:
        samples: T, the length of every mixture.
        batch: B, mixtures at a time.
        tolerance: the largest difference from PyTorch, relative to the largest output; None for what suits the weights.
        any_batch: the file takes any number of mixtures at a time. The check still computes ``batch`` of them, two at
            the least, since PyTorch's exporter writes an axis of size one as fixed.
        weights: "float32"; or smaller files, for which runtimes restore float32: "float16" or "int8"
            (:mod:`dprnn_lab.separation.onnx_weights`).

    Returns:
        That difference, measured on fixed noise.

    Raises:
        ExportError: packages that are missing, a path that does not end in ``.onnx``, sizes below one, a model
            that can't be exported, or a difference over the tolerance.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ExportError(f"{path}: end the name with .onnx")
    for name, value in (("samples", samples), ("batch", batch)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ExportError(f"{name} is {value!r}: it must be a whole number of 1 or more")
    if weights not in WEIGHTS:
        raise ExportError(f"weights is {weights!r}: choose one of {', '.join(WEIGHTS)}")
    if any_batch:
        batch = max(batch, 2)
    tolerance = TOLERANCES[weights] if tolerance is None else tolerance
    if samples * batch > MOST_SAMPLES:
        raise ExportError(
            f"samples is {samples} and batch {batch}: together at most {MOST_SAMPLES}, since the check computes them "
            "all; give shorter mixtures (separate cuts longer ones into windows)"
        )
    onnx, onnxruntime = _packages()
    twin = copy.deepcopy(model).cpu().float().eval()  # the model keeps its device, dtype and mode
    noise = 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                twin,
                (noise,),
                input_names=["mixture"],
                output_names=["estimates"],
                dynamic_shapes={"mixture": {0: torch.export.Dim.DYNAMIC}} if any_batch else None,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # the exporter's error types change from release to release
            raise ExportError(
                f"torch {torch.__version__} can't export this model: {str(error).strip().splitlines()[0]}"
            ) from error
        expected = twin(noise)
    proto = program.model_proto  # type: ignore[union-attr]  # not None with dynamo=True
    facts = {"config": json.dumps(twin.config), "sample_rate": str(twin.sample_rate)}
    facts |= {"batch": "any" if any_batch else str(batch), "samples": str(samples), "weights": weights}
    onnx.helper.set_model_props(proto, facts)
    _drop_traces(proto)
    store_weights_as(proto, weights)
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (estimates,) = session.run(None, {"mixture": noise.numpy()})
    difference = float((torch.from_numpy(estimates) - expected).abs().max() / expected.abs().max())
    if not difference <= tolerance:  # NaN fails too
        raise ExportError(
            f"{path}: not written. ONNX Runtime {onnxruntime.__version__} and PyTorch differ by {difference:.1e} "
            f"of the peak, more than {tolerance:.1e}"
        )
    write_whole(path, content)
    return difference


def _drop_traces(proto: Any) -> None:
    """The exporter notes with every node which lines of which files on this machine made it: no reader needs that."""
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _packages() -> tuple[ModuleType, ModuleType]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  PyTorch's exporter needs it
    except ImportError as error:
        raise ExportError(
            f'{error.name} is not installed: pip install "dprnn-lab[onnx]" installs all that an export needs'
        ) from error
    return onnx, onnxruntime


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's warnings about other packages and about the layout of LSTM weights."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
