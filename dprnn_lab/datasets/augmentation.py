"""Noise and reverberation for dynamic mixing, which recordings have and clean mixtures lack.

Noise is added to the mixture and the sources stay clean, mixture = sources + noise, as in WHAM! (Wichern et al., 2019,
arXiv 1907.01160); the network has to remove it. Reverberation is different: the *reverberant* sources are the
targets, as in the separation task of WHAMR! (Maciejewski et al., 2020, arXiv 1910.10279), and they still sum to the
mixture. Dereverberation would be another task.

Notebook: 04_data
"""

import os
from collections.abc import Mapping
from numbers import Real
from pathlib import Path

import numpy as np
import torch

from ..audio import (
    PEAK,
    SAMPLE_RATE,
    AudioError,
    audio_info,
    check_format,
    folder_content,
    peak,
    rate_ratio,
    rms,
    unread_text,
)
from ..error_texts import printable
from .folder_voice import FolderUtterance, FolderVoice
from .notes import SKIP_BAD, note
from .sound_places import Sliced, places_with_sound, start_at

__all__ = ["GENERATED", "Noise", "Rooms", "add_noise", "reverberate"]

GENERATED = ("white", "pink", "babble")
NOISE_BLOCK = 800  # samples, of which one must have sound
AUDIBLE = 1e-9  # RMS of a block with sound: noise is scaled to its level, so it may be recorded at any
TALKERS = 8  # segments of speech in babble: too many to be intelligible


class Noise:
    """A source of noise, and its level.

    Args:
        source: "white" (equal power at every frequency), "pink" (equal power in every octave), "babble" (the
            sum of eight segments of the voices that are mixed), or a folder of .wav and .flac files, subfolders
            included.
        snr_db: lowest and highest level of the louder source over the noise, in dB; drawn uniformly.
        share: of the mixtures that get noise, 0 to 1.
        sample_rate: Hz, that noise files must have.
        resample: convert noise files at another rate.
        skip_bad: leave out noise files that can't be used. Every file is read once for that, at the start.

    Attributes:
        left_out: (file, reason) of the files that ``skip_bad`` left out.
        notes: remarks, which are warnings too: files that are not read.

    Raises:
        ValueError: an unknown source, an invalid range or share.
        FileNotFoundError: a folder without audio files.
        AudioError: a noise file that can't be used, or is silent.
    """

    def __init__(
        self,
        source: str | os.PathLike = "babble",
        snr_db: tuple[float, float] = (0.0, 20.0),
        share: float = 1.0,
        sample_rate: float = SAMPLE_RATE,
        *,
        resample: bool = False,
        skip_bad: bool = False,
    ) -> None:
        self.source, self.snr_db, self.share = source, check_range("snr_db", snr_db), check_share(share)
        self.sample_rate, self.resample = sample_rate, resample
        self.files: list[Path] = []
        self.lengths: list[int] = []  # samples at sample_rate
        self.left_out: list[tuple[Path, str]] = []
        self.notes: list[str] = []
        self._places: dict[Path, np.ndarray] = {}
        if source in GENERATED:
            return
        folder = Path(source)
        if not folder.is_dir():
            raise ValueError(
                f"noise is {printable(str(source))!r}: choose {', '.join(GENERATED)}, or give a folder of noise files "
                "that exists"
            )
        content = folder_content(folder, recursive=True)
        if content.unread:
            note(self.notes, f"{folder}: {unread_text(content.unread)}")
        if not content.audio:
            also = f"; {unread_text(content.unread)}" if content.unread else ""
            raise FileNotFoundError(
                f"{printable(folder)} holds no .wav or .flac file: give a folder with noise in it{also}"
            )
        for file in content.audio:
            try:
                length = self._checked_length(file, skip_bad)
                self.files.append(file)
                self.lengths.append(length)
            except AudioError as error:
                if not skip_bad:
                    raise AudioError(f"{error}{SKIP_BAD}") from error
                self.left_out.append((file, str(error).removesuffix(SKIP_BAD)))
        if not self.files:
            raise ValueError(
                f"{printable(folder)}: none of its {len(self.left_out)} files can be used, the first because: "
                f"{self.left_out[0][1]}"
            )

    def _checked_length(self, file: Path, whole: bool) -> int:
        """Samples of a file that has sound and suits; ``whole``: and can be read to its end."""
        frames, rate, channels, _ = audio_info(file)
        check_format(file, channels, rate, self.sample_rate, self.resample)
        old, new = rate_ratio(rate, self.sample_rate)
        voice = self._recording(file, -(-frames * new // old))
        if not frames or not len(places_with_sound(voice, NOISE_BLOCK, first_only=not whole, least=AUDIBLE)):
            raise AudioError(f"{file}: it is silent from beginning to end; take it out of the noise")
        return len(voice)

    def _recording(self, file: Path, length: int) -> FolderVoice:
        """A file as a signal of which parts are read."""
        return FolderVoice([FolderUtterance(file, "", "", length)], self.sample_rate, self.resample)

    def draw(
        self, samples: int, rng: np.random.Generator, voices: Mapping[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Noise ``[T]`` at an arbitrary level.

        Args:
            samples: T.
            rng: of everything random here.
            voices: speaker to waveform, for babble.
        """
        if self.source == "white":
            return torch.from_numpy(rng.standard_normal(samples, dtype=np.float32))
        if self.source == "pink":
            spectrum = np.fft.rfft(rng.standard_normal(samples))
            spectrum[0] = 0
            spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
            return torch.from_numpy(np.fft.irfft(spectrum, samples).astype(np.float32))
        if self.source == "babble":
            return _babble(samples, rng, voices)
        index = int(rng.integers(len(self.files)))
        file, length = self.files[index], self.lengths[index]
        noise: Sliced = self._recording(file, length)
        if length < samples:
            noise = noise[0:length].repeat(-(-samples // length))  # a short recording is looped
        for _ in range(10):
            start = int(rng.integers(len(noise) - samples + 1))
            part = noise[start : start + samples]
            if part.any():
                return part
        if file not in self._places:  # ten places in digital silence: read where there is sound
            self._places[file] = places_with_sound(noise, min(NOISE_BLOCK, samples), least=AUDIBLE)
        return _with_sound(noise, samples, rng, self._places[file])


def _babble(
    samples: int, rng: np.random.Generator, voices: Mapping[str, torch.Tensor] | None
) -> torch.Tensor:
    if not voices:
        raise ValueError(
            "babble is made of voices, and there are none: give voices, or choose white or pink noise"
        )
    names = sorted(voices)
    total = torch.zeros(samples)
    for _ in range(TALKERS):
        voice = voices[names[rng.integers(len(names))]]
        start = int(rng.integers(len(voice) - samples + 1))
        talker = voice[start : start + samples]
        total += talker / rms(talker).clamp(min=1e-4)
    if not total.any():  # all eight in digital silence
        voice = voices[names[rng.integers(len(names))]]
        total = _with_sound(voice, samples, rng, places_with_sound(voice, max(1, samples // 4)))
    return total


def _with_sound(
    recording: Sliced, samples: int, rng: np.random.Generator, places: np.ndarray
) -> torch.Tensor:
    """A random segment of a recording that holds one of the places with sound."""
    place = int(places[rng.integers(len(places))])
    start = start_at(place, min(NOISE_BLOCK, samples), samples, len(recording), rng)
    return recording[start : start + samples]


def add_noise(sources: torch.Tensor, noise: torch.Tensor, snr_db: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Add noise to a mixture.

    Args:
        sources: ``[S, T]``.
        noise: ``[T]``, at any level.
        snr_db: of the loudest source over the noise (RMS), in dB.

    Returns:
        The noisy mixture ``[T]`` and the clean sources ``[S, T]``, both scaled down together where one of them
        would clip; mixture minus sources is the noise.

    Raises:
        ValueError: shapes that do not match, or noise that is silent or not finite.
    """
    if sources.dim() != 2 or noise.shape != sources.shape[1:]:
        raise ValueError(
            f"sources have shape {list(sources.shape)} and noise {list(noise.shape)}, expected [S, T] and [T]"
        )
    level = rms(noise)
    if not level.isfinite() or level == 0:
        raise ValueError(f"the noise is silent or not finite (RMS {float(level):g}): its level can't be set")
    loudest = sources.square().mean(-1).max().sqrt()
    mixture = sources.sum(0) + noise * (loudest / level * 10 ** (-snr_db / 20))
    largest = max(peak(mixture), peak(sources))
    gain = min(1.0, PEAK / largest) if largest > 0 else 1.0
    return mixture * gain, sources * gain


class Rooms:
    """A few simulated rooms, each with a microphone and two speakers; every mixture is set in one of them.

    The impulse responses are computed once, by pyroomacoustics' image source method (Scheibler et al., 2018,
    arXiv 1710.04196; Allen and Berkley, 1979): seconds for short reverberation, half a minute for RT60 of 1 s. A
    new room for every mixture would take longer than the training.

    Args:
        rt60: shortest and longest reverberation time in seconds, from which the walls' absorption follows by Sabine's
            formula. It assumes a diffuse field; box-shaped rooms with hard walls reverberate longer.
        count: number of rooms.
        share: of the mixtures that are set in a room, 0 to 1.
        sample_rate: Hz, of the voices.
        seed: of sizes, positions and reverberation times.

    Attributes:
        responses: for each room two impulse responses ``[T]``. The direct sound, of amplitude about 1, is at
            sample ``delay``.
        times: for each room the reverberation time measured from its responses, in seconds.

    Raises:
        ImportError: pyroomacoustics is not installed.
        ValueError: an invalid range, count or share.
    """

    def __init__(
        self,
        rt60: tuple[float, float] = (0.2, 0.5),
        count: int = 16,
        share: float = 1.0,
        sample_rate: float = SAMPLE_RATE,
        seed: int = 0,
    ) -> None:
        low, high = check_range("rt60", rt60)
        if low < 0.15 or high > 1.0:
            raise ValueError(
                f"rt60 is {rt60}: give reverberation times from 0.15 s (a furnished room) to 1.0 s (a bare hall)"
            )
        if count < 1:
            raise ValueError(f"count is {count}: give at least one room")
        self.rt60, self.share, self.sample_rate = (low, high), check_share(share), sample_rate
        rng = np.random.default_rng(seed)
        rooms = [_simulate(rng, low, high, sample_rate) for _ in range(count)]
        self.times, self.responses = (list(column) for column in zip(*rooms, strict=True))
        self.delay = DELAY

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """The two impulse responses of a random room, in random order."""
        pair = self.responses[rng.integers(len(self.responses))]
        first = int(rng.integers(2))
        return pair[first], pair[1 - first]


DELAY = 40  # samples: half of pyroomacoustics' fractional-delay filter, which begins before the direct sound


def _simulate(
    rng: np.random.Generator, low: float, high: float, sample_rate: float
) -> tuple[float, tuple[torch.Tensor, ...]]:
    """One room: its measured reverberation time (s) and two responses."""
    try:
        import pyroomacoustics as pra
    except ImportError as error:
        raise ImportError(
            'rooms are simulated by pyroomacoustics, which is not installed: pip install "dprnn-lab[augment]", or '
            "pip install pyroomacoustics"
        ) from error
    time = float(rng.uniform(low, high))
    size = rng.uniform((3.0, 3.0, 2.4), (7.0, 6.0, 3.2))
    absorption, order = pra.inverse_sabine(time, size)
    room = pra.ShoeBox(size, fs=sample_rate, materials=pra.Material(absorption), max_order=order)
    microphone = np.append(size[:2] / 2 + rng.uniform(-0.3, 0.3, 2), 1.2)
    distances = rng.uniform(0.4, 1.0, 2)
    angle = rng.uniform(0, 2 * np.pi)
    # Two people from 60 to 180 degrees apart.
    angles = angle, angle + rng.uniform(np.pi / 3, np.pi)
    for distance, angle in zip(distances, angles, strict=True):
        room.add_source(microphone + distance * np.array([np.cos(angle), np.sin(angle), rng.uniform(0, 0.3)]))
    room.add_microphone(microphone)
    room.compute_rir()
    responses = []
    for source, response in zip(room.sources, room.rir[0], strict=True):
        distance = float(np.linalg.norm(source.position - microphone))
        arrival = round(distance / room.c * sample_rate)
        # The direct sound has an amplitude of 1 / distance.
        responses.append(torch.from_numpy((response[arrival:] * distance).astype(np.float32)))
    measured = np.mean([pra.measure_rt60(response, sample_rate) for response in room.rir[0]])
    return float(measured), tuple(responses)


def reverberate(samples: torch.Tensor, response: torch.Tensor, delay: int = DELAY) -> torch.Tensor:
    """Convolve ``[T]`` with a room's response; length and position of the direct sound stay."""
    import torchaudio.functional  # imported here: it takes 0.1 s

    whole = torchaudio.functional.fftconvolve(samples, response)
    return whole[delay : delay + len(samples)]


def check_range(name: str, values: tuple[float, float]) -> tuple[float, float]:
    """A range as two floats.

    Raises:
        ValueError: not two numbers in ascending order.
    """
    ends = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    numbers = all(isinstance(end, Real) and np.isfinite(end) for end in ends)
    if len(ends) != 2 or not numbers or ends[0] > ends[1]:
        raise ValueError(f"{name} is {values!r}: give the lowest and the highest value, as (low, high)")
    return float(ends[0]), float(ends[1])


def check_share(share: float) -> float:
    """The share; ValueError if it is not from 0 to 1."""
    if not isinstance(share, Real) or not 0 <= share <= 1:
        raise ValueError(f"share is {share!r}: give a share from 0 to 1")
    return float(share)
