"""Voices with their formants moved and their pitch kept: another throat under the same voice.

The spectral envelope of each frame is its smoothed log spectrum (the first coefficients of the real cepstrum: Oppenheim
and Schafer 1975, "Digital Signal Processing", chapter 10). The spectrum is multiplied by the ratio of the envelope with
its frequency axis stretched to the envelope as it was. A change of speed (:mod:`.speeds`) moves pitch and formants
together; both give voices that nobody spoke.
"""

import math

import torch

WINDOW, HOP, SIZE = 320, 80, 512  # samples: 40 ms, 10 ms, and of the FFT
COEFFICIENTS = 20  # of the cepstrum, up to 2.5 ms: under the period of a voice of 400 Hz
MOST = 2.0  # a bin is multiplied by at most e to this, 17 dB


def move_formants(sources: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply the frequencies of the formants; where the factor is 1, the source stays as it is.

    Args:
        sources: float32 ``[R, T]``, 8 kHz, of 320 samples or more.
        factors: float32 ``[R]``, such as 1.1 for formants that lie a tenth higher.

    Returns:
        ``[R, T]``.
    """
    window = torch.hann_window(WINDOW, device=sources.device)
    how = {"n_fft": SIZE, "hop_length": HOP, "win_length": WINDOW, "window": window}
    spectrum = torch.stft(sources, **how, return_complex=True).mT  # [R, frames, bins]
    loud = spectrum.abs()
    floor = 1e-3 * loud.amax((1, 2), keepdim=True) + 1e-8  # 60 dB under the loudest bin
    cepstrum = torch.fft.irfft((loud + floor).log(), SIZE)
    keep = torch.zeros(SIZE, device=sources.device)
    keep[:COEFFICIENTS] = 1
    keep[-COEFFICIENTS + 1 :] = 1
    envelope = torch.fft.rfft(cepstrum * keep, SIZE).real
    bins = envelope.shape[-1]
    place = (torch.arange(bins, device=sources.device) / factors[:, None]).clamp(max=bins - 1)  # [R, bins]
    low = place.floor().long().clamp(max=bins - 2)
    part = (place - low)[:, None]
    low = low[:, None].expand_as(envelope)
    stretched = torch.lerp(envelope.gather(2, low), envelope.gather(2, low + 1), part.expand_as(envelope))
    gain = (stretched - envelope).clamp(-MOST, MOST).exp()
    moved = torch.istft((spectrum * gain).mT, **how, length=sources.shape[-1])
    return torch.where(factors[:, None] == 1, sources, moved)


def draw_factors(count: int, share: float, most: float, generator: torch.Generator) -> torch.Tensor:
    """``[count]`` factors: 1, or in a ``share`` of them one from ``1 / most`` to ``most``, even in its logarithm."""
    drawn = torch.rand((2, count), generator=generator, device=generator.device)
    return torch.where(drawn[0] < share, (math.log(most) * (2 * drawn[1] - 1)).exp(), 1.0)
