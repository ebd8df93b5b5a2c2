"""The same numbers from the real Asteroid, where it is installed (``make test-asteroid``)."""

import pytest
import torch

from dprnn_lab import DPRNNTasNet, loss
from dprnn_lab.checkpoint.asteroid import from_asteroid, to_asteroid
from dprnn_lab.datasets.mixing import FixedMixtures

pytestmark = pytest.mark.asteroid
models = pytest.importorskip("asteroid.models")
losses = pytest.importorskip("asteroid.losses")

# Every name that is not refused on a forward pass (looked up in asteroid.masknn and asteroid_filterbanks).
ACTIVATIONS = [
    "linear",
    "relu",
    "prelu",
    "leaky_relu",
    "sigmoid",
    "softmax",
    "tanh",
    "gelu",
    "swish",
    "Swish",
]
NORMS = ["gLN", "GlobLN", "cLN", "ChanLN", "fgLN", "FeatsGlobLN", "bN", "BatchNorm"]
FILTERBANKS = ["stft", "analytic_free", "param_sinc", "STFTFB", "AnalyticFreeFB", "ParamSincFB"]
SIZES = [
    {},
    {"kernel_size": 15, "stride": 4},
    {"kernel_size": 2, "stride": 1},
    {"kernel_size": 12, "stride": None},
]
SMALL = {"n_src": 2, "bn_chan": 16, "hid_size": 12, "n_filters": 20, "n_repeats": 2}
OPTIONS = [
    {},
    {"bn_chan": 64, "hid_size": 64, "n_filters": 64, "n_repeats": 3},
    {"norm_type": "cLN"},
    {"use_mulcat": True},
    {"use_mulcat": True, "rnn_type": "GRU", "bidirectional": False},
    {"use_mulcat": True, "rnn_type": "RNN", "num_layers": 2},
    {"rnn_type": "GRU", "bidirectional": False},
    {"rnn_type": "RNN", "num_layers": 2},
    {"rnn_type": "lstm", "bidirectional": False, "num_layers": 2},
    {"num_layers": 3, "dropout": 0.3},
    *({"n_src": n} for n in (1, 3, 4, 5, 8)),
    {"kernel_size": 2, "stride": 1, "chunk_size": 250},
    {"kernel_size": 15, "stride": 4},
    {"kernel_size": 16, "stride": 16},
    {"chunk_size": 30, "hop_size": 7},
    {"chunk_size": 31},
    {"chunk_size": 20, "hop_size": 20},
    {"chunk_size": 2000},
    {"in_chan": 20, "out_chan": 20},
    {"out_chan": 1},
    *({"encoder_activation": name, "mask_act": name} for name in ACTIVATIONS),
    *({"norm_type": name} for name in NORMS),
    *({"fb_name": name, **sizes} for name in ("FreeFB", *FILTERBANKS) for sizes in SIZES),
    {"fb_name": "stft", "in_chan": 22, "norm_type": "bN", "mask_act": "relu"},
    {"fb_name": "analytic_free", "n_filters": 21, "norm_type": "fgLN", "use_mulcat": True},
    {"fb_name": "param_sinc", "n_filters": 21, "min_low_hz": 20, "min_band_hz": 5},
    {"fb_name": "param_sinc", "sample_rate": 16000, "n_src": 3, "out_chan": 1},
]
# What Asteroid's own model can't run.
BROKEN = [
    {"norm_type": "cgLN"},
    {"norm_type": "CumLN"},
    {"out_chan": 5},
    {"in_chan": 5},
    {"fb_name": "torch_stft"},
    {"fb_name": "stft", "n_filters": 15},
    {"fb_name": "stft", "n_filters": 21},
    {"mask_act": "elu"},
    {"mask_act": "mish"},
    {"rnn_type": "TCN"},
]


@pytest.fixture(scope="module")
def speech():
    """A second of three real mixtures, ``[3, T]``."""
    return torch.stack([mixture[4000:12_000] for mixture, _, _ in FixedMixtures("test", limit=1)])


def pair(options, speech):
    """Asteroid's model with moved weights and running statistics, and ours with the same."""
    theirs = models.DPRNNTasNet(**{**SMALL, **options})
    for parameter in theirs.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    theirs.train()(speech)
    theirs.eval()
    ours = DPRNNTasNet(**{**SMALL, **options}).eval()
    ours.load_state_dict(from_asteroid(theirs.state_dict()))
    return theirs, ours


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_output(speech, options):
    theirs, ours = pair(options, speech)
    inputs = [speech, speech[0], speech[1, None, None], speech[:, :3001], speech[2, :50], speech[:2, 100:117]]
    with torch.no_grad():
        for mixture in inputs:
            expected = theirs(mixture)
            assert ours(mixture).shape == expected.shape
            assert (ours(mixture) - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_our_weights_load_into_asteroid(speech, options):
    theirs, ours = pair(options, speech)
    back = to_asteroid(ours.state_dict())
    assert all(torch.equal(back[name], value) for name, value in theirs.state_dict().items())
    theirs.load_state_dict(back)


@pytest.mark.parametrize("options", BROKEN, ids=str)
def test_what_asteroid_can_not_run_is_refused(speech, options):
    with pytest.raises(Exception):  # noqa: B017 - whatever it happens to be
        models.DPRNNTasNet(**{**SMALL, **options})(speech)
    with pytest.raises(ValueError, match=next(iter(options))):
        DPRNNTasNet(**{**SMALL, **options})


@pytest.mark.parametrize("name", ["stft", "param_sinc"])
def test_filterbanks_start_as_asteroids(name):
    theirs = models.DPRNNTasNet(**SMALL, fb_name=name)
    ours = DPRNNTasNet(**SMALL, fb_name=name).state_dict()
    expected = {k: v for k, v in from_asteroid(theirs.state_dict()).items() if "coder." in k}
    assert expected.keys() == {k for k in ours if "coder." in k}
    for key, value in expected.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-5, atol=1e-6)


def test_free_filters_of_analytic_banks_start_as_large_as_asteroids():
    theirs = models.DPRNNTasNet(n_src=2, n_filters=2000, n_repeats=1, fb_name="analytic_free")
    ours = DPRNNTasNet(n_filters=2000, n_repeats=1, fb_name="analytic_free")
    expected = theirs.encoder.filterbank._filters.std()
    torch.testing.assert_close(ours.encoder.real_filters.std(), expected, rtol=0.03, atol=0)


GRADIENTS = [
    {},
    {"norm_type": "cLN", "use_mulcat": True},
    {"norm_type": "bN", "fb_name": "analytic_free"},
    {"norm_type": "fgLN", "fb_name": "param_sinc"},
]


@pytest.mark.parametrize("options", GRADIENTS, ids=str)
def test_gradients(speech, options):
    theirs, ours = pair(options, speech)
    for model in (theirs, ours):
        model.train()
        model(speech).square().mean().backward()
    expected = from_asteroid({name: p.grad for name, p in theirs.named_parameters()})
    # A bias in front of a norm that takes means off again has a gradient of rounding errors.
    noise = 1e-6 * max(gradient.norm() for gradient in expected.values())
    for name, parameter in ours.named_parameters():
        error = (parameter.grad - expected[name]).norm()
        assert error < 1e-4 * expected[name].norm() + noise, name


def test_arguments_and_defaults_are_asteroids():
    theirs = models.DPRNNTasNet(n_src=2).serialize()["model_args"]
    ours = DPRNNTasNet(**theirs).config
    assert DPRNNTasNet().config == ours
    said = {**theirs, "fb_name": "free", "out_chan": None}
    del said["in_chan"]
    assert {name: ours[name] for name in said} == said
    sinc = models.DPRNNTasNet(n_src=2, fb_name="param_sinc").serialize()["model_args"]
    assert ours.keys() == sinc.keys() - {"in_chan"}
    assert all(ours[name] == sinc[name] for name in ("min_low_hz", "min_band_hz"))


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


@pytest.mark.parametrize("n_src", [1, 2, 3, 4, 5])
def test_the_methods_of_the_pit_wrapper(n_src):
    theirs, ours, matrix = losses.PITLossWrapper, loss.PITLossWrapper, torch.randn(6, n_src, n_src)
    estimates, targets = torch.randn(2, 6, n_src, 7, 9)

    def worst(per_source, power):
        return per_source.pow(power).amax(-1)

    calls = {
        "find_best_perm": (matrix,),
        "find_best_perm_factorial": (matrix,),
        "find_best_perm_hungarian": (matrix,),
        "get_pw_losses": (losses.singlesrc_mse, estimates, targets),
        "best_perm_from_perm_avg_loss": (losses.multisrc_mse, estimates, targets),
        "reorder_source": (estimates, theirs.find_best_perm(matrix)[1]),
    }
    for name, arguments in calls.items():
        torch.testing.assert_close(getattr(ours, name)(*arguments), getattr(theirs, name)(*arguments))
    for name in ("find_best_perm", "find_best_perm_factorial"):
        got = getattr(ours, name)(matrix, perm_reduce=worst, power=3)
        torch.testing.assert_close(got, getattr(theirs, name)(matrix, perm_reduce=worst, power=3))


@pytest.mark.parametrize("tail", [(50,), (7, 9), (2, 3, 4)], ids=str)
def test_mse_over_any_number_of_axes(tail):
    estimates, targets = torch.randn(2, 4, 3, *tail)
    for name in ("pairwise_mse", "singlesrc_mse", "multisrc_mse"):
        expected = getattr(losses, name)(estimates, targets)
        torch.testing.assert_close(getattr(loss, name)(estimates, targets), expected)
