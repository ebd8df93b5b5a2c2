"""Infer the configuration from the shapes of the weights, as far as they determine it.

``separator.bottleneck.weight`` of shape [F, N] gives the bottleneck and the number of filters, whatever a
configuration says. No shape reveals the distance of frames or chunks, nor functions without parameters: stride, chunk
and hop size, activations (except PReLU, which has a parameter), gLN, cLN or fgLN (batch norm has running statistics),
the sample rate (except with band-pass filters, which store their time axis in seconds). A model with one of these
wrong loads, runs and separates badly.

Each filterbank has parameters of its own, with one exception: "free" and an "stft" without its window look the same,
and with the same filters they are the same model.

Notebook: 06_failures_at_inference
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["ONLY_SINC", "UNDECIDED", "Witness", "infer"]

ONLY_SINC = ("min_low_hz", "min_band_hz")  # of the filterbank "param_sinc" only
UNDECIDED = (
    "stride",
    "chunk_size",
    "hop_size",
    "mask_act",
    "norm_type",
    "encoder_activation",
    "sample_rate",
    *ONLY_SINC,
)

# The parameter that only this bank has, and the one with a row for each filter or pair of filters.
_BANKS = {
    "param_sinc": ("low_hz", "low_hz"),
    "analytic_free": ("real_filters", "real_filters"),
    "stft": ("window", "filters"),
    "free": ("filters", "filters"),
}
# Parameter and axis where a size can be read; the first one present is used.
_FEATURES = [("separator.bottleneck.weight", 1), ("separator.mask.weight", 0)]
_BN_CHAN = [
    ("separator.bottleneck.weight", 0),
    ("separator.mask.weight", 1),
    ("separator.output_tanh.weight", 0),
    ("separator.output_gate.weight", 0),
]
_GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}


@dataclass(frozen=True)
class Witness:
    """A value that a shape determines, and the parameter that has this shape."""

    value: Any
    evidence: str


def infer(tensors: dict[str, torch.Tensor]) -> dict[str, Witness]:
    """Every argument that the tensors (our names) determine; missing tensors determine nothing.

    ``mask_act`` and ``encoder_activation`` are included only as "prelu", the only activation that has a parameter,
    and ``norm_type`` only as "bN", the only norm that has running statistics.

    >>> witnesses = infer({"encoder.filters": torch.zeros(64, 1, 16)})
    >>> {name: witness.value for name, witness in witnesses.items()}
    {'fb_name': 'free', 'n_filters': 64, 'kernel_size': 16}
    """
    found = _infer_bank(tensors)
    width = _size(tensors, _BN_CHAN)
    if width:
        found["bn_chan"] = width
    name = "separator.source_split.weight"
    if name in tensors and tensors[name].dim() == 2 and _divides(*reversed(tensors[name].shape)):
        found["n_src"] = _witness(tensors, name, tensors[name].shape[0] // tensors[name].shape[1])
    found.update(_infer_blocks(tensors))
    for argument, name in (
        ("mask_act", "separator.mask_act.weight"),
        ("encoder_activation", "encoder_act.weight"),
    ):
        if name in tensors:
            found[argument] = _witness(tensors, name, "prelu")
    name = "separator.input_norm.running_mean"
    if name in tensors:
        found["norm_type"] = _witness(tensors, name, "bN")
    return found


def _infer_bank(tensors: dict[str, torch.Tensor]) -> dict[str, Witness]:
    """The filterbank, its sizes, and whether each of its features has its own mask value."""
    found: dict[str, Witness] = {}
    features, masks = _size(tensors, _FEATURES[:1]), _size(tensors, _FEATURES[1:])
    if features and masks and masks.value in (1, features.value):
        found["out_chan"] = Witness(None if masks.value == features.value else 1, masks.evidence)
    marks = {
        bank: f"{coder}.{mark}"
        for bank, (mark, _) in _BANKS.items()
        for coder in ("decoder", "encoder")
        if f"{coder}.{mark}" in tensors
    }
    if not marks:
        width = features or masks
        return found | ({"n_filters": width} if width else {})
    bank, mark = next(iter(marks.items()))
    found["fb_name"] = Witness(bank, f"{mark} is there")
    rows = _BANKS[bank][1]
    count = _size(tensors, [(f"encoder.{rows}", 0), (f"decoder.{rows}", 0)])
    if count:
        total = {"free": count.value, "stft": count.value - 2}.get(bank, 2 * count.value)
        found["n_filters"] = Witness(total, count.evidence)
    if bank == "param_sinc":
        half = _size(tensors, [("encoder.half_window", 0), ("decoder.half_window", 0)])
        kernel = half and Witness(2 * half.value + 1, half.evidence)
        found.update(_infer_rate(tensors))
    else:
        kernel = _size(tensors, [(f"encoder.{rows}", 2), (f"decoder.{rows}", 2)])
    return found | ({"kernel_size": kernel} if kernel else {})


def _infer_rate(tensors: dict[str, torch.Tensor]) -> dict[str, Witness]:
    """The only argument read from values, not shapes: the last is 2 pi times the time one sample before the middle."""
    for name in ("encoder.two_pi_t", "decoder.two_pi_t"):
        if name in tensors and tensors[name].numel() and (last := float(tensors[name].flatten()[-1])) < -1e-9:
            return {"sample_rate": Witness(round(-2 * math.pi / last), f"{name} ends with {last:.6f}")}
    return {}


def _divides(part: int, whole: int) -> bool:
    return part > 0 and whole % part == 0


def _size(tensors: dict[str, torch.Tensor], places: Iterable[tuple[str, int]]) -> Witness | None:
    """The length of the first axis that is present."""
    for name, axis in places:
        if name in tensors and tensors[name].dim() > axis:
            return _witness(tensors, name, tensors[name].shape[axis])
    return None


def _infer_blocks(tensors: dict[str, torch.Tensor]) -> dict[str, Witness]:
    """The number of dual-path blocks, and the kind of their RNNs."""
    found: dict[str, Witness] = {}
    blocks = {int(m[1]) for n in tensors if (m := re.match(r"separator\.blocks\.(\d+)\.", n))}
    if not blocks:
        return found
    found["n_repeats"] = Witness(max(blocks) + 1, f"separator.blocks.{min(blocks)} to {max(blocks)}")
    first = f"separator.blocks.{min(blocks)}"
    intra, inter = f"{first}.intra.rnn.weight_hh_l", f"{first}.inter.rnn.weight_hh_l"
    if f"{intra}0" in tensors and tensors[f"{intra}0"].dim() == 2:
        rows, hidden = tensors[f"{intra}0"].shape
        found["hid_size"] = _witness(tensors, f"{intra}0", hidden)
        if _divides(hidden, rows) and rows // hidden in _GATES:
            found["rnn_type"] = _witness(tensors, f"{intra}0", _GATES[rows // hidden])
        layers = sum(re.fullmatch(re.escape(intra) + r"\d+", name) is not None for name in tensors)
        last = f" to {layers - 1}" if layers > 1 else " alone"
        found["num_layers"] = Witness(layers, f"{intra}0{last}")
    if f"{inter}0" in tensors:
        reverse = f"{inter}0_reverse"
        found["bidirectional"] = Witness(reverse in tensors, f"{reverse} {_there(reverse, tensors)}")
        gate = f"{first}.inter.gate_rnn.weight_hh_l0"
        found["use_mulcat"] = Witness(gate in tensors, f"{gate} {_there(gate, tensors)}")
    return found


def _witness(tensors: dict[str, torch.Tensor], name: str, value: Any) -> Witness:
    return Witness(value, f"{name} {list(tensors[name].shape)}")


def _there(name: str, tensors: dict[str, torch.Tensor]) -> str:
    return "is there" if name in tensors else "is not there"
