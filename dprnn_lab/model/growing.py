"""A larger network from a trained one, that starts with the same output, or close to it.

More blocks (:func:`deepen`): a dual-path block adds its result to its input. If the norms at the end of its two paths
have gain and bias zero, it adds nothing: a network with such blocks behind its own computes what it computed before,
to the bit. Blocks that start as the identity are from P. Goyal et al., "Accurate, large minibatch SGD",
arXiv 1706.02677, section 5.1.

More hidden units (:func:`widen`): the weights from the new units to the old ones and to the projection are zero, so the
output stays the same. Networks that grow and keep their function are those of T. Chen, I. Goodfellow and J. Shlens,
"Net2Net", arXiv 1511.05641.

In both, new units start with zero effect, and training activates them.

More frames (:func:`refine`): no such construction is known for a stride that is halved, since the RNNs inside the
chunks then take two steps where they took one. The result separates badly, and is still a far better start than random
weights.

Each function returns a copy; dtype, device and training mode are those of the given model.

Notebook: 05_training
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from ..audio import rate_ratio, resample
from .tasnet import DPRNNTasNet

__all__ = ["at_sample_rate", "changed_copy", "deepen", "refine", "widen"]

State = dict[str, torch.Tensor]

# The gates that determine how long a unit remembers, by their position among the rows of its biases. +1: the more open,
# the longer; -1: the shorter. LSTM: input, forget, cell, output; GRU: reset, update, new.
MEMORY_GATES = {"LSTM": {0: -1, 1: 1}, "GRU": {1: 1}, "RNN": {}}


def changed_copy(
    model: DPRNNTasNet, change: Callable[[State, State], State] | None = None, **config: Any
) -> DPRNNTasNet:
    """A copy of the model with another configuration, and with its dtype, device and training mode.

    Args:
        change: the copy's ``state_dict`` from the model's and the freshly initialised one; None keeps the model's.
        **config: arguments that differ from ``model.config``.

    Raises:
        ValueError: an argument out of range.
        RuntimeError: a state that does not fit the configuration.

    >>> changed_copy(DPRNNTasNet(n_repeats=1).double(), stride=4).encoder.filters.dtype
    torch.float64
    """
    filters = model.encoder.filters
    copy = DPRNNTasNet(**{**model.config, **config}).to(filters.device, filters.dtype)
    old = dict(model.state_dict())
    copy.load_state_dict(old if change is None else change(old, copy.state_dict()))
    return copy.train(model.training)


def deepen(model: DPRNNTasNet, n_repeats: int) -> DPRNNTasNet:
    """A copy of the model with more dual-path blocks, and the same output.

    The new blocks get the weights of the old ones in turn; the gains and biases of their norms are zero.

    Raises:
        ValueError: not more blocks than the model has.

    >>> deepen(DPRNNTasNet(n_repeats=1, hid_size=8, bn_chan=8), 3).config["n_repeats"]
    3
    """
    old = model.config["n_repeats"]
    if n_repeats <= old:
        raise ValueError(f"n_repeats is {n_repeats}: the model has {old} blocks already, give more than that")

    def change(state: State, new: State) -> State:
        for name in new.keys() - state.keys():
            block, part = name.removeprefix("separator.blocks.").split(".", 1)
            weights = state[f"separator.blocks.{int(block) % old}.{part}"]
            adds = part.startswith(("intra_norm.", "inter_norm.")) and part.endswith(
                (".gain", ".weight", ".bias")
            )
            state[name] = torch.zeros_like(weights) if adds else weights
        return state

    return changed_copy(model, change, n_repeats=n_repeats)


def widen(model: DPRNNTasNet, hid_size: int) -> DPRNNTasNet:
    """A copy of the model with more hidden units in its RNNs, and the same output up to rounding.

    The weights into the new units are random (seed them with ``torch.manual_seed``); those out of them are zero.

    Raises:
        ValueError: not more hidden units than the model has.

    >>> widen(DPRNNTasNet(n_repeats=1, hid_size=8, bn_chan=8), 12).config["hid_size"]
    12
    """
    old = model.config["hid_size"]
    if hid_size <= old:
        raise ValueError(
            f"hid_size is {hid_size}: the model has {old} hidden units already, give more than that"
        )

    def change(state: State, new: State) -> State:
        for name, tensor in new.items():
            if ".rnn." in name or ".gate_rnn." in name:
                state[name] = _more_units(state[name], tensor, old, hid_size)
            elif name.endswith(".projection.weight"):
                state[name] = _more_inputs(state[name], tensor, old, hid_size)
        return state

    return changed_copy(model, change, hid_size=hid_size)


def _more_units(weights: torch.Tensor, new: torch.Tensor, old_size: int, size: int) -> torch.Tensor:
    """Weights or biases of an RNN: the old units', zero from new units to old ones, else ``new``'s."""
    rows = _places(len(weights), old_size, size, weights.device)
    new = new.index_fill(0, rows, 0.0)
    if weights.dim() == 1:
        return new.index_copy(0, rows, weights)
    count = weights.shape[1]
    # The inputs of the first layer are features, whose number does not change.
    same = count == new.shape[1]
    columns = _places(count, *((count, count) if same else (old_size, size)), weights.device)
    new[rows.unsqueeze(1), columns] = weights
    return new


def _more_inputs(weights: torch.Tensor, new: torch.Tensor, old_size: int, size: int) -> torch.Tensor:
    """Weights of a projection ``[F, D * H]``, zero for the new units; with mulcat ``[F, D * H + F]``."""
    directions = (new.shape[1] - weights.shape[1]) // (size - old_size)
    units = directions * old_size
    wider = weights.new_zeros(new.shape).index_copy(
        1, _places(units, old_size, size, weights.device), weights[:, :units]
    )
    wider[:, directions * size :] = weights[:, units:]
    return wider


def _places(count: int, old_size: int, size: int, device: torch.device) -> torch.Tensor:
    """Indices of ``count`` old rows or columns among the new: each gate or direction had ``old_size``, has ``size``."""
    at = torch.arange(count, device=device)
    return at // old_size * size + at % old_size


def refine(model: DPRNNTasNet, stride: int) -> DPRNNTasNet:
    """A copy of the model with a smaller stride, to be trained: kernels and chunks stay as long in seconds.

    The RNNs across the chunks see the same sequences as before. Those inside the chunks take more steps; their gates
    are set so that they remember equally long in seconds. The output differs from the given model's.

    Raises:
        ValueError: a filterbank that is not "free", or a stride that is not a proper divisor of the model's.

    >>> model = refine(DPRNNTasNet(kernel_size=32, stride=16, chunk_size=64, n_repeats=1), 8)
    >>> model.config["stride"], model.config["kernel_size"], model.config["chunk_size"]
    (8, 32, 128)
    """
    config = model.config
    if config["fb_name"] != "free":
        raise ValueError(
            f"the filterbank is {config['fb_name']!r}: only learned filters ('free') take a smaller stride"
        )
    if stride < 1 or config["stride"] % stride or stride == config["stride"]:
        raise ValueError(
            f"stride is {stride}: the model's is {config['stride']} samples, give a smaller one that divides it"
        )
    times = config["stride"] // stride
    longer = {name: config[name] * times for name in ("chunk_size", "hop_size")}
    finer = changed_copy(model, stride=stride, **longer)
    with torch.no_grad():
        finer.decoder.filters /= times  # as many times more frames overlap
    for name, rnn in finer.named_modules():
        if isinstance(rnn, torch.nn.RNNBase) and ".intra." in name:
            _remember_longer(rnn, times)
    return finer


@torch.no_grad()
def _remember_longer(rnn: torch.nn.RNNBase, times: int) -> None:
    """Shift the gates of an RNN, in place, so that it forgets 1 / ``times`` as much at each step."""
    for name, bias in rnn.named_parameters():
        if name.startswith("bias_ih"):
            gates = bias.unflatten(0, (-1, rnn.hidden_size))
            for gate, sign in MEMORY_GATES[rnn.mode.split("_")[0]].items():
                gates[gate] += sign * math.log(times)  # 1 - gate, for an open gate, is divided by times


def at_sample_rate(model: DPRNNTasNet, sample_rate: float) -> DPRNNTasNet:
    """A copy of the model for audio at ``sample_rate`` Hz, whose frames have the same length in seconds.

    Raises:
        ValueError: a filterbank that is not "free" (the others are made from the rate, not learned); or kernel and
            stride that are not whole numbers of samples at the new rate.

    >>> model = at_sample_rate(DPRNNTasNet(kernel_size=32, stride=16, n_repeats=1), 16000)
    >>> model.config["kernel_size"], model.config["stride"], model.sample_rate
    (64, 32, 16000)
    """
    config = model.config
    if config["fb_name"] != "free":
        raise ValueError(
            f"the filterbank is {config['fb_name']!r}: only learned filters ('free') can be resampled; convert the "
            f"recordings to {config['sample_rate']:g} Hz instead"
        )
    old, new = rate_ratio(config["sample_rate"], sample_rate)
    sizes = {}
    for name in ("kernel_size", "stride"):
        if config[name] * new % old:
            raise ValueError(
                f"{name} {config[name]} at {config['sample_rate']:g} Hz is {config[name] * new / old:.2f} samples at "
                f"{sample_rate:g} Hz: choose a rate at which kernel and stride are whole, or convert the recordings"
            )
        sizes[name] = config[name] * new // old

    def change(state: State, _: State) -> State:
        for name in ("encoder.filters", "decoder.filters"):
            # Resampled as waveforms that are zero outside, and cut to the new kernel.
            state[name] = resample(state[name], old, new)[..., : sizes["kernel_size"]]
        # At twice the rate the encoder sums over twice as many samples.
        state["encoder.filters"] = state["encoder.filters"] * (old / new)
        return state

    return changed_copy(model, change, sample_rate=sample_rate, **sizes)
