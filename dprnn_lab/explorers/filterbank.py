"""Mask explorer of the learned filterbank: keep the filters of one frequency band, and play the decoded result.

Encoder and decoder (Luo and Mesgarani, arXiv 1711.00541) with one mask value for each filter, constant over all
frames, are an equaliser of the network's own filters: ``decode(mask * encode(mixture))``.

Notebook: 01_encoder_decoder
"""

from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from ..audio import rms_db
from ..model import DPRNNTasNet
from ..plots import COLOURS, draw_level_bars, draw_spectrogram, player, spectrogram_db
from .controls import picture_bytes

__all__ = ["BandView", "FilterbankExplorer", "centre_frequencies", "draw", "keep_band"]

N_FFT = 512  # points to which a filter is zero-padded, for a fine frequency grid


def centre_frequencies(filters: torch.Tensor, sample_rate: float, n_fft: int = N_FFT) -> torch.Tensor:
    """The frequency (Hz) at which each filter's magnitude response is largest.

    Shape:
        - filters: ``[N, kernel_size]`` or ``[N, 1, kernel_size]``
        - output: ``[N]``

    >>> tone = torch.cos(torch.arange(32) * 2 * torch.pi * 1000 / 8000)
    >>> centre_frequencies(tone[None], sample_rate=8000)
    tensor([1000.])
    """
    response = torch.fft.rfft(filters.detach().float(), n=max(n_fft, filters.shape[-1])).abs()
    bins = response.flatten(0, -2).argmax(-1)
    return bins * (sample_rate / (2 * (response.shape[-1] - 1)))


@dataclass(frozen=True)
class BandView:
    """The result of :func:`keep_band`."""

    low_hz: float
    high_hz: float
    outside: float  # gain of the filters outside the band
    centres: torch.Tensor  # [N] Hz, in the encoder's order
    mask: torch.Tensor  # [N], in the encoder's order
    kept: int  # filters whose mask is 1
    encoded_share: float  # of the encoded mixture's energy, in the kept filters
    inside_share: float  # of the decoded sound's power, at frequencies inside the band
    level_db: float  # of the decoded sound, relative to the round trip without a mask
    whole: torch.Tensor  # [T] round trip without a mask
    decoded: torch.Tensor  # [T] round trip with the mask
    sample_rate: float

    def sentence(self) -> str:
        """The result in words."""
        if not self.kept and self.outside == 0:
            return (
                f"0 of {len(self.mask)} filters kept: the decoder has nothing to add up, and returns silence."
            )
        level = f"{abs(self.level_db):.1f} dB {'under' if self.level_db < 0 else 'over'}"
        return (
            f"{_kept_sentence(self.centres, self.low_hz, self.high_hz)} They carry {self.encoded_share:.0%} "
            f"of the encoded energy. The decoded sound is "
            f"{'as loud as' if abs(self.level_db) < 0.05 else level} the round trip without a mask, and has "
            f"{self.inside_share:.0%} of its power between {self.low_hz:.0f} and {self.high_hz:.0f} Hz."
        )


def _inside(centres: torch.Tensor, low_hz: float, high_hz: float) -> torch.Tensor:
    return (centres >= low_hz) & (centres <= high_hz)


def _kept_sentence(centres: torch.Tensor, low_hz: float, high_hz: float) -> str:
    kept = int(_inside(centres, low_hz, high_hz).sum())
    return f"{kept} of {len(centres)} filters kept, those centred between {low_hz:.0f} and {high_hz:.0f} Hz."


@torch.no_grad()
def keep_band(
    model: DPRNNTasNet, mixture: torch.Tensor, low_hz: float, high_hz: float, outside: float = 0.0
) -> BandView:
    """Encode, keep the filters centred from ``low_hz`` to ``high_hz``, decode.

    The separator is not used. One gain, the same for every band, fits the round trip without a mask to the mixture
    (least squares): SI-SDR training leaves the decoder's level arbitrary.

    Args:
        model: its encoder and decoder are used, at its sample rate.
        mixture: ``[T]``.
        low_hz, high_hz: the band, both ends included, from 0 to half the sample rate.
        outside: gain of the other filters, 0 to 1.

    Raises:
        ValueError: a band or gain out of range, or a mixture of another shape.
    """
    nyquist = model.sample_rate / 2
    if not 0 <= low_hz <= high_hz <= nyquist:
        raise ValueError(
            f"the band is {low_hz} to {high_hz} Hz: it must run from low to high within 0 to {nyquist:.0f} Hz, "
            "half the model's sample rate; swap or lower the limits"
        )
    if not 0 <= outside <= 1:
        raise ValueError(f"outside is {outside}: a mask lies between 0 and 1, choose a gain in that range")
    if mixture.dim() != 1 or not len(mixture):
        raise ValueError(
            f"the mixture has shape {list(mixture.shape)}, expected [T]: choose one row of the batch"
        )
    centres = centre_frequencies(model.encoder.filters, model.sample_rate)
    inside = _inside(centres, low_hz, high_hz)
    mask = torch.where(inside, 1.0, float(outside))
    encoded = model.encode(mixture[None])  # [1, N, L]
    masked = torch.stack((encoded, mask[:, None] * encoded), dim=1)  # [1, 2, N, L]
    whole, decoded = model.decode(masked, samples=len(mixture))[0]
    gain = (whole @ mixture) / (whole @ whole).clamp(min=1e-12)
    energy = encoded[0].square().sum(-1)
    power = torch.fft.rfft(decoded).abs().square()
    hertz = torch.linspace(0, nyquist, len(power))
    return BandView(
        low_hz=low_hz,
        high_hz=high_hz,
        outside=outside,
        centres=centres,
        mask=mask,
        kept=int(inside.sum()),
        encoded_share=float(energy[inside].sum() / energy.sum().clamp(min=1e-12)),
        inside_share=float(power[_inside(hertz, low_hz, high_hz)].sum() / power.sum().clamp(min=1e-12)),
        level_db=float(rms_db(gain * decoded) - rms_db(gain * whole)),
        whole=gain * whole,
        decoded=gain * decoded,
        sample_rate=model.sample_rate,
    )


def draw(view: BandView) -> Figure:
    """Three panels: the mask by centre frequency, the round trip without a mask, the round trip with it."""
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.8), layout="constrained", width_ratios=(1, 2, 2))
    centres, order = view.centres.sort()
    kept = _inside(centres, view.low_hz, view.high_hz)
    colours = [COLOURS[1] if k else "#bbbbbb" for k in kept.tolist()]
    axes[0].barh(range(len(centres)), view.mask[order].numpy(), color=colours, height=1.0)
    axes[0].set(
        title="mask",
        xlabel="gain",
        ylabel="filter, low to high",
        xlim=(0, 1.05),
        ylim=(-0.5, len(centres) - 0.5),
    )
    top = float(spectrogram_db(view.whole, view.sample_rate)[0].max())
    draw_spectrogram(axes[1], view.whole, "all filters", view.sample_rate, top)
    draw_spectrogram(axes[2], view.decoded, "masked", view.sample_rate, top)
    for edge in (view.low_hz, view.high_hz):
        axes[2].axhline(edge / 1000, color="white", linewidth=1, linestyle="--")
    axes[2].label_outer()
    draw_level_bars(figure)
    plt.close(figure)  # the caller shows it, once
    return figure


class FilterbankExplorer(widgets.VBox):
    """Choose a band and press Apply, to see and play what the trained filters alone make of a mixture.

    The number of filters follows the controls; picture and sound are updated by the button.

    Args:
        model: the trained model.
        mixture: ``[T]`` at the model's sample rate.

    Attributes: ``band`` (slider), ``low`` and ``high`` (number boxes), ``outside`` (dropdown), ``apply``
    (button), ``readout``, ``picture``, ``sound``, and ``view``, the last :class:`BandView`.
    """

    def __init__(self, model: DPRNNTasNet, mixture: torch.Tensor):
        self.model, self.mixture = model, mixture
        self._syncing = False  # while the boxes follow the slider, they must not move it
        nyquist = int(model.sample_rate / 2)
        self.centres = centre_frequencies(model.encoder.filters, model.sample_rate)
        narrow = widgets.Layout(width="190px")
        self.band = widgets.IntRangeSlider(
            value=(0, nyquist),
            min=0,
            max=nyquist,
            step=50,
            description="band (Hz)",
            layout={"width": "420px"},
        )
        self.low = widgets.BoundedIntText(
            value=0, min=0, max=nyquist, step=50, description="low (Hz)", layout=narrow
        )
        self.high = widgets.BoundedIntText(
            value=nyquist, min=0, max=nyquist, step=50, description="high (Hz)", layout=narrow
        )
        self.outside = widgets.Dropdown(
            options=[("0 (removed)", 0.0), ("0.1", 0.1), ("0.5", 0.5), ("1 (untouched)", 1.0)],
            description="gain outside",
            style={"description_width": "initial"},
            layout={"width": "230px"},
        )
        self.apply = widgets.Button(
            description="Apply", button_style="primary", tooltip="decode with this mask"
        )
        self.readout = widgets.HTML(layout={"min_height": "64px"})
        self.readout.add_class("filterbank-readout")
        self.picture = widgets.Image(
            format="png", layout={"width": "840px", "height": "280px", "object_fit": "contain"}
        )
        self.sound = widgets.Audio(format="wav", autoplay=False, loop=False, layout={"height": "54px"})
        self.band.observe(self._from_slider, names="value")
        self.low.observe(self._from_boxes, names="value")
        self.high.observe(self._from_boxes, names="value")
        self.outside.observe(self._announce, names="value")
        self.apply.on_click(self._apply)
        self._apply()
        super().__init__(
            [
                widgets.HBox([self.band, self.low, self.high]),
                widgets.HBox([self.outside, self.apply]),
                self.readout,
                self.picture,
                self.sound,
            ]
        )

    def __repr__(self) -> str:
        return "The mask explorer, a widget: run this notebook in JupyterLab to use it."

    def _from_slider(self, change) -> None:
        low, high = change["new"]
        self._syncing = True
        # Widen the limits first, or a box would clip its new value.
        self.low.max, self.high.min = self.band.max, 0
        self.low.value, self.high.value = low, high
        self.low.max, self.high.min = high, low
        self._syncing = False
        self._announce()

    def _from_boxes(self, change) -> None:
        if not self._syncing:
            self.band.value = (self.low.value, self.high.value)

    def _announce(self, change=None) -> None:
        counted = _kept_sentence(self.centres, *self.band.value)
        self.readout.value = (
            f"<p>{counted} <em>Press Apply to decode: the picture still shows the last mask.</em></p>"
        )

    def _apply(self, button=None) -> None:
        self.view = keep_band(self.model, self.mixture, *self.band.value, self.outside.value)
        self.picture.value = picture_bytes(draw(self.view), dpi=100)
        self.sound.value = player(self.view.decoded, int(self.view.sample_rate)).data
        self.readout.value = f"<p>{self.view.sentence()}</p>"
