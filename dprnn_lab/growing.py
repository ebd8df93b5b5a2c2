"""A deeper network from a trained one, that begins where the trained one stands.

A dual-path block adds what it finds to what it was given. If the norms at the end of its two paths are zero, it adds
nothing: a network with such blocks behind its own computes what it computed before, to the bit. Training then
opens them. The idea of a block that begins as nothing is that of P. Goyal et al., "Accurate, large minibatch SGD",
arXiv 1706.02677, section 5.1.

Notebook: 05_training
"""

import torch

from .model import DPRNNTasNet

__all__ = ["deepen"]


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
