"""Sample rates: from one to another, by torchaudio's windowed-sinc resampler.

Notebook: 04_data
"""

import math
from collections.abc import Callable
from functools import lru_cache
from numbers import Real

import torch

from .errors import AudioError

__all__ = [
    "LARGEST_SIGNAL",
    "SAMPLE_RATE",
    "check_convertible",
    "input_part",
    "rate_ratio",
    "resample",
    "resampler",
]

SAMPLE_RATE = 8000  # Hz, of the bundled speech and models
LARGEST_FILTER = (
    10_000_000  # taps over all phases: 44 100 to 8000 Hz needs 35 thousand, 44 101 Hz 350 million
)
LARGEST_SIGNAL = 2**30  # samples held at once, 4.3 GB in float32: 37 hours at 8 kHz
RECORDED_RATES = (1000, 1_000_000)  # Hz; a header with another rate is wrong, or no recording of a voice


def check_convertible(name: str, rate: float, sample_rate: float) -> None:
    """Raise AudioError for a recording at a rate (Hz) from which no conversion makes sense.

    A header of 1 Hz would turn kilobytes into hours at 8 kHz.
    """
    low, high = RECORDED_RATES
    if rate != sample_rate and not low <= rate <= high:
        raise AudioError(
            f"{name} is at {rate:g} Hz by its header, expected {sample_rate:g} Hz: voices are recorded at {low} to "
            f"{high} Hz, so the header is wrong; write it again with the true rate (sox -r, ffmpeg -ar before -i)"
        )


@lru_cache(maxsize=16)
def resampler(from_rate: int, to_rate: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A resampler with its filter, cached: computing the filter takes longer than resampling an utterance."""
    import torchaudio.transforms  # imported here: it takes 0.1 s

    return torchaudio.transforms.Resample(from_rate, to_rate)


def resample(samples: torch.Tensor, from_rate: float, to_rate: float) -> torch.Tensor:
    """Change the sample rate (Hz) along the last axis; equal rates return ``samples`` itself.

    Raises:
        AudioError: a rate of 0 or less, a ratio that :func:`rate_ratio` refuses, or a result too large for memory.
    """
    for rate in (from_rate, to_rate):
        if not isinstance(rate, Real) or not 0 < rate < math.inf:
            raise AudioError(f"sample rates are {from_rate} and {to_rate} Hz: both must be numbers above 0")
    if from_rate == to_rate:
        return samples
    step, made = rate_ratio(from_rate, to_rate)
    if samples.numel() * made / step > LARGEST_SIGNAL:
        raise AudioError(
            f"from {from_rate:g} Hz to {to_rate:g} Hz {samples.numel()} samples would become "
            f"{samples.numel() * made // step}, {samples.numel() * made / step * 4 / 1e9:.0f} GB: check the rates, or "
            "convert it in parts"
        )
    import torchaudio.functional  # imported here: it takes 0.1 s

    return torchaudio.functional.resample(samples, step, made)


def rate_ratio(from_rate: float, to_rate: float) -> tuple[int, int]:
    """Two rates (Hz) in lowest terms: the first number of samples is resampled to the second.

    Raises:
        AudioError: a rate under 1 Hz, or terms so large that a filter between the rates would not fit in memory.

    >>> rate_ratio(44100, 8000)
    (441, 80)
    """
    if not (math.isfinite(from_rate) and math.isfinite(to_rate)) or min(from_rate, to_rate) < 1:
        raise AudioError(f"sample rates are {from_rate} and {to_rate} Hz: both must be 1 Hz or more")
    from_rate, to_rate = int(from_rate), int(to_rate)
    divisor = math.gcd(from_rate, to_rate)
    ratio = from_rate // divisor, to_rate // divisor
    if ratio[0] * ratio[1] > LARGEST_FILTER:
        raise AudioError(
            f"from {from_rate} Hz to {to_rate} Hz {ratio[0]} samples become {ratio[1]}: the filter would need "
            "gigabytes; convert the file to a usual rate with sox or ffmpeg first"
        )
    return ratio


def input_part(start: int, stop: int, step: int, made: int) -> tuple[int, int, int]:
    """What of a signal is needed to resample a part of it: (first, last, skipped).

    Resampling the samples ``first`` to ``last``, with zeros before and after the signal, gives the samples ``start`` to
    ``stop`` of the resampled signal after ``skipped`` others.

    Args:
        step, made: ``step`` samples become ``made`` (:func:`rate_ratio`).
    """
    # torchaudio's filter has six zero crossings on each side. Whole steps keep its phases in place.
    reach = 1 + math.ceil((7 * step / min(step, made) + step) / step)
    first, last = start // made - reach, -(-stop // made) + reach
    return first * step, last * step, start - first * made
