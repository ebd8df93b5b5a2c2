"""Group D on purpose: faulty processing of the estimates after the model.

Notebook: 06_failures_at_inference
"""

import random

import torch

from ..diagnosis.evidence import best_order
from ..loss import si_sdr
from ..separation.in_memory import scale_to_mixture
from .case import Case

__all__ = ["FAULTS"]


def _windows(case: Case, seconds: float) -> list[slice]:
    samples = int(8000 * seconds)
    return [slice(i, i + samples) for i in range(0, len(case.mixture), samples)]


def _swapped(every: float):
    def fault(case: Case, rng: random.Random) -> Case:
        estimates = case.estimates.clone()
        for i, window in enumerate(_windows(case, every)):
            if i % 2:
                estimates[:, window] = estimates[:, window].flip(0)
        return case.change(estimates=estimates, references=None)

    return fault


def swapped_once(case: Case, rng: random.Random) -> Case:
    """Two halves of a recording, separated one after the other."""
    estimates = case.estimates.clone()
    middle = int(len(case.mixture) * rng.uniform(0.4, 0.6))
    estimates[:, middle:] = estimates[:, middle:].flip(0)
    return case.change(estimates=estimates, references=None)


def swapped_without_model(case: Case, rng: random.Random) -> Case:
    """The same, with the references and without the model."""
    broken = swapped_once(case, rng)
    return broken.change(model=None, checkpoint=None, references=case.references)


@torch.no_grad()
def _separate_windows(case: Case, seconds: float) -> torch.Tensor:
    """Each window separated alone, in the order of the whole recording, scaled to the mixture."""
    whole = case.estimates
    parts = []
    for window in _windows(case, seconds):
        mixture = case.mixture[window]
        estimates = scale_to_mixture(case.model.eval()(mixture), mixture)
        parts.append(best_order(estimates, whole[:, window]))
    return torch.cat(parts, dim=-1)


def _joined(seconds: float, normalised: bool):
    def fault(case: Case, rng: random.Random) -> Case:
        estimates = _separate_windows(case, seconds)
        if normalised:
            for window in _windows(case, seconds):
                piece = estimates[:, window]
                estimates[:, window] = piece * (0.5 / piece.abs().amax(-1, keepdim=True).clamp(min=1e-3))
        return case.change(estimates=estimates)

    return fault


def _gaps(seconds: float):
    def fault(case: Case, rng: random.Random, strength: float) -> Case:
        estimates = case.estimates.clone()
        lost = 8 + int(strength * 56)  # samples that each window loses at its end
        for window in _windows(case, seconds)[:-1]:
            estimates[:, window.stop - lost : window.stop] = 0
        return case.change(estimates=estimates)

    return fault


def _uneven(case: Case, strength: float, order: float) -> Case:
    """The case with one voice 4 to 8 dB over the other, by energy (``order`` 2) or by peak (infinity)."""
    sources = case.truth.clone()
    first, second = sources.norm(order, dim=-1)
    sources[1] *= 10 ** (-(4 + 4 * strength) / 20) * first / second
    return case.change(mixture=sources.sum(0), references=sources, truth=sources).with_own_estimates()


def peaks(case: Case, rng: random.Random, strength: float) -> Case:
    """Each output normalised to the same peak."""
    case = _uneven(case, strength, torch.inf)
    return case.change(estimates=case.estimates * (0.9 / case.estimates.abs().amax(-1, keepdim=True)))


def loudness(case: Case, rng: random.Random, strength: float) -> Case:
    """Each output normalised to the same RMS."""
    case = _uneven(case, strength, 2)
    rms = case.estimates.square().mean(-1, keepdim=True).sqrt()
    return case.change(estimates=case.estimates * (0.05 / rms))


def _gain(gains: tuple[float, float], clip: bool = False):
    def fault(case: Case, rng: random.Random) -> Case:
        estimates = case.estimates * torch.tensor(gains)[:, None]
        return case.change(estimates=estimates.clamp(-1, 1) if clip else estimates)

    return fault


def flipped(case: Case, rng: random.Random) -> Case:
    """The estimates in swapped order."""
    return case.change(estimates=case.estimates.flip(0))


def flipped_and_reported(case: Case, rng: random.Random) -> Case:
    """The same, with the score that the user's code reports."""
    broken = flipped(case, rng)
    return broken.change(reported=float(si_sdr(broken.estimates, broken.references).mean()))


def negative(case: Case, rng: random.Random) -> Case:
    """One estimate with inverted polarity, which SI-SDR training allows."""
    signs = rng.choice([torch.tensor([-1.0, 1.0]), torch.tensor([1.0, -1.0])])
    return case.change(estimates=case.estimates * signs[:, None])


def same_twice(case: Case, rng: random.Random) -> Case:
    """``estimates[0]`` written to both files."""
    which = rng.randrange(2)
    return case.change(estimates=case.estimates[[which, which]].clone())


def mixture_twice(case: Case, rng: random.Random) -> Case:
    """The mixture written to both files."""
    return case.change(estimates=torch.stack((case.mixture, case.mixture)))


def nearly_twice(case: Case, rng: random.Random, strength: float) -> Case:
    """Each output with most of the mixture added back."""
    share = 3 + 3 * strength
    return case.change(estimates=(case.estimates + share * case.mixture) / (1 + share))


FAULTS = {
    "permutation-flip": {
        "once": swapped_once,
        "every-second": _swapped(1.0),
        "every-1.5-s": _swapped(1.5),
        "without-model": swapped_without_model,
    },
    "seam-artefact": {
        "gaps-0.5-s": _gaps(0.5),
        "joined-0.25-s": _joined(0.25, normalised=False),
        "normalised-0.5-s": _joined(0.5, normalised=True),
        "gaps-1-s": _gaps(1.0),
    },
    "relative-level-lost": {"peaks": peaks, "loudness": loudness},
    "scale-free": {
        "too-loud": _gain((20.0, 20.0)),
        "clipped": _gain((15.0, 15.0), clip=True),
        "one-faint": _gain((1.0, 0.03)),
        "both-faint": _gain((0.05, 0.05)),
        "one-loud": _gain((6.0, 1.0)),
    },
    "order-arbitrary": {"flipped": flipped, "reported": flipped_and_reported, "negative": negative},
    "outputs-alike": {
        "same-twice": same_twice,
        "mixture-twice": mixture_twice,
        "nearly-twice": nearly_twice,
    },
}
