"""One rename table between Asteroid's parameter names for DPRNN-TasNet and ours.

Asteroid keeps its 1x1 convolutions as convolutions (``[out, in, 1]`` and ``[out, in, 1, 1]``), we write them as
linear layers on the last axis (``[out, in]``); the numbers are the same.
"""

import re
from functools import cache

import torch

__all__ = ["from_asteroid", "to_asteroid"]

# (Asteroid, ours, trailing axes of size one that Asteroid's weight has more than ours)
_RENAMES = [
    (r"encoder.filterbank._filters", r"encoder.filters", 0),
    (r"decoder.filterbank._filters", r"decoder.filters", 0),
    (r"masker.bottleneck.0.{norm}", r"separator.input_norm.{norm}", 0),
    (r"masker.bottleneck.1.{layer}", r"separator.bottleneck.{layer}", 1),
    (r"masker.net.{i}.{path}_RNN.rnn.{rnn}", r"separator.blocks.{i}.{path}.rnn.{rnn}", 0),
    (r"masker.net.{i}.{path}_RNN.rnn1.{rnn}", r"separator.blocks.{i}.{path}.rnn.{rnn}", 0),
    (r"masker.net.{i}.{path}_RNN.rnn2.{rnn}", r"separator.blocks.{i}.{path}.gate_rnn.{rnn}", 0),
    (r"masker.net.{i}.{path}_linear.{layer}", r"separator.blocks.{i}.{path}.projection.{layer}", 0),
    (r"masker.net.{i}.{path}_norm.{norm}", r"separator.blocks.{i}.{path}_norm.{norm}", 0),
    (r"masker.first_out.0.{layer}", r"separator.source_act.{layer}", 0),
    (r"masker.first_out.1.{layer}", r"separator.source_split.{layer}", 2),
    (r"masker.net_out.0.{layer}", r"separator.output_tanh.{layer}", 1),
    (r"masker.net_gate.0.{layer}", r"separator.output_gate.{layer}", 1),
    (r"masker.mask_net.{layer}", r"separator.mask.{layer}", 1),
    (r"masker.output_act.{layer}", r"separator.mask_act.{layer}", 0),
    (r"enc_activation.{layer}", r"encoder_act.{layer}", 0),
]
_FIELDS = {
    "i": r"\d+",
    "path": "intra|inter",
    "rnn": r"(?:weight|bias)_\w+",
    "layer": "weight|bias",
    "norm": "gamma|beta|gain|bias",
}
_NORM = {"gamma": "gain", "beta": "bias"}


@cache
def _pattern(template: str) -> re.Pattern:
    escaped = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{_FIELDS[m[1]]})", escaped))


def from_asteroid(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Asteroid's ``state_dict`` under our names and shapes.

    Raises:
        KeyError: a name that no row of the table knows.
    """
    renamed = {}
    for name, value in state_dict.items():
        for theirs, ours, axes in _RENAMES:
            match = _pattern(theirs).fullmatch(name)
            if match:
                fields = match.groupdict()
                if "norm" in fields:
                    fields["norm"] = _NORM[fields["norm"]]
                if name.endswith("weight"):
                    for _ in range(axes):
                        value = value.squeeze(-1)
                renamed[ours.format(**fields)] = value
                break
        else:
            raise KeyError(f"{name}: not a parameter of Asteroid's DPRNNTasNet")
    return renamed


def to_asteroid(state_dict: dict[str, torch.Tensor], use_mulcat: bool) -> dict[str, torch.Tensor]:
    """Our ``state_dict`` under Asteroid's names and shapes (with ``use_mulcat`` its first RNN is ``rnn1``)."""
    back = {ours: theirs for theirs, ours in _NORM.items()}
    wrong = ".rnn.{rnn}" if use_mulcat else ".rnn1.{rnn}"
    renamed = {}
    for name, value in state_dict.items():
        for theirs, ours, axes in _RENAMES:
            match = _pattern(ours).fullmatch(name)
            if match and not theirs.endswith(wrong):
                fields = match.groupdict()
                if "norm" in fields:
                    fields["norm"] = back[fields["norm"]]
                if name.endswith("weight"):
                    for _ in range(axes):
                        value = value.unsqueeze(-1)
                renamed[theirs.format(**fields)] = value
                break
        else:
            raise KeyError(f"{name}: not a parameter of our DPRNNTasNet")
    return renamed
