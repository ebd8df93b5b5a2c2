"""The level explorer: one voice, and another so many dB below it, to hear and to read as ratios.

Notebook: 00b_prerequisites
"""

import ipywidgets as widgets
import torch

from ..audio import SAMPLE_RATE, rms
from ..compare import compare_html
from .controls import Sounds, paired

__all__ = ["LevelExplorer", "at_level", "describe_level"]

LARGEST_DB = 40.0


def at_level(voice: torch.Tensor, other: torch.Tensor, db: float) -> torch.Tensor:
    """``other`` scaled so that its RMS is ``db`` dB below that of ``voice``; both ``[T]``, and so is the result.

    Raises:
        ValueError: signals of different shapes, or a silent one.

    >>> other = at_level(torch.ones(8), 5 * torch.ones(8), 20.0)
    >>> round(float(other[0]), 3)
    0.1
    """
    if voice.shape != other.shape or voice.dim() != 1:
        raise ValueError(
            f"the voices have shapes {list(voice.shape)} and {list(other.shape)}: give two of one length [T]"
        )
    levels = [float(rms(sound)) for sound in (voice, other)]
    if min(levels) < 1e-8:
        raise ValueError(
            f"a voice is silent (RMS {levels}): no gain gives it a level, choose another part of it"
        )
    return other * (levels[0] / levels[1] * 10 ** (-db / 20))


def describe_level(db: float) -> str:
    """What a difference of level means, as HTML: ratios of amplitudes and energies, and shares of the energy."""
    energy = 10 ** (db / 10)
    return (
        f"The other voice is <b>{db:.1f} dB</b> below the first: its amplitude is 1 / {10 ** (db / 20):.2f}, "
        f"its energy 1 / {energy:.1f} of the first one's. If the two are not alike, "
        f"{100 / (1 + energy):.1f} % of the mixture's energy is the other voice."
    )


class LevelExplorer(widgets.VBox):
    """A slider for the level of the second voice, the numbers in a sentence, and players.

    Args:
        voice: ``[T]``, stays as it is.
        other: ``[T]``, is set to so many dB below it.
        sample_rate: Hz.
        db: at the beginning.

    Attributes:
        level: the slider, in dB.
        readout: HTML of class ``level-readout``.
        players: compare the mixture and the other voice alone.

    Raises:
        ValueError: voices of different lengths, or a silent one.
    """

    def __init__(
        self, voice: torch.Tensor, other: torch.Tensor, sample_rate: int = SAMPLE_RATE, db: float = 10.0
    ) -> None:
        self.voice, self.other, self.sample_rate = voice, other, sample_rate
        self.level, row = paired(db, 0.0, LARGEST_DB, 0.5, "other voice below the first (dB)", name_width=16)
        self.readout, self.players = widgets.HTML(), Sounds()
        self.readout.add_class("level-readout")
        super().__init__([row, self.readout, self.players])
        self.level.observe(self._refresh, names="value")
        self._refresh()

    def __repr__(self) -> str:
        return "The level explorer, a widget: run this notebook in JupyterLab to use it."

    def _refresh(self, change: dict | None = None) -> None:
        quiet = at_level(self.voice, self.other, self.level.value)
        self.readout.value = describe_level(self.level.value)
        sounds = {"both": self.voice + quiet, "the other voice alone": quiet}
        self.players.value = compare_html(sounds, self.sample_rate, view="wave")
