"""A deeper network that begins where the shallow one stands."""

import pytest
import torch

from dprnn_lab.growing import deepen
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr


@pytest.mark.parametrize("norm_type", ["gLN", "cLN", "fgLN", "bN"])
def test_new_blocks_change_nothing(tiny, norm_type):
    model = tiny(norm_type=norm_type, n_repeats=2)
    deeper = deepen(model, 5)
    mixture = torch.randn(2, 900)
    assert len(deeper.separator.blocks) == deeper.config["n_repeats"] == 5
    assert torch.equal(deeper(mixture), model(mixture))


def test_new_blocks_learn(tiny):
    torch.manual_seed(0)
    deeper = deepen(tiny(n_repeats=1), 3).train()
    optimizer = torch.optim.Adam(deeper.parameters(), 1e-2)
    sources = torch.randn(2, 2, 900)
    before = {name: p.detach().clone() for name, p in deeper.separator.blocks[2].named_parameters()}
    for _ in range(2):  # the first step opens the norms, the second reaches the RNNs behind them
        loss = PITLossWrapper(pairwise_neg_sisdr)(deeper(sources.sum(1)), sources)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = dict(deeper.separator.blocks[2].named_parameters())
    assert not any(torch.equal(before[name], after[name]) for name in before if "intra.rnn.weight" in name)
    assert not torch.equal(before["intra_norm.gain"], after["intra_norm.gain"])


def test_the_given_model_stays_as_it_was(tiny):
    model = tiny()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    deeper = deepen(model, 4)
    with torch.no_grad():
        for parameter in deeper.parameters():
            parameter.add_(1)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_fewer_blocks_than_there_are(tiny):
    with pytest.raises(ValueError, match="n_repeats is 2"):
        deepen(tiny(n_repeats=2), 2)
