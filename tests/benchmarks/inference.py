"""Inference: 4 s of speech, batch one; PyTorch against PyTorch, and ONNX Runtime beside them."""

import tempfile
from pathlib import Path

import torch
from models import SIZES, check_equal, pair, speech
from timing import Result, interleave

from dprnn_lab.evaluation.forward_cost import forward_work
from dprnn_lab.model.precision import computing_in
from dprnn_lab.separation.onnx_export import ExportError, export_onnx


def bench(threads: int, turns: int, clock: str, seconds: float, peak: dict[str, float]) -> list[Result]:
    """A row for each size; the share of the peak is that of the faster float32 product."""
    best = max(value for name, value in peak.items() if name.endswith("float32"))
    mixture, rows = speech(seconds), []
    for size, options in SIZES.items():
        theirs, ours = pair(options)
        with torch.inference_mode():
            note = check_equal(theirs(mixture), ours(mixture))
            contestants = {
                "Asteroid": lambda m=theirs: m(mixture),
                "dprnn-lab": lambda m=ours: m(mixture),
                "dprnn-lab, bfloat16": lambda m=ours: in_bfloat16(m, mixture),
            }
            if size != "kernel 2":  # its export takes minutes
                session = onnx_session(ours, mixture.shape[1], threads)
                contestants["ONNX Runtime"] = lambda s=session: s.run(None, {"mixture": mixture.numpy()})
            row = interleave(
                "inference", f"{size}, {seconds:g} s", contestants, max(2, turns // COST[size]), clock
            )
        gflops = 2 * forward_work(ours.config, mixture.shape[1]) / (row.values["dprnn-lab"] * 1e6)
        row.note = f"{note}; dprnn-lab: {gflops:.0f} GFLOP/s, {gflops / best:.0%} of the peak"
        rows.append(row)
    return rows


def in_bfloat16(model: torch.nn.Module, mixture: torch.Tensor) -> torch.Tensor:
    with computing_in("bfloat16"):
        return model(mixture)


COST = {"small": 1, "small, K = 64": 1, "default": 3, "kernel 2": 6}  # turns are divided by it


def onnx_session(model, samples: int, threads: int):
    """The model in ONNX Runtime; export checks its numbers."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError("make bench installs onnxruntime; here it is missing") from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, path, samples)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
