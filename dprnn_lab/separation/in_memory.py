"""Separate a file, an array or a tensor, or a list of them.

Notebooks: 00_start_here, 09_long_audio
"""

import os
from collections.abc import Sequence
from numbers import Real

import numpy as np
import torch

from .. import audio
from ..audio import AudioError, as_samples, check_finite, check_suits, read_audio, to_mono
from ..model import DPRNNTasNet
from .rescaling import scale_to_mixture
from .speaker_tracking import METHODS, track_speakers
from .windows import WINDOW_SECONDS, estimate_window, overlap_add, run_model, windows_for

__all__ = ["scale_to_mixture", "separate"]

SCALES = ("mixture", "peak", "none")
PEAK = 0.9


def separate(
    model: DPRNNTasNet,
    wav: str | os.PathLike | np.ndarray | torch.Tensor | Sequence,
    sample_rate: float | None = None,
    *,
    resample: bool = False,
    mono: str | None = None,
    scale: str = "mixture",
    window: float | None = WINDOW_SECONDS,
    tracking: str = "profiles",
) -> torch.Tensor | list[torch.Tensor]:
    """Separate a mixture, or each of a list of mixtures, into its sources.

    Nothing about the audio is changed unasked: another sample rate, or more than one channel, is an error
    whose message names the option that allows it.

    What is longer than ``window`` is separated in windows that overlap by a quarter, and the speakers are
    followed from one to the next (:mod:`dprnn_lab.separation.speaker_tracking`). The network's memory is that of one
    window then; mixture and estimates are held whole. :func:`dprnn_lab.separation.file_to_file.separate_file` goes
    from file to file and holds neither.

    Args:
        model: the model; evaluated without gradients, its training mode is left as it was.
        wav: path of an audio file; or samples ``[T]`` or ``[channels, T]``, as an array or tensor,
            floating point in -1 to 1, or int16 or int32 PCM. Or a list of these, of any lengths: a tensor of
            two axes is always channels, never a batch.
        sample_rate: of ``wav`` in Hz. A file knows its own; for samples None means the model's rate.
        resample: convert another rate to the model's. The estimates have the model's rate.
        mono: "mean", "left" or "right": how several channels become one.
        scale: "mixture" gives each estimate the gain with which their sum comes closest to the mixture
            (least squares): SI-SDR training leaves the gains arbitrary, and this is the only choice that
            keeps the level of one speaker relative to the other. "peak" then brings the loudest estimate
            to 0.9; "none" leaves the network's own output. There is one gain per speaker for all windows:
            gains of a window's own would be wild where a speaker is silent, and step at the seams.
        window: seconds; None to separate everything at once.
        tracking: "profiles", "overlap" or "none": how speakers are followed across windows.

    Returns:
        ``[S, T]`` float32 on the CPU, at the model's sample rate; for a list a list of them. T is the input's
        length (after resampling).

    Raises:
        AudioError: audio that does not suit the model, with the remedy.
        TypeError: ``wav`` is none of the accepted types.
    """
    check_options(scale, tracking)
    if sample_rate is not None and not (isinstance(sample_rate, Real) and sample_rate > 0):
        raise AudioError(f"sample_rate is {sample_rate!r}: give a number above 0 Hz, or leave it out")
    if isinstance(wav, (list, tuple)):
        return [
            _separate(model, item, f"wav[{i}]", sample_rate, resample, mono, scale, window, tracking)
            for i, item in enumerate(wav)
        ]
    return _separate(model, wav, "wav", sample_rate, resample, mono, scale, window, tracking)


def check_options(scale: str, tracking: str) -> None:
    """Raise an AudioError for an unknown value."""
    if scale not in SCALES:
        raise AudioError(f"scale is {scale!r}: choose 'mixture', 'peak' or 'none'")
    if tracking not in METHODS:
        raise AudioError(f"tracking is {tracking!r}: choose one of {', '.join(METHODS)}")


def _separate(model, wav, name, sample_rate, resample, mono, scale, window, tracking) -> torch.Tensor:
    samples, rate, name = _read(wav, model.sample_rate if sample_rate is None else sample_rate, name)
    if isinstance(wav, (str, os.PathLike)) and sample_rate is not None and sample_rate != rate:
        raise AudioError(
            f"{name} is at {rate} Hz and sample_rate says {sample_rate} Hz: leave sample_rate out"
        )
    check_finite(samples, name)
    check_suits(name, len(samples), rate, model.sample_rate, mono, resample)
    samples = to_mono(samples, mono) if len(samples) > 1 else samples[0]
    samples = audio.resample(samples, rate, model.sample_rate)
    plan = windows_for(model, len(samples), window)
    if len(plan) == 1:
        estimates = run_model(model, samples)
    else:
        parts = [estimate_window(model, samples[start:stop], name) for start, stop in plan]
        orders = track_speakers(parts, plan, model.sample_rate, tracking).orders
        estimates = torch.cat(list(overlap_add(parts, plan, orders)), dim=-1)
    if scale == "none":
        return estimates
    check_finite(estimates, f"the model's output for {name}")
    estimates = scale_to_mixture(estimates, samples)
    if scale == "peak":
        estimates = estimates * (PEAK / estimates.abs().max().clamp(min=1e-8))
    return estimates


def _read(wav, rate: float, name: str) -> tuple[torch.Tensor, float, str]:
    """Samples as float32 ``[channels, T]``, their rate, and what to call them in a message."""
    if isinstance(wav, (str, os.PathLike)):
        samples, rate = read_audio(wav)
        return samples, rate, str(wav)
    if not isinstance(wav, (np.ndarray, torch.Tensor)):
        raise TypeError(f"{name} is {type(wav).__name__}: give a path, a numpy array or a torch tensor")
    samples = as_samples(wav, name)
    if samples.dim() == 1:
        samples = samples.unsqueeze(0)
    if samples.dim() != 2 or 0 in samples.shape:
        raise AudioError(
            f"{name} has shape {list(samples.shape)}: give [T] or [channels, T] with samples in it"
        )
    if samples.shape[0] > samples.shape[1]:
        raise AudioError(
            f"{name} has shape {list(samples.shape)}: {samples.shape[0]} channels of {samples.shape[1]} samples look "
            "transposed; give [channels, T] (wav.T)"
        )
    return samples, rate, name
