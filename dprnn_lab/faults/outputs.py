"""Group D on purpose: faulty processing of the estimates after the model.

Notebook: 06_failures_at_inference
"""

import random

import torch

from ..audio import resample, write_audio
from ..datasets.mixing import FixedMixtures
from ..diagnosis.evidence import best_order
from ..diagnosis.reference_fit import moved
from ..loss import si_sdr
from ..separation.in_memory import scale_to_mixture
from .case import Case

__all__ = ["FAULTS", "late"]


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


def _clicks(seconds: float):
    def fault(case: Case, rng: random.Random, strength: float) -> Case:
        estimates = case.estimates.clone()
        every = int(8000 * seconds)
        size = (0.5 + 0.5 * strength) * estimates.abs().amax(-1)
        for at in range(rng.randrange(every // 4, every), estimates.shape[-1], every):
            estimates[:, at] += size
        return case.change(estimates=estimates)

    return fault


def late(name: str, *lags: int):
    """The fault that makes the "estimates" or "references" late: each by its lag in samples, or all by the only one."""

    def fault(case: Case, rng: random.Random) -> Case:
        wanted = lags * 2 if len(lags) == 1 else lags
        signals = zip(getattr(case, name), wanted, strict=True)
        return case.change(**{name: torch.stack([moved(x, lag) for x, lag in signals])})

    return fault


def half_length(case: Case, rng: random.Random) -> Case:
    """The second half is missing."""
    return case.change(estimates=case.estimates[:, : case.estimates.shape[-1] // 2])


def _other_rate(rate: int, as_files: bool):
    def fault(case: Case, rng: random.Random) -> Case:
        estimates = resample(case.estimates, 8000, rate)
        if not as_files:
            return case.change(estimates=estimates)
        estimates = estimates * min(1.0, 0.9 / float(estimates.abs().max()))
        return case.change(
            estimates=[write_audio(case.file(f"estimate_{i}.wav"), x, rate) for i, x in enumerate(estimates)]
        )

    return fault


def other_mixture(case: Case, rng: random.Random) -> Case:
    """One estimate, or both, of another mixture of the test list."""
    mixtures = FixedMixtures("test", kind="woman-woman")
    _, sources, _ = mixtures[rng.randrange(len(mixtures))]
    estimates = sources[:, : case.estimates.shape[-1]].clone()
    if rng.random() < 0.5:
        estimates[0] = case.estimates[0]
    return case.change(estimates=estimates)


def person_alone(case: Case, rng: random.Random) -> Case:
    """A recording of one person through the model; nobody says that it is one."""
    voice = case.truth[rng.randrange(2)].clone()
    return case.change(mixture=voice, references=None, truth=voice[None]).with_own_estimates()


def _in_parts(voice: torch.Tensor, rng: random.Random, bands: int) -> torch.Tensor:
    """A voice ``[T]`` in two parts ``[2, T]`` that sum to it: bands of frequency by turns."""
    spectrum = torch.fft.rfft(voice)
    edges = torch.arange(len(spectrum)) * bands // len(spectrum)
    first = torch.fft.irfft(spectrum * (edges % 2 == rng.randrange(2)), len(voice))
    return torch.stack((first, voice - first))


def split_voice(case: Case, rng: random.Random) -> Case:
    """One person's recording and its two outputs, without the model: bands of the voice by turns."""
    voice = case.truth[rng.randrange(2)].clone()
    parts = _in_parts(voice, rng, 8)
    return case.change(
        model=None, checkpoint=None, mixture=voice, references=None, truth=voice[None], estimates=parts
    )


def one_of_two(case: Case, rng: random.Random) -> Case:
    """Both outputs are parts of one of the two voices; the other is lost."""
    return case.change(estimates=_in_parts(case.truth[rng.randrange(2)], rng, 6))


def noise_output(case: Case, rng: random.Random) -> Case:
    """The mixture's louder voice in one output, and hiss in the other; without the model."""
    loudest = int(case.truth.square().sum(-1).argmax())
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    noise = torch.randn(case.truth.shape[-1], generator=generator) * 0.1 * case.truth[loudest].std()
    estimates = torch.stack((case.truth[loudest], noise + 0.02 * case.mixture))
    return case.change(model=None, checkpoint=None, references=None, estimates=estimates)


FAULTS = {
    "late-estimates": {
        "50-ms": late("estimates", 400),
        "3-ms": late("estimates", 24),
        "one-sample": late("estimates", 1),
        "early": late("estimates", -160),
        "each-its-own": late("estimates", 0, 56),
        "half-length": half_length,
        "16-khz": _other_rate(16000, as_files=False),
        "16-khz-files": _other_rate(16000, as_files=True),
        "4-khz": _other_rate(4000, as_files=False),
        "other-mixture": other_mixture,
    },
    "one-speaker": {
        "split": split_voice,
        "one-of-two": one_of_two,
        "noise": noise_output,
        "alone": person_alone,
    },
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
        "clicks-1-s": _clicks(1.0),
        "clicks-0.5-s": _clicks(0.5),
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
