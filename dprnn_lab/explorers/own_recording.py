"""Bring your own recording: one file with two people, or two files with one each, which are mixed.

Notebook: 00_start_here
"""

import html
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from .. import audio
from ..audio import AudioError, read_audio, to_mono
from ..compare import compare_html
from ..datasets.mixing import mix
from ..diagnosis import Report, diagnose
from ..loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from ..model import DPRNNTasNet
from ..plots import draw_level_bars, draw_spectrogram, png
from ..separation import separate
from .controls import Sounds

__all__ = ["OwnRecording", "Separated", "draw_separated", "mix_recordings", "separate_recordings"]

MAX_BYTES = 50_000_000  # of one file: five minutes of stereo at 44.1 kHz, 16 bit
MAX_SECONDS = 120.0  # of a recording: longer ones belong on the command line
PLAYED_SECONDS = 30.0  # by the players, so that the page stays light
MIN_SECONDS = 1.0  # of what two files have in common


@dataclass(frozen=True)
class Separated:
    """What became of the recordings; all samples at the network's rate."""

    mixture: torch.Tensor  # [T]
    estimates: torch.Tensor  # [S, T], with references in their order
    references: torch.Tensor | None  # [2, T], where two files were mixed
    improvement: torch.Tensor | None  # SI-SDRi in dB of each source, with references
    changes: list[str]  # sentences: what was converted
    report: Report  # of the diagnosis
    sample_rate: float  # Hz


def separate_recordings(files: Mapping[str, bytes], model: DPRNNTasNet, mono: str = "mean") -> Separated:
    """Separate one recording, or mix two and separate the mixture; then let :func:`dprnn_lab.diagnose` look at it.

    Args:
        files: name to content, of one audio file or of two.
        model: of two sources.
        mono: "mean", "left" or "right": how several channels become one.

    Raises:
        AudioError: no file or more than two; a file that is too large, too long, no audio, silent or not finite.
    """
    if not 1 <= len(files) <= 2:
        raise AudioError(
            f"{len(files)} files: give one recording of two people, or two recordings of one person each"
        )
    changes: list[str] = []
    waves = {name: _load(name, content, model.sample_rate, mono, changes) for name, content in files.items()}
    references = None
    if len(waves) == 2:
        mixture, references = mix_recordings(waves, model.sample_rate)
        seconds = len(mixture) / model.sample_rate
        changes.append(f"Both were mixed at equal levels over {seconds:.1f} s, as long as the shorter one.")
    else:
        mixture = next(iter(waves.values()))
    estimates = separate(model, mixture)
    improvement = None
    if references is not None:
        order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], references[None])[1][0]
        estimates = estimates[order]
        improvement = si_sdr(estimates, references) - si_sdr(mixture.expand_as(references), references)
    report = diagnose(model, mixture, references=references, estimates=estimates)
    return Separated(mixture, estimates, references, improvement, changes, report, model.sample_rate)


def mix_recordings(
    waves: Mapping[str, torch.Tensor], sample_rate: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two voices ``[T]`` of any lengths to a mixture ``[T]`` and sources ``[2, T]``, at equal levels.

    Raises:
        AudioError: they share less than a second; one is silent.
    """
    shared = min(map(len, waves.values()))
    if shared < MIN_SECONDS * sample_rate:
        shortest = min(waves, key=lambda name: len(waves[name]))
        raise AudioError(
            f"{shortest} has {shared / sample_rate:.2f} s: a mixture needs {MIN_SECONDS:g} s, choose a longer recording"
        )
    for name, wave in waves.items():
        if float(audio.rms(wave[:shared])) < 1e-5:
            raise AudioError(
                f"{name} is silent in its first {shared / sample_rate:.1f} s: choose another recording"
            )
    first, second = (wave[:shared] for wave in waves.values())
    return mix(first, second)


def _load(name: str, content: bytes, rate: float, mono: str, changes: list[str]) -> torch.Tensor:
    """Samples ``[T]`` at the rate; every conversion becomes a sentence."""
    if len(content) > MAX_BYTES:
        raise AudioError(
            f"{name} has {len(content) / 1e6:.0f} MB, at most {MAX_BYTES / 1e6:.0f} MB here: cut a shorter piece, or "
            "use dprnn-lab separate"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("recording" + Path(name).suffix.lower())
        path.write_bytes(content)
        try:
            samples, found = read_audio(path)
        except AudioError as error:
            raise AudioError(str(error).replace(str(path), name)) from None
    audio.check_finite(samples, name)
    seconds = samples.shape[-1] / found
    if seconds > MAX_SECONDS:
        raise AudioError(
            f"{name} lasts {seconds:.0f} s, at most {MAX_SECONDS:.0f} s here: cut a piece, or use dprnn-lab separate"
        )
    if len(samples) > 1:
        changes.append(f"{name}: {len(samples)} channels became one ({mono}).")
        samples = to_mono(samples, mono)
    else:
        samples = samples[0]
    if not samples.any():
        raise AudioError(f"{name} is silent: every sample is 0; record it again, or choose another channel")
    if found != rate:
        lost = f"; what lies above {rate / 2000:g} kHz is gone" if found > rate else ""
        changes.append(f"{name}: converted from {found:g} Hz to the {rate:g} Hz of the network{lost}.")
    return audio.resample(samples, found, rate)


def draw_separated(separated: Separated) -> Figure:
    """Spectrograms of the mixture and the outputs on one scale of levels, at most 30 s."""
    names, sounds = zip(*_sounds(separated).items(), strict=True)
    figure, grid = plt.subplots(1, len(sounds), figsize=(10, 2.7), sharey=True, layout="constrained")
    for axes, name, sound in zip(grid, names, sounds, strict=True):
        draw_spectrogram(axes, sound, name, separated.sample_rate)
        axes.label_outer()
    draw_level_bars(figure)
    return figure


def _sounds(separated: Separated) -> dict[str, torch.Tensor]:
    played = slice(0, int(PLAYED_SECONDS * separated.sample_rate))
    outputs = {f"output {i + 1}": e[played] for i, e in enumerate(separated.estimates)}
    return {"mixture": separated.mixture[played], **outputs}


class OwnRecording(widgets.VBox):
    """A place for files, a button, and below it what the network made of them.

    Args:
        models: name to network, each of two sources; the first is chosen.

    Attributes:
        upload: takes one or two files.
        network, mono: the controls.
        go: the button.
        readout: HTML of class ``own-readout``, sentences.
        picture, players, report: what is seen, what is compared by ear, and the diagnosis.
        separated: the :class:`Separated` shown, or None.

    Raises:
        ValueError: no network, or one that has not two outputs.
    """

    def __init__(self, models: Mapping[str, DPRNNTasNet]):
        if not models or any(model.n_src != 2 for model in models.values()):
            raise ValueError(f"models are {list(models)}: give at least one network, each of two sources")
        self.models, self.separated = dict(models), None
        wide = {"description_width": "8em"}
        self.upload = widgets.FileUpload(
            accept="audio/*,.wav,.flac,.ogg,.opus,.mp3,.aiff,.gsm", multiple=True, description="Choose files",
            tooltip="one recording of two people, or two recordings of one person each",
        )  # fmt: skip
        self.network = widgets.Dropdown(options=list(models), description="network", style=wide)
        self.mono = widgets.Dropdown(
            options=["mean", "left", "right"], description="channel", style=wide,
            tooltip="what is taken of a recording with several channels",
        )  # fmt: skip
        self.go = widgets.Button(description="Separate", button_style="primary", disabled=True)
        self.readout = widgets.HTML(layout=widgets.Layout(min_height="3em"))
        self.readout.add_class("own-readout")
        self.picture = widgets.Image(format="png", width=900, layout=widgets.Layout(display="none"))
        self.players = Sounds()
        self.report = widgets.HTML()
        row = widgets.HBox(
            [self.upload, self.network, self.mono, self.go], layout=widgets.Layout(flex_flow="row wrap")
        )
        super().__init__([row, self.readout, self.picture, self.players, self.report])
        self.upload.observe(self._chosen, names="value")
        self.go.on_click(self._separate)
        self._say(
            "Choose one recording of two people, or two recordings of one person each, which are then mixed."
        )

    def __repr__(self) -> str:
        return "A place for your own recording, a widget: run this notebook in JupyterLab to use it."

    def _chosen(self, change: dict) -> None:
        names = [str(file["name"]) for file in self.upload.value]
        self.go.disabled = not names
        self._clear()
        listed = ", ".join(html.escape(name) for name in names)
        self._say(f"{listed}. Press <i>Separate</i>." if names else "No file is chosen.")

    def _separate(self, button: widgets.Button) -> None:
        self._clear()
        self._say("Working ...")
        self.go.disabled = True
        try:
            files = _by_name(self.upload.value)
            self.separated = separate_recordings(files, self.models[self.network.value], self.mono.value)
        except ValueError as error:  # AudioError is one: the sentence of a bad file
            self._say(f"<b>{html.escape(str(error))}</b>")
            return
        finally:
            self.go.disabled = False
        self._show(self.separated)

    def _show(self, separated: Separated) -> None:
        sentences = [html.escape(change) for change in separated.changes]
        if separated.improvement is None:
            sentences.append("How good it is can't be measured without the two voices alone: listen.")
        else:
            gains = " and ".join(f"{gain:.1f} dB" for gain in separated.improvement.tolist())
            mean = float(separated.improvement.mean())
            sentences.append(f"<b>SI-SDRi {mean:.1f} dB</b> ({gains}): the improvement over the mixture.")
        self._say("<br>".join(sentences))
        figure = draw_separated(separated)
        self.picture.value = png(figure)
        self.picture.layout.display = ""
        plt.close(figure)
        self.players.value = compare_html(_sounds(separated), separated.sample_rate, view="wave")
        self.report.value = (
            "<details><summary>What <code>diagnose</code> says of it</summary>"
            f"<pre style='white-space:pre-wrap'>{html.escape(str(separated.report))}</pre></details>"
        )

    def _clear(self) -> None:
        self.separated = None
        self.players.value = self.report.value = ""
        self.picture.layout.display = "none"

    def _say(self, text: str) -> None:
        self.readout.value = text


def _by_name(uploaded: Sequence[Mapping]) -> dict[str, bytes]:
    """Name to content; two files of one name keep both."""
    files: dict[str, bytes] = {}
    for file in uploaded:
        name = str(file["name"])
        files[name if name not in files else f"{name} (2)"] = bytes(file["content"])
    return files
