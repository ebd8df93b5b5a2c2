"""Figures of frames, filters, encoded mixtures and masks.

Notebook: 01_encoder_decoder
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ..audio import SAMPLE_RATE
from .basics import COLOURS, LEVELS_DB, MASK_COLOURS, draw_spectrogram, spectrogram_db

__all__ = [
    "band_spectrograms",
    "cosines_and_sines",
    "draw_encoded",
    "encoded_detail",
    "frames_on_waveform",
    "magnitude_and_phase",
    "mask_pair",
    "oracle_bars",
    "overlapping_pieces",
    "reachable_points",
    "recipes_by_window",
    "search_curves",
    "shapes_and_responses",
    "similar_filters",
    "stft_and_encoded",
]


def frames_on_waveform(
    samples: torch.Tensor, first: int, shown: int, kernel_size: int, stride: int, title: str = ""
) -> Figure:
    """Samples as dots, and below them one bar for each of ``shown`` frames from frame ``first`` on.

    ``samples`` is ``[T]``. A bar spans the samples that its frame contains.

    Notebook: 01_encoder_decoder
    """
    begin, end = max((first - 1) * stride, 0), (first + shown) * stride + kernel_size
    rows = -(-kernel_size // stride)  # bars that overlap in time lie in different rows
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    shown_samples = samples[begin:end]
    axes.plot(
        np.arange(begin, begin + len(shown_samples)),
        shown_samples,
        color=COLOURS[0],
        marker=".",
        linewidth=0.8,
    )
    depth = float(shown_samples.abs().max())
    for i in range(shown):
        start, height = (first + i) * stride, -depth * (1.35 + 0.3 * (i % rows))
        bar = [(start, kernel_size - 1)]
        axes.broken_barh(bar, (height, 0.24 * depth), color=COLOURS[1 + i % 2], alpha=0.8)
        centre = start + kernel_size / 2, height + 0.12 * depth
        axes.text(*centre, f"frame {first + i}", ha="center", va="center", fontsize=8)
    axes.set(xlabel="sample", ylabel="amplitude", title=title)
    return figure


def cosines_and_sines(
    cosines: torch.Tensor, sines: torch.Tensor, bins: Sequence[int], sample_rate: float = SAMPLE_RATE
) -> Figure:
    """The windowed cosine and sine of some STFT bins, one panel per bin; both tensors are ``[bins, window]``.

    Notebook: 01_encoder_decoder
    """
    figure, grid = plt.subplots(
        1, len(bins), figsize=(9, 2.4), layout="constrained", sharey=True, squeeze=False
    )
    for axes, f in zip(grid[0], bins, strict=True):
        axes.plot(cosines[f], color=COLOURS[1], label="cosine")
        axes.plot(sines[f], color=COLOURS[2], label="sine")
        axes.set(title=f"bin {f}: {f * sample_rate / cosines.shape[1]:g} Hz", xlabel="sample in the window")
    grid[0, 0].set_ylabel("filter")
    grid[0, 0].legend(fontsize=8, loc="lower left")
    return figure


def magnitude_and_phase(spectrum: torch.Tensor, hop: int, sample_rate: float = SAMPLE_RATE) -> Figure:
    """A complex STFT ``[bins, frames]``: on the left its magnitude, 60 dB deep, on the right its phase in radians.

    ``hop`` is in samples.

    Notebook: 01_encoder_decoder
    """
    extent = (0, spectrum.shape[1] * hop / sample_rate, 0, sample_rate / 2000)
    level = 20 * torch.log10(spectrum.abs().clamp(min=1e-5))
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 2.6), layout="constrained", sharey=True)
    options = {"origin": "lower", "aspect": "auto", "extent": extent}
    image = left.imshow(level.numpy(), cmap="magma", vmin=level.max() - 60, vmax=level.max(), **options)
    figure.colorbar(image, ax=left, label="dB")
    image = right.imshow(spectrum.angle().numpy(), cmap="twilight", **options)
    figure.colorbar(image, ax=right, label="radians")
    left.set(title="magnitude", xlabel="time (s)", ylabel="frequency (kHz)")
    right.set(title="phase", xlabel="time (s)")
    return figure


def recipes_by_window(
    window_ms: Sequence[float], recipes: Mapping[str, Sequence[float]], model_ms: float
) -> Figure:
    """SI-SDRi (dB) against the STFT window (ms), a curve per recipe; ``model_ms`` marks the encoder's window.

    Notebook: 01_encoder_decoder
    """
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    for (name, values), colour in zip(recipes.items(), COLOURS[1:], strict=False):
        axes.plot(window_ms, values, marker="o", color=colour, label=f"{name}, mixture's phase")
    axes.axvline(model_ms, color=COLOURS[0], linestyle=":", label="our model's window")
    axes.set_xscale("log", base=2)
    axes.set_xticks(window_ms, window_ms)
    axes.set(xlabel="STFT window (ms)", ylabel="SI-SDRi (dB)", title="two recipes with a borrowed phase")
    axes.legend(fontsize=8)
    return figure


def reachable_points(point: torch.Tensor, reached: Mapping[str, torch.Tensor]) -> Figure:
    """Where masks can move one STFT bin: a panel for each named set of masked points ``[points, 2]``.

    ``point`` is ``[2]``, the cosine and the sine number of the mixture, drawn as a star.

    Notebook: 01_encoder_decoder
    """
    options = {"layout": "constrained", "sharex": True, "sharey": True, "squeeze": False}
    figure, grid = plt.subplots(1, len(reached), figsize=(9, 3.2), **options)
    for axes, (title, points), colour in zip(grid[0], reached.items(), COLOURS[1:], strict=False):
        axes.scatter(*points.T, s=8, color=colour, label="masked")
        axes.scatter(*point, s=60, marker="*", color=COLOURS[0], label="mixture")
        axes.set(title=title, xlabel="cosine number a", xlim=(-0.1, 1), ylim=(-0.1, 0.75), aspect="equal")
    grid[0, 0].set_ylabel("sine number b")
    grid[0, -1].legend(loc="upper left", fontsize=8)
    return figure


def shapes_and_responses(banks: Mapping[str, torch.Tensor], sample_rate: float = SAMPLE_RATE) -> Figure:
    """A row for each named filterbank ``[N, kernel_size]``: its filters in time, and their frequency responses.

    Each filter is one line of both pictures, scaled to its own maximum; filters come in the order given.

    Notebook: 01_encoder_decoder
    """
    figure, grid = plt.subplots(len(banks), 2, figsize=(8.6, 4.8), layout="constrained", squeeze=False)
    for (left, right), (name, bank) in zip(grid, banks.items(), strict=True):
        response = torch.fft.rfft(bank, n=512).abs()
        shapes = bank / bank.abs().amax(1, keepdim=True)
        response = response / response.amax(1, keepdim=True)
        image = left.imshow(shapes.numpy(), origin="lower", aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1)
        left.set(title=f"{name}: shapes in time", xlabel="sample", ylabel="filter, low to high")
        figure.colorbar(image, ax=left)
        extent = (0, sample_rate / 2000, 0, len(bank))
        image = right.imshow(response.numpy(), origin="lower", aspect="auto", cmap="viridis", extent=extent)
        right.set(title=f"{name}: frequency responses", xlabel="frequency (kHz)")
        figure.colorbar(image, ax=right)
    return figure


def similar_filters(
    shapes: Mapping[int, torch.Tensor], powers: Mapping[int, torch.Tensor], sample_rate: float = SAMPLE_RATE
) -> Figure:
    """Two filters by index: on the left their shapes ``[kernel_size]``, on the right their power responses.

    Notebook: 01_encoder_decoder
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    for (k, shape), power, colour in zip(shapes.items(), powers.values(), COLOURS[1:], strict=False):
        left.plot(shape, color=colour, marker=".", label=f"filter {k}")
        right.plot(np.linspace(0, sample_rate / 2000, len(power)), power, color=colour)
    left.set(title="in time", xlabel="sample", ylabel="filter (norm 1)")
    right.set(title="power response", xlabel="frequency (kHz)", ylabel="response (norm 1)")
    left.legend(fontsize=8)
    return figure


def draw_encoded(
    axes: Axes,
    values: torch.Tensor,
    centres: torch.Tensor,
    stride: int,
    title: str,
    begin: float,
    end: float,
    sample_rate: float = SAMPLE_RATE,
    **options: Any,
) -> AxesImage:
    """Draw ``[N, L]`` values with the filters sorted by centre frequency, some of the centres as labels.

    Args:
        axes: where to draw.
        values: ``[N, L]``, such as an encoded mixture or a mask.
        centres: ``[N]`` centre frequencies in Hz, in the order of ``values``.
        stride: samples from one frame to the next.
        title: of the axes.
        begin, end: the part to draw, in seconds.
        sample_rate: of the waveform, in Hz.
        **options: of :meth:`matplotlib.axes.Axes.imshow`, such as ``cmap`` and ``vmin``.

    Notebook: 01_encoder_decoder
    """
    order = centres.argsort(stable=True)
    columns = slice(int(begin * sample_rate / stride), int(end * sample_rate / stride))
    extent = (begin, end, -0.5, len(centres) - 0.5)
    shown = values[order][:, columns].numpy()
    image = axes.imshow(shown, origin="lower", aspect="auto", extent=extent, **options)
    ticks = np.linspace(0, len(centres) - 1, 7).round().astype(int)
    axes.set(title=title, xlabel="time (s)", ylabel="filter, by centre (Hz)")
    axes.set_yticks(ticks, [f"{centres[order][k]:.0f}" for k in ticks])
    return image


def stft_and_encoded(
    mixture: torch.Tensor, encoded: torch.Tensor, centres: torch.Tensor, stride: int
) -> Figure:
    """The spectrogram of ``[T]`` beside the magnitudes (dB) of its encoding ``[N, L]``, both 60 dB deep.

    ``centres`` are the filters' centre frequencies ``[N]`` in Hz.

    Notebook: 01_encoder_decoder
    """
    level = 20 * torch.log10(encoded.abs().clamp(min=1e-6))
    level -= level.max()  # the two pictures have no unit in common: each is relative to its loudest point
    depth = {"vmin": -LEVELS_DB, "vmax": 0, "cmap": "magma"}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    draw_spectrogram(left, mixture, "STFT magnitude", top_db=float(spectrogram_db(mixture)[0].max()))
    end = len(mixture) / SAMPLE_RATE
    draw_encoded(right, level, centres, stride, "learned filterbank, |w|", 0.0, end, **depth)
    return figure


def encoded_detail(
    encoded: torch.Tensor, centres: torch.Tensor, stride: int, begin: float, end: float
) -> Figure:
    """The signed encoding ``[N, L]`` from ``begin`` to ``end`` seconds: red is positive, blue negative.

    The colours saturate at the 99.9 % quantile of the magnitudes of the whole encoding.

    Notebook: 01_encoder_decoder
    """
    limit = float(encoded.abs().quantile(0.999))  # the few largest numbers would leave the rest pale
    options = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    title = "with its sign: red positive, blue negative"
    image = draw_encoded(axes, encoded, centres, stride, title, begin, end, **options)
    figure.colorbar(image, ax=axes, label="w")
    return figure


def mask_pair(masks: torch.Tensor, centres: torch.Tensor, stride: int, seconds: float) -> Figure:
    """Masks ``[S, N, L]`` of a recording of ``seconds``, one panel for each source, on one scale from 0 to 1.

    Notebook: 01_encoder_decoder
    """
    options = {"cmap": MASK_COLOURS, "vmin": 0, "vmax": 1}
    figure, grid = plt.subplots(1, len(masks), figsize=(9, 2.8), layout="constrained", sharey=True)
    for k, axes in enumerate(grid):
        title = f"the model's mask {k + 1}"
        image = draw_encoded(axes, masks[k], centres, stride, title, 0.0, seconds, **options)
    for axes in grid[1:]:
        axes.set_ylabel("")
    figure.colorbar(image, ax=grid, label="mask")
    return figure


def oracle_bars(scores: Mapping[str, float]) -> Figure:
    """Mean SI-SDRi (dB) as one labelled bar per method; names that begin with "learned" are blue.

    Notebook: 01_encoder_decoder
    """
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    colours = [COLOURS[1] if name.startswith("learned") else "#999999" for name in scores]
    values = list(scores.values())
    axes.bar_label(axes.barh(list(scores), values, color=colours), fmt="%.1f", padding=3)
    axes.invert_yaxis()
    limits = min(0, *values), 1.12 * max(values)
    axes.set(xlabel="SI-SDRi, mean of both voices (dB)", xlim=limits)
    return figure


def search_curves(curves: Mapping[str, Sequence[float]]) -> Figure:
    """SI-SDRi (dB) of up to six named searches against their step; names that begin with "learned" are blue.

    Notebook: 01_encoder_decoder
    """
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    others = iter(("#999999", COLOURS[0], "#CC79A7", "#D55E00", COLOURS[2]))
    for name, values in curves.items():
        axes.plot(values, color=COLOURS[1] if name.startswith("learned") else next(others), label=name)
    axes.set(xlabel="step of the search", ylabel="SI-SDRi (dB)", title="the search for masks, step by step")
    figure.legend(fontsize=8, loc="outside right upper")
    return figure


def overlapping_pieces(pieces: torch.Tensor, added: torch.Tensor, stride: int, first: int) -> Figure:
    """Overlap-add: five decoded pieces from frame ``first`` on, and their sum in grey.

    Args:
        pieces: ``[kernel_size, L]``, one piece of waveform for each frame.
        added: ``[T]``, the sum of all pieces at their places; drawn where all of its terms are drawn too.
        stride: samples from one piece to the next.
        first: frame of the first of the five.

    Notebook: 01_encoder_decoder
    """
    kernel_size = len(pieces)
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    for k in range(first, first + 5):
        label = f"piece of frame {k}" if k < first + 2 else None
        place = k * stride + np.arange(kernel_size)
        axes.plot(place, pieces[:, k], color=COLOURS[1 + k % 2], linewidth=1, label=label)
    begin, end = first * stride + kernel_size - stride, (first + 5) * stride
    options = {"color": COLOURS[0], "linewidth": 2.5, "alpha": 0.6, "label": "their sum"}
    axes.plot(np.arange(begin, end), added[begin:end], **options)
    axes.set(xlabel="sample", ylabel="amplitude", title="five pieces, and what they add up to")
    axes.legend(fontsize=8, loc="upper right")
    return figure


def band_spectrograms(views: Mapping[str, Any]) -> Figure:
    """A spectrogram of what each band of filters decodes to, with the band's limits as dashed lines.

    ``views`` are results of :func:`dprnn_lab.explorers.filterbank.keep_band` by name.

    Notebook: 01_encoder_decoder
    """
    figure, grid = plt.subplots(1, len(views), figsize=(9, 2.6), layout="constrained", sharey=True)
    for axes, (name, view) in zip(grid, views.items(), strict=True):
        top = float(spectrogram_db(view.whole)[0].max())
        title = f"{name}: {view.kept} of {len(view.mask)} filters"
        draw_spectrogram(axes, view.decoded, title, top_db=top)
        for edge in (view.low_hz, view.high_hz):
            axes.axhline(edge / 1000, color="white", linewidth=1, linestyle="--")
    for axes in grid[1:]:
        axes.set_ylabel("")
    return figure
