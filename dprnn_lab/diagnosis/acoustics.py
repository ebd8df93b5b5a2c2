"""What a recording says about itself, without any model: noise, reverberation, and how many people speak at once.

The limits were set with ``tests/diagnosis/unknown_voices.py --half tune`` on 4 s of real voices that no network was
trained on: 30 to 120 mixtures of two people and 30 recordings of one, each also with white or pink noise 0 to 10 dB
under the louder voice, and in simulated rooms with a reverberation time of 0.3 to 0.8 s; and on 75 mixtures of the test
list.

Notebook: 06_failures_at_inference
"""

import torch

__all__ = [
    "ECHO_DB_PER_S",
    "FEW_PAUSES_DB",
    "MANY_VOICES_SIGN",
    "NOISY_SHARE",
    "ONE_VOICE_SCORE",
    "decay_db_per_s",
    "noisy_share",
    "one_voice_score",
    "pauses_db",
    "periodicity",
    "recording_sign",
]

NOISY_SHARE = 0.04  # clean voices: 0 to 0.03; with noise: 0.04 to 0.97, nine of ten over 0.13
ECHO_DB_PER_S = -265.0  # 120 mixtures without a room: under -273; in a room: over -272, 95 % over -253
FEW_PAUSES_DB = 12.0  # two clean voices: 9 to 39, nine of ten over 12; many voices, or noise, fill the pauses
MANY_VOICES_SIGN = "hardly any pauses, as of many voices"
ONE_VOICE_SCORE = 93.5  # one person: 97 of 105 over it; two people: 4 of 165
MOST_PAUSES_DB = 45.0  # deeper pauses say no more: digital silence has any depth
MIN_SECONDS = 1.0  # of audio for these statistics
TONES_BELOW_HZ = 1200.0  # where harmonics are strong
PITCH_HZ = (75.0, 400.0)


def _power(samples: torch.Tensor, rate: float, seconds: float, hop: float) -> torch.Tensor:
    """Power spectrogram ``[frequency, frame]`` of ``[T]``."""
    size = 2 ** round(torch.log2(torch.tensor(seconds * rate)).item())
    window = torch.hann_window(size)
    return torch.stft(samples, size, int(size * hop), window=window, return_complex=True).abs().square()


def _enough(samples: torch.Tensor, rate: float) -> bool:
    return len(samples) >= MIN_SECONDS * rate and float(samples.abs().max()) > 0


def noisy_share(samples: torch.Tensor, rate: float) -> float:
    """Share of the frequencies of ``[T]`` whose power hardly varies: steady noise, 0 to 1.

    The 10 % quantile over time is 10 % of the mean in noise, and less than 3 % where voices come and go.
    """
    if not _enough(samples, rate):
        return 0.0
    power = _power(samples, rate, 0.064, 0.25)[4:-4]
    return float((power.quantile(0.1, dim=-1) > 0.03 * power.mean(-1).clamp(min=1e-12)).float().mean())


def decay_db_per_s(samples: torch.Tensor, rate: float) -> float:
    """How fast the level falls after loud sounds of ``[T]``, dB per second: the steepest falls, mean over six bands.

    Over 80 ms, 1 % quantile. In a room the level can't fall faster than by 60 dB in the reverberation time.
    """
    if not _enough(samples, rate):
        return -999.0
    samples = samples * (0.5 / samples.abs().max())
    power = _power(samples, rate, 0.032, 0.25)
    seconds = 0.25 * (2 * power.shape[0] - 2) / rate  # of a hop
    hertz = rate / 2 / (power.shape[0] - 1)
    span = max(1, int(0.08 / seconds))
    falls = []
    for low, high in ((250, 500), (500, 750), (750, 1125), (1125, 1560), (1560, 2000), (2000, 2800)):
        level = 10 * torch.log10(power[int(low / hertz) : int(high / hertz)].sum(0) + 1e-9)
        fall = (level[span:] - level[:-span]) / (span * seconds)
        fall = fall[level[:-span] > level.quantile(0.95) - 15]
        if len(fall) > 5:
            falls.append(fall.quantile(0.01))
    return float(torch.stack(falls).mean()) if falls else -999.0


def pauses_db(samples: torch.Tensor, rate: float) -> float:
    """dB between the loud and the quiet frames of ``[T]`` (95 % and 5 %, 32 ms)."""
    frame = int(0.032 * rate)
    if len(samples) < 20 * frame:
        return 0.0
    power = 10 * torch.log10(samples.unfold(-1, frame, frame // 2).square().mean(-1) + 1e-12)
    return float(power.quantile(0.95) - power.quantile(0.05))


def periodicity(samples: torch.Tensor, rate: float) -> float:
    """How periodic the loud frames of ``[T]`` are below 1.2 kHz, 0 to 1: two voices at once have two pitches.

    The largest normalised correlation of 50 ms with the same signal a pitch period later; its 30 % quantile.
    """
    if not _enough(samples, rate):
        return 0.0
    spectrum = torch.fft.rfft(samples)
    spectrum[torch.fft.rfftfreq(len(samples), 1 / rate) > TONES_BELOW_HZ] = 0
    low = torch.fft.irfft(spectrum, len(samples))
    size, shortest, longest = int(0.05 * rate), int(rate / PITCH_HZ[1]), int(rate / PITCH_HZ[0])
    frames = low.unfold(-1, size + longest, size // 2)
    length = 2 * (size + longest)
    first = torch.fft.rfft(frames[:, :size], length)
    products = torch.fft.irfft(torch.fft.rfft(frames, length) * first.conj(), length)[:, : longest + 1]
    sums = torch.nn.functional.pad(frames.double().square().cumsum(1), (1, 0))
    energy = (sums[:, size:] - sums[:, : longest + 1]).float().clamp(min=1e-9)
    best = (products / (energy[:, :1] * energy).sqrt())[:, shortest:].amax(1)
    loud = energy[:, 0] > 0.1 * energy[:, 0].quantile(0.95)
    return float(best[loud].quantile(0.3).clamp(0, 1)) if loud.any() else 0.0


def one_voice_score(samples: torch.Tensor, rate: float) -> float:
    """Deep pauses and one pitch at a time: over :data:`ONE_VOICE_SCORE`, ``[T]`` is probably of one person."""
    if not _enough(samples, rate):
        return 0.0
    samples = samples * (0.5 / samples.abs().max())
    return min(MOST_PAUSES_DB, pauses_db(samples, rate)) + 80 * periodicity(samples, rate)


def recording_sign(samples: torch.Tensor, rate: float) -> tuple[str, dict[str, float]]:
    """What a model of clean, close voices was not trained on, in words ("" if there is nothing), and the numbers."""
    facts = {
        "noisy_share": round(noisy_share(samples, rate), 3),
        "decay_db_per_s": round(decay_db_per_s(samples, rate)),
        "pauses_db": round(pauses_db(samples, rate), 1),
    }
    if facts["noisy_share"] > NOISY_SHARE:
        return "steady noise", facts
    if facts["decay_db_per_s"] > ECHO_DB_PER_S:
        return "a long decay, as of a room", facts
    if 0 < facts["pauses_db"] < FEW_PAUSES_DB:
        return MANY_VOICES_SIGN, facts
    return "", facts
