"""Sounds as the HTML of a comparing player or of a blind test.

The samples travel as 16-bit FLAC in plain ``<audio>`` elements, two thirds of the size of WAV and the same samples.
Where scripts run, the component reads its samples from these elements and takes their place. Where they do not run
(an untrusted notebook, a code host's view), the elements stay, each with the controls of the browser, below the
picture that was given.
"""

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import torch

from ..audio import SAMPLE_RATE, AudioError, as_samples, encode_audio, peak, to_pcm16
from ..error_texts import printable
from .scripts import script

__all__ = ["blind_test_html", "checked_sounds", "compare_html"]

VIEWS = ("spectrogram", "wave")
SHORTEST_TEST = 0.2  # seconds of a sound in a blind test
LARGEST_SEED = 2**32 - 1
FLAC_RATES = (1, 655_350)  # Hz; where a browser refuses one, the plain players stay
WEB_AUDIO_RATES = (8000, 192_000)  # Hz, of all browsers


def compare_html(
    sounds: Mapping[str, Any],
    sample_rate: float = SAMPLE_RATE,
    *,
    columns: int = 3,
    picture: bytes | None = None,
    alt: str = "",
    view: str = "spectrogram",
    matched: bool = False,
) -> str:
    """The comparing player: named sounds ``[T]`` under one play head, one of them heard, switched while they play.

    All sounds run in one Web Audio graph from one start time, and a switch moves gains with a time constant of 3 ms:
    the time goes on, without a gap. Levels are as they are, or matched: equal RMS over the active parts, which are
    the frames of 20 ms within 40 dB of the sound's loudest. Matched sounds are as loud as the loudest of them, less
    where one would clip; a silent sound stays silent. A sound that exceeds full scale turns all of them down by as
    much, so that their relation stays.

    The spectrograms are drawn by the browser from the samples, so they fit any width. They have one scale of levels,
    60 dB below the loudest point of any of them.

    Args:
        sounds: name to samples ``[T]``, tensors or arrays, of one rate and of any lengths. Those with NaN or infinite
            samples are listed and can't be played.
        sample_rate: Hz.
        columns: panels beside each other; on a narrow page one.
        picture: a PNG file's bytes for readers without scripts, and ``alt``, its text.
        view: "spectrogram", or "wave" for small waveforms.
        matched: whether levels are matched before somebody presses M.

    Raises:
        ValueError: no sound, samples that are not ``[T]``, a sample rate that FLAC has not, an unknown view.
    """
    sounds = checked_sounds(sounds, sample_rate, columns)
    if view not in VIEWS:
        raise ValueError(f"view is {view!r}: choose {' or '.join(map(repr, VIEWS))}")
    cells = "".join(
        f"<div style='flex:1 1 0;min-width:180px'>{_sound(name, samples, sample_rate)}</div>"
        for name, samples in sounds.items()
    )
    shown = ""
    if picture is not None:
        data = base64.b64encode(picture).decode()
        shown = f"<img alt='{_text(alt)}' style='max-width:100%' src='data:image/png;base64,{data}'>"
    attributes = f"rate='{int(sample_rate)}' columns='{min(columns, len(sounds))}' view='{view}'" + (
        " matched" if matched else ""
    )
    return _element("dprnn-player", attributes, f"{shown}{_row(cells)}")


def blind_test_html(
    a: Any,
    b: Any,
    sample_rate: float = SAMPLE_RATE,
    *,
    names: tuple[str, str] = ("first version", "second version"),
    trials: int = 10,
    seed: int | None = None,
    matched: bool = True,
) -> str:
    """An A/B/X test of two sounds ``[T]``; see :func:`dprnn_lab.plots.blind_test` for the arguments.

    Raises:
        ValueError: the sounds differ in length, or are the same at 16 bits; one can't be played or is shorter than
            0.2 s; not two names; no trial; a seed that is not from 0 to 2**32 - 1.
    """
    _check_rate(sample_rate, WEB_AUDIO_RATES)
    if isinstance(names, str) or len(names) != 2:
        raise ValueError(f"names is {names!r}: give two, of a and of b")
    a, b = _samples("a", a), _samples("b", b)
    for name, samples in (("a", a), ("b", b)):
        if not bool(samples.isfinite().all()):
            raise ValueError(f"{name} has NaN or infinite samples: it can't be played, choose another sound")
        if len(samples) < SHORTEST_TEST * sample_rate:
            raise ValueError(
                f"{name} lasts {len(samples) / sample_rate:.2f} s: a blind test needs {SHORTEST_TEST:g} s or more"
            )
    if len(a) != len(b):
        raise ValueError(
            f"a has {len(a)} samples and b {len(b)}: their lengths would tell them apart, cut both to one length"
        )
    _check_difference(a, b)
    if isinstance(trials, bool) or not isinstance(trials, int) or not 1 <= trials <= 1000:
        raise ValueError(f"trials is {trials!r}: give a whole number from 1 to 1000")
    if seed is not None and (
        isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED
    ):
        raise ValueError(f"seed is {seed!r}: give a whole number from 0 to {LARGEST_SEED}, or None")
    sounds = (
        f"<div>{letter} {_text(name)}</div>{_audio(name, samples, sample_rate)}"
        for letter, name, samples in zip("AB", names, (a, b), strict=True)
    )
    cells = "".join(f"<div style='flex:1 1 0;min-width:180px'>{sound}</div>" for sound in sounds)
    attributes = f"rate='{int(sample_rate)}' trials='{trials}' looping" + (" matched" if matched else "")
    if seed is not None:
        attributes += f" seed='{seed}'"
    why = "<div>The blind test needs JavaScript: in JupyterLab, trust this notebook.</div>"
    return _element("dprnn-blind-test", attributes, why + _row(cells))


def _element(name: str, attributes: str, children: str) -> str:
    return f"<{name} {attributes}>{children}</{name}>{script(name)}"


def _row(cells: str) -> str:
    return f"<div style='display:flex;flex-wrap:wrap;gap:8px'>{cells}</div>"


def _text(text: object) -> str:
    return escape(printable(text, lines=True))


def checked_sounds(
    sounds: Mapping[str, Any], sample_rate: float = SAMPLE_RATE, columns: int = 1
) -> dict[str, torch.Tensor]:
    """The arguments of :func:`compare_html`, checked: names as text, and samples ``[T]`` as float32 on the CPU.

    Raises:
        ValueError: no mapping or an empty one, samples that are not ``[T]``, a rate that FLAC has not, no columns.
    """
    if not isinstance(sounds, Mapping):
        raise ValueError(f"sounds is a {type(sounds).__name__}: give a dict of names with samples [T]")
    if not sounds:
        raise ValueError("sounds is empty: give at least one name with samples [T]")
    _check_rate(sample_rate, FLAC_RATES)
    if columns < 1:
        raise ValueError(f"columns is {columns}: give 1 or more")
    return {str(name): _samples(name, samples) for name, samples in sounds.items()}


def _samples(name: object, value: Any) -> torch.Tensor:
    """``[T]`` as float32 on the CPU; whole numbers of 16 and 32 bits are PCM."""
    try:
        samples = as_samples(value, str(name))
    except AudioError as error:
        raise ValueError(str(error)) from error
    if samples.dim() != 1 or not len(samples):
        one = ", such as samples[0]" if samples.dim() == 2 and samples.numel() else ""
        raise ValueError(
            f"{name} has shape {list(samples.shape)}: a player takes [T] with samples in it{one}"
        )
    return samples


def _check_difference(a: torch.Tensor, b: torch.Tensor) -> None:
    """Refuse two sounds that are played as the same samples."""
    if torch.equal(a, b):
        raise ValueError("a and b are the same samples: there is nothing to hear, give two versions")
    alike = float((a.double() - b.double()).abs().max()) < 2**-16  # under half a step of 16 bits
    if alike or (torch.equal(to_pcm16(a), to_pcm16(b)) and max(peak(a), peak(b)) <= 1):
        raise ValueError(
            "a and b are the same at 16 bits, in which they are played: there is nothing to hear, give two versions"
        )


def _check_rate(sample_rate: float, rates: tuple[int, int]) -> None:
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | float | np.number):
        raise ValueError(f"sample_rate is {sample_rate!r}: give a number, in Hz")
    if not rates[0] <= sample_rate <= rates[1]:
        raise ValueError(
            f"sample_rate is {sample_rate:g} Hz: give {rates[0]} to {rates[1]} Hz, or resample the sounds"
        )


def _sound(name: str, samples: torch.Tensor, sample_rate: float) -> str:
    """A name and its player, or the reason why it has none."""
    finite = samples.isfinite()
    if not bool(finite.all()):
        count = int((~finite).sum())
        reason = f"{count} of {len(samples)} samples are NaN or infinite: can't be played"
        return f"<div data-unplayable='{_text(name)}'><div>{_text(name)}</div><div>{reason}</div></div>"
    return f"<div>{_text(name)}</div>{_audio(name, samples, sample_rate)}"


def _audio(name: str, samples: torch.Tensor, sample_rate: float) -> str:
    """Samples over full scale are divided by their peak, and the component multiplies them again."""
    scale = max(peak(samples), 1.0)
    content = encode_audio(samples / scale, int(sample_rate), "FLAC")
    data = base64.b64encode(content).decode()
    scaled = f" data-scale='{np.float32(scale)}'" if scale > 1 else ""
    return (
        f"<audio controls aria-label='{_text(name)}' style='width:100%'{scaled} "
        f"src='data:audio/flac;base64,{data}'></audio>"
    )
