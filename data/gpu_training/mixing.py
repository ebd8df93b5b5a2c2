"""Mixtures, made on the device that trains on them: drawn, changed and mixed as whole batches.

Levels are those of ``dprnn_lab.datasets.mixing.mix``: what a model was trained with, it goes on hearing.
"""

from dataclasses import dataclass, field

import torch

from dprnn_lab.audio import PEAK
from dprnn_lab.datasets.mixing import MEAN_RMS

from .colours import Colours, colour, noise_like
from .pairs import Pairs
from .speeds import SpeedChanger
from .voices import TRIES, VoiceBank


@dataclass(frozen=True)
class MixingOptions:
    """How a mixture is made.

    Attributes:
        speeds: lowest and highest speed, per cent.
        flip: probability that the polarity of a source is inverted.
        level_db: the sources differ by no more.
        wide_share: of the mixtures, whose sources differ by up to twice that.
        noise: share of the mixtures with noise under them, 15 to 30 dB under the louder source.
    """

    speeds: tuple[int, int] = (85, 118)
    flip: float = 0.5
    level_db: float = 2.5
    wide_share: float = 0.1
    noise: float = 0.0
    colours: Colours = field(default_factory=Colours)


class Mixer:
    """Draws batches. A batch depends on (seed, step) and on its size alone.

    Args:
        bank: the voices.
        pairs: of them.
    """

    def __init__(self, bank: VoiceBank, pairs: Pairs, options: MixingOptions, seed: int = 0):
        self.bank, self.pairs, self.options, self.seed = bank, pairs, options, seed
        self.device = bank.audio.device
        self.speed = SpeedChanger(*options.speeds, device=self.device)
        self.generator = torch.Generator(self.device)

    @torch.no_grad()
    def draw(self, step: int, count: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mixtures ``[B, T]`` and their sources ``[B, 2, T]``, float32."""
        return self.draw_known(step, count, samples)[:2]

    @torch.no_grad()
    def draw_known(self, step: int, count: int, samples: int):
        """The same, and who speaks: int64 ``[B, 2]``."""
        options, generator = self.options, self.generator
        generator.manual_seed((self.seed * 1_000_003 + step) % 2**62)

        def uniform(*shape: int) -> torch.Tensor:
            return torch.rand(shape, generator=generator, device=self.device)

        who = self.pairs.draw(uniform(count))
        voice = who.flatten()
        low, high = options.speeds
        speed = low + (uniform(2 * count) * (high - low + 1)).long().clamp(max=high - low)
        need = samples * speed // 100 + 1
        start = self.bank.starts(voice, need, uniform(2 * count, TRIES))
        sources = self.speed.read(
            self.bank.audio, self.bank.offsets[voice], self.bank.lengths[voice], start, speed, samples
        ).unflatten(0, (count, 2))
        sources = colour(sources, options.colours, generator)
        sources = torch.where(uniform(count, 2, 1) < options.flip, -sources, sources)
        level = (
            options.level_db * (1 + (uniform(count, 1) < options.wide_share)) * (2 * uniform(count, 1) - 1)
        )
        gains = 10 ** (torch.cat((level, -level), 1) / 40)  # [B, 2]
        rms = sources.square().mean(-1).sqrt().clamp(min=1e-5)
        sources = sources * (MEAN_RMS * gains / rms).unsqueeze(-1)
        noise = torch.zeros_like(sources[:, 0])
        if options.noise:
            noise = noise_like(sources, generator)
            loudest = sources.square().mean(-1).amax(1, keepdim=True).sqrt()
            quiet = 10 ** (-(15 + 15 * uniform(count, 1)) / 20)
            noise = noise * (loudest * quiet / noise.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-8))
            noise = noise * (uniform(count, 1) < options.noise)
        peak = torch.maximum((sources.sum(1) + noise).abs().amax(-1), sources.abs().amax((1, 2)))
        gain = (PEAK / peak.clamp(min=1e-8)).clamp(max=1.0)
        sources = sources * gain[:, None, None]
        return sources.sum(1) + noise * gain.unsqueeze(1), sources, who
