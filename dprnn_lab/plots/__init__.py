"""Pictures and players for the notebooks.

Notebook: 00_start_here
"""

from .basics import (
    COLOURS,
    MASK_COLOURS,
    alternative_text,
    blind_test,
    comparison,
    draw_level_bars,
    draw_spectrogram,
    draw_spectrograms,
    draw_waveform,
    listen,
    player,
    player_html,
    png,
    show,
    spectrogram_db,
)
from .curves import line_chart
from .scores import score_strip

__all__ = [
    "COLOURS",
    "MASK_COLOURS",
    "alternative_text",
    "blind_test",
    "comparison",
    "draw_level_bars",
    "draw_spectrogram",
    "draw_spectrograms",
    "draw_waveform",
    "listen",
    "player",
    "player_html",
    "png",
    "show",
    "spectrogram_db",
    "line_chart",
    "score_strip",
]
