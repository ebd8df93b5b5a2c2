"""Filterbanks that are not free: the STFT, analytic filters, and band-pass filters with learned edges.

Between the STFT, where nothing is learned, and TasNet's free filters, where everything is, there are filters of a
given form with few parameters. Pariente et al., "Filterbank design for end-to-end speech separation"
(arXiv 1910.10400), compare them. Each bank here has two halves, the real and the imaginary part of complex filters,
and equals the one of that name in asteroid-filterbanks 0.4, so that its checkpoints run.

Notebook: 01_encoder_decoder
"""

import math

import torch
from torch import nn

from .filterbank import Decoder, Encoder, Filterbank

__all__ = ["BANK_OPTIONS", "FILTERBANKS", "bank_sizes", "make_decoder", "make_encoder", "stft_window"]

BANK_OPTIONS = ("fb_name", "n_filters", "kernel_size", "stride", "sample_rate", "min_low_hz", "min_band_hz")


def stft_window(kernel_size: int) -> torch.Tensor:
    """Square root of the periodic Hann window, ``[K]``: applied twice at half overlap it sums to one.

    >>> window = stft_window(16)
    >>> torch.allclose(window[:8] ** 2 + window[8:] ** 2, torch.ones(8))
    True
    """
    return torch.sin(math.pi * torch.arange(kernel_size, dtype=torch.float64) / kernel_size).float()


class _Stft(Filterbank):
    """N / 2 + 1 cosines and as many sines from 0 Hz to half the rate, under a window of K samples.

    Nothing is learned: ``filters`` ``[N + 2, 1, K]`` and ``window`` ``[K]`` are buffers. With K < N the
    spectrum is oversampled, as by zero-padding. The first and the last sine are zero.
    """

    def __init__(self, n_filters: int, kernel_size: int, stride: int):
        super().__init__(n_filters, kernel_size, stride)
        # The window is centred in N samples; phases count from the first of them.
        time = torch.arange(kernel_size, dtype=torch.float64) + (n_filters - kernel_size) // 2
        frequency = torch.arange(n_filters // 2 + 1, dtype=torch.float64).unsqueeze(-1)
        phase = 2 * math.pi / n_filters * frequency * time
        cosines, sines = phase.cos(), -phase.sin()
        # 0 Hz and half the rate occur once in a spectrum, all others twice: at half overlap encoder and decoder
        # together then have gain one.
        cosines[[0, -1]] /= math.sqrt(2)
        scale = 2 * math.sqrt(stride / (kernel_size * n_filters))
        window = stft_window(kernel_size)
        filters = scale * torch.cat((cosines, sines)).unsqueeze(1) * window.double()
        self.register_buffer("filters", filters.float())
        self.register_buffer("window", window)


class _Analytic(Filterbank):
    """N / 2 learned filters, and a partner of each that is computed from it.

    The partner in the paper is the Hilbert transform, a quarter of a period later at every frequency.
    asteroid-filterbanks 0.4 computes it only on PyTorch before 1.8; since then its partner is the filter reversed in
    time (circularly, around the first sample), as here.
    """

    def __init__(self, n_filters: int, kernel_size: int, stride: int):
        super().__init__(n_filters, kernel_size, stride)
        self.real_filters = nn.Parameter(torch.empty(n_filters // 2, 1, kernel_size))
        nn.init.xavier_normal_(self.real_filters, gain=1 / math.sqrt(2))

    @property
    def filters(self) -> torch.Tensor:  # type: ignore[override]
        """``[N, 1, K]``, computed from ``real_filters`` ``[N / 2, 1, K]``."""
        return torch.cat((self.real_filters, self.real_filters.flip(-1).roll(1, -1)))


class _Sinc(Filterbank):
    """N / 2 band-pass filters, even and odd, with a learned lower edge and bandwidth each.

    An ideal band-pass is the difference of two low-passes, so of two sinc functions (SincNet, Ravanelli and
    Bengio, arXiv 1808.00158); its odd partner has cosines in place of sines. A Hamming window cuts both
    to K samples (odd, so that there is a middle one). The edges start spread evenly over the mel scale.

    ``low_hz`` and ``band_hz`` ``[N / 2, 1]`` are parameters; the buffers ``half_window`` ``[K // 2]`` and
    ``two_pi_t`` ``[1, K // 2]`` (rad/Hz, of the samples before the middle) follow from K and the sample rate.
    """

    half_window: torch.Tensor
    two_pi_t: torch.Tensor

    def __init__(
        self,
        n_filters: int,
        kernel_size: int,
        stride: int,
        sample_rate: float,
        min_low_hz: float,
        min_band_hz: float,
    ):
        super().__init__(n_filters, kernel_size, stride)
        self.half_rate, self.min_low_hz, self.min_band_hz = sample_rate / 2, min_low_hz, min_band_hz
        mel = torch.linspace(
            _to_mel(30), _to_mel(self.half_rate - min_low_hz - min_band_hz), n_filters // 2 + 1
        )
        edges = 700 * (10 ** (mel / 2595) - 1)
        self.low_hz = nn.Parameter(edges[:-1].unsqueeze(-1))
        self.band_hz = nn.Parameter(edges.diff().unsqueeze(-1))
        half = kernel_size // 2
        time = torch.arange(-half, 0) / sample_rate
        window = torch.hamming_window(kernel_size, periodic=False, dtype=torch.float64)
        self.register_buffer("half_window", window[:half].float())
        self.register_buffer("two_pi_t", 2 * math.pi * time.unsqueeze(0))

    @property
    def filters(self) -> torch.Tensor:  # type: ignore[override]
        """``[N, 1, K]``: the even filters, with a middle sample of one, then the odd ones."""
        low = self.min_low_hz + self.low_hz.abs()
        high = (low + self.min_band_hz + self.band_hz.abs()).clamp(self.min_low_hz, self.half_rate)
        fade = self.half_window / (self.two_pi_t * (high - low))
        from_low, to_high = low * self.two_pi_t, high * self.two_pi_t
        even = (to_high.sin() - from_low.sin()) * fade
        odd = (from_low.cos() - to_high.cos()) * fade
        even = torch.cat((even, torch.ones_like(low), even.flip(-1)), dim=-1)
        odd = torch.cat((odd, torch.zeros_like(low), -odd.flip(-1)), dim=-1)
        return torch.cat((even, odd)).unsqueeze(1)


def _to_mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


# All banks encode and decode as the free one does; they differ in the filters.
class _StftEncoder(_Stft):
    forward = Encoder.forward


class _StftDecoder(_Stft):
    forward = Decoder.forward


class _AnalyticEncoder(_Analytic):
    forward = Encoder.forward


class _AnalyticDecoder(_Analytic):
    forward = Decoder.forward


class _SincEncoder(_Sinc):
    forward = Encoder.forward


class _SincDecoder(_Sinc):
    forward = Decoder.forward


# By Asteroid's names: encoder and decoder, each with its own filters.
FILTERBANKS = {
    "free": (Encoder, Decoder),
    "stft": (_StftEncoder, _StftDecoder),
    "analytic_free": (_AnalyticEncoder, _AnalyticDecoder),
    "param_sinc": (_SincEncoder, _SincDecoder),
}


def bank_sizes(fb_name: str, n_filters: int, kernel_size: int) -> tuple[int, int, int]:
    """``(n_filters, kernel_size, features)`` of a bank: N and K rounded to what it supports, features per frame.

    Banks with filters in pairs round N down to even; "param_sinc" rounds K up to odd.

    >>> bank_sizes("free", 21, 16), bank_sizes("analytic_free", 21, 16)
    ((21, 16, 21), (20, 16, 20))
    >>> bank_sizes("param_sinc", 21, 16), bank_sizes("stft", 20, 16)
    ((20, 17, 20), (20, 16, 22))
    """
    if fb_name in ("analytic_free", "param_sinc"):
        n_filters -= n_filters % 2
    if fb_name == "param_sinc":
        kernel_size += 1 - kernel_size % 2
    return n_filters, kernel_size, n_filters + (2 if fb_name == "stft" else 0)


def make_encoder(fb_name: str, n_filters: int, kernel_size: int, stride: int, **hz: float) -> Filterbank:
    """The encoder of a filterbank, from the values of :data:`BANK_OPTIONS`; sizes as of :func:`bank_sizes`.

    >>> options = {"n_filters": 64, "kernel_size": 16, "stride": 8, "sample_rate": 8000}
    >>> encoder, decoder = make_encoder("stft", **options), make_decoder("stft", **options)
    >>> speech = torch.randn(1, 800)
    >>> torch.allclose(decoder(encoder(speech))[:, 8:-8], speech[:, 8:-8], atol=1e-5)
    True
    """
    return FILTERBANKS[fb_name][0](n_filters, kernel_size, stride, **_needed(fb_name, hz))


def make_decoder(fb_name: str, n_filters: int, kernel_size: int, stride: int, **hz: float) -> Filterbank:
    """The decoder of a filterbank, with its own filters; arguments as of :func:`make_encoder`."""
    return FILTERBANKS[fb_name][1](n_filters, kernel_size, stride, **_needed(fb_name, hz))


def _needed(fb_name: str, hz: dict[str, float]) -> dict[str, float]:
    """The arguments in Hz, for the only bank that has them."""
    return hz if fb_name == "param_sinc" else {}
