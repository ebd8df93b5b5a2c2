"""Remarks for the user on silent inputs and outputs, and on channels that cancel each other.

Notebook: 09_long_audio
"""

import math
import os

import torch

from ..audio import opened

__all__ = ["cancelling_channels", "on_silence"]

BLOCK_SAMPLES = 1_000_000
CANCELLED_DB = (
    20.0  # by which the mean is under the channels: noise without correlation loses only 3 dB for two
)


def cancelling_channels(channels: torch.Tensor) -> str | None:
    """A remark if the mean of channels ``[channels, T]`` is far below them, as with opposite polarity; else None."""
    energy = channels.double().square().mean().item()
    return _cancelled(energy, channels.double().mean(0).square().mean().item())


def cancelling_in_file(path: str | os.PathLike) -> str | None:
    """:func:`cancelling_channels` of a file of any length, read in blocks."""
    energy = of_mean = 0.0
    with opened(path) as file:
        if file.channels < 2:
            return None
        while len(block := file.read(BLOCK_SAMPLES // file.channels, dtype="float64", always_2d=True)):
            energy += float((block**2).mean(1).sum())
            of_mean += float((block.mean(1) ** 2).sum())
    return _cancelled(energy, of_mean)


def _cancelled(energy: float, of_mean: float) -> str | None:
    if not energy > 0 or of_mean > energy * 10 ** (-CANCELLED_DB / 10):
        return None
    level = f"{10 * math.log10(energy / of_mean):.0f} dB under them" if of_mean > 0 else "silence"
    return f"the mean of the channels is {level}: they cancel each other; mono='left' or mono='right' takes one of them"


def on_silence(input_peak: float, output_peaks: torch.Tensor) -> list[str]:
    """Remarks on an input, or on outputs ``[S]``, whose samples are all zero."""
    silent = [j + 1 for j, peak in enumerate(output_peaks.tolist()) if peak == 0]
    if input_peak == 0:
        return ["the input is silent: all its samples are zero, and so are those of the outputs"]
    if silent:
        which = "all outputs are" if len(silent) == len(output_peaks) else f"output {silent[0]} is"
        return [f"{which} silent, and the input is not: diagnose looks for the reason"]
    return []
