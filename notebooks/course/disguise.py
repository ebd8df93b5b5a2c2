"""The same network with other weights: permuted filters, features, hidden units and outputs.

No score changes, and no tensor is that of the bundled file, so a fault can't be found by comparing with it.
"""

import torch

from dprnn_lab import DPRNNTasNet

__all__ = ["disguised"]


def disguised(model: DPRNNTasNet, seed: int) -> DPRNNTasNet:
    """A network that gives the same estimates, perhaps in another order; in evaluation mode.

    Args:
        model: with LSTMs of one layer, and filters that are learned.
        seed: of the permutations; the same for two networks keeps them comparable with each other.
    """
    draws = torch.Generator().manual_seed(seed)
    state, config = model.state_dict(), model.config
    n_filters, features, hidden, n_src = (config[k] for k in ("n_filters", "bn_chan", "hid_size", "n_src"))

    def order(count: int) -> torch.Tensor:
        return torch.randperm(count, generator=draws)

    filters, inside, between, last, sources = (
        order(n) for n in (n_filters, features, features, features, n_src)
    )
    new = dict(state)
    for name in (
        "encoder.filters",
        "decoder.filters",
        "separator.input_norm.gain",
        "separator.input_norm.bias",
    ):
        new[name] = state[name][filters]
    new["separator.bottleneck.weight"] = state["separator.bottleneck.weight"][inside][:, filters]
    new["separator.bottleneck.bias"] = state["separator.bottleneck.bias"][inside]
    for block in range(config["n_repeats"]):
        for path in ("intra", "inter"):
            prefix = f"separator.blocks.{block}.{path}"
            units = [order(hidden), order(hidden)]
            for direction, ending in enumerate(("l0", "l0_reverse")):
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    key = f"{prefix}.rnn.{name}_{ending}"
                    if key in state:
                        rows = state[key].unflatten(0, (4, hidden))[:, units[direction]].flatten(0, 1)
                        columns = {"weight_ih": inside, "weight_hh": units[direction]}.get(name)
                        new[key] = rows if columns is None else rows[:, columns]
            width = state[f"{prefix}.projection.weight"].shape[1]
            columns = torch.cat((units[0], hidden + units[1]))[:width]
            new[f"{prefix}.projection.weight"] = state[f"{prefix}.projection.weight"][inside][:, columns]
            new[f"{prefix}.projection.bias"] = state[f"{prefix}.projection.bias"][inside]
            for name in (f"{prefix}_norm.gain", f"{prefix}_norm.bias"):
                new[name] = state[name][inside]
    split = state["separator.source_split.weight"].unflatten(0, (n_src, features))
    new["separator.source_split.weight"] = split[sources][:, between][:, :, inside].flatten(0, 1)
    bias = state["separator.source_split.bias"].unflatten(0, (n_src, features))
    new["separator.source_split.bias"] = bias[sources][:, between].flatten()
    for name in ("output_tanh", "output_gate"):
        new[f"separator.{name}.weight"] = state[f"separator.{name}.weight"][last][:, between]
        new[f"separator.{name}.bias"] = state[f"separator.{name}.bias"][last]
    new["separator.mask.weight"] = state["separator.mask.weight"][filters][:, last]
    other = DPRNNTasNet(**config)
    other.load_state_dict({name: tensor.contiguous() for name, tensor in new.items()})
    return other.eval()
