"""What the shapes of the weights say about the configuration, and what they can't.

A tensor's shape is a witness: ``separator.bottleneck.weight`` of shape [F, N] tells the bottleneck and the
number of filters, whatever a configuration says. No shape tells how far apart the frames or the chunks are,
nor which function without parameters is applied: stride, chunk and hop size, activations (but for PReLU,
which has a parameter), gLN or cLN, the sample rate. A model with these wrong loads, runs and separates badly.

Notebook: 06_failures_at_inference
"""

import re
from dataclasses import dataclass

import torch

__all__ = ["UNDECIDED", "Witness", "infer"]

UNDECIDED = ("stride", "chunk_size", "hop_size", "mask_act", "norm_type", "encoder_activation", "sample_rate")

# Argument: parameters and axes that show it. Any one is enough; the first there is taken.
_AXES = {
    "n_filters": [
        ("encoder.filters", 0),
        ("decoder.filters", 0),
        ("separator.bottleneck.weight", 1),
        ("separator.mask.weight", 0),
    ],
    "kernel_size": [("encoder.filters", 2), ("decoder.filters", 2)],
    "bn_chan": [
        ("separator.bottleneck.weight", 0),
        ("separator.mask.weight", 1),
        ("separator.output_tanh.weight", 0),
        ("separator.output_gate.weight", 0),
    ],
}
_GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}


@dataclass(frozen=True)
class Witness:
    """A value that shapes decide, and the parameter that decides it."""

    value: object
    evidence: str


def infer(tensors: dict[str, torch.Tensor]) -> dict[str, Witness]:
    """Every argument that the tensors (our names) decide; what is missing from them decides nothing.

    ``mask_act`` and ``encoder_activation`` are among them only as "prelu", the one activation that has a
    parameter.

    >>> witnesses = infer({"encoder.filters": torch.zeros(64, 1, 16)})
    >>> {name: witness.value for name, witness in witnesses.items()}
    {'n_filters': 64, 'kernel_size': 16}
    """
    found: dict[str, Witness] = {}
    for argument, places in _AXES.items():
        for name, axis in places:
            if name in tensors and tensors[name].dim() > axis:
                found[argument] = _witness(tensors, name, tensors[name].shape[axis])
                break
    name = "separator.source_split.weight"
    if name in tensors and tensors[name].dim() == 2 and tensors[name].shape[0] % tensors[name].shape[1] == 0:
        found["n_src"] = _witness(tensors, name, tensors[name].shape[0] // tensors[name].shape[1])
    found.update(_infer_blocks(tensors))
    for argument, name in (
        ("mask_act", "separator.mask_act.weight"),
        ("encoder_activation", "encoder_act.weight"),
    ):
        if name in tensors:
            found[argument] = _witness(tensors, name, "prelu")
    return found


def _infer_blocks(tensors: dict[str, torch.Tensor]) -> dict[str, Witness]:
    """The dual-path blocks: how many, and which RNNs are in them."""
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
        if rows % hidden == 0 and rows // hidden in _GATES:
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


def _witness(tensors: dict[str, torch.Tensor], name: str, value: object) -> Witness:
    return Witness(value, f"{name} {list(tensors[name].shape)}")


def _there(name: str, tensors: dict[str, torch.Tensor]) -> str:
    return "is there" if name in tensors else "is not there"
