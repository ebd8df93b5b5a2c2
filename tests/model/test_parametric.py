"""Each filterbank has the properties that define it, measured independently of its implementation."""

import math

import pytest
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.model.filterbank import frame_count
from dprnn_lab.model.parametric import FILTERBANKS, bank_sizes, make_decoder, make_encoder, stft_window

SIZES = {"n_filters": 32, "kernel_size": 16, "stride": 8}
HZ = {"sample_rate": 8000, "min_low_hz": 50, "min_band_hz": 50}


def encoder(name, **options):
    options = {"fb_name": name, **SIZES, **HZ, **options}
    options["n_filters"], options["kernel_size"], _ = bank_sizes(
        name, options["n_filters"], options["kernel_size"]
    )
    return make_encoder(**options)


def response(filters, points=4096):
    """Magnitude of the frequency response of ``[N, 1, K]`` filters, ``[N, points / 2 + 1]``."""
    return torch.fft.rfft(filters[:, 0].detach().double(), n=points).abs()


@pytest.mark.parametrize("name", FILTERBANKS)
@pytest.mark.parametrize(("kernel", "stride"), [(16, 8), (15, 4), (2, 1), (7, 7), (1, 1)])
def test_frames_have_the_features_and_the_number_that_the_sizes_say(name, kernel, stride):
    bank = encoder(name, kernel_size=kernel, stride=stride)
    _, kernel, features = bank_sizes(name, 32, kernel)
    assert bank.filters.shape == (features, 1, kernel)
    for samples in (1, kernel, 250, 257):
        assert bank(torch.randn(2, samples)).shape == (2, features, frame_count(samples, kernel, stride))


@pytest.mark.parametrize("name", ["analytic_free", "param_sinc"])
def test_an_odd_filter_is_left_out_and_the_configuration_says_so(tiny, name):
    model = tiny(fb_name=name, n_filters=7)
    assert model.config["n_filters"] == 6
    assert model.encoder.filters.shape[0] == 6
    assert model.config["kernel_size"] == {"analytic_free": 16, "param_sinc": 17}[name]


@pytest.mark.parametrize("name", FILTERBANKS)
def test_encoder_and_decoder_have_filters_of_their_own(name):
    options = {"fb_name": name, "n_filters": 32, "kernel_size": 17, "stride": 8, **HZ}
    if name == "stft":
        options["kernel_size"] = 16
    coders = make_encoder(**options), make_decoder(**options)
    for _, value in coders[0].named_parameters():
        assert not any(value is other for other in coders[1].parameters())
    assert torch.equal(coders[0].filters, coders[1].filters) == (name in ("stft", "param_sinc"))


# STFT


@pytest.mark.parametrize(("n_filters", "kernel", "stride"), [(32, 16, 8), (32, 32, 16), (40, 15, 5)])
def test_stft_is_torch_stft_but_for_gain_and_phase(n_filters, kernel, stride):
    bank = encoder("stft", n_filters=n_filters, kernel_size=kernel, stride=stride)
    signal = torch.randn(1, kernel + 10 * stride)
    real, imaginary = bank(signal).chunk(2, dim=1)
    # torch centres a short window in the frame, which then begins earlier.
    pad = (n_filters - kernel) // 2
    padded = torch.nn.functional.pad(signal, (pad, n_filters))
    expected = torch.stft(
        padded, n_filters, stride, kernel, stft_window(kernel), center=False, return_complex=True
    )[..., : real.shape[-1]]
    gain = torch.full((n_filters // 2 + 1, 1), 2 * math.sqrt(stride / (kernel * n_filters)))
    gain[[0, -1]] /= math.sqrt(2)
    torch.testing.assert_close(real, expected.real * gain, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(imaginary, expected.imag * gain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("n_filters", "kernel"), [(32, 16), (16, 16), (64, 24)])
def test_stft_and_its_decoder_give_the_waveform_back(n_filters, kernel):
    options = {"fb_name": "stft", "n_filters": n_filters, "kernel_size": kernel, "stride": kernel // 2}
    signal = torch.randn(2, 20 * kernel)
    back = make_decoder(**options)(make_encoder(**options)(signal))
    inner = slice(kernel // 2, -kernel // 2)
    torch.testing.assert_close(back[:, inner], signal[:, inner], atol=1e-5, rtol=1e-5)


def test_stft_learns_nothing():
    bank = encoder("stft")
    assert not list(bank.parameters())
    assert set(bank.state_dict()) == {"filters", "window"}


# Analytic


def test_analytic_partners_are_the_filters_backwards_around_their_first_sample():
    bank = encoder("analytic_free", kernel_size=5, n_filters=2)
    bank.real_filters.data = torch.tensor([[[0.0, 1, 2, 3, 4]]])
    assert bank.filters[:, 0].tolist() == [[0, 1, 2, 3, 4], [0, 4, 3, 2, 1]]


def test_analytic_partners_pass_the_same_frequencies_and_are_learned_together():
    bank = encoder("analytic_free")
    first, second = bank.filters[:, 0].detach().chunk(2)
    torch.testing.assert_close(torch.fft.rfft(first).abs(), torch.fft.rfft(second).abs())
    bank.filters.chunk(2)[1].square().sum().backward()
    assert bank.real_filters.grad.abs().sum() > 0


# Band-pass filters


def test_sinc_filters_pass_their_band_and_stop_the_rest():
    bank = encoder("param_sinc", n_filters=8, kernel_size=251)
    low = (50 + bank.low_hz.abs()).flatten()
    high = low + 50 + bank.band_hz.abs().flatten()
    hz = torch.linspace(0, 4000, 2049)
    for part in response(bank.filters).chunk(2):
        for magnitude, a, b in zip(part, low, high.clamp(max=4000), strict=True):
            peak = magnitude.max()
            inside = magnitude[(hz > a + 80) & (hz < b - 80)]
            outside = magnitude[(hz < a - 80) | (hz > b + 80)]
            assert (inside > 0.9 * peak).all()
            assert (outside < 0.02 * peak).all()


def test_sinc_bands_end_at_half_the_rate():
    bank = encoder("param_sinc", n_filters=2, kernel_size=251)
    with torch.no_grad():
        bank.low_hz.fill_(3000)
        bank.band_hz.fill_(5000)
    cut = bank.filters.detach()
    bank.band_hz.data.fill_(900)  # 3050 Hz + 50 Hz + 900 Hz: the same edge
    torch.testing.assert_close(cut, bank.filters.detach(), atol=1e-5, rtol=1e-4)


def test_sinc_partners_are_even_and_odd():
    even, odd = encoder("param_sinc", kernel_size=31).filters[:, 0].chunk(2)
    assert torch.equal(even, even.flip(-1))
    assert torch.equal(odd, -odd.flip(-1))
    assert (even[:, 15] == 1).all()


@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_sinc_edges_start_evenly_over_the_mel_scale(sample_rate):
    bank = encoder("param_sinc", sample_rate=sample_rate, n_filters=40)
    edges = torch.cat((bank.low_hz, bank.low_hz[-1:] + bank.band_hz[-1:])).flatten().detach()
    mel = 2595 * torch.log10(1 + edges / 700)
    torch.testing.assert_close(mel.diff(), mel.diff().mean().expand(20), rtol=1e-3, atol=0)
    torch.testing.assert_close(edges[[0, -1]], torch.tensor([30.0, sample_rate / 2 - 100]), rtol=1e-4, atol=0)


def test_sinc_edges_are_learned():
    bank = encoder("param_sinc")
    bank(torch.randn(1, 400)).square().sum().backward()
    assert bank.low_hz.grad.abs().sum() > 0
    assert bank.band_hz.grad.abs().sum() > 0
    assert set(dict(bank.named_parameters())) == {"low_hz", "band_hz"}


# What can't be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fb_name": "stft", "n_filters": 15}, "n_filters is 15 with fb_name 'stft': it must be even"),
        ({"fb_name": "stft", "n_filters": 14}, "not less than kernel_size 16"),
        ({"fb_name": "analytic_free", "n_filters": 1}, "its filters come in pairs"),
        ({"fb_name": "param_sinc", "n_filters": 1}, "its filters come in pairs"),
        (
            {"fb_name": "param_sinc", "min_low_hz": 3990},
            "leave no room for filters below half of sample_rate",
        ),
        ({"fb_name": "stft", "in_chan": 64}, "in_chan is 64: the filterbank gives 66 features"),
        ({"fb_name": "stft", "out_chan": 64}, "out_chan is 64: it must be 66"),
        ({"fb_name": "torch_stft"}, "the same filters as 'stft'"),
        ({"fb_name": "mel"}, "choose one of free, stft, analytic_free, param_sinc"),
    ],
    ids=str,
)
def test_a_bank_that_can_not_be_says_why(options, message):
    with pytest.raises(ValueError, match=message):
        DPRNNTasNet(**options)
