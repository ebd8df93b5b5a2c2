import re

import numpy as np
import pytest
import torch
from torch import nn

from dprnn_lab import separate
from dprnn_lab.audio import AudioError, resample, write_audio
from dprnn_lab.separation.rescaling import MixtureFit, scale_to_mixture

SCALES = ["mixture", "peak", "none"]


@pytest.fixture
def model(tiny):
    return tiny()


@pytest.fixture
def mixture():
    return 0.1 * torch.randn(1200, generator=torch.Generator().manual_seed(5))


def test_without_scaling_the_models_own_output_comes_back(model, mixture):
    with torch.no_grad():
        expected = model(mixture)
    estimates = separate(model, mixture, scale="none")
    assert torch.equal(estimates, expected)
    assert not estimates.requires_grad


def test_a_file_an_array_and_a_tensor_give_the_same(model, mixture, tmp_path):
    mixture = (mixture * 2**15).round() / 2**15
    expected = separate(model, mixture)
    path = write_audio(tmp_path / "mixture.wav", mixture, 8000)
    given = [path, str(path), mixture.numpy(), mixture.double(), mixture[None], mixture.numpy()[None]]
    given += [(mixture * 2**15).short(), (mixture * 2**15).numpy().astype(np.int16)]
    given += [(mixture.double() * 2**31).int()]
    for wav in given:
        torch.testing.assert_close(separate(model, wav), expected)


def test_arrays_in_unusual_memory_layouts_are_taken(model, mixture):
    expected = separate(model, mixture)
    array = mixture.numpy()
    backwards = array[::-1].copy()[::-1]
    read_only = np.frombuffer(array.tobytes(), np.float32)
    every_second = np.repeat(array, 2)[::2]
    for wav in (backwards, read_only, every_second, array.astype(">f4")):
        torch.testing.assert_close(separate(model, wav), expected)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("samples", [1, 15, 16, 17, 1001])
def test_any_length_comes_back_as_float32_of_that_length(model, scale, samples):
    estimates = separate(model, torch.randn(samples), scale=scale)
    assert estimates.shape == (2, samples)
    assert estimates.dtype == torch.float32


@pytest.mark.parametrize("scale", SCALES)
def test_silence_gives_silence(model, scale):
    assert torch.equal(separate(model, torch.zeros(500), scale=scale), torch.zeros(2, 500))


def test_a_float64_model_works(tiny, mixture):
    model = tiny()
    expected = separate(model, mixture)
    torch.testing.assert_close(separate(model.double(), mixture), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_is_left_as_it_was_even_after_an_error(tiny, mixture, training):
    model = tiny(num_layers=2, dropout=0.5).train(training)
    first, second = separate(model, mixture), separate(model, mixture)
    assert torch.equal(first, second)  # no dropout
    assert model.training is training
    model.decoder.register_forward_hook(lambda *call: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        separate(model, mixture)
    assert model.training is training


def test_a_list_gives_a_list_of_the_separate_results(model, mixture, tmp_path):
    path = write_audio(tmp_path / "mixture.wav", mixture, 8000)
    several = [mixture, path, mixture[:500].numpy()]
    for given in (several, tuple(several)):
        found = separate(model, given)
        assert len(found) == 3
        for estimates, wav in zip(found, several, strict=True):
            assert torch.equal(estimates, separate(model, wav))
    assert separate(model, []) == []


def test_an_error_in_a_list_names_the_index(model, mixture):
    with pytest.raises(TypeError, match=r"wav\[1\] is float: give a path"):
        separate(model, [mixture, 3.0])
    with pytest.raises(AudioError, match=r"wav\[0\] has 2 channels"):
        separate(model, [torch.stack((mixture, mixture))])
    with pytest.raises(TypeError, match=r"wav\[0\] is list"):
        separate(model, [[mixture]])


# Scaling


class Prepared(nn.Module):
    """A model whose estimates are fixed signals."""

    sample_rate = 8000

    def __init__(self, *signals):
        super().__init__()
        self.signals = nn.Parameter(torch.stack(signals))

    def forward(self, mixture):
        return self.signals


def test_scaling_undoes_the_arbitrary_gains_of_the_estimates():
    sources = torch.randn(2, 2000) * torch.tensor([[0.1], [0.3]])
    model = Prepared(-7.0 * sources[0], 0.002 * sources[1])
    torch.testing.assert_close(separate(model, sources.sum(0)), sources, atol=1e-5, rtol=1e-4)


def test_no_other_gains_are_closer_to_the_mixture():
    estimates, mixture = torch.randn(2, 2000), torch.randn(2000)
    scaled = scale_to_mixture(estimates, mixture)
    best = (mixture - scaled.sum(0)).square().sum()
    for first, second in [(1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)]:
        other = first * scaled[0] + second * scaled[1]
        assert (mixture - other).square().sum() > best


def test_copies_of_the_mixture_share_it():
    mixture = torch.randn(2000)
    scaled = scale_to_mixture(torch.stack((mixture, mixture)), mixture)
    torch.testing.assert_close(scaled, torch.stack((mixture, mixture)) / 2)


def test_gains_from_blocks_are_those_of_the_whole():
    estimates, mixture = torch.randn(3, 2000), torch.randn(2000)
    fit = MixtureFit(3)
    for start, stop in [(0, 1), (1, 700), (700, 2000)]:
        fit.add(estimates[:, start:stop], mixture[start:stop])
    expected = torch.linalg.lstsq(estimates.T.double(), mixture.double()).solution
    torch.testing.assert_close(fit.gains(), expected.float())


def test_peak_scaling_sets_the_loudest_to_09_and_keeps_the_ratio():
    sources = torch.randn(2, 2000) * torch.tensor([[0.1], [0.3]])
    scaled = separate(Prepared(*sources), sources.sum(0), scale="peak")
    assert scaled.abs().max().item() == pytest.approx(0.9)
    torch.testing.assert_close(scaled[0].norm() / scaled[1].norm(), sources[0].norm() / sources[1].norm())


def test_an_output_that_is_not_finite_is_an_error_at_every_scale(model, mixture):
    model.decoder.filters.data[0] = float("nan")
    for scale in SCALES:
        with pytest.raises(AudioError, match="the model's output for wav: 2400 of 2400 samples are NaN"):
            separate(model, mixture, scale=scale)


# No conversion unless asked


def test_another_rate_is_an_error_that_names_the_option(model, mixture, tmp_path):
    path = write_audio(tmp_path / "mixture.wav", mixture, 16000)
    for wav, rate in [(mixture, 16000), (path, None)]:
        with pytest.raises(
            AudioError, match=r"16000 Hz, the model was trained at 8000 Hz: pass resample=True"
        ):
            separate(model, wav, rate)


def test_resampling_on_request(model, mixture):
    estimates = separate(model, mixture, 16000, resample=True)
    assert torch.equal(estimates, separate(model, resample(mixture, 16000, 8000)))
    assert estimates.shape == (2, 600)


def test_a_file_whose_rate_is_contradicted_is_an_error(model, mixture, tmp_path):
    path = write_audio(tmp_path / "mixture.wav", mixture, 16000)
    with pytest.raises(AudioError, match="is at 16000 Hz and sample_rate says 8000 Hz"):
        separate(model, path, 8000)
    assert separate(model, path, 16000, resample=True).shape == (2, 600)


def test_stereo_is_an_error_that_names_the_option(model, mixture):
    with pytest.raises(AudioError, match="wav has 2 channels, the model takes one: choose mono="):
        separate(model, torch.stack((mixture, mixture)))


@pytest.mark.parametrize(("mode", "weights"), [("left", (1, 0)), ("right", (0, 1)), ("mean", (0.5, 0.5))])
def test_mixing_down_on_request(model, mixture, mode, weights):
    stereo = torch.stack((mixture, mixture.flip(0)))
    expected = separate(model, weights[0] * stereo[0] + weights[1] * stereo[1])
    assert torch.equal(separate(model, stereo, mono=mode), expected)


@pytest.mark.parametrize(
    ("wav", "message"),
    [
        (torch.zeros(100, dtype=torch.bool), "wav has dtype bool"),
        (np.zeros(100, np.uint8), "wav has dtype uint8"),
        (torch.zeros(100, dtype=torch.cfloat), "wav has dtype complex64"),
        (torch.zeros(0), "wav has shape [1, 0]"),
        (torch.zeros(1, 1, 100), "wav has shape [1, 1, 100]"),
        (torch.tensor(1.0), "wav has shape []"),
        (torch.zeros(100, 2), "100 channels of 2 samples look transposed"),
        (torch.full((100,), float("nan")), "wav: 100 of 100 samples are NaN or infinite"),
        ("no/such/file.wav", "no/such/file.wav: no such file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_audio_that_does_not_suit_is_one_clear_error(model, wav, message):
    with pytest.raises(AudioError, match=re.escape(message)):
        separate(model, wav)


@pytest.mark.parametrize("rate", [0, -8000, float("nan"), "8000"])
def test_an_invalid_rate_is_named(model, mixture, rate):
    with pytest.raises(AudioError, match=f"sample_rate is {rate!r}"):
        separate(model, mixture, rate)


@pytest.mark.parametrize("wav", [{0.0: 1.0}, None, b"RIFF", 3.0])
def test_other_types_are_named(model, wav):
    with pytest.raises(TypeError, match=f"wav is {type(wav).__name__}"):
        separate(model, wav)


def test_options_with_unknown_values_are_named(model, mixture):
    with pytest.raises(AudioError, match="scale is 'loud': choose 'mixture', 'peak' or 'none'"):
        separate(model, mixture, scale="loud")
    with pytest.raises(AudioError, match="tracking is 'hope': choose one of profiles, overlap, none"):
        separate(model, mixture, tracking="hope")
    with pytest.raises(AudioError, match="mono is 'both'"):
        separate(model, torch.stack((mixture, mixture)), mono="both")
    with pytest.raises(AudioError, match="mono is 'both'"):
        separate(model, mixture, mono="both")  # it would fail at the first file with two channels


# Progress


def test_progress_counts_windows_or_the_mixtures_of_a_list(model):
    calls = []
    mixture = 0.1 * torch.randn(3 * 8000)
    expected = separate(model, mixture, window=1)
    found = separate(model, mixture, window=1, progress=lambda *call: calls.append(call))
    assert torch.equal(found, expected)
    assert calls == [(k + 1, len(calls)) for k in range(len(calls))]
    assert len(calls) == 4
    calls.clear()
    separate(model, [mixture, mixture[:800]], window=1, progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]


def test_a_progress_bar_on_request_and_no_other_output(model, mixture, capsys):
    separate(model, mixture)
    assert capsys.readouterr() == ("", "")
    separate(model, mixture, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "1/1" in shown.err


def test_an_exception_in_progress_ends_the_separation(model, mixture):
    with pytest.raises(ZeroDivisionError):
        separate(model, mixture, progress=lambda done, total: 1 / 0)


def test_progress_of_another_type_is_named(model, mixture):
    with pytest.raises(TypeError, match="progress is 'yes': give True, False or a function"):
        separate(model, mixture, progress="yes")


@pytest.mark.parametrize(("given", "message"), [("small", "model is 'small'"), (3, "model is int")])
def test_a_model_is_a_network(given, message):
    with pytest.raises(TypeError, match=rf"{message}: give a network, such as load_model\('small'\)"):
        separate(given, torch.zeros(8000))
