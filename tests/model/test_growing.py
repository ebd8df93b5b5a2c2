"""A larger network that starts with the output of the small one."""

import numpy as np
import pytest
import torch

from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr
from dprnn_lab.model.growing import at_sample_rate, changed_copy, deepen, refine, widen


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


@pytest.mark.parametrize("rnn_type", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("use_mulcat", [True, False])
def test_new_units_change_nothing(tiny, rnn_type, num_layers, bidirectional, use_mulcat):
    model = tiny(rnn_type=rnn_type, num_layers=num_layers, bidirectional=bidirectional, use_mulcat=use_mulcat)
    wider = widen(model, 7)
    mixture = torch.randn(2, 900)
    assert wider.config["hid_size"] == 7
    assert {rnn.hidden_size for rnn in wider.modules() if isinstance(rnn, torch.nn.RNNBase)} == {7}
    torch.testing.assert_close(wider(mixture), model(mixture))
    assert not wider.training


def test_new_units_learn_and_are_not_alike(tiny):
    wider = widen(tiny(n_repeats=1), 7).train()
    optimizer = torch.optim.Adam(wider.parameters(), 1e-2)
    sources = torch.randn(2, 2, 900)
    rnn, projection = wider.separator.blocks[0].intra.rnn, wider.separator.blocks[0].intra.projection
    for _ in range(2):  # the first step opens the projection, the second reaches the units before it
        before = rnn.weight_ih_l0.detach().clone()
        loss = PITLossWrapper(pairwise_neg_sisdr)(wider(sources.sum(1)), sources)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    new = projection.weight[:, 4:7]  # of 4 units in each direction there are 7 now
    assert new.abs().min() > 0
    moved = (rnn.weight_ih_l0 - before).unflatten(0, (4, 7))[:, 4:]
    assert moved.abs().amax(-1).min() > 0
    assert torch.linalg.matrix_rank(rnn.weight_ih_l0.unflatten(0, (4, 7))[0, 4:]) == 3


@pytest.mark.parametrize("hid_size", [4, 3])
def test_not_more_units_than_there_are(tiny, hid_size):
    with pytest.raises(ValueError, match=f"hid_size is {hid_size}: the model has 4 hidden units already"):
        widen(tiny(), hid_size)


def test_a_finer_model_keeps_its_lengths_in_seconds(tiny):
    model = tiny(kernel_size=16, stride=8, chunk_size=10, hop_size=5)
    finer = refine(model, 2)
    changed = {"stride": 2, "chunk_size": 40, "hop_size": 20}
    assert dict(finer.config) == dict(model.config) | changed
    frames = torch.randn(1, 5, 30)
    # The same frames, three silent ones between each two: the decoder makes a quarter of each.
    spread = torch.zeros(1, 5, 30 * 4).index_copy(2, torch.arange(30) * 4, frames)
    whole = model.decode(frames.unsqueeze(1), 16 + 29 * 8)
    torch.testing.assert_close(finer.decode(spread.unsqueeze(1), 16 + 29 * 8) * 4, whole)


def test_a_finer_model_remembers_as_long(tiny):
    """With its other inputs zero, a unit keeps as much after four small steps as after one large one."""
    model = tiny(kernel_size=16, stride=8)
    with torch.no_grad():
        for _, rnn in model.separator.blocks[0].intra.named_children():
            for name, weights in rnn.named_parameters():
                weights.fill_(0.0 if "weight" in name else 2.0)  # open forget gates: 1.8 % is lost at a step
    finer = refine(model, 2)
    lost = [1 - torch.sigmoid(m.separator.blocks[0].intra.rnn.bias_ih_l0[4:8] + 2.0) for m in (model, finer)]
    torch.testing.assert_close(1 - (1 - lost[1]) ** 4, lost[0], rtol=0.05, atol=0)
    inter = "separator.blocks.0.inter.rnn.bias_ih_l0"
    assert torch.equal(finer.state_dict()[inter], model.state_dict()[inter])  # as many steps as before


@pytest.mark.parametrize("rnn_type", ["LSTM", "GRU", "RNN"])
def test_a_finer_model_runs(tiny, rnn_type):
    finer = refine(tiny(kernel_size=16, stride=8, rnn_type=rnn_type), 4)
    assert finer(torch.randn(2, 900)).shape == (2, 2, 900)


@pytest.mark.parametrize("stride", [8, 16, 3, 0, -4])
def test_a_stride_that_does_not_divide_the_old_one(tiny, stride):
    with pytest.raises(ValueError, match=f"stride is {stride}: the model's is 8 samples"):
        refine(tiny(kernel_size=16, stride=8), stride)


def test_filters_that_are_not_learned_take_no_smaller_stride(tiny):
    with pytest.raises(ValueError, match="the filterbank is 'stft'"):
        refine(tiny(fb_name="stft", n_filters=18, kernel_size=16, stride=8), 4)


CHANGES = {
    "deepen": lambda model: deepen(model, 3),
    "widen": lambda model: widen(model, 7),
    "refine": lambda model: refine(model, 4),
    "at_sample_rate": lambda model: at_sample_rate(model, 16000),
    "changed_copy": lambda model: changed_copy(model, stride=4),
}
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_dtype_device_and_mode_stay(tiny, change, training, dtype, device):
    model = tiny(kernel_size=16, stride=8).to(device, dtype).train(training)
    changed = CHANGES[change](model)
    assert {(p.dtype, p.device.type) for p in changed.parameters()} == {(dtype, device)}
    assert {module.training for module in changed.modules()} == {training}
    assert changed(torch.randn(2, 900, dtype=dtype, device=device)).isfinite().all()


@pytest.mark.parametrize("change", ["deepen", "widen"])
def test_a_float64_model_keeps_its_output_in_float64(tiny, change):
    model, mixture = tiny().double(), torch.randn(2, 900, dtype=torch.float64)
    torch.testing.assert_close(CHANGES[change](model)(mixture), model(mixture), rtol=1e-10, atol=1e-12)


def test_numpy_numbers_are_sizes(tiny):
    assert deepen(tiny(), np.int64(4)).config["n_repeats"] == 4
    assert widen(tiny(), np.int64(7)).config["hid_size"] == 7
    assert refine(tiny(kernel_size=16, stride=8), np.int64(4)).config["chunk_size"] == 20
    assert at_sample_rate(tiny(kernel_size=16, stride=8), np.float64(16000)).config["stride"] == 16


def test_a_copy_shares_no_memory(tiny):
    model = tiny()
    copy = changed_copy(model)
    assert copy.config == model.config
    assert all(torch.equal(value, copy.state_dict()[name]) for name, value in model.state_dict().items())
    pointers = {value.data_ptr() for value in model.parameters()}
    assert not any(value.data_ptr() in pointers for value in copy.parameters())
