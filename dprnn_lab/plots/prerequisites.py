"""Pictures of notebook 00b: levels, windows of an STFT, a convolution step by step, the LSTM cell.

Notebook: 00b_prerequisites
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from ..audio import SAMPLE_RATE
from .basics import COLOURS, draw_waveform

__all__ = [
    "convolution_steps",
    "decibel_scale",
    "draw_memory",
    "frames_and_window",
    "lstm_cell",
    "window_lengths",
]

GREY = "#999999"


def decibel_scale(levels: tuple[float, ...] = (0, 5, 10, 15, 20)) -> Figure:
    """Ratios of amplitudes and of energies against dB, with dots at ``levels``."""
    figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
    db = np.linspace(-5, 30, 200)
    for factor, name, colour in ((20, "amplitudes", COLOURS[1]), (10, "energies", COLOURS[2])):
        axes.plot(db, 10 ** (db / factor), color=colour, label=f"ratio of {name}: 10^(dB/{factor})")
        axes.plot(levels, [10 ** (level / factor) for level in levels], "o", color=colour)
    axes.set(
        yscale="log", xlabel="difference of level (dB)", ylabel="ratio", title="one difference, two ratios"
    )
    axes.set_yticks([1, 3, 10, 30, 100, 300, 1000], ["1", "3", "10", "30", "100", "300", "1000"])
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def frames_and_window(
    samples: torch.Tensor, window: torch.Tensor, hop: int, sample_rate: float = SAMPLE_RATE
) -> Figure:
    """Waveform ``[T]`` with the first windows drawn over it, and the spectrum of one windowed frame.

    Args:
        samples: ``[T]``, at least as long as the window.
        window: ``[W]``, multiplied with each frame.
        hop: samples from one frame to the next.
    """
    length = len(window)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
    draw_waveform(left, samples, f"frames of {length} samples, a new one every {hop}", sample_rate)
    peak = float(samples.abs().max())
    starts = range(0, len(samples) - length + 1, hop)
    for i, start in enumerate(starts):
        time = np.arange(start, start + length) / sample_rate
        left.plot(time, peak * window, color=COLOURS[1 + i % 3], linewidth=1)
    middle = starts[len(starts) // 2]
    frame = samples[middle : middle + length]
    frequency = np.fft.rfftfreq(length, 1 / sample_rate) / 1000
    for name, values, colour in (("cut out", frame, GREY), ("times the window", frame * window, COLOURS[1])):
        level = 20 * torch.log10(torch.fft.rfft(values).abs().clamp(min=1e-5))
        right.plot(frequency, level, color=colour, label=name)
    right.set(title="the spectrum of one frame", xlabel="frequency (kHz)", ylabel="magnitude (dB)")
    right.legend()
    return figure


def window_lengths(
    samples: torch.Tensor, lengths: tuple[int, ...], sample_rate: float = SAMPLE_RATE
) -> Figure:
    """Spectrograms of ``[T]`` with Hann windows of several lengths (samples), on one scale of 60 dB."""
    figure, grid = plt.subplots(
        1, len(lengths), figsize=(4 * len(lengths), 2.8), layout="constrained", sharey=True, squeeze=False
    )
    for axes, length in zip(grid[0], lengths, strict=True):
        spectrum = torch.stft(
            samples.float(), length, length // 4, window=torch.hann_window(length), return_complex=True
        )
        level = 20 * torch.log10(spectrum.abs().clamp(min=1e-5))
        level = level - level.max()  # windows of other lengths sum other numbers of samples
        picture = axes.imshow(
            level.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=-60, vmax=0,
            extent=(0, len(samples) / sample_rate, 0, sample_rate / 2000),
        )  # fmt: skip
        axes.locator_params("x", nbins=4)
        axes.set(title=f"window {1000 * length / sample_rate:.0f} ms", xlabel="time (s)")
    grid[0, 0].set_ylabel("frequency (kHz)")
    figure.colorbar(picture, ax=list(grid[0]), label="dB below the maximum")
    return figure


def convolution_steps(signal: torch.Tensor, kernel: torch.Tensor, stride: int) -> Figure:
    """One row for each step of a strided inner product of ``[T]`` with ``[W]``, and the results below.

    The kernel is drawn where it lies, over the samples that it reads.
    """
    count = (len(signal) - len(kernel)) // stride + 1
    figure, grid = plt.subplots(
        count + 1, 1, figsize=(8, 0.85 * (count + 1)), layout="constrained", sharex=True
    )
    results = []
    for i, axes in enumerate(grid[:count]):
        place = np.arange(i * stride, i * stride + len(kernel))
        results.append(float(signal[i * stride : i * stride + len(kernel)] @ kernel))
        axes.stem(np.arange(len(signal)), signal.numpy(), linefmt=GREY, markerfmt=" ", basefmt=" ")
        axes.bar(place, kernel.numpy(), color=COLOURS[1], alpha=0.5, width=0.7)
        axes.set_ylabel(f"step {i}", rotation=0, ha="right", va="center")
    grid[0].set_title("the kernel (blue) moves over the signal (grey)", fontsize=10)
    grid[-1].stem(np.arange(count) * stride, results, linefmt=COLOURS[2], markerfmt="o", basefmt=" ")
    grid[-1].set_ylabel("result", rotation=0, ha="right", va="center")
    grid[-1].set_xlabel("sample")
    for axes in grid:
        axes.set_yticks([])
        axes.margins(y=0.15)
        axes.axhline(0, color="black", linewidth=0.5)
    return figure


def lstm_cell() -> Figure:
    """The LSTM cell: memory along the top, four gates below, and where each of them acts."""
    figure, axes = plt.subplots(figsize=(9.5, 4.2), layout="constrained")
    axes.set(xlim=(-0.3, 11.3), ylim=(-0.7, 4.3), aspect="equal", title="one step of an LSTM cell")
    axes.axis("off")
    memory, bus = 3.5, 0.0
    _line(axes, (0.3, memory), (10.4, memory), arrow=True)
    _line(axes, (0.3, bus), (7.6, bus))
    axes.text(0.2, memory + 0.15, "$c_{t-1}$", ha="left", va="bottom", fontsize=13)
    axes.text(10.5, memory, "$c_t$", ha="left", va="center", fontsize=13)
    axes.text(0.2, bus + 0.12, "$x_t$ and $h_{t-1}$", ha="left", va="bottom", fontsize=13)
    gates = {
        "f": (2.4, "σ", "forget"),
        "i": (4.2, "σ", "input"),
        "g": (5.8, "tanh", "candidate"),
        "o": (7.6, "σ", "output"),
    }
    for letter, (x, function, name) in gates.items():
        _box(axes, (x, 1.1), function, COLOURS[2] if function == "tanh" else COLOURS[1])
        _line(axes, (x, bus), (x, 0.82), arrow=True)
        axes.text(x + 0.1, bus - 0.15, name, ha="center", va="top", fontsize=10, color=GREY)
        side = 0.15 if letter == "g" else -0.15  # away from its arrow
        axes.text(
            x + side, 1.5, f"${letter}_t$", ha="left" if side > 0 else "right", va="bottom", fontsize=13
        )
    _line(axes, (2.4, 1.38), (2.4, memory - 0.25), arrow=True)
    _line(axes, (4.2, 1.38), (4.8, 2.22), arrow=True)
    _line(axes, (5.8, 1.38), (5.2, 2.22), arrow=True)
    _line(axes, (5.0, 2.65), (5.0, memory - 0.25), arrow=True)
    _line(axes, (9.0, memory), (9.0, 3.0), arrow=True)
    _box(axes, (9.0, 2.72), "tanh", COLOURS[2])
    _line(axes, (9.0, 2.44), (9.0, 1.75), arrow=True)
    _line(axes, (7.6, 1.38), (8.77, 1.5), arrow=True)
    _line(axes, (9.25, 1.5), (10.4, 1.5), arrow=True)
    axes.text(10.5, 1.5, "$h_t$", ha="left", va="center", fontsize=13)
    for place, sign in (((2.4, memory), "×"), ((5.0, memory), "+"), ((5.0, 2.4), "×"), ((9.0, 1.5), "×")):
        axes.add_patch(Circle(place, 0.25, facecolor="white", edgecolor="black", zorder=3))
        axes.text(*place, sign, ha="center", va="center", fontsize=14, zorder=4)
    return figure


def draw_memory(axes: Axes, memory: np.ndarray, output: np.ndarray, title: str = "") -> None:
    """Cell state and output of one unit over the steps, both ``[steps]``; the input is an impulse at step 0."""
    axes.plot(memory, "o-", color=COLOURS[1], markersize=3, label="memory c")
    axes.plot(output, "o-", color=COLOURS[2], markersize=3, label="output h")
    axes.axhline(0.5 * float(memory[0]), color=GREY, linestyle=":", label="half of the first")
    axes.set(title=title, xlabel="step", ylim=(-0.05, 1.05), xlim=(-1, len(memory)))
    axes.legend(loc="upper right")


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float], arrow: bool = False) -> None:
    axes.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "->" if arrow else "-", "shrinkA": 0, "shrinkB": 0, "lw": 1.2},
    )


def _box(axes: Axes, centre: tuple[float, float], text: str, colour: str) -> None:
    x, y = centre
    axes.add_patch(
        FancyBboxPatch(
            (x - 0.45, y - 0.2), 0.9, 0.4, "round,pad=0.08", facecolor=colour, edgecolor="none", alpha=0.35
        )
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=12)
