"""The model as an ONNX file, for programs without PyTorch.

ONNX Runtime runs such a file from C, C++, C#, Java, JavaScript and more. The file holds the weights, the
network for one length and one batch size, and in its metadata our configuration.

The length is fixed because segmentation ties it to the network: the number of chunks follows from it, and
with it the shapes inside. Pad a shorter recording with zeros; cut a longer one into windows that overlap, as
``separate`` does (notebook 09).

Needs ``pip install "dprnn-lab[onnx]"``. PyTorch's exporter is the one that ``torch.export`` feeds
(``dynamo=True``); the older one, for TorchScript, refuses segmentation.

Notebook: 09_long_audio
"""

import copy
import json
import logging
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch

from ..files import write_whole
from ..model import DPRNNTasNet

__all__ = ["TOLERANCE", "ExportError", "export_onnx"]

TOLERANCE = 1e-4  # of the peak; both compute in float32, and differ by up to some 1e-5


class ExportError(ValueError):
    """A model that can't be exported; the message says why, and what to do."""


def export_onnx(
    model: DPRNNTasNet, path: str | os.PathLike, samples: int, batch: int = 1, tolerance: float = TOLERANCE
) -> float:
    """Write the model to an ``.onnx`` file, after ONNX Runtime has shown that it computes the same numbers.

    The file has one input, ``mixture`` ``[batch, samples]``, and one output, ``estimates``
    ``[batch, n_src, samples]``, both float32. Its metadata are ``config`` (JSON: the arguments of
    :class:`DPRNNTasNet`), ``sample_rate``, ``batch`` and ``samples``. It appears whole or not at all.

    Args:
        samples: T, the length of every mixture that the file will take.
        batch: B, how many at a time.
        tolerance: the largest difference from PyTorch, relative to the largest output.

    Returns:
        That difference, on noise (the same on every call).

    Raises:
        ExportError: packages that are missing, a path that does not end in ``.onnx``, sizes below one, a model
            that can't be exported, or one that ONNX Runtime runs to other numbers.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ExportError(f"{path}: end the name with .onnx")
    for name, value in (("samples", samples), ("batch", batch)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ExportError(f"{name} is {value!r}: it must be a whole number of 1 or more")
    onnx, onnxruntime = _packages()
    twin = copy.deepcopy(model).cpu().float().eval()  # the model itself stays where and as it is
    noise = 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                twin,
                (noise,),
                input_names=["mixture"],
                output_names=["estimates"],
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # the exporter's own kinds change from release to release
            raise ExportError(
                f"torch {torch.__version__} can't export this model: {str(error).strip().splitlines()[0]}"
            ) from error
        expected = twin(noise)
    proto = program.model_proto
    facts = {"config": json.dumps(twin.config), "sample_rate": str(twin.sample_rate)}
    onnx.helper.set_model_props(proto, {**facts, "batch": str(batch), "samples": str(samples)})
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (estimates,) = session.run(None, {"mixture": noise.numpy()})
    difference = float((torch.from_numpy(estimates) - expected).abs().max() / expected.abs().max())
    if not difference <= tolerance:  # NaN is no pass
        raise ExportError(
            f"{path}: not written. ONNX Runtime {onnxruntime.__version__} and PyTorch differ by {difference:.1e} "
            f"of the peak, more than {tolerance:.1e}"
        )
    write_whole(path, content)
    return difference


def _packages():
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  what PyTorch's exporter is written with
    except ImportError as error:
        raise ExportError(
            f'{error.name} is not installed: pip install "dprnn-lab[onnx]" installs what an export needs'
        ) from error
    return onnx, onnxruntime


@contextmanager
def _quiet():
    """Without the exporter's remarks on packages that are not ours and on how LSTMs keep their weights."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
