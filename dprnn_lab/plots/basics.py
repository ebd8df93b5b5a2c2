"""Pictures and players for the notebooks: waveforms, spectrograms, sounds side by side.

Notebook: 00_start_here
"""

import io
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image
import torch
from IPython.display import HTML, Audio, Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..audio import SAMPLE_RATE

__all__ = [
    "COLOURS",
    "spectrogram_db",
    "draw_spectrogram",
    "draw_waveform",
    "finite_rows",
    "player",
    "player_html",
    "listen",
    "png",
    "show",
]

# Mixture, then sources or estimates in order: grey, then blue, orange and green of the Okabe-Ito palette, which is
# safe for all kinds of colour vision.
COLOURS = ("#444444", "#0072B2", "#E69F00", "#009E73")


def finite_rows(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows of a table of scores in which a column is a finite number, as float: others can not be drawn.

    Raises:
        ValueError: no such column, a row with text in it, or no row with a finite number.
    """
    if column not in table:
        raise ValueError(f"the table has no column {column!r}, it has {', '.join(map(str, table.columns))}")
    numbers = pd.to_numeric(table[column], errors="coerce")
    names = table["id"] if "id" in table else table.index.to_series()
    text = numbers.isna() & table[column].notna()
    if text.any():
        row = text.to_numpy().argmax()
        raise ValueError(
            f"{column} of the row {names.iloc[row]} is {table[column].iloc[row]!r}, expected a number: correct it, or "
            "leave the row out"
        )
    finite = np.isfinite(numbers)
    if not finite.any():
        raise ValueError(
            f"{column} is not a finite number in any of the {len(table)} rows (the first is {names.iloc[0]}): the "
            "estimates or their references may be silent or not finite"
            if len(table)
            else f"the table has no rows, so there is no {column} to show"
        )
    return table.assign(**{column: numbers})[finite]


def spectrogram_db(
    samples: torch.Tensor, sample_rate: float = SAMPLE_RATE
) -> tuple[torch.Tensor, float, float]:
    """Power of ``[T]`` in dB over 32 ms windows, 8 ms apart.

    Returns ``[bins, frames]``, the hop in seconds, and the spacing of the bins in Hz.
    """
    window = int(0.032 * sample_rate)
    hop = window // 4
    spectrum = torch.stft(
        samples.float(),
        window,
        hop,
        window=torch.hann_window(window),
        return_complex=True,
        pad_mode="constant",
    )
    return 20 * torch.log10(spectrum.abs().clamp(min=1e-5)), hop / sample_rate, sample_rate / window


def draw_spectrogram(
    axes: Axes,
    samples: torch.Tensor,
    title: str = "",
    sample_rate: float = SAMPLE_RATE,
    top_db: float | None = None,
) -> None:
    """Draw the spectrogram of ``[T]``, 60 dB deep below ``top_db`` (its own maximum when None)."""
    level, hop, width = spectrogram_db(samples, sample_rate)
    top = float(level.max()) if top_db is None else top_db
    axes.imshow(
        level.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=top - 60, vmax=top,
        extent=(0, level.shape[1] * hop, 0, level.shape[0] * width / 1000),
    )  # fmt: skip
    axes.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")


def draw_waveform(
    axes: Axes,
    samples: torch.Tensor,
    title: str = "",
    sample_rate: float = SAMPLE_RATE,
    colour: str = COLOURS[0],
) -> None:
    """Draw ``[T]`` against seconds."""
    axes.plot(np.arange(len(samples)) / sample_rate, samples, color=colour, linewidth=0.5)
    axes.set(title=title, xlabel="time (s)", ylabel="amplitude", xlim=(0, len(samples) / sample_rate))


def player(samples: torch.Tensor, sample_rate: int = SAMPLE_RATE) -> Audio:
    """A player for ``[T]`` at the samples' own level; only samples beyond full scale are scaled down."""
    if samples.dim() != 1 or not len(samples):
        raise ValueError(f"samples have shape {list(samples.shape)}: a player takes [T] with samples in it")
    samples = samples.detach().float()
    loudest = float(samples.abs().max())
    # Audio() by itself would normalise each clip, and hide that an estimate is silent.
    return Audio((samples / max(loudest, 1.0)).numpy(), rate=sample_rate, normalize=False)


def listen(sounds: Mapping[str, torch.Tensor], sample_rate: int = SAMPLE_RATE, columns: int = 3) -> None:
    """Show each named sound ``[T]`` as spectrogram and player; all spectrograms have the same scale (dB)."""
    if not sounds:
        raise ValueError("sounds is empty: give at least one name with samples [T]")
    names = list(sounds)
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 2.4 * rows), squeeze=False, layout="constrained", sharey=True
    )
    top = max(float(spectrogram_db(s, sample_rate)[0].max()) for s in sounds.values())
    for axes, name in zip(grid.flat, names, strict=False):
        draw_spectrogram(axes, sounds[name], name, sample_rate, top)
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    show(figure)
    cells = "".join(
        f"<div style='flex:1 1 0;min-width:180px'><div>{name}</div>{player_html(sounds[name], sample_rate)}</div>"
        for name in names
    )
    display(HTML(f"<div style='display:flex;flex-wrap:wrap;gap:8px'>{cells}</div>"))


def player_html(samples: torch.Tensor, sample_rate: int = SAMPLE_RATE, width: str = "100%") -> str:
    """A :func:`player` as HTML of a CSS width (the browser's default is at least 300 pixels).

    >>> "width:100%" in player_html(torch.zeros(800))
    True
    """
    return player(samples, sample_rate)._repr_html_().replace("<audio", f"<audio style='width:{width}'", 1)


def png(figure: Figure, dpi: int = 90) -> bytes:
    """The figure as a PNG with a palette of 128 colours, a third of the size of matplotlib's own."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    picture = PIL.Image.open(file).convert("RGB").quantize(128, dither=PIL.Image.Dither.NONE)
    file = io.BytesIO()
    picture.save(file, format="png", optimize=True)
    return file.getvalue()


def show(figure: Figure) -> None:
    """Display a figure as a small PNG, with its titles as alternative text, and close it.

    Without closing, the notebook would display it a second time at the end of the cell.
    """
    titles = "; ".join(t for axes in figure.axes if (t := axes.get_title()))
    display(Image(png(figure), alt=titles or "figure"))
    plt.close(figure)
