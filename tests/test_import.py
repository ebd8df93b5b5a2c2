"""``import dprnn_lab`` must stay quick: what is slow to import is imported where it is used."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "IPython", "asteroid", "huggingface_hub", "ipywidgets", "lightning", "matplotlib", "mir_eval", "onnx",
    "onnxruntime", "onnxscript", "pandas", "papermill", "pyroomacoustics", "pystoi", "rich", "scipy", "torch._dynamo",
    "torch._inductor", "torchaudio", "torchmetrics", "tqdm", "typer",
}  # fmt: skip

ADDED = """
import json, sys, torch
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
LOAD = """
from dprnn_lab import load_model, separate
from dprnn_lab.files import data_folder
separate(load_model(data_folder() / "model" / "small.safetensors"), torch.zeros(800) + 0.1)
"""


@pytest.mark.parametrize("code", ["import dprnn_lab", LOAD], ids=["import", "load and separate"])
def test_nothing_heavy_is_imported(code):
    child = subprocess.run(
        [sys.executable, "-c", ADDED.format(code=code)], capture_output=True, text=True, check=True
    )
    added = set(json.loads(child.stdout))
    assert "dprnn_lab.model" in added
    assert not added & HEAVY
