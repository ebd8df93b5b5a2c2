"""The fault lab: break a healthy separation in a known way, play the result, and read the report on it.

Or let the lab choose at random: look at the evidence, name the failure yourself, then read the report.
The computations are in :mod:`.fault_run`.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

import tempfile
from html import escape
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from ..compare import compare_html
from ..datasets.mixing import PAIR_KINDS
from ..diagnosis import CATALOGUE, GROUPS
from ..faults import FAULTS, has_strength
from ..plots import draw_level_bars, draw_spectrogram, png, spectrogram_db
from .controls import Sounds, paired
from .fault_run import FaultRun, Outcome, choose_hidden, run_fault

__all__ = ["FaultLab", "draw_run"]

SHOWN_SECONDS = 4.0  # that are drawn and played
MIN_SAMPLES = 512  # of a spectrogram
MIXTURES = 40  # of a kind in the test list


def draw_run(run: FaultRun) -> Figure:
    """Spectrograms: the healthy signals above, the broken ones below, each row on one scale of levels."""
    names = list(dict.fromkeys((*run.healthy.sounds, *run.broken.sounds))) or ["no sound"]
    figure, rows = plt.subplots(
        2, len(names), figsize=(3.6 * len(names), 4.2), squeeze=False, layout="constrained", sharey=True
    )
    for row, (word, side) in zip(rows, (("healthy", run.healthy), ("broken", run.broken)), strict=True):
        drawn = {name: samples for name in names if (samples := _drawable(side, name)) is not None}
        top = max((float(spectrogram_db(samples)[0].max()) for samples in drawn.values()), default=0.0)
        for axes, name in zip(row, names, strict=True):
            if name in drawn:
                draw_spectrogram(axes, drawn[name], f"{word}: {name}", top_db=top)
            else:
                _say_why_not(axes, f"{word}: {name}", side.sounds.get(name))
    draw_level_bars(figure)
    plt.close(figure)  # the caller shows it, once
    return figure


def _drawable(side: Outcome, name: str) -> torch.Tensor | None:
    """The part of a sound that is drawn; None if there is none of which a spectrogram can be made."""
    samples = side.sounds.get(name)
    if samples is None or len(samples) < MIN_SAMPLES or not bool(samples.isfinite().all()):
        return None
    return samples[: int(SHOWN_SECONDS * 8000)]


def _say_why_not(axes, title: str, samples: torch.Tensor | None) -> None:
    if samples is None:
        words = "no sound"
    elif len(samples) < MIN_SAMPLES:
        words = f"{len(samples)} samples: too short to draw"
    else:
        words = f"{int((~samples.isfinite()).sum())} of {len(samples)} samples\nare NaN or infinite"
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)
    axes.set(title=title, xticks=[])


class FaultLab(widgets.VBox):
    """Controls, a sentence, the evidence, players, and the report.

    Args:
        groups: letters of the catalogue's groups whose failures can be chosen.
        seed: of everything random.

    Attributes:
        failure, variant, strength, kind, number: the fault, and the mixture.
        run_button, hide_button: inject the chosen fault; let the lab choose a hidden one.
        guess, check_button: the student's name for a hidden failure, and the button that checks it.
        readout: HTML of class ``fault-readout``: the injected failure, and the one that the report named first.
        evidence, report: HTML. players: compare the sounds. picture: the spectrograms.
        run: the :class:`FaultRun` shown, None before the first.
        hidden: whether the failure shown is still to be guessed.
        score: correct guesses, and games.

    Raises:
        ValueError: no failure in these groups.
    """

    def __init__(self, groups: str = "ABCDE", seed: int = 0):
        choose_hidden(groups, seed)  # raises for unknown groups now, not at the first game
        self.groups, self.seed, self.games = groups, seed, 0
        self.run: FaultRun | None = None
        self.hidden, self.score = False, (0, 0)
        self._scratch = tempfile.TemporaryDirectory(prefix="dprnn-lab-")
        self._make_controls()
        row = {"layout": widgets.Layout(flex_flow="row wrap")}
        super().__init__(
            [
                widgets.HBox([self.failure, self.variant, self.strength_row], **row),
                widgets.HBox([self.kind, self.number, self.run_button], **row),
                widgets.HBox([self.hide_button, self.guess, self.check_button], **row),
                self.readout,
                self.picture,
                self.players,
                self.evidence,
                self.report,
            ]
        )
        self.failure.observe(self._new_failure, names="value")
        self.variant.observe(self._new_variant, names="value")
        self.run_button.on_click(self._run)
        self.hide_button.on_click(self._hide)
        self.check_button.on_click(self._check)
        self._new_failure()

    def __repr__(self) -> str:
        return "The fault lab, a widget: run this notebook in JupyterLab to use it."

    def _make_controls(self) -> None:
        named = [(f"{e.group} · {e.id}", e.id) for e in CATALOGUE.values() if e.group in self.groups]
        named.sort(key=lambda item: list(GROUPS).index(CATALOGUE[item[1]].group))
        wide = {"style": {"description_width": "5.5em"}, "layout": widgets.Layout(width="20em")}
        narrow = {"style": {"description_width": "5.5em"}, "layout": widgets.Layout(width="11em")}
        self.failure = widgets.Dropdown(options=named, description="failure", **wide)
        self.variant = widgets.Dropdown(options=["-"], description="variant", **wide)
        self.strength, self.strength_row = paired(
            0.5, 0, 1, 0.05, "strength", "0 is just harmful, 1 is gross", name_width=5.5
        )
        self.kind = widgets.Dropdown(options=PAIR_KINDS, description="voices", **wide)
        self.number = widgets.BoundedIntText(
            0,
            min=0,
            max=MIXTURES - 1,
            description="mixture",
            tooltip="of this kind in the test list",
            **narrow,
        )
        self.run_button = widgets.Button(description="Break it", button_style="primary")
        self.hide_button = widgets.Button(
            description="Hide a failure", button_style="info", tooltip="chosen at random; you name it"
        )
        self.guess = widgets.Dropdown(
            options=[("choose one", ""), *named], description="my guess", disabled=True, **wide
        )
        self.check_button = widgets.Button(description="Check my guess", disabled=True)
        self.readout = widgets.HTML(
            "Choose a failure and press <b>Break it</b>; or press <b>Hide a failure</b> and find out which one it is.",
            layout=widgets.Layout(min_height="3em"),
        )
        self.readout.add_class("fault-readout")
        self.picture = widgets.Image(
            format="png",
            layout={"max_width": "100%", "height": "350px", "object_fit": "contain", "display": "none"},
        )
        self.players, self.evidence, self.report = Sounds(), widgets.HTML(), widgets.HTML()
        for part, name in ((self.players, "players"), (self.evidence, "evidence"), (self.report, "report")):
            part.add_class(f"fault-{name}")

    def _new_failure(self, change: dict | None = None) -> None:
        self.variant.options = list(FAULTS[self.failure.value])
        self._new_variant()

    def _new_variant(self, change: dict | None = None) -> None:
        if self.variant.value is not None:  # None while the options change
            fixed = not has_strength(self.failure.value, self.variant.value)
            for control in self.strength_row.children:
                control.disabled = fixed

    def _run(self, button: widgets.Button) -> None:
        """Inject the chosen fault, and show everything."""
        done = self._compute(
            self.failure.value, self.variant.value, self.strength.value, self.kind.value, self.number.value
        )
        if done:
            self._play(hidden=False)
            self._reveal(self.run.sentence())

    def _hide(self, button: widgets.Button) -> None:
        """Inject a random fault; the report is shown after a guess."""
        failure, variant, strength, number = choose_hidden(self.groups, f"{self.seed} {self.games}")
        self.games += 1
        if self._compute(failure, variant, strength, self.kind.value, number):
            self._play(hidden=True)
            self.readout.value = (
                "Something is wrong here: one failure of the list. Listen, look, read the numbers; then choose "
                "<b>my guess</b> and press <b>Check my guess</b>."
            )

    def _check(self, button: widgets.Button) -> None:
        """Show whether the guess is right, and the report."""
        if not self.hidden:
            return
        if not self.guess.value:
            self.readout.value = "Choose a name under <b>my guess</b> first; the report is shown after that."
            return
        right = self.guess.value == self.run.failure
        self.score = (self.score[0] + right, self.score[1] + 1)
        verdict = "You are right" if right else f"You said {self.guess.value}; it was {self.run.failure}"
        tally = f"{self.score[0]} of {self.score[1]} right so far"
        self._set_hidden(False)
        self._reveal(f"{verdict} ({tally}). {self.run.sentence()}")

    def _compute(self, *choice) -> bool:
        """Run the case; an error is shown in the readout, and an older run's results are removed."""
        self._set_hidden(False)
        self.readout.value = "Working ..."
        self._draw()
        self.players.value = self.evidence.value = self.report.value = ""
        self.run_button.disabled = self.hide_button.disabled = True
        # A new folder: files loaded before may still be mapped into memory.
        folder = Path(tempfile.mkdtemp(dir=self._scratch.name))
        try:
            self.run = run_fault(*choice, seed=self.seed, folder=folder)
            self._draw(png(draw_run(self.run)))
            return True
        except Exception as error:  # any error of a broken case is shown on the page
            self.run = None
            self._draw()
            self.readout.value = f"<b>That did not work</b>: {type(error).__name__}: {escape(str(error))}"
            return False
        finally:
            self.run_button.disabled = self.hide_button.disabled = False

    def _draw(self, picture: bytes = b"") -> None:
        """Show the picture, or hide it without moving the page; before the first it takes no space."""
        self.picture.value = picture
        self.picture.layout.visibility = "visible" if picture else "hidden"
        if picture:
            self.picture.layout.display = "block"

    def _play(self, hidden: bool) -> None:
        """Show players and numbers; for a hidden failure only those that its user would have."""
        self._set_hidden(hidden)
        run = self.run
        known = {} if hidden else run.references
        sides = (("healthy", run.healthy.sounds), ("broken", run.broken.sounds), ("true", known))
        played = {
            f"{side}: {name}": samples[: int(SHOWN_SECONDS * 8000)]
            for side, sounds in sides
            for name, samples in sounds.items()
        }
        self.players.value = (
            compare_html(played, view="wave")
            + "<small>Played as the model receives them: at its rate, the mean of the channels, at most 4 s.</small>"
            if played
            else ""
        )
        names = list(dict.fromkeys((*run.healthy.facts, *run.broken.facts)))
        cell = "<td style='padding:0 1em;text-align:left;white-space:normal;max-width:34em'>{}</td>"
        lines = "".join(
            f"<tr>{cell.format(escape(n))}"
            + "".join(cell.format(escape(s.facts.get(n, "–"))) for s in (run.healthy, run.broken))
            + "</tr>"
            for n in names
        )
        head = "".join(
            f"<th style='padding:0 1em;text-align:left'>{h}</th>" for h in ("", "healthy", "broken")
        )
        self.evidence.value = f"<table style='table-layout:auto'><tr>{head}</tr>{lines}</table>"

    def _set_hidden(self, hidden: bool) -> None:
        self.hidden = hidden
        self.guess.disabled = self.check_button.disabled = not hidden
        if hidden:
            self.guess.value = ""

    def _reveal(self, sentence: str) -> None:
        self.readout.value = f"<p>{escape(sentence)}</p>"
        self.report.value = f"<div style='line-height:1.4'>{self.run.report._repr_html_()}</div>"
