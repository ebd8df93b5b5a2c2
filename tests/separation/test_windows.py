import itertools

import pytest
import torch

from dprnn_lab import separate
from dprnn_lab.audio import AudioError
from dprnn_lab.separation.rescaling import scale_to_mixture
from dprnn_lab.separation.windows import WINDOW_SECONDS, overlap_add, plan_windows, run_model, windows_for


@pytest.fixture
def model(tiny):
    return tiny(n_repeats=1)


@pytest.fixture
def mixture():
    return 0.1 * torch.randn(3 * 8000 + 123)


# The plan


@pytest.mark.parametrize("samples", [1, 4, 99, 100, 101, 150, 175, 176, 250, 251, 999, 12345])
def test_windows_cover_everything_and_overlap_by_a_quarter_or_more(samples):
    plan = plan_windows(samples, 100)
    assert plan[0][0] == 0
    assert plan[-1][1] == samples
    assert {stop - start for start, stop in plan} == {min(samples, 100)}
    for (_, stop), (start, _) in itertools.pairwise(plan):
        assert stop - start >= 25


def test_no_more_windows_than_needed():
    assert len(plan_windows(100, 100)) == 1
    assert len(plan_windows(175, 100)) == 2
    assert len(plan_windows(176, 100)) == 3


@pytest.mark.parametrize(("samples", "window"), [(0, 100), (100, 3), (-1, 100)])
def test_a_plan_without_samples_is_an_error(samples, window):
    with pytest.raises(ValueError, match=f"samples is {samples} and window {window}"):
        plan_windows(samples, window)


def test_windows_are_in_seconds_of_the_models_rate(model, tiny):
    assert windows_for(model, 30000, 2) == plan_windows(30000, 16000)
    assert windows_for(tiny(sample_rate=16000), 30000, 1) == plan_windows(30000, 16000)
    assert windows_for(model, 3, None) == [(0, 3)]


@pytest.mark.parametrize("window", [0.5, 0, -1, float("nan"), float("inf"), "20"])
def test_a_window_too_short_to_separate_speakers_is_an_error(model, mixture, window):
    with pytest.raises(
        AudioError, match=rf"window is {window!r}: give 1 second or more \(8 is the default\)"
    ):
        separate(model, mixture, window=window)


# Overlap-add


@pytest.mark.parametrize("samples", [80, 100, 101, 150, 176, 251, 999, 1000])
def test_windows_of_a_signal_are_joined_to_the_signal(samples):
    signal = torch.randn(2, samples)
    plan = plan_windows(samples, 100)
    parts = [signal[:, start:stop] for start, stop in plan]
    joined = torch.cat(list(overlap_add(parts, plan, [(0, 1)] * len(plan))), dim=1)
    torch.testing.assert_close(joined, signal, atol=1e-6, rtol=1e-6)


def test_windows_in_other_orders_are_put_in_order():
    signal = torch.randn(3, 500)
    plan = plan_windows(500, 100)
    orders = [tuple(torch.randperm(3).tolist()) for _ in plan]
    parts = []
    for (start, stop), order in zip(plan, orders, strict=True):
        part = torch.empty(3, stop - start)
        part[list(order)] = signal[:, start:stop]  # output order[j] holds source j
        parts.append(part)
    joined = torch.cat(list(overlap_add(parts, plan, orders)), dim=1)
    torch.testing.assert_close(joined, signal, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("samples", "begin"), [(1750, 750), (1200, 475)])
def test_a_window_fades_into_the_next_in_the_middle_of_their_overlap_without_a_step(samples, begin):
    plan = plan_windows(samples, 1000)
    parts = [torch.zeros(1, 1000), torch.ones(1, 1000)]
    joined = torch.cat(list(overlap_add(parts, plan, [(0,), (0,)])), dim=1)[0]
    assert (joined[:begin] == 0).all()
    assert (joined[begin + 250 :] == 1).all()
    fade = joined[begin : begin + 250]
    assert fade.diff().min() >= 0
    assert fade.diff().max() < 0.01  # pi / 2 over 250 samples, at the steepest
    torch.testing.assert_close(fade + fade.flip(0), torch.ones(250))  # sin² and cos²


def test_two_windows_at_a_time_are_fetched_in_turn():
    plan = plan_windows(1000, 100)
    asked = []

    def fetch(k):
        asked.append(k)
        return torch.zeros(2, 100)

    blocks = overlap_add(fetch, plan, [(0, 1)] * len(plan))
    next(blocks)
    assert asked == [0, 1]
    list(blocks)
    assert asked == list(range(len(plan)))


# separate


def test_what_fits_in_a_window_is_separated_at_once(model, mixture):
    expected = separate(model, mixture, window=None)
    assert torch.equal(separate(model, mixture), expected)
    assert torch.equal(separate(model, mixture, window=WINDOW_SECONDS), expected)
    assert not torch.allclose(separate(model, mixture, window=1), expected)


def test_what_is_longer_is_separated_in_windows(model, mixture):
    plan = plan_windows(len(mixture), 8000)
    parts = [run_model(model, mixture[start:stop]) for start, stop in plan]
    expected = torch.cat(list(overlap_add(parts, plan, [(0, 1)] * len(plan))), dim=1)
    assert torch.equal(separate(model, mixture, window=1, tracking="none", scale="none"), expected)
    scaled = separate(model, mixture, window=1, tracking="none")
    assert torch.equal(scaled, scale_to_mixture(expected, mixture))  # one gain per speaker, not per window


def test_any_number_of_sources_goes_through_windows(tiny, mixture):
    for n_src in (1, 3):
        assert separate(tiny(n_src=n_src), mixture, window=1).shape == (n_src, len(mixture))


def test_a_window_that_comes_out_as_nan_is_an_error(model, mixture):
    model.decoder.filters.data[0] = float("nan")
    with pytest.raises(AudioError, match="the model's output for wav"):
        separate(model, mixture, window=1, scale="none")


def test_silence_stays_silence(model):
    assert not separate(model, torch.zeros(30000), window=1).any()
