"""Pictures and players for the notebooks: waveforms, spectrograms, sounds side by side.

Notebook: 00_start_here
"""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import PIL.Image
import torch
from IPython.display import HTML, Audio, Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage

from ..audio import SAMPLE_RATE
from ..compare import blind_test_html, checked_sounds, compare_html
from ..error_texts import printable

__all__ = [
    "COLOURS",
    "MASK_COLOURS",
    "spectrogram_db",
    "draw_level_bars",
    "draw_spectrogram",
    "draw_waveform",
    "alternative_text",
    "finite_rows",
    "player",
    "player_html",
    "listen",
    "comparison",
    "draw_spectrograms",
    "blind_test",
    "png",
    "show",
]

# Mixture, then sources or estimates in order: grey, then blue, orange and green of the Okabe-Ito palette, which is
# safe for all kinds of colour vision.
COLOURS = ("#444444", "#0072B2", "#E69F00", "#009E73")
MASK_COLOURS = (
    "viridis"  # of every picture of masks, from 0 to 1; magma is for levels, RdBu_r for signed values
)
LEVELS_DB = 60  # from the top of a spectrogram's scale to its bottom
_OWN, _GIVEN = "levels, shared", "levels, given"  # gid of a spectrogram's image: may its scale be moved?


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
    window = max(4, int(0.032 * sample_rate))
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
    """Draw the spectrogram of ``[T]``, 60 dB deep below ``top_db``.

    Without ``top_db`` all such spectrograms of one figure share a scale: its top is the loudest point of any of them.
    :func:`draw_level_bars`, which :func:`show` calls, adds the colour bar.
    """
    level, hop, width = spectrogram_db(samples, sample_rate)
    top = float(level.max()) if top_db is None else top_db
    image = axes.imshow(
        level.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=top - LEVELS_DB, vmax=top,
        extent=(0, level.shape[1] * hop, 0, level.shape[0] * width / 1000), gid=_OWN if top_db is None else _GIVEN,
    )  # fmt: skip
    axes.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
    if top_db is None:
        shared = _images(axes.figure, (_OWN,))
        top = max(float(other.get_array().max()) for other in shared)
        for other in {image, *shared}:
            other.set_clim(top - LEVELS_DB, top)


def _images(figure: Any, gids: tuple[str, ...]) -> list[AxesImage]:
    return [image for axes in figure.axes for image in axes.images if image.get_gid() in gids]


def draw_level_bars(figure: Figure) -> None:
    """Add a colour bar to the spectrograms of a figure, one for each scale of levels that they have.

    Its numbers are dB below the top of the scale. A figure without spectrograms stays as it is.
    """
    scales: dict[tuple[float, float], list[AxesImage]] = {}
    for image in _images(figure, (_OWN, _GIVEN)):
        scales.setdefault(image.get_clim(), []).append(image)
    for (bottom, top), images in scales.items():
        if any(image.colorbar for image in images):
            continue  # drawn before
        ticks = np.linspace(bottom, top, 4)
        panels = [image.axes for image in images]
        bar = figure.colorbar(images[0], ax=panels, label="level (dB)", ticks=ticks, aspect=30, pad=0.01)
        bar.ax.set_yticklabels([f"{tick - top:.0f}" for tick in ticks])


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
    """Show named sounds ``[T]`` in a player that compares them: one play head, switched while they play.

    All spectrograms have the same scale (dB). What the player does is described at
    :func:`dprnn_lab.compare.compare_html`. Readers without scripts see the spectrograms as a picture, and below it a
    plain player for each sound.

    Raises:
        ValueError: no sound, or samples that are not ``[T]``.
    """
    display(HTML(comparison(sounds, sample_rate, columns)))


def comparison(sounds: Mapping[str, torch.Tensor], sample_rate: float = SAMPLE_RATE, columns: int = 3) -> str:
    """The HTML that :func:`listen` shows: the comparing player, with a picture for readers without scripts."""
    picture = None
    sounds = checked_sounds(sounds, sample_rate, columns)
    drawn = {name: s for name, s in sounds.items() if bool(s.isfinite().all())}
    if drawn:
        figure = draw_spectrograms(drawn, sample_rate, columns)
        picture = png(figure)
        plt.close(figure)
    alt = f"Spectrograms on one scale of levels: {'; '.join(drawn)}"
    return compare_html(sounds, sample_rate, columns=columns, picture=picture, alt=alt)


def _drawable(text: str) -> str:
    """Text with a box for each character that matplotlib's font lacks: each would give a warning."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(sign if ord(sign) in known else "\N{WHITE SQUARE}" for sign in text)


def draw_spectrograms(sounds: Mapping[str, torch.Tensor], sample_rate: float, columns: int = 3) -> Figure:
    """A panel for each named sound ``[T]``, in rows of ``columns``, on one scale of levels with its colour bar."""
    names = list(sounds)
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 2.4 * rows), squeeze=False, layout="constrained", sharey=True
    )
    figure.get_layout_engine().set(wspace=0.05)  # the last time of a panel beside the first of the next
    for axes, name in zip(grid.flat, names, strict=False):
        draw_spectrogram(axes, sounds[name], sample_rate=sample_rate)
        axes.set_title(_drawable(printable(name)), parse_math=False)
        axes.label_outer()
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    draw_level_bars(figure)
    return figure


def blind_test(
    a: torch.Tensor,
    b: torch.Tensor,
    sample_rate: int = SAMPLE_RATE,
    names: tuple[str, str] = ("first version", "second version"),
    trials: int = 10,
    seed: int | None = None,
    matched: bool = True,
) -> None:
    """Show an A/B/X test: X is A or B, drawn at random in each trial, and the listener says which.

    The result comes after the last trial: right answers with their 95 % Clopper-Pearson interval, and the one-sided
    probability of as many by guessing. Everything runs in the browser, so a saved notebook needs no kernel.

    Args:
        a, b: two versions of one sound, ``[T]``.
        sample_rate: Hz.
        names: what A and B are, shown beside the letters.
        trials: number of answers, from 1 to 1000.
        seed: of the order, from 0 to 2**32 - 1; None for a new order whenever the page is loaded.
        matched: equal RMS over the active parts (see :func:`dprnn_lab.compare.compare_html`), so that a difference of
            level does not tell them apart.

    Raises:
        ValueError: sounds of different lengths, the same sound twice, one that can't be played; trials or seed out of
            range.
    """
    display(HTML(blind_test_html(a, b, sample_rate, names=names, trials=trials, seed=seed, matched=matched)))


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


def alternative_text(figure: Figure) -> str:
    """What a figure shows, from its titles, axis labels and legends: for readers who don't see it.

    >>> figure = Figure()
    >>> _ = figure.subplots().set(title="loss", xlabel="step", ylabel="dB")
    >>> alternative_text(figure)
    'loss (dB against step)'
    """
    panels, scales = [], []
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>" or not axes.axison:
            continue
        labels = [text for text in axes.get_legend_handles_labels()[1] if not text.startswith("_")]
        scale = " against ".join(text for text in (axes.get_ylabel(), axes.get_xlabel()) if text)
        panels.append((axes.get_title(), list(dict.fromkeys(labels))))
        scales.append(scale)
    common = max(scales, key=len, default="")  # inner panels of a row often leave a label out
    same = all(scale in common for scale in scales)
    texts = []
    for (title, labels), scale in zip(panels, scales, strict=True):
        scale = "" if same or not scale else f" ({scale})"
        texts.append(f"{title}{scale}{': ' if labels else ''}{', '.join(labels)}".strip())
    text = "; ".join(dict.fromkeys(text for text in texts if text))
    if same and common:
        text = f"{text} ({common})" if text else common
    return text or "figure"


def show(figure: Figure, alt: str = "") -> None:
    """Display a figure as a small PNG, with a colour bar for its spectrograms, and close it.

    ``alt`` is its alternative text: what is to be seen, in a sentence or two. Without it :func:`alternative_text`
    is used. Without closing, the notebook would display the figure a second time at the end of the cell.
    """
    draw_level_bars(figure)
    alt = " ".join((alt or alternative_text(figure)).split())
    display(Image(png(figure), alt=alt.replace('"', "'")))
    plt.close(figure)
