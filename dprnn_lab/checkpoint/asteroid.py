"""The rename table between Asteroid's parameter names for DPRNN-TasNet and ours.

Asteroid stores its 1x1 convolutions as convolutions (``[out, in, 1]`` and ``[out, in, 1, 1]``), we write them as
linear layers on the last axis (``[out, in]``); the numbers are the same.
"""

import re
from functools import cache

import torch

__all__ = ["from_asteroid", "to_asteroid"]

# (Asteroid, ours, trailing axes of size one that Asteroid's weight has more than ours)
_RENAMES = [
    (r"{coder}.filterbank._filters", r"{coder}.filters", 0),
    (r"{coder}.filterbank._filters", r"{coder}.real_filters", 0),
    (r"{coder}.filterbank.torch_window", r"{coder}.window", 0),
    (r"{coder}.filterbank.low_hz_", r"{coder}.low_hz", 0),
    (r"{coder}.filterbank.band_hz_", r"{coder}.band_hz", 0),
    (r"{coder}.filterbank.window_", r"{coder}.half_window", 0),
    (r"{coder}.filterbank.n_", r"{coder}.two_pi_t", 0),
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
_RUNNING = "running_mean|running_var|num_batches_tracked"  # additional entries of batch norm
_FIELDS = {
    "i": r"\d{1,6}",
    "coder": "encoder|decoder",
    "path": "intra|inter",
    "rnn": r"(?:weight|bias)_\w+",
    "layer": "weight|bias",
    "norm": f"gamma|beta|gain|weight|bias|{_RUNNING}",
}
_NORM = {"gamma": "gain", "beta": "bias"}  # batch norm's weight and bias have the same names in both


@cache
def _pattern(template: str) -> re.Pattern:
    escaped = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{_FIELDS[m[1]]})", escaped))


def from_asteroid(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Asteroid's ``state_dict`` under our names and shapes.

    Raises:
        KeyError: a name that no row of the table matches.
    """
    features = _features(state_dict)
    renamed = {}
    for name, value in state_dict.items():
        for theirs, ours, axes in _RENAMES:
            match = _pattern(theirs).fullmatch(name)
            if match and _is_half(name, value, features) == ours.endswith("real_filters"):
                fields = match.groupdict()
                if "norm" in fields:
                    fields["norm"] = _NORM.get(fields["norm"], fields["norm"])
                if name.endswith("weight"):
                    for _ in range(axes):
                        value = value.squeeze(-1)
                renamed[ours.format(**fields)] = value
                break
        else:
            raise KeyError(f"{name}: not a parameter of Asteroid's DPRNNTasNet")
    return renamed


def _features(state_dict: dict[str, torch.Tensor]) -> int | None:
    """The number of features per frame at the input of the masker."""
    for name, axis in (("masker.bottleneck.1.weight", 1), ("masker.mask_net.weight", 0)):
        if name in state_dict and state_dict[name].dim() > axis:
            return state_dict[name].shape[axis]
    return None


def _is_half(name: str, value: torch.Tensor, features: int | None) -> bool:
    """Whether filters are the learned half of an analytic filterbank: Asteroid has one name for both."""
    return name.endswith("._filters") and value.dim() > 0 and 2 * value.shape[0] == features


def to_asteroid(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our ``state_dict`` under Asteroid's names and shapes.

    Asteroid calls the first RNN ``rnn1`` if there is a second one to multiply it with.

    Raises:
        KeyError: a name that no row of the table matches.
    """
    back = {ours: theirs for theirs, ours in _NORM.items()}
    wrong = ".rnn.{rnn}" if any(".gate_rnn." in name for name in state_dict) else ".rnn1.{rnn}"
    renamed = {}
    for name, value in state_dict.items():
        is_batch_norm = f"{name.rpartition('.')[0]}.running_mean" in state_dict
        for theirs, ours, axes in _RENAMES:
            match = _pattern(ours).fullmatch(name)
            if match and not theirs.endswith(wrong):
                fields = match.groupdict()
                if "norm" in fields and not is_batch_norm:
                    fields["norm"] = back.get(fields["norm"], fields["norm"])
                if name.endswith("weight"):
                    for _ in range(axes):
                        value = value.unsqueeze(-1)
                renamed[theirs.format(**fields)] = value
                break
        else:
            raise KeyError(f"{name}: not a parameter of our DPRNNTasNet")
    return renamed
