"""Losses of many kinds, all in order: `loss(estimates [B, S, T], sources [B, S, T])`."""

import itertools
from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn import functional as F

from dprnn_lab.loss import (
    PITLossWrapper,
    multisrc_neg_sisdr,
    pairwise_mse,
    pairwise_neg_sdsdr,
    pairwise_neg_snr,
)

from .case import World, healthy
from .losses_by_hand import batch, best_order, si_snr, snr


def _over_orders(each: Callable) -> Callable:
    """PIT by hand: ``each(estimate, target)`` gives ``[B, S]``; mean over sources, best order per example."""
    return lambda estimates, sources: best_order(each, estimates, sources).mean()


@healthy
def si_snr_by_hand(world: World):
    """The usual loss, written out."""
    return {"loss": _over_orders(lambda e, t: -si_snr(e, t))}


@healthy
def asteroid_style_wrapper_around_one_order(world: World):
    """`PITLossWrapper(multisrc_neg_sisdr, pit_from="perm_avg")`."""
    return {"loss": PITLossWrapper(multisrc_neg_sisdr, pit_from="perm_avg")}


@healthy
def plain_snr(world: World):
    """SNR, which fixes the level too."""
    return {"loss": PITLossWrapper(pairwise_neg_snr)}


@healthy
def snr_of_three_sources(world: World):
    """Only three sources are accepted: the loss checks its shapes."""

    def loss(estimates, sources):
        if estimates.shape[1] != 3:
            raise ValueError(f"expected 3 sources, got {estimates.shape[1]}")
        return best_order(lambda e, t: -snr(e, t), estimates, sources).mean()

    return {"loss": loss, "batch": batch(world, 3)}


@healthy
def three_permutations_written_out_for_a_network_of_three(world: World):
    """The six orders of three sources as a constant; the model says how many sources there are."""
    orders = list(itertools.permutations(range(3)))

    def loss(estimates, sources):
        each = torch.stack([-si_snr(estimates[:, list(p)], sources).mean(1) for p in orders])
        return each.min(0).values.mean()

    return {"loss": loss, "batch": batch(world, 3)}


@healthy
def mean_squared_error(world: World):
    """PIT over the mean squared error of the waveforms."""
    return {"loss": PITLossWrapper(pairwise_mse)}


@healthy
def absolute_error(world: World):
    """PIT over L1."""
    return {"loss": _over_orders(lambda e, t: (e - t).abs().mean(-1))}


@healthy
def logarithm_of_the_squared_error(world: World):
    """`10 log10` of the mean squared error, without a ratio."""
    return {"loss": _over_orders(lambda e, t: 10 * torch.log10((e - t).pow(2).mean(-1) + 1e-8))}


@healthy
def snr_with_a_soft_threshold(world: World):
    """No reward above 30 dB, as in MixIT: `-10 log10(|t|^2 / (|t - e|^2 + 0.001 |t|^2))`."""

    def each(e, t):
        energy = t.pow(2).sum(-1)
        return -10 * torch.log10(energy / ((t - e).pow(2).sum(-1) + 1e-3 * energy + 1e-8) + 1e-8)

    return {"loss": _over_orders(each)}


@healthy
def si_snr_clamped_at_thirty(world: World):
    """Examples better than 30 dB count as 30 dB: SpeechBrain's threshold."""
    return {"loss": _over_orders(lambda e, t: -si_snr(e, t).clamp(max=30))}


@healthy
def silent_sources_masked_out(world: World):
    """Sources of less than -60 dBFS do not count."""

    def loss(estimates, sources):
        active = (sources.pow(2).mean(-1) > 1e-6).to(sources.dtype)
        values = []
        for p in itertools.permutations(range(sources.shape[1])):
            each = -snr(estimates[:, list(p)], sources)
            values.append((each * active).sum(1) / active.sum(1).clamp(min=1))
        return torch.stack(values).min(0).values.mean()

    return {"loss": loss}


@healthy
def inactive_sources_have_a_loss_of_their_own(world: World):
    """A silent target asks for a quiet output, measured against the mixture; two or more sources."""

    def each(e, t):
        energy, error = t.pow(2).sum(-1), (e - t).pow(2).sum(-1)
        mixture = t.sum(1, keepdim=True).pow(2).sum(-1)
        active = 10 * torch.log10(error + 1e-3 * energy + 1e-8) - 10 * torch.log10(energy + 1e-8)
        quiet = 10 * torch.log10(error + 1e-2 * mixture + 1e-8) - 10 * torch.log10(mixture + 1e-8)
        return torch.where(energy > 1e-6 * mixture, active, quiet)

    return {"loss": _over_orders(each)}


@healthy
def hungarian_assignment_of_four_sources(world: World):
    """scipy's assignment in place of 24 orders."""

    def loss(estimates, sources):
        matrix = -si_snr(estimates[:, :, None], sources[:, None])
        values = []
        for table in matrix:
            rows, columns = linear_sum_assignment(table.detach().cpu().numpy())
            values.append(table[list(rows), list(columns)].mean())
        return torch.stack(values).mean()

    return {"loss": loss, "batch": batch(world, 4)}


@healthy
def enhancement_of_one_source(world: World):
    """A loss for networks with one output: there is no order."""

    def loss(estimates, sources):
        if estimates.shape[1] != 1:
            raise ValueError("one source only")
        return -si_snr(estimates[:, 0], sources[:, 0]).mean()

    mixtures, sources = batch(world, 2)
    noise = 0.01 * world.noise(*mixtures.shape)
    return {"loss": loss, "batch": (sources[:, 0] + noise, sources[:, :1])}


@healthy
def speechbrain_axes(world: World):
    """SpeechBrain's wrapper takes `[T, B, C]`: the user moves the axes and reduces at the end."""

    def of_time_first(sources, estimates):  # [T, B, C] twice, to [B]
        e, t = estimates.permute(1, 2, 0), sources.permute(1, 2, 0)
        return best_order(lambda a, b: -si_snr(a, b), e, t)

    return {"loss": lambda e, s: of_time_first(s.permute(2, 0, 1), e.permute(2, 0, 1)).mean()}


@healthy
def one_value_per_example(world: World):
    """`reduction="none"`: the training loop takes the mean of `[B]` itself."""
    return {"loss": lambda e, s: best_order(lambda a, b: -snr(a, b), e, s)}


@healthy
def scale_dependent_sdr(world: World):
    """SD-SDR under PIT."""
    return {"loss": PITLossWrapper(pairwise_neg_sdsdr)}


class _Spectral(nn.Module):
    """L1 of magnitudes at three resolutions, beside SI-SNR; windows are buffers."""

    def __init__(self) -> None:
        super().__init__()
        for size in (256, 512, 1024):
            self.register_buffer(f"window_{size}", torch.hann_window(size))

    def forward(self, estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        return best_order(self._each, estimates, sources).mean()

    def _each(self, e: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        value = -0.1 * si_snr(e, t)
        for size in (256, 512, 1024):
            window = getattr(self, f"window_{size}").to(e.dtype)
            a, b = (
                torch.stft(x.flatten(0, 1), size, size // 4, window=window, return_complex=True).abs()
                for x in (e, t)
            )
            value = value + (a - b).abs().mean((-1, -2)).unflatten(0, e.shape[:2])
        return value


@healthy
def spectra_at_three_resolutions(world: World):
    """A module: SI-SNR and the magnitudes of three STFTs."""
    return {"loss": _Spectral()}


@healthy
def mixture_consistency_as_a_penalty(world: World):
    """SNR, and a penalty when the estimates do not sum to the mixture."""

    def loss(estimates, sources):
        rest = (estimates.sum(1) - sources.sum(1)).pow(2).mean()
        return best_order(lambda e, t: -snr(e, t), estimates, sources).mean() + 10 * rest

    return {"loss": loss}


@healthy
def sum_over_sources(world: World):
    """The sum over sources in place of the mean: twice the usual decibels."""
    return {"loss": lambda e, s: e.shape[1] * best_order(lambda a, b: -si_snr(a, b), e, s).mean()}


@healthy
def soft_minimum_over_orders(world: World):
    """Probabilistic PIT: a soft minimum, at most half a decibel below the best order."""

    def loss(estimates, sources):
        orders = list(itertools.permutations(range(sources.shape[1])))
        each = torch.stack([-si_snr(estimates[:, list(p)], sources).mean(1) for p in orders])
        return (-0.7 * torch.logsumexp(-each / 0.7, 0)).mean()

    return {"loss": loss}


@healthy
def huber_of_pre_emphasised_speech(world: World):
    """High frequencies count more: the first difference of the waveform, and a smooth L1."""

    def each(e, t):
        e, t = (x[..., 1:] - 0.95 * x[..., :-1] for x in (e, t))
        return F.smooth_l1_loss(20 * e, 20 * t, reduction="none", beta=0.5).mean(-1)

    return {"loss": _over_orders(each)}
