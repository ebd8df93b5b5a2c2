"""The same numbers from the real Asteroid, where it is installed (``make test-asteroid``)."""

import pytest
import torch

from dprnn_lab import DPRNNTasNet, loss
from dprnn_lab.asteroid import from_asteroid, to_asteroid
from dprnn_lab.mixing import FixedMixtures

pytestmark = pytest.mark.asteroid
models = pytest.importorskip("asteroid.models")
losses = pytest.importorskip("asteroid.losses")

SMALL = {"n_src": 2, "bn_chan": 16, "hid_size": 12, "n_filters": 20, "n_repeats": 2}
OPTIONS = [
    {},
    {"bn_chan": 64, "hid_size": 64, "n_filters": 64, "n_repeats": 3},
    {"norm_type": "cLN"},
    {"use_mulcat": True},
    {"use_mulcat": True, "rnn_type": "GRU", "bidirectional": False},
    {"rnn_type": "GRU", "bidirectional": False},
    {"rnn_type": "RNN", "num_layers": 2},
    {"num_layers": 3, "dropout": 0.3},
    {"n_src": 1},
    {"n_src": 3, "mask_act": "softmax"},
    {"n_src": 5, "mask_act": "tanh"},
    {"kernel_size": 2, "stride": 1, "chunk_size": 250},
    {"kernel_size": 15, "stride": 4},
    {"kernel_size": 16, "stride": 16},
    {"chunk_size": 30, "hop_size": 7},
    {"chunk_size": 31},
    {"chunk_size": 20, "hop_size": 20},
    {"chunk_size": 2000},
    {"encoder_activation": "relu", "mask_act": "relu"},
    {"encoder_activation": "prelu", "mask_act": "prelu"},
    {"encoder_activation": "gelu", "mask_act": "linear"},
    {"encoder_activation": "swish", "mask_act": "leaky_relu"},
]


@pytest.fixture(scope="module")
def speech():
    """A second of three real mixtures, ``[3, T]``."""
    return torch.stack([mixture[4000:12_000] for mixture, _, _ in FixedMixtures("test", limit=1)])


def pair(options):
    """Asteroid's model with moved weights, and ours with the same."""
    theirs = models.DPRNNTasNet(**{**SMALL, **options}).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    ours = DPRNNTasNet(**{**SMALL, **options}).eval()
    ours.load_state_dict(from_asteroid(theirs.state_dict()))
    return theirs, ours


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_output(speech, options):
    theirs, ours = pair(options)
    inputs = [speech, speech[0], speech[1, None, None], speech[:, :3001], speech[2, :50], speech[:2, 100:117]]
    with torch.no_grad():
        for mixture in inputs:
            expected = theirs(mixture)
            assert ours(mixture).shape == expected.shape
            assert (ours(mixture) - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_our_weights_load_into_asteroid(options):
    theirs, ours = pair(options)
    back = to_asteroid(ours.state_dict(), use_mulcat=options.get("use_mulcat", False))
    assert all(torch.equal(back[name], value) for name, value in theirs.state_dict().items())
    theirs.load_state_dict(back)


@pytest.mark.parametrize("options", [{}, {"norm_type": "cLN", "use_mulcat": True}], ids=str)
def test_gradients(speech, options):
    theirs, ours = pair(options)
    for model in (theirs, ours):
        model(speech).square().mean().backward()
    expected = from_asteroid({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        error = (parameter.grad - expected[name]).norm()
        assert error < 1e-4 * expected[name].norm() + 1e-12, name


def test_arguments_and_defaults_are_asteroids():
    theirs = models.DPRNNTasNet(n_src=2).serialize()["model_args"]
    # The kind of filterbank and its number of channels are not for choosing here.
    fixed = {name: theirs.pop(name) for name in ("fb_name", "in_chan", "out_chan")}
    assert fixed == {"fb_name": "FreeFB", "in_chan": 64, "out_chan": 64}
    assert DPRNNTasNet().config == theirs


@pytest.mark.parametrize("kind", ["neg_sisdr", "neg_sdsdr", "neg_snr"])
def test_losses(kind):
    sources = torch.stack([sources[:, 4000:12_000] for _, sources, _ in FixedMixtures("test", limit=1)])
    estimates = sources.flip(1) + 0.1 * sources + 0.01 * torch.randn_like(sources)
    for form in ("pairwise", "multisrc", "singlesrc"):
        given = (estimates, sources) if form != "singlesrc" else (estimates[:, 0], sources[:, 1])
        name = f"{form}_{kind}"
        torch.testing.assert_close(getattr(loss, name)(*given), getattr(losses, name)(*given))


@pytest.mark.parametrize("n_src", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("pit_from", ["pw_mtx", "pw_pt", "perm_avg"])
def test_pit(n_src, pit_from):
    form = {"pw_mtx": "pairwise", "pw_pt": "singlesrc", "perm_avg": "multisrc"}[pit_from]
    estimates, targets = torch.randn(3, n_src, 500), torch.randn(3, n_src, 500)
    expected, expected_order = losses.PITLossWrapper(getattr(losses, f"{form}_neg_sisdr"), pit_from)(
        estimates, targets, return_est=True
    )
    value, order = loss.PITLossWrapper(getattr(loss, f"{form}_neg_sisdr"), pit_from)(
        estimates, targets, return_est=True
    )
    torch.testing.assert_close(value, expected)
    assert torch.equal(order, expected_order)


@pytest.mark.parametrize("n_src", [2, 3, 4])
def test_perm_reduce(n_src):
    def worst(per_source, power=1.0):
        return per_source.sign().mul(per_source.abs() ** power).amax(-1)

    estimates, targets = torch.randn(3, n_src, 500), torch.randn(3, n_src, 500)
    arguments = {"return_est": True, "reduce_kwargs": {"power": 2.0}}
    expected = losses.PITLossWrapper(losses.pairwise_neg_sisdr, perm_reduce=worst)(
        estimates, targets, **arguments
    )
    got = loss.PITLossWrapper(loss.pairwise_neg_sisdr, perm_reduce=worst)(estimates, targets, **arguments)
    torch.testing.assert_close(got[0], expected[0])
    assert torch.equal(got[1], expected[1])
