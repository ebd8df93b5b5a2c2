"""Group B on purpose: a network with other settings than in training, or used on an unsuitable recording.

Notebook: 06_failures_at_inference
"""

import random

import torch
from torch.nn import functional as F

from ..audio import resample
from ..checkpoint import save_asteroid
from ..checkpoint.asteroid import to_asteroid
from ..datasets.corpus import SpeechCorpus
from ..diagnosis.checks.config import rebuild
from .case import Case

__all__ = ["FAULTS"]


def _with_model_args(case: Case, **arguments) -> Case:
    """An Asteroid package whose ``model_args`` contradict its weights."""
    path = case.file("best_model.pth")
    save_asteroid(case.model, path)
    package = torch.load(path, weights_only=True)
    package["model_args"].update(arguments)
    torch.save(package, path)
    return case.change(model=None, checkpoint=path, estimates=None)


def _wrong_argument(name: str, value, given: bool):
    def fault(case: Case, rng: random.Random) -> Case:
        if given:
            return case.change(model=None, config={name: value}, estimates=None)
        return _with_model_args(case, **{name: value})

    return fault


def _other_setting(how: str, **settings):
    """A setting that no shape reveals: of a live model, in a package, or given on loading a bare state dict."""

    def fault(case: Case, rng: random.Random) -> Case:
        kernel = case.model.config["kernel_size"]
        values = {k: v(kernel) if callable(v) else v for k, v in settings.items()}
        if how == "live":
            return case.change(model=rebuild(case.model, **values), checkpoint=None).with_own_estimates()
        config = rebuild(case.model, **values).config
        if how == "package":
            return _with_model_args(
                case, **{k: config[k] for k in (*values, "hop_size")}
            ).with_own_estimates()
        path = case.file("weights.pth")
        torch.save(to_asteroid(case.model.state_dict()), path)
        return case.change(model=None, checkpoint=path, config=config).with_own_estimates()

    return fault


def three_voices(case: Case, rng: random.Random) -> Case:
    """A third person in the recording; three references."""
    third = _segment(case, rng)
    sources = torch.cat((case.truth, third[None] * case.truth.norm(dim=-1).mean() / third.norm()))
    mixture = sources.sum(0)
    return case.change(mixture=mixture, references=sources).with_own_estimates()


def three_stated(case: Case, rng: random.Random) -> Case:
    """A third person in the recording; no references, but the user states three speakers."""
    return three_voices(case, rng).change(references=None, speakers=3)


def one_voice(case: Case, rng: random.Random) -> Case:
    """One person alone; the reference is known."""
    which = rng.randrange(2)
    source = case.truth[which : which + 1]
    return case.change(mixture=source[0].clone(), references=source.clone()).with_own_estimates()


def one_stated(case: Case, rng: random.Random) -> Case:
    """One person alone; no references, but the user states one speaker."""
    return one_voice(case, rng).change(references=None, speakers=1)


def _segment(case: Case, rng: random.Random) -> torch.Tensor:
    """Another voice of the test split, as long as the mixture."""
    corpus = SpeechCorpus("test", min_seconds=5.0)
    others = [u for u in corpus.utterances if u.speaker not in case.voices and u.speaker != "menardi"]
    return corpus.load(rng.choice(others))[4000:][: case.truth.shape[-1]]


def _noise(case: Case, rng: random.Random) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    return torch.randn(case.truth.shape[-1], generator=generator)


def _add(case: Case, noise: torch.Tensor, snr_db: float) -> Case:
    """The mixture with noise at an SNR in dB."""
    noise = noise * (case.mixture.norm() / noise.norm()) * 10 ** (-snr_db / 20)
    return case.change(mixture=case.mixture + noise).with_own_estimates()


def white_noise(case: Case, rng: random.Random, strength: float) -> Case:
    """Hiss as loud as the voices."""
    return _add(case, _noise(case, rng), 2 - 10 * strength)


def rumble(case: Case, rng: random.Random, strength: float) -> Case:
    """Pink noise, as of a train or a fan, louder than the voices."""
    spectrum = torch.fft.rfft(_noise(case, rng))
    spectrum = spectrum / torch.arange(1, len(spectrum) + 1).sqrt()
    spectrum[: int(30 * case.truth.shape[-1] / 8000)] = 0  # below 30 Hz, where microphones stop
    return _add(case, torch.fft.irfft(spectrum, case.truth.shape[-1]), 0 - 10 * strength)


def hall(case: Case, rng: random.Random, strength: float) -> Case:
    """A large hall with a distant microphone: reverberation over seconds, and hardly any direct sound."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    samples = int(8000 * (1.5 + strength))
    echoes = torch.randn(2, samples, generator=generator) * torch.exp(-6.9 * torch.arange(samples) / samples)
    echoes = echoes / echoes.norm(dim=-1, keepdim=True)
    echoes[:, 0] += 0.1  # the direct sound, 20 dB under the echo
    wet = F.conv1d(F.pad(case.truth[None], (samples - 1, 0)), echoes.flip(-1)[:, None], groups=2)[0]
    return case.change(mixture=wet.sum(0)).with_own_estimates()


def radio(case: Case, rng: random.Random, strength: float) -> Case:
    """A bad radio link: a narrow band, with noise."""
    spectrum = torch.fft.rfft(case.mixture)
    hertz = torch.fft.rfftfreq(len(case.mixture), 1 / 8000)
    narrow = torch.fft.irfft(spectrum * ((hertz > 900) & (hertz < 2600)), len(case.mixture))
    return _add(case.change(mixture=narrow), _noise(case, rng), 6 - 10 * strength)


def crowd(case: Case, rng: random.Random, strength: float) -> Case:
    """A room full of people: six more voices, together as loud as the two."""
    noise = sum(s / s.norm() for s in (_segment(case, rng) for _ in range(6)))
    return _add(case, noise, -2 - 4 * strength)


def _strange(*changes: tuple[float, float]):
    """Both voices at another speed, and all frequencies moved by some Hz: people whom nobody was trained on.

    The two changes together can't be undone by another sample rate.
    """

    def fault(case: Case, rng: random.Random) -> Case:
        voices = torch.stack([_moved(x, *change) for x, change in zip(case.truth, changes, strict=True)])
        voices *= 0.4 / voices.abs().max()
        references = None if rng.random() < 0.5 else voices
        changed = case.change(mixture=voices.sum(0), references=references, truth=voices)
        return changed.with_own_estimates()

    return fault


def _moved(voice: torch.Tensor, speed: float, hertz: float) -> torch.Tensor:
    """A voice ``[T]`` that is faster by a factor, repeated to its length, with every frequency higher by ``hertz``."""
    fast = resample(voice, 1000, round(1000 / speed)) if speed != 1 else voice
    fast = fast.repeat(-(-len(voice) // len(fast)))[: len(voice)]
    spectrum = torch.fft.fft(fast)
    spectrum[len(fast) // 2 :] = 0  # positive frequencies only
    turn = torch.exp(2j * torch.pi * hertz / 8000 * torch.arange(len(fast), dtype=torch.float64))
    return (2 * torch.fft.ifft(spectrum) * turn).real.float()


FAULTS = {
    "config-shape": {
        "bottleneck-given": _wrong_argument("bn_chan", 128, given=True),
        "three-sources-in-file": _wrong_argument("n_src", 3, given=False),
        "hidden-in-file": _wrong_argument("hid_size", 96, given=False),
        "repeats-given": _wrong_argument("n_repeats", 6, given=True),
        "rnn-in-file": _wrong_argument("rnn_type", "GRU", given=False),
        "kernel-given": _wrong_argument("kernel_size", 20, given=True),
    },
    "config-silent": {
        "stride-doubled": _other_setting("live", stride=lambda kernel: kernel),
        "mask-relu": _other_setting("package", mask_act="relu"),
        "norm-cln": _other_setting("given", norm_type="cLN"),
        "encoder-relu": _other_setting("live", encoder_activation="relu"),
        "mask-tanh": _other_setting("given", mask_act="tanh"),
        "stride-halved": _other_setting("package", stride=lambda kernel: kernel // 4),
    },
    "sources-count": {
        "three-voices": three_voices,
        "one-voice": one_voice,
        "three-stated": three_stated,
        "one-stated": one_stated,
    },
    "domain-mismatch": {
        "white-noise": white_noise,
        "rumble": rumble,
        "hall": hall,
        "radio": radio,
        "crowd": crowd,
    },
    "unseen-speakers": {
        "high": _strange((1.3, 150), (1.25, 150)),
        "low": _strange((0.7, 120), (0.75, 120)),
        "dull": _strange((1.0, -90), (1.0, -60)),
    },
}
