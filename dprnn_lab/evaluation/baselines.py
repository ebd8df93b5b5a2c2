"""The systems that a model is compared with: the mixture itself, ideal masks, and NMF.

* ``mixture``: both outputs are copies of the mixture, 0 dB SI-SDRi by definition. A model must beat it.
* ``irm``, ``ibm``: the ideal ratio and ideal binary mask on the STFT, computed *from the sources* (D. Wang, "On
  ideal binary mask as the computational goal of auditory scene analysis", 2005). They are recipes and no bounds. The
  phase-sensitive mask, the best one for each bin by itself, scores one or two dB higher; but the bins of an STFT
  overlap, and masks from 0 to 1 that a search fits to the samples score higher still (section 8 of
  notebook 01). Networks exceed all three.
* ``nmf``: non-negative matrix factorisation (D. Lee and H. Seung, "Algorithms for non-negative matrix
  factorization", 2001), the standard method before deep networks. It knows who speaks, and has a dictionary of
  spectra of each training voice.

A baseline is called like any system of the evaluation, with ``(mixture [T], sources [S, T], spec)``, and returns
estimates ``[S, T]``.

Notebook: 08_evaluation
"""

from collections.abc import Callable, Mapping

import torch

from ..datasets.corpus import SpeechCorpus
from .table import System

__all__ = ["BASELINES", "ideal_binary_mask", "ideal_ratio_mask", "mixture_copies", "NMF", "why_not"]

WINDOW = 256  # samples, 32 ms at 8 kHz: usual for speech; the hop is a quarter of it
EPS = 1e-10


def _stft(signal: torch.Tensor, window: int = WINDOW) -> torch.Tensor:
    """``[..., T]`` to complex ``[..., bins, frames]``."""
    pad = "reflect" if signal.shape[-1] > window // 2 else "constant"  # too short to be reflected
    return torch.stft(
        signal, window, window // 4, window=torch.hann_window(window), return_complex=True, pad_mode=pad
    )


def _masked(masks: torch.Tensor, mixture: torch.Tensor, window: int = WINDOW) -> torch.Tensor:
    """The mixture's STFT under each mask ``[S, bins, frames]``, back as ``[S, T]``."""
    shaped = masks * _stft(mixture, window)
    return torch.istft(
        shaped, window, window // 4, window=torch.hann_window(window), length=mixture.shape[-1]
    )


def mixture_copies(mixture: torch.Tensor, sources: torch.Tensor, spec: object = None) -> torch.Tensor:
    """The mixture for every source."""
    return mixture.expand_as(sources)


def ideal_ratio_mask(mixture: torch.Tensor, sources: torch.Tensor, spec: object = None) -> torch.Tensor:
    """Each bin of the mixture is divided in proportion to the sources' magnitudes."""
    magnitudes = _stft(sources).abs()
    return _masked(magnitudes / (magnitudes.sum(0) + EPS), mixture)


def ideal_binary_mask(mixture: torch.Tensor, sources: torch.Tensor, spec: object = None) -> torch.Tensor:
    """Each bin of the mixture goes to the source that is loudest there."""
    loudest = _stft(sources).abs().argmax(0)
    return _masked(torch.stack([loudest == s for s in range(len(sources))]).float(), mixture)


class NMF:
    """Separate with a dictionary of magnitude spectra for each voice.

    The mixture's magnitudes ``V [bins, frames]`` are approximated by ``W H``: W holds the dictionaries of its voices
    side by side, H the weight of each spectrum in a frame. Multiplicative updates of H lower the Kullback-Leibler
    divergence from V to W H. The parts of ``W H`` that the voices contribute give a Wiener mask. A dictionary holds
    frames of the voice itself ("exemplars"), drawn from the louder half of its frames.

    Args:
        voices: speaker to waveform ``[T]`` to draw from; None for the training split of the bundled corpus.
            An unknown voice gets a dictionary drawn from all voices except its partner's.
        size: spectra in a dictionary.
        iterations: updates of H.
        seed: of the drawn frames.
    """

    window = 512  # samples, longer than for the masks: resolves the harmonics of the voices

    def __init__(
        self,
        voices: Mapping[str, torch.Tensor] | None = None,
        size: int = 1000,
        iterations: int = 40,
        seed: int = 0,
    ):
        self.voices = dict(SpeechCorpus("train").voices() if voices is None else voices)
        self.size, self.iterations, self.seed = size, iterations, seed
        self._dictionaries: dict[tuple[str, ...], torch.Tensor] = {}

    def __call__(self, mixture: torch.Tensor, sources: torch.Tensor, spec) -> torch.Tensor:
        if (reason := why_not("nmf", spec)) is not None:
            raise ValueError(f"{reason}: leave this baseline out")
        first, second = (file.split("/")[0] for file in (spec.first, spec.second))
        dictionaries = [self.dictionary(first, second), self.dictionary(second, first)]
        spectra, basis = _stft(mixture, self.window).abs() + EPS, torch.cat(dictionaries, dim=1)
        activations = torch.full((basis.shape[1], spectra.shape[1]), float(spectra.mean()))
        for _ in range(self.iterations):
            # The columns of the basis sum to one, so the update has no denominator.
            activations = activations * (basis.T @ (spectra / (basis @ activations + EPS)))
        shares = activations.split([w.shape[1] for w in dictionaries])
        powers = torch.stack([w @ h for w, h in zip(dictionaries, shares, strict=True)]).square()
        return _masked(powers / (powers.sum(0) + EPS), mixture, self.window)

    def dictionary(self, speaker: str, partner: str = "") -> torch.Tensor:
        """``W [bins, size]`` of one voice; each spectrum sums to one."""
        names = (speaker,) if speaker in self.voices else tuple(sorted(self.voices.keys() - {partner}))
        if names not in self._dictionaries:
            generator = torch.Generator().manual_seed(self.seed)
            drawn = []
            for name in names:
                spectra = _stft(self.voices[name], self.window).abs() + EPS
                level = spectra.sum(0)
                spectra = (spectra / level)[:, level >= level.median()]
                order = torch.randperm(spectra.shape[1], generator=generator)
                drawn.append(spectra[:, order[: self.size // len(names)]])
            self._dictionaries[names] = torch.cat(drawn, dim=1)
        return self._dictionaries[names]


# Functions that make the systems: NMF reads the voices when it is made.
BASELINES: dict[str, Callable[[], System]] = {
    "mixture": lambda: mixture_copies,
    "irm": lambda: ideal_ratio_mask,
    "ibm": lambda: ideal_binary_mask,
    "nmf": NMF,
}


def why_not(name: str, spec: object) -> str | None:
    """Why a baseline can't be computed for mixtures with specs such as this one; None if it can.

    >>> why_not("irm", None), why_not("nmf", None)
    (None, 'the mixtures do not say who speaks, and NMF needs their speakers')
    """
    if name == "nmf" and not (hasattr(spec, "first") and hasattr(spec, "second")):
        return "the mixtures do not say who speaks, and NMF needs their speakers"
    if name == "nmf" and any(
        str(getattr(spec, part)).startswith("strangers/") for part in ("first", "second")
    ):
        return "NMF learns from other speech of the speakers, and the test-only voices have none"
    return None
