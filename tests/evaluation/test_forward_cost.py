"""The cost of systems of every kind."""

import pandas as pd
import torch
from torchaudio.models import conv_tasnet_base

from dprnn_lab import save_model
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation.forward_cost import COST_SECONDS, system_costs

MIB = 2**20


def test_networks_and_baselines_alike(tmp_path, tiny):
    model = tiny()
    conv = conv_tasnet_base(num_sources=2)
    torch.save(conv.state_dict(), tmp_path / "conv.pt")
    systems = {
        "mine": str(save_model(model, tmp_path / "mine.safetensors")),
        "mixture": "mixture",
        "irm": "irm",
        "conv": f"conv-tasnet:{tmp_path / 'conv.pt'}",
    }
    item = FixedMixtures("test", limit=1)[0]
    costs = system_costs(systems, item).set_index("system")
    assert list(costs.index) == list(systems)
    assert costs.loc["mine", "parameters"] == sum(p.numel() for p in model.parameters())
    assert costs.loc["conv", "parameters"] == sum(p.numel() for p in conv.parameters())
    assert pd.isna(costs.loc["irm", "parameters"])
    assert (costs["seconds"] > 0).all()
    # Repeating the mixture makes no large tensor; a mask holds spectrograms of at least three signals:
    # 129 complex bins per 64 samples, 16 bytes for each sample. ConvTasNet holds 512 channels of 2 000 frames.
    samples = COST_SECONDS * 8000
    assert costs.loc["mixture", "peak MiB"] * MIB < 3 * 4 * samples
    assert costs.loc["irm", "peak MiB"] * MIB > 3 * 16 * samples
    assert costs.loc["conv", "peak MiB"] > 512 * 2000 * 4 / MIB


def test_a_shorter_mixture_is_repeated():
    mixture, sources, spec = FixedMixtures("test", limit=1)[0]
    whole, short = (
        system_costs({"irm": "irm"}, (mixture[:n], sources[:, :n], spec))["peak MiB"][0]
        for n in (len(mixture), 8000)
    )
    assert 0.9 < short / whole < 1.1
