"""A larger network from a trained one, that begins where the trained one stands, or close to it.

More blocks (:func:`deepen`): a dual-path block adds what it finds to what it was given. If the norms at the end of its
two paths are zero, it adds nothing: a network with such blocks behind its own computes what it computed before, to
the bit. The idea of a block that begins as nothing is that of P. Goyal et al., "Accurate, large minibatch SGD",
arXiv 1706.02677, section 5.1.

More hidden units (:func:`widen`): the old units do not listen to the new ones, and neither does the projection behind
them, so the output stays what it was. Networks that grow and keep their function are those of T. Chen, I. Goodfellow
and J. Shlens, "Net2Net", arXiv 1511.05641.

More frames (:func:`refine`): no such thing is known for a stride that is halved, since the RNNs in the chunks then
take two steps where they took one. What comes out separates badly, and is still a far better start than chance.

In all three training opens what is new.

Notebook: 05_training
"""

import math

import torch

from ..audio import rate_ratio, resample
from . import DPRNNTasNet

__all__ = ["at_sample_rate", "deepen", "refine", "widen"]

# The gates that say how long a unit remembers, by their place among the rows of its biases: +1 the longer the more
# open it is, -1 the shorter. LSTM: input, forget, cell, output; GRU: reset, update, new.
MEMORY_GATES = {"LSTM": {0: -1, 1: 1}, "GRU": {1: 1}, "RNN": {}}


def deepen(model: DPRNNTasNet, n_repeats: int) -> DPRNNTasNet:
    """A copy of the model with more dual-path blocks, and the same output.

    The new blocks take the weights of the old ones in turn, but for the scales and biases of their norms, which
    are zero.

    Raises:
        ValueError: not more blocks than the model has.

    >>> deepen(DPRNNTasNet(n_repeats=1, hid_size=8, bn_chan=8), 3).config["n_repeats"]
    3
    """
    old = model.config["n_repeats"]
    if n_repeats <= old:
        raise ValueError(f"n_repeats is {n_repeats}: the model has {old} blocks already, give more than that")
    deeper = DPRNNTasNet(**dict(model.config) | {"n_repeats": n_repeats})
    state = dict(model.state_dict())
    for name in deeper.state_dict():
        if name not in state:
            block, part = name.removeprefix("separator.blocks.").split(".", 1)
            weights = state[f"separator.blocks.{int(block) % old}.{part}"]
            adds = part.startswith(("intra_norm.", "inter_norm.")) and part.endswith(
                (".gain", ".weight", ".bias")
            )
            state[name] = torch.zeros_like(weights) if adds else weights
    deeper.load_state_dict(state)
    return deeper.train(model.training)


def widen(model: DPRNNTasNet, hid_size: int) -> DPRNNTasNet:
    """A copy of the model with more hidden units in its RNNs, and the same output but for rounding.

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
    wider = DPRNNTasNet(**dict(model.config) | {"hid_size": hid_size})
    state = dict(model.state_dict())
    for name, tensor in wider.state_dict().items():
        if ".rnn." in name or ".gate_rnn." in name:
            state[name] = _more_units(state[name], tensor, old, hid_size)
        elif name.endswith(".projection.weight"):
            state[name] = _more_inputs(state[name], tensor, old, hid_size)
    wider.load_state_dict(state)
    return wider.train(model.training)


def _more_units(weights: torch.Tensor, new: torch.Tensor, old_size: int, size: int) -> torch.Tensor:
    """Weights or biases of an RNN: the old units' as they were, zero from new units to old ones, else ``new``'s."""
    rows = _places(len(weights), old_size, size)
    new = new.index_fill(0, rows, 0.0)
    if weights.dim() == 1:
        return new.index_copy(0, rows, weights)
    # Into the first layer go features, of which there are as many as before.
    columns = weights.shape[1]
    columns = torch.arange(columns) if columns == new.shape[1] else _places(columns, old_size, size)
    new[rows.unsqueeze(1), columns] = weights
    return new


def _more_inputs(weights: torch.Tensor, new: torch.Tensor, old_size: int, size: int) -> torch.Tensor:
    """Weights of a projection ``[F, D * H]``, zero for the new units; with mulcat ``[F, D * H + F]``."""
    directions = (new.shape[1] - weights.shape[1]) // (size - old_size)
    units = directions * old_size
    wider = weights.new_zeros(new.shape).index_copy(1, _places(units, old_size, size), weights[:, :units])
    wider[:, directions * size :] = weights[:, units:]
    return wider


def _places(count: int, old_size: int, size: int) -> torch.Tensor:
    """Where ``count`` old rows or columns go: ``old_size`` of each gate or direction were there, ``size`` are now."""
    at = torch.arange(count)
    return at // old_size * size + at % old_size


def refine(model: DPRNNTasNet, stride: int) -> DPRNNTasNet:
    """A copy of the model with a smaller stride, to be trained: kernels and chunks stay as long in seconds.

    The RNNs across the chunks see what they saw before. Those in the chunks take more steps on the way; their
    gates are set so that they remember as long in seconds. The output is not that of the given model.

    Raises:
        ValueError: a filterbank that is not "free", or a stride that does not go into the model's several times.

    >>> model = refine(DPRNNTasNet(kernel_size=32, stride=16, chunk_size=64, n_repeats=1), 8)
    >>> model.config["stride"], model.config["kernel_size"], model.config["chunk_size"]
    (8, 32, 128)
    """
    config = dict(model.config)
    if config["fb_name"] != "free":
        raise ValueError(
            f"the filterbank is {config['fb_name']!r}: only learned filters ('free') take a smaller stride"
        )
    if stride < 1 or config["stride"] % stride or stride == config["stride"]:
        raise ValueError(
            f"stride is {stride}: the model's is {config['stride']} samples, give a half of it or another whole part"
        )
    times = config["stride"] // stride
    config |= {"stride": stride} | {name: config[name] * times for name in ("chunk_size", "hop_size")}
    finer = DPRNNTasNet(**config)
    finer.load_state_dict(model.state_dict())
    with torch.no_grad():
        finer.decoder.filters /= times  # so many times more frames overlap
    for name, rnn in finer.named_modules():
        if isinstance(rnn, torch.nn.RNNBase) and ".intra." in name:
            _remember_longer(rnn, times)
    return finer.train(model.training)


@torch.no_grad()
def _remember_longer(rnn: torch.nn.RNNBase, times: int) -> None:
    """Move the gates of an RNN, in place, so that it forgets at each step a part of what it forgot."""
    for name, bias in rnn.named_parameters():
        if name.startswith("bias_ih"):
            gates = bias.unflatten(0, (-1, rnn.hidden_size))
            for gate, sign in MEMORY_GATES[rnn.mode.split("_")[0]].items():
                gates[gate] += sign * math.log(times)  # of an open gate the rest to 1 becomes that part


def at_sample_rate(model: DPRNNTasNet, sample_rate: float) -> DPRNNTasNet:
    """A copy of the model for audio at ``sample_rate`` Hz, with the frames of the old one.

    Raises:
        ValueError: a filterbank that is not "free" (the others are made from the rate, not learned); or kernel and
            stride that are not whole numbers of samples at the new rate.

    >>> model = at_sample_rate(DPRNNTasNet(kernel_size=32, stride=16, n_repeats=1), 16000)
    >>> model.config["kernel_size"], model.config["stride"], model.sample_rate
    (64, 32, 16000)
    """
    config = dict(model.config)
    if config["fb_name"] != "free":
        raise ValueError(
            f"the filterbank is {config['fb_name']!r}: only learned filters ('free') can be resampled; convert the "
            f"recordings to {config['sample_rate']:g} Hz instead"
        )
    old, new = rate_ratio(config["sample_rate"], sample_rate)
    for name in ("kernel_size", "stride"):
        if config[name] * new % old:
            raise ValueError(
                f"{name} {config[name]} at {config['sample_rate']:g} Hz is {config[name] * new / old:.2f} samples at "
                f"{sample_rate:g} Hz: choose a rate at which kernel and stride are whole, or convert the recordings"
            )
        config[name] = config[name] * new // old
    moved = DPRNNTasNet(**config | {"sample_rate": sample_rate})
    state = dict(model.state_dict())
    for name in ("encoder.filters", "decoder.filters"):
        # As waveforms that are zero outside; what reaches over the end is cut off.
        state[name] = resample(state[name], old, new)[..., : config["kernel_size"]]
    state["encoder.filters"] *= old / new  # at twice the rate it sums over twice as many samples
    moved.load_state_dict(state)
    return moved.train(model.training)
