"""Figures of a corpus and of mixtures made from it.

Notebook: 04_data
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from ..audio import SAMPLE_RATE
from .basics import COLOURS, draw_waveform

__all__ = ["condition_bars", "impulse_response", "minutes_by_split", "shaded_waveform", "waveforms"]

GREY, BLUE, ORANGE, GREEN = COLOURS
SPLIT_COLOURS = {"train": BLUE, "adapt": "#56B4E9", "valid": ORANGE, "test": GREEN}


def minutes_by_split(seconds: pd.DataFrame) -> Figure:
    """Minutes of speech of each voice as one bar, divided by split.

    ``seconds`` is indexed by (speaker, sex) and has one column for each split.

    Notebook: 04_data
    """
    names = [f"{name} ({sex})" for name, sex in seconds.index]
    left = pd.Series(0.0, index=seconds.index)
    figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
    for split in seconds:
        minutes = seconds[split] / 60
        axes.barh(names, minutes, left=left / 60, color=SPLIT_COLOURS[split], label=split)
        left += seconds[split]
    axes.set(xlabel="minutes of speech", title="each voice, by split")
    axes.invert_yaxis()
    figure.legend(loc="outside right upper")
    return figure


def waveforms(waves: Mapping[str, torch.Tensor], colours: Sequence[str] = (BLUE, ORANGE, GREY)) -> Figure:
    """Named waveforms ``[T]`` beside each other, on one scale of amplitudes.

    Notebook: 04_data
    """
    options = {"figsize": (10, 2.3), "sharey": True, "layout": "constrained", "squeeze": False}
    figure, grid = plt.subplots(1, len(waves), **options)
    for axes, (title, wave), colour in zip(grid[0], waves.items(), colours, strict=True):
        draw_waveform(axes, wave, title, colour=colour)
        axes.label_outer()
    return figure


def shaded_waveform(samples: torch.Tensor, starts: Sequence[float], length: float, title: str) -> Figure:
    """A waveform ``[T]`` with segments shaded: each begins at one of ``starts`` and lasts ``length`` (both in s).

    Notebook: 04_data
    """
    figure, axes = plt.subplots(figsize=(9, 2.3), layout="constrained")
    draw_waveform(axes, samples, title)
    for start in starts:
        axes.axvspan(start, start + length, color=ORANGE, alpha=0.35, linewidth=0)
    return figure


def impulse_response(response: torch.Tensor, delay: int, rt60: float) -> Figure:
    """The first 100 ms of a room's impulse response ``[T]``, and the energy still to come (dB).

    ``delay`` is the sample of the direct sound, which is drawn as time zero; ``rt60`` (s) is for the title.

    Notebook: 04_data
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.6), layout="constrained")
    time_ms = (torch.arange(len(response)) - delay) / SAMPLE_RATE * 1000
    left.plot(time_ms[:800], response[:800], color=BLUE, linewidth=0.7)
    left.set(title="the first 100 ms of an impulse response", ylabel="amplitude")
    left.set_xlabel("time after the direct sound (ms)")
    # Schroeder's backward integral: the energy still to come.
    decay = 10 * torch.log10(response.square().flip(0).cumsum(0).flip(0) / response.square().sum())
    right.plot(time_ms, decay, color=BLUE)
    right.axhline(-60, color="black", linewidth=0.6, linestyle="--")
    right.set(
        title=f"energy still to come: RT60 {rt60:.2f} s", xlabel="time (ms)", ylabel="dB", ylim=(-80, 3)
    )
    return figure


def condition_bars(scores: Mapping[str, Any], title: str) -> Figure:
    """SI-SDRi (dB) of one model under each condition as a bar with its interval; dashed: the first, the reference.

    ``scores`` gives for each condition a mean with the ends of its interval: ``mean``, ``low``, ``high``. Colours: grey
    for the reference, then orange for conditions with noise or babble in their name, green for a room, blue for the
    rest.

    Notebook: 04_data
    """
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    names, means = list(scores), [s.mean for s in scores.values()]
    spread = [[s.mean - s.low for s in scores.values()], [s.high - s.mean for s in scores.values()]]
    colours = [GREY, *map(_colour_of_condition, names[1:])]
    axes.barh(names, means, color=colours, xerr=spread, capsize=3, error_kw={"linewidth": 0.8})
    axes.axvline(means[0], color=GREY, linestyle="--", linewidth=0.8)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set(xlabel="SI-SDRi of the bundled model (dB)", title=title)
    axes.invert_yaxis()
    return figure


def _colour_of_condition(name: str) -> str:
    if "noise" in name or "babble" in name:
        return ORANGE
    return GREEN if "room" in name else BLUE
