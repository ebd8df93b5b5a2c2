"""Write what the live page loads: the bundled *small* as ONNX with its intermediate tensors, mixtures, the runtime.

Everything becomes a classic script that sets one global: browsers refuse to fetch files and to import modules from
``file://``, and read scripts from there.

Usage: ``python docs/explainer/export_tensors.py NODE_MODULES DESTINATION``, which ``docs/build_site.py`` calls.
"""

import base64
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from dprnn_lab import DPRNNTasNet, load_model, pairwise_neg_sisdr
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.loss import si_sdr

SECONDS = 4
CANDIDATES = 5  # test mixtures of each pair kind
RUNTIME = "onnxruntime-web/dist"
TOLERANCE = 1e-3  # of the peak of each tensor, ONNX Runtime against PyTorch


class WithTensors(nn.Module):
    """A model that returns the tensors inside it beside its estimates.

    Shape:
        - input: ``[1, T]``
        - output: a tuple in the order of ``names``: ``encoded`` ``[1, N, L]``, ``chunks`` and per block ``intra``,
          ``inter`` (what each path adds) and ``block`` ``[1, C, K, F]``, ``masks`` ``[1, S, N, L]``,
          ``estimates`` ``[1, S, T]``
    """

    def __init__(self, model: DPRNNTasNet):
        super().__init__()
        self.model = model
        kept: dict[str, torch.Tensor] = {}
        self._kept: Callable[[], dict[str, torch.Tensor]] = lambda: kept  # no attribute holds a traced tensor

        def keep(name: str, across: bool = False) -> Callable:
            def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
                kept[name] = output.transpose(1, 2) if across else output

            return hook

        separator = model.separator
        model.encoder_act.register_forward_hook(keep("encoded"))
        separator.blocks[0].register_forward_pre_hook(
            lambda module, inputs: kept.__setitem__("chunks", inputs[0])
        )
        self.names = ["encoded", "chunks"]
        for number, block in enumerate(separator.blocks, start=1):
            block.intra_norm.register_forward_hook(keep(f"intra{number}"))
            block.inter_norm.register_forward_hook(keep(f"inter{number}", across=True))
            block.register_forward_hook(keep(f"block{number}"))
            self.names += [f"intra{number}", f"inter{number}", f"block{number}"]
        separator.register_forward_hook(keep("masks"))
        self.names += ["masks", "estimates"]

    def forward(self, mixture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        estimates = self.model(mixture)
        tensors = {**self._kept(), "estimates": estimates}
        return tuple(tensors[name].contiguous() for name in self.names)


def export(model: WithTensors, mixture: torch.Tensor) -> bytes:
    """The ONNX file's content for this length, after checking every output against PyTorch on this mixture.

    The check takes speech: on noise, which the model was not trained on, the last block amplifies rounding errors,
    PyTorch's own too.

    Raises:
        ValueError: an output differs by more than ``TOLERANCE`` of its peak.
    """
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    batch = mixture[None]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model, (batch,), input_names=["mixture"], output_names=model.names, dynamo=True, verbose=False
        )
        expected = model(batch)
    content = program.model_proto.SerializeToString()  # type: ignore[union-attr]
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for name, ours, theirs in zip(
        model.names, expected, session.run(None, {"mixture": batch.numpy()}), strict=True
    ):
        difference = float((torch.from_numpy(theirs) - ours).abs().max() / ours.abs().max())
        if not difference <= TOLERANCE:
            raise ValueError(f"{name}: ONNX Runtime and PyTorch differ by {difference:.1e} of the peak")
    return content


def bundled_mixtures(model: DPRNNTasNet) -> list[dict]:
    """A typical test mixture of each pair kind, and the worst of those looked at.

    Of the first ``CANDIDATES`` of each kind, the one with the median SI-SDRi is taken.

    Returns:
        For each its title, and 16-bit samples in base64: ``mixture`` and two ``references``.
    """
    gains: dict[str, list[tuple[float, dict]]] = {}
    for mixture, sources, spec in FixedMixtures("test", limit=CANDIDATES):
        voices = [name.split("/")[0] for name in (spec.first, spec.second)]
        samples = [as_base64(signal) for signal in (mixture, *sources)]
        title = f"{spec.kind}: {' and '.join(voices)}"
        entry = {"title": title, "mixture": samples[0], "references": samples[1:]}
        gains.setdefault(spec.kind, []).append((gain(model, mixture, sources), entry))
    ranked = {kind: sorted(entries, key=lambda pair: pair[0]) for kind, entries in gains.items()}
    worst = min((entries[0] for entries in ranked.values()), key=lambda pair: pair[0])[1]
    return [
        *(entries[len(entries) // 2][1] for entries in ranked.values()),
        {**worst, "title": f"a failure, {worst['title']}"},
    ]


@torch.no_grad()
def gain(model: DPRNNTasNet, mixture: torch.Tensor, sources: torch.Tensor) -> float:
    """Mean SI-SDRi of the best permutation, dB."""
    pairs = -pairwise_neg_sisdr(model(mixture)[None], sources[None])[0]  # [estimate, reference]
    best = torch.maximum(pairs[0, 0] + pairs[1, 1], pairs[0, 1] + pairs[1, 0]) / 2
    return float(best - si_sdr(mixture.expand_as(sources), sources).mean())


def as_base64(samples: torch.Tensor) -> str:
    """Samples in [-1, 1] as 16-bit little-endian PCM in base64."""
    return base64.b64encode((samples.clamp(-1, 1) * 32767).round().numpy().astype("<i2").tobytes()).decode()


def write_script(path: Path, name: str, value: object) -> None:
    """Write a classic script that sets ``window.NAME``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"window.{name} = {json.dumps(value)};\n", encoding="utf-8")


def write_data(modules: Path, destination: Path) -> None:
    """Write the page's three data scripts: mixtures, model and runtime."""
    model = load_model("small")
    config, samples = model.config, SECONDS * model.sample_rate
    traced = WithTensors(model)
    content = export(traced, FixedMixtures("test", limit=1)[0][0][:samples])
    facts = {"config": config, "samples": samples, "sampleRate": config["sample_rate"], "names": traced.names}
    write_script(
        destination / "mixtures.js",
        "dprnnMixtures",
        {**facts, "mixtures": bundled_mixtures(load_model("small"))},
    )
    write_script(destination / "model.js", "dprnnModel", base64.b64encode(content).decode())
    runtime = modules / RUNTIME
    glue = (runtime / "ort-wasm-simd-threaded.mjs").read_text(encoding="utf-8")
    binary = base64.b64encode((runtime / "ort-wasm-simd-threaded.wasm").read_bytes()).decode()
    interface = (runtime / "ort.wasm.min.js").read_text(encoding="utf-8")
    write_script(
        destination / "runtime.js", "dprnnRuntime", {"runtime": interface, "glue": glue, "binary": binary}
    )


if __name__ == "__main__":
    write_data(Path(sys.argv[1]), Path(sys.argv[2]))
