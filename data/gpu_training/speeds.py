"""Segments of voices at other speeds: pitch and formants move with it, as on a tape.

A speed is a whole number of per cent s. Then 100 samples of the result always lie at the same places among s samples
of the voice, and a band-limited interpolation (windowed sinc, as ``torchaudio.functional.resample`` has it) of 100
samples is the product of s samples, with some to either side, and a fixed matrix. A product of all segments at once
does the work.
"""

import math

import torch

LOWEST, HIGHEST = 50, 150  # per cent
OUT = 100  # samples that one product makes
ZEROS = 16  # of the sinc, to either side
ROLLOFF = 0.97  # of the lower of the two half rates: where the filter is 6 dB down


class SpeedChanger:
    """Interpolation for the speeds from ``low`` to ``high`` per cent.

    Attributes:
        matrices: float32 ``[high - low + 1, taps, 100]``.
        reach: samples before the first one that are read too.
    """

    def __init__(self, low: int, high: int, device: torch.device | str = "cpu"):
        if not LOWEST <= low <= high <= HIGHEST:
            raise ValueError(f"speeds from {low} to {high} per cent: choose between {LOWEST} and {HIGHEST}")
        self.low, self.high = low, high
        self.reach = math.ceil(ZEROS * high / (min(low, 100) * ROLLOFF)) if low < 100 or high > 100 else 0
        taps = torch.arange(-self.reach, high + self.reach + 1, dtype=torch.float64)
        self.taps = taps.long().to(device)
        matrices = torch.stack([_matrix(taps, speed) for speed in range(low, high + 1)])
        self.matrices = matrices.float().to(device)

    def read(
        self,
        audio: torch.Tensor,
        offset: torch.Tensor,
        length: torch.Tensor,
        start: torch.Tensor,
        speed: torch.Tensor,
        samples: int,
    ) -> torch.Tensor:
        """float32 ``[R, samples]`` of voices that go round and round.

        Args:
            audio: int16 ``[N]``, full scale 32768.
            offset, length: int64 ``[R]``, where in ``audio`` the voice of each row is.
            start: int64 ``[R]``, samples from the voice's first.
            speed: int64 ``[R]``, per cent.
        """
        blocks = torch.arange(-(-samples // OUT), device=audio.device)
        at = start[:, None] + blocks * speed[:, None]  # [R, blocks]
        at = (at.unsqueeze(2) + self.taps) % length[:, None, None]
        frames = audio[at + offset[:, None, None]].float() / 32768
        return torch.bmm(frames, self.matrices[speed - self.low]).flatten(1)[:, :samples]


def _matrix(taps: torch.Tensor, speed: int) -> torch.Tensor:
    """``[taps, 100]`` for one speed; at 100 per cent it picks the samples as they are."""
    place = torch.arange(OUT, dtype=torch.float64) * speed / OUT
    distance = taps.unsqueeze(1) - place
    if speed == 100:
        return (distance == 0).double()
    band = ROLLOFF * min(1.0, 100 / speed)
    x = (distance * band).clamp(-ZEROS, ZEROS)
    return band * torch.sinc(x) * torch.cos(x * math.pi / ZEROS / 2).square()
