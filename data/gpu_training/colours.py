"""What microphones, lines and rooms do to a voice: as responses over frequency, and as rounding to 8 bits.

All sources of a batch pass one FFT, whatever was drawn for each.
"""

import math
from dataclasses import dataclass

import torch

from .formants import draw_factors, move_formants

RATE = 8000  # Hz
TAIL = 512  # samples of silence behind a segment, into which filters ring
RING = 3200  # samples of a room's response
KNOTS = 7  # gains of an equaliser
LOUD = 0.05  # RMS of what is rounded to 8 bits
FORMANTS = 1.15  # the largest factor of their frequencies


@dataclass(frozen=True)
class Colours:
    """Shares of the sources (rooms: of the mixtures) that are changed.

    Attributes:
        equalised: with a smooth response of some dB.
        eq_db: standard deviation of its gains.
        banded: through a band such as a telephone's.
        rounded: to 8 bits by the mu-law.
        rooms: in a room, with a reverberation time of 0.15 to 0.4 s.
        formants: with the formants moved, by up to 15 % in either direction, and the pitch kept.
    """

    equalised: float = 0.5
    eq_db: float = 3.0
    banded: float = 0.2
    rounded: float = 0.1
    rooms: float = 0.0
    formants: float = 0.0


def fast_length(samples: int) -> int:
    """The next even number without prime factors over 5: FFTs of such a length are fast.

    >>> fast_length(32512)
    32768
    """
    while True:
        rest = samples
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and samples % 2 == 0:
            return samples
        samples += 1


def colour(sources: torch.Tensor, options: Colours, generator: torch.Generator) -> torch.Tensor:
    """``[B, 2, T]`` to the same, the two sources of a mixture in one room."""
    batch, count, samples = sources.shape
    device = sources.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, device=device)

    if options.formants:
        factors = draw_factors(batch * count, options.formants, FORMANTS, generator)
        sources = move_formants(sources.flatten(0, 1), factors).unflatten(0, (batch, count))
    if options.equalised or options.banded or options.rooms:
        size = fast_length(samples + (RING + TAIL if options.rooms else TAIL))
        hertz = torch.linspace(0, RATE / 2, size // 2 + 1, device=device)
        response = torch.ones(batch, count, len(hertz), device=device)
        if options.equalised:
            gains = options.eq_db * torch.randn((batch, count, KNOTS), generator=generator, device=device)
            gains = gains.clamp(-8, 8) * (uniform(batch, count, 1) < options.equalised)
            response = 10 ** (gains @ _knots(hertz) / 20)
        if options.banded:
            low, high = 50 + 300 * uniform(batch, count, 1), 2700 + 1000 * uniform(batch, count, 1)
            band = torch.sigmoid((hertz - low) / 25) * torch.sigmoid((high - hertz) / 60)
            response = torch.where(uniform(batch, count, 1) < options.banded, response * band, response)
        if options.rooms:
            here = uniform(batch, 1, 1) < options.rooms
            rings = torch.fft.rfft(_responses(batch, count, uniform, generator), size)
            response = torch.where(here, response * rings, response.to(rings.dtype))
        sources = torch.fft.irfft(torch.fft.rfft(sources, size) * response, size)[..., :samples]
    if options.rounded:
        level = sources.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-6)
        rounded = _mu_law(sources * (LOUD / level)) * (level / LOUD)
        sources = torch.where(uniform(batch, count, 1) < options.rounded, rounded, sources)
    return sources


def _knots(hertz: torch.Tensor) -> torch.Tensor:
    """``[7, bins]``: straight lines from knot to knot, which lie evenly on the mel scale."""
    mel = torch.log1p(hertz / 700) / math.log1p(RATE / 2 / 700) * (KNOTS - 1)
    knots = torch.arange(KNOTS, device=hertz.device)
    return (1 - (mel - knots.unsqueeze(1)).abs()).clamp(min=0)


def _responses(batch: int, count: int, uniform, generator: torch.Generator) -> torch.Tensor:
    """``[B, 2, 3200]``: direct sound of 1 at sample 0, some early echoes, noise that dies away from 5 ms on."""
    time = torch.arange(RING, device=generator.device) / RATE
    rt60 = 0.15 + 0.25 * uniform(batch, 1, 1)
    noise = torch.randn((batch, count, RING), generator=generator, device=generator.device)
    tail = noise * 10 ** (-3 * time / rt60) * (time >= 0.005)
    ratio = 10 ** (-(2 + 10 * uniform(batch, count, 1)) / 10)  # of the tail's energy to the direct sound's
    tail = tail * (ratio / tail.square().sum(-1, keepdim=True)).sqrt()
    at = (8 + 232 * uniform(batch, count, 6)).long()  # 1 to 30 ms
    signs = torch.where(uniform(batch, count, 6) < 0.5, -1.0, 1.0)
    tail.scatter_add_(2, at, signs * (0.05 + 0.3 * uniform(batch, count, 6)) * 10 ** (-3 * at / RATE / rt60))
    tail[..., 0] = 1.0
    return tail


def _mu_law(samples: torch.Tensor) -> torch.Tensor:
    """To 255 values and back (ITU-T G.711's curve, in its continuous form)."""
    curve = samples.clamp(-1, 1).abs().mul(255).log1p() / math.log(256)
    steps = (curve * 127).round() / 127
    return samples.sign() * torch.expm1(steps * math.log(256)) / 255


def noise_like(sources: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Noise ``[B, T]`` at no particular level: white, pink, or babble, a third each.

    Babble is the sum of six sources of other mixtures of the batch.
    """
    batch, count, samples = sources.shape
    device = sources.device
    white = torch.randn((batch, samples), generator=generator, device=device)
    spectrum = torch.fft.rfft(white)
    slope = torch.arange(spectrum.shape[-1], device=device).clamp(min=1).rsqrt()
    pink = torch.fft.irfft(spectrum * slope, samples)
    babble = torch.zeros_like(white)
    for shift in range(1, 7):
        babble += sources[:, shift % count].roll(shift % max(batch - 1, 1) + 1, 0)
    draw = torch.rand((batch, 1), generator=generator, device=device)
    if batch < 8:  # too few voices for babble
        draw = draw * 2 / 3
    return torch.where(draw < 1 / 3, white, torch.where(draw < 2 / 3, pink, babble))
