"""The mixing explorer: two voices at a level, at another speed, with inverted polarity, with noise, in a room.

A button separates the mixture with a model. The mixture is computed in :mod:`.mixing_recipe`.

Notebook: 04_data
"""

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from ..audio import SAMPLE_RATE
from ..compare import compare_html
from ..datasets.augmentation import GENERATED, Rooms
from ..plots import draw_level_bars, draw_spectrogram, png
from .controls import Sounds, paired
from .mixing_recipe import DRY, SPEEDS, Mixed, Recipe, describe, gains, make_mixture

__all__ = ["MixingLab", "draw_mixed", "draw_recipes"]


def draw_mixed(mixed: Mixed) -> Figure:
    """Spectrograms of the mixture and of both sources on one scale of levels."""
    figure, grid = plt.subplots(1, 3, figsize=(10, 2.7), sharey=True)
    # Fixed positions: nothing jumps at a refresh.
    figure.subplots_adjust(left=0.055, right=0.98, bottom=0.19, top=0.89, wspace=0.1)
    sounds = (mixed.mixture, *mixed.sources)
    titles = ("mixture", f"first: {mixed.recipe.first}", f"second: {mixed.recipe.second}")
    for axes, sound, title in zip(grid, sounds, titles, strict=True):
        draw_spectrogram(axes, sound, title)
        axes.locator_params("x", nbins=4)
        axes.label_outer()
    draw_level_bars(figure)
    return figure


def draw_recipes(
    mixed: Mapping[str, Mixed], improvement: Mapping[str, torch.Tensor], columns: int = 4
) -> Figure:
    """The static version: a small spectrogram of every mixture, with its SI-SDR and the model's SI-SDRi."""
    rows = -(-len(mixed) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(2.5 * columns, 2.1 * rows),
        squeeze=False,
        layout="constrained",
        sharex=True,
        sharey=True,
    )
    for axes, (name, item) in zip(grid.flat, mixed.items(), strict=False):
        score = (
            f"mixture {float(item.si_sdr.mean()):.1f} dB, SI-SDRi {float(improvement[name].mean()):.1f} dB"
        )
        draw_spectrogram(axes, item.mixture)
        axes.set_title(f"{name}\n{score}", fontsize=8)
        axes.label_outer()
    for axes in grid.flat[len(mixed) :]:
        axes.axis("off")
    return figure


class MixingLab(widgets.VBox):
    """Controls, a sentence, spectrograms and players; the model runs when its button is pressed.

    Args:
        voices: name to waveform, of at least 10 s (:meth:`SpeechCorpus.voices`).
        model: takes ``[1, T]`` at 8 kHz and gives two sources.
        rooms: the choices of the room; None for none.
        samples: T, length of the mixtures.
        seed: of the noise.

    Attributes:
        first, second, level, speed, flip, noise, snr, room: the controls.
        ask: the button that separates the mixture shown.
        readout: HTML of class ``mixing-readout``, the result in sentences.
        picture: the spectrograms.
        players: compare the mixture, the sources and, after the button, the estimates.
        mixed: the :class:`Mixed` shown.

    Raises:
        ValueError: fewer than two voices.
    """

    def __init__(
        self,
        voices: Mapping[str, torch.Tensor],
        model: torch.nn.Module,
        rooms: Rooms | None = None,
        samples: int = 4 * SAMPLE_RATE,
        seed: int = 0,
    ):
        if len(voices) < 2:
            raise ValueError(f"voices are {list(voices)}: give at least two")
        self.voices, self.model, self.rooms = dict(voices), model, rooms
        self.samples, self.seed = samples, seed
        names = list(voices)
        self.first = _choice("first voice", names, names[0])
        self.second = _choice("second voice", names, names[1])
        self.level, level_row = paired(0.0, -10.0, 10.0, 0.5, "first over second (dB)", name_width=11)
        self.speed = _choice("speed of second (%)", SPEEDS, 100)
        self.flip = widgets.Checkbox(False, description="invert second", indent=False)
        self.noise = _choice("noise", (DRY, *GENERATED), DRY)
        self.snr, self.snr_row = paired(10.0, -5.0, 30.0, 1.0, "louder over noise (dB)", name_width=11)
        times = rooms.times if rooms else ()
        places = sorted((f"rings for {time:.2f} s", i) for i, time in enumerate(times))
        self.room = _choice("room", [(DRY, DRY), *places], DRY)
        self.ask = widgets.Button(
            description="Separate", button_style="primary", tooltip="compute the model's two estimates"
        )
        self.readout = widgets.HTML(layout=widgets.Layout(min_height="4.5em"))
        self.readout.add_class("mixing-readout")
        self.picture = widgets.Image(format="png", width=900, height=243)
        self.players = Sounds(layout=widgets.Layout(min_height="11em"))
        wrapped = widgets.Layout(flex_flow="row wrap")
        rows = (
            [self.first, self.second, level_row],
            [self.speed, self.flip],
            [self.noise, self.room, self.snr_row],
        )
        super().__init__(
            [
                *(widgets.HBox(row, layout=wrapped) for row in rows),
                self.readout,
                self.picture,
                self.ask,
                self.players,
            ]
        )
        controls = (
            self.first,
            self.second,
            self.level,
            self.speed,
            self.flip,
            self.noise,
            self.snr,
            self.room,
        )
        for control in controls:
            control.observe(self._refresh, names="value")
        self.ask.on_click(self._separate)
        self._refresh()

    def __repr__(self) -> str:
        return "The mixing explorer, a widget: run this notebook in JupyterLab to use it."

    def _refresh(self, change: dict | None = None) -> None:
        recipe = Recipe(
            self.first.value, self.second.value, self.level.value, self.speed.value, self.flip.value,
            self.noise.value, self.snr.value, None if self.room.value == DRY else self.room.value,
        )  # fmt: skip
        self.snr_row.layout.visibility = "hidden" if recipe.noise == DRY else "visible"
        self.mixed = make_mixture(recipe, self.voices, self.samples, self.rooms, self.seed)
        figure = draw_mixed(self.mixed)
        self.picture.value = png(figure)
        plt.close(figure)
        self._say("Press <i>Separate</i> to run the model.")
        self._play(
            {"mixture": self.mixed.mixture, "first": self.mixed.sources[0], "second": self.mixed.sources[1]}
        )

    def _separate(self, button: widgets.Button) -> None:
        estimates, improvement = gains(self.model, self.mixed)
        self._say(
            f"<b>The model</b> improves it by {float(improvement[0]):.1f} dB for the first voice and by "
            f"{float(improvement[1]):.1f} dB for the second: SI-SDRi {float(improvement.mean()):.1f} dB."
        )
        first, second = self.mixed.sources
        self._play(
            {
                "mixture": self.mixed.mixture, "first": first, "second": second,
                "estimate of first": estimates[0], "estimate of second": estimates[1],
            }
        )  # fmt: skip

    def _say(self, verdict: str) -> None:
        first, second = self.mixed.si_sdr.tolist()
        rest = float(self.mixed.rest.abs().max())
        noisy = self.mixed.recipe.noise != DRY
        self.readout.value = (
            f"{describe(self.mixed.recipe, self.rooms)}.<br>The mixture itself scores SI-SDR {first:.1f} dB for the "
            f"first voice and {second:.1f} dB for the second. Mixture minus sources: "
            f"{f'the noise, peak {rest:.3f}' if noisy else 'nothing'}.<br>{verdict}"
        )

    def _play(self, sounds: Mapping[str, torch.Tensor]) -> None:
        self.players.value = compare_html(sounds, view="wave")


def _choice(name: str, options: Sequence, value) -> widgets.Dropdown:
    return widgets.Dropdown(
        options=list(options), value=value, description=name, style={"description_width": "11em"},
        layout=widgets.Layout(width="21em"),
    )  # fmt: skip
