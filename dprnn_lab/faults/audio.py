"""Group C on purpose: a mixture that the model does not expect.

Notebook: 06_failures_at_inference
"""

import random

import soundfile
import torch

from ..audio import resample, write_audio
from ..model import DPRNNTasNet
from .case import Case

__all__ = ["FAULTS"]


def wrong_file(case: Case, rng: random.Random) -> Case:
    """A file at another rate than the model's."""
    rate = rng.choice([11025, 16000, 22050, 44100, 48000])
    path = case.file(f"mixture_{rate}.wav")
    write_audio(path, resample(case.mixture, 8000, rate), rate)
    return case.change(mixture=path, sample_rate=None, references=None, estimates=None)


def wrong_samples(case: Case, rng: random.Random) -> Case:
    """Samples at another rate, which the user states."""
    rate = rng.choice([16000, 32000, 44100])
    return case.change(
        mixture=resample(case.mixture, 8000, rate), sample_rate=rate, references=None, estimates=None
    )


def unstated(case: Case, rng: random.Random) -> Case:
    """Samples at 16 or 22.05 kHz, taken for 8 kHz: slow and deep."""
    rate = rng.choice([16000, 22050])
    slow = case.change(
        mixture=resample(case.mixture, 8000, rate),
        references=resample(case.references, 8000, rate),
        sample_rate=None,
    )
    return slow.with_own_estimates()


def upsampled(case: Case, rng: random.Random) -> Case:
    """An upsampled narrow-band recording: the upper half of the band is empty."""
    narrow = resample(resample(case.mixture, 8000, 4000), 4000, 8000)
    return case.change(mixture=narrow).with_own_estimates()


def fast(case: Case, rng: random.Random) -> Case:
    """Samples at 4 kHz, taken for 8 kHz: fast and high."""
    quick = case.change(
        mixture=resample(case.mixture, 8000, 4000),
        references=resample(case.references, 8000, 4000),
        sample_rate=None,
    )
    return quick.with_own_estimates()


def _stereo(case: Case, second: torch.Tensor, transposed: bool = False) -> Case:
    both = torch.stack((case.mixture, second))
    return case.change(mixture=both.T.contiguous() if transposed else both, estimates=None)


def twice(case: Case, rng: random.Random) -> Case:
    """A mono recording in a stereo file."""
    return _stereo(case, case.mixture)


def opposite(case: Case, rng: random.Random) -> Case:
    """One channel in opposite phase, as a wrongly wired cable leaves it."""
    return _stereo(case, -case.mixture)


def transposed(case: Case, rng: random.Random) -> Case:
    """Samples as soundfile reads them, ``[T, channels]``."""
    return _stereo(case, 0.9 * case.mixture, transposed=True)


def two_microphones(case: Case, rng: random.Random, strength: float) -> Case:
    """Two distant microphones: the voices arrive at other times and levels."""
    delay = 3 + int(20 * strength)
    second = case.truth[0].roll(delay) * 0.5 + case.truth[1].roll(-delay)
    return _stereo(case, second)


def stereo_file(case: Case, rng: random.Random) -> Case:
    """A stereo file."""
    path = case.file("stereo.wav")
    soundfile.write(path, torch.stack((case.mixture, 0.8 * case.mixture), 1).numpy(), 8000)
    return case.change(mixture=path, sample_rate=None, references=None, estimates=None)


def sixteen_bit(case: Case, rng: random.Random) -> Case:
    """16-bit integers converted to floating point without scaling."""
    return case.change(mixture=(case.mixture * 32767).round(), estimates=None)


def faint(case: Case, rng: random.Random, strength: float) -> Case:
    """A recording at -80 dBFS or less."""
    return case.change(mixture=case.mixture * 10 ** (-4 - 0.5 * strength)).with_own_estimates()


def clipped(case: Case, rng: random.Random, strength: float) -> Case:
    """Recorded with too much gain."""
    gain = 4 + 12 * strength
    loud = (case.mixture / case.mixture.abs().max() * gain).clamp(-1, 1)
    return case.change(mixture=loud).with_own_estimates()


def offset(case: Case, rng: random.Random, strength: float) -> Case:
    """A DC offset, as of a cheap sound card."""
    return case.change(
        mixture=case.mixture + (0.06 + 0.14 * strength) * rng.choice([-1, 1])
    ).with_own_estimates()


def too_loud(case: Case, rng: random.Random, strength: float) -> Case:
    """Tracks added beyond full scale."""
    return case.change(mixture=case.mixture / case.mixture.abs().max() * (2 + 20 * strength), estimates=None)


def zeros(case: Case, rng: random.Random) -> Case:
    """Zeros, as of a muted microphone."""
    return case.change(mixture=torch.zeros_like(case.mixture), references=None, estimates=None)


def last_bit(case: Case, rng: random.Random) -> Case:
    """Samples below the last bit of 16."""
    return case.change(mixture=case.mixture * 1e-6, references=None, estimates=None)


def constant(case: Case, rng: random.Random) -> Case:
    """A constant signal."""
    return case.change(mixture=torch.full_like(case.mixture, 0.1), references=None, estimates=None)


def _empty_reference(gain: float):
    def fault(case: Case, rng: random.Random) -> Case:
        references = case.references.clone()
        references[rng.randrange(2)] *= gain
        return case.change(references=references)

    return fault


def silent_estimates(case: Case, rng: random.Random) -> Case:
    """Outputs of zeros, as of a mixture whose channels cancelled."""
    return case.change(estimates=torch.zeros_like(case.estimates))


def _cut(seconds: float):
    def fault(case: Case, rng: random.Random) -> Case:
        samples = int(8000 * seconds)
        energy = case.mixture.unfold(-1, samples, samples).square().mean(-1)
        start = int(energy.argmax()) * samples
        piece = slice(start, start + samples)
        return case.change(
            mixture=case.mixture[piece].clone(), references=case.references[:, piece].clone(), estimates=None
        )

    return fault


def _long(minutes: float):
    def fault(case: Case, rng: random.Random) -> Case:
        times = round(minutes * 60 * 8000 / len(case.mixture))
        return case.change(mixture=case.mixture.repeat(times), references=None, estimates=None)

    return fault


def _bad(name: str, value: float, share: float):
    def fault(case: Case, rng: random.Random) -> Case:
        signal = getattr(case, name).clone()
        count = max(1, int(share * signal.shape[-1]))
        start = rng.randrange(signal.shape[-1] - count + 1)
        signal[..., start : start + count] = value
        changed = case.change(**{name: signal})
        return changed if name == "estimates" else changed.change(estimates=None)

    return fault


def inverted(case: Case, rng: random.Random) -> Case:
    """Inverted polarity, as of a sound card, a plug-in or a cable."""
    return case.change(mixture=-case.mixture, references=-case.references).with_own_estimates()


def _scaled_encoder(case: Case, gain: float, activation: str | None) -> DPRNNTasNet:
    """The case's model with its encoder's filters times ``gain``, compensated in the decoder."""
    model = DPRNNTasNet(**{**case.model.config, "encoder_activation": activation})
    model.load_state_dict(case.model.state_dict())
    with torch.no_grad():
        model.encoder.filters *= gain
        model.decoder.filters /= gain
    return model.eval()


@torch.no_grad()
def _encoded(case: Case) -> torch.Tensor:
    return case.model.encode(case.mixture[None]).flatten()


def standardised(case: Case, rng: random.Random, strength: float) -> Case:
    """Standardised at inference only: the model was trained on mixtures at their own level.

    The model gets a tanh after its encoder, which changes nothing at small inputs: at the level of training it
    separates as before.
    """
    gain = (0.4 + 0.4 * strength) / float(_encoded(case)[::7].abs().quantile(0.99))
    model = _scaled_encoder(case, gain, "tanh")
    mixture = (case.mixture - case.mixture.mean()) / case.mixture.std()
    return case.change(model=model, checkpoint=None, mixture=mixture).with_own_estimates()


def not_standardised(case: Case, rng: random.Random, strength: float) -> Case:
    """Standardised in training only: the model was trained on mixtures with a standard deviation of one.

    The model gets small filters, so that the EPS in its norms matters at the lower level.
    """
    gain = 10 ** (-0.2 * strength) * 3e-5 / float(_encoded(case).std())
    return case.change(model=_scaled_encoder(case, gain, None), checkpoint=None).with_own_estimates()


FAULTS = {
    "rate-mismatch": {
        "wrong-file": wrong_file,
        "wrong-samples": wrong_samples,
        "unstated": unstated,
        "upsampled": upsampled,
        "fast": fast,
    },
    "channels": {
        "twice": twice,
        "opposite": opposite,
        "transposed": transposed,
        "two-microphones": two_microphones,
        "stereo-file": stereo_file,
    },
    "level": {
        "sixteen-bit": sixteen_bit,
        "faint": faint,
        "clipped": clipped,
        "offset": offset,
        "too-loud": too_loud,
    },
    "silence": {
        "zeros": zeros,
        "last-bit": last_bit,
        "constant": constant,
        "empty-reference": _empty_reference(0.0),
        "faint-reference": _empty_reference(1e-4),
        "silent-estimates": silent_estimates,
    },
    "length": {
        "50-ms": _cut(0.05),
        "100-ms": _cut(0.1),
        "200-ms": _cut(0.2),
        "two-minutes": _long(2),
        "twenty-minutes": _long(20),
    },
    "not-finite": {
        "nan-sample": _bad("mixture", float("nan"), 0.0),
        "inf-sample": _bad("mixture", float("inf"), 0.0),
        "nan-stretch": _bad("mixture", float("nan"), 0.1),
        "nan-reference": _bad("references", float("nan"), 0.05),
        "nan-estimate": _bad("estimates", float("nan"), 0.3),
    },
    "polarity": {"inverted": inverted},
    "train-serve-skew": {"standardised": standardised, "not-standardised": not_standardised},
}
