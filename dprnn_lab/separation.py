"""Separate a file, an array or a tensor.

Notebook: 00_start_here
"""

import os
from numbers import Real

import numpy as np
import torch

from . import audio
from .audio import AudioError, check_finite, read_audio, to_mono
from .model import DPRNNTasNet

__all__ = ["separate"]

INT_SCALE = {"int16": 2**15, "int32": 2**31}


@torch.no_grad()
def separate(
    model: DPRNNTasNet,
    wav: str | os.PathLike | np.ndarray | torch.Tensor,
    sample_rate: float | None = None,
    *,
    resample: bool = False,
    mono: str | None = None,
    scale: str = "mixture",
) -> torch.Tensor:
    """Separate one mixture into its sources.

    Nothing about the audio is changed unasked: another sample rate, or more than one channel, is an error
    whose message names the option that allows it.

    Args:
        model: the model; evaluated without gradients, its training mode is left as it was.
        wav: path of an audio file; or samples ``[T]`` or ``[channels, T]``, as an array or tensor,
            floating point in -1 to 1, or int16 or int32 PCM.
        sample_rate: of ``wav`` in Hz. A file knows its own; for samples None means the model's rate.
        resample: convert another rate to the model's. The estimates have the model's rate.
        mono: "mean", "left" or "right": how several channels become one.
        scale: "mixture" gives each estimate the gain with which their sum comes closest to the mixture
            (least squares): SI-SDR training leaves the gains arbitrary, and this is the only choice that
            keeps the level of one speaker relative to the other. "peak" then brings the loudest estimate
            to 0.9; "none" leaves the network's own output.

    Returns:
        ``[S, T]`` float32 on the CPU, at the model's sample rate. T is the input's length (after resampling).

    Raises:
        AudioError: audio that does not suit the model, with the remedy.
        TypeError: ``wav`` is none of the accepted types.
    """
    if scale not in ("mixture", "peak", "none"):
        raise AudioError(f"scale is {scale!r}: choose 'mixture', 'peak' or 'none'")
    if sample_rate is not None and not (isinstance(sample_rate, Real) and sample_rate > 0):
        raise AudioError(f"sample_rate is {sample_rate!r}: give a number above 0 Hz, or leave it out")
    samples, rate, name = _read(wav, model.sample_rate if sample_rate is None else sample_rate)
    if isinstance(wav, (str, os.PathLike)) and sample_rate is not None and sample_rate != rate:
        raise AudioError(
            f"{name} is at {rate} Hz and sample_rate says {sample_rate} Hz: leave sample_rate out"
        )
    check_finite(samples, name)
    if samples.shape[0] > 1:
        if mono is None:
            raise AudioError(
                f"{name} has {samples.shape[0]} channels, the model takes one: choose mono='mean', 'left' or 'right'"
            )
        samples = to_mono(samples, mono)
    else:
        samples = samples[0]
    if rate != model.sample_rate:
        if not resample:
            raise AudioError(
                f"{name} is at {rate} Hz, the model was trained at {model.sample_rate} Hz: pass "
                "resample=True to convert it"
            )
        samples = audio.resample(samples, rate, model.sample_rate)
    was_training = model.training
    try:
        estimates = model.eval()(samples.to(next(model.parameters()))).float().cpu()
    finally:
        model.train(was_training)
    if scale == "none":
        return estimates
    check_finite(estimates, f"the model's output for {name}")
    estimates = scale_to_mixture(estimates, samples)
    if scale == "peak":
        estimates = estimates * (0.9 / estimates.abs().max().clamp(min=1e-8))
    return estimates


def scale_to_mixture(estimates: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    """Give each estimate ``[S, T]`` the gain with which their sum is nearest to the mixture ``[T]``.

    Least squares over S gains. Estimates that are (nearly) copies of each other leave the gains undecided;
    the smallest gains are taken then.
    """
    gains = torch.linalg.lstsq(estimates.double().T, mixture.double().unsqueeze(-1), driver="gelsd").solution
    return estimates * gains.float()


def _read(wav, rate: float) -> tuple[torch.Tensor, float, str]:
    """Samples as float32 ``[channels, T]``, their rate, and what to call them in a message."""
    if isinstance(wav, (str, os.PathLike)):
        samples, rate = read_audio(wav)
        return samples, rate, str(wav)
    if not isinstance(wav, (np.ndarray, torch.Tensor)):
        raise TypeError(f"wav is {type(wav).__name__}: give a path, a numpy array or a torch tensor")
    if isinstance(wav, np.ndarray):
        # A copy: torch takes neither reversed arrays nor another machine's byte order.
        wav = np.array(wav, dtype=wav.dtype.newbyteorder("="), order="C")
    samples = torch.as_tensor(wav).detach().cpu()
    kind = str(samples.dtype).removeprefix("torch.")
    if kind in INT_SCALE:
        samples = samples.float() / INT_SCALE[kind]
    elif not samples.is_floating_point():
        raise AudioError(f"wav has dtype {kind}: give floating point in -1 to 1, or int16 or int32 PCM")
    samples = samples.float()
    if samples.dim() == 1:
        samples = samples.unsqueeze(0)
    if samples.dim() != 2 or 0 in samples.shape:
        raise AudioError(f"wav has shape {list(samples.shape)}: give [T] or [channels, T] with samples in it")
    if samples.shape[0] > samples.shape[1]:
        raise AudioError(
            f"wav has shape {list(samples.shape)}: {samples.shape[0]} channels of {samples.shape[1]} samples look "
            "transposed; give [channels, T] (wav.T)"
        )
    return samples, rate, "wav"
