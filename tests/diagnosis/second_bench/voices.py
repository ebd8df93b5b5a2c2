"""Real voices, mixtures of them, and rooms.

The voices are those of a folder that its user names (`voices.csv` with the columns voice and sex, and a folder of files
for each voice), best such that no bundled network was trained on them; without one, the bundled test voices.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from dprnn_lab import DPRNNTasNet, load_model, separate
from dprnn_lab.audio import audio_files, read_mono, resample
from dprnn_lab.datasets.corpus import data_folder, read_metadata
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr

__all__ = ["RATE", "Separated", "Voices", "in_room", "resampled", "set_snr", "wideband"]

RATE = 8000
LEVEL = 0.05  # RMS of a voice
SEPARATES_DB = 6.0  # SI-SDRi from which a model counts as one that separates a mixture
_PIT = PITLossWrapper(pairwise_neg_sisdr)


@dataclass(frozen=True)
class Separated:
    """A mixture that its model separates well: mixture ``[T]``, sources and estimates ``[S, T]`` in one order."""

    model: DPRNNTasNet
    mixture: torch.Tensor
    sources: torch.Tensor
    estimates: torch.Tensor
    improvement: float  # mean SI-SDRi, dB


class Voices:
    """Voices by name and sex.

    Args:
        folder: of voices that the networks do not know; None for the bundled test voices, which they know.
    """

    def __init__(self, folder: str | Path | None = None):
        self.known = folder is None
        self.files: dict[str, list[Path]] = {}
        self.sex: dict[str, str] = {}
        if folder is None:
            speech = data_folder() / "speech"
            for row in read_metadata(speech):
                if row.split == "test":
                    self.files.setdefault(row.speaker, []).append(speech / row.file)
                    self.sex[row.speaker] = row.sex
        else:
            with open(Path(folder) / "voices.csv", newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    self.files[row["voice"]] = audio_files(Path(folder) / row["voice"])
                    self.sex[row["voice"]] = row["sex"]
        self.names = sorted(self.files)

    def model(self, large: bool = False) -> DPRNNTasNet:
        """The bundled network; a new copy each time."""
        return load_model("large" if large else "small")

    @lru_cache(maxsize=64)  # noqa: B019, one object lives as long as the program
    def talk(self, name: str, seconds: float, start: int = 0) -> torch.Tensor:
        """``[T]`` of one voice: its utterances one after the other from the ``start``-th, RMS of `LEVEL`."""
        files, needed, parts = self.files[name], int(seconds * RATE), []
        index = start % len(files)
        while sum(map(len, parts)) < needed:
            parts.append(read_mono(files[index % len(files)], RATE, resample=True))
            index += 1
        speech = torch.cat(parts)[:needed]
        return speech * (LEVEL / speech.square().mean().sqrt())

    def cast(self, seed: int, count: int = 2) -> list[str]:
        """Different voices, women and men in turn where there are any left."""
        random = torch.Generator().manual_seed(seed)
        order = [self.names[i] for i in torch.randperm(len(self.names), generator=random)]
        by_sex = {sex: [n for n in order if self.sex[n] == sex] for sex in ("f", "m")}
        turn = ["f", "m"] if seed % 2 else ["m", "f"]
        chosen: list[str] = []
        while len(chosen) < count:
            queue = by_sex[turn[len(chosen) % 2]] or by_sex[turn[1 - len(chosen) % 2]]
            chosen.append(queue.pop(0))
        return chosen

    def sources(self, seed: int, seconds: float = 3.0, count: int = 2, level_db: float = 0.0) -> torch.Tensor:
        """``[S, T]``: different voices; the first is ``level_db`` over the others."""
        voices = [
            self.talk(name, seconds, start=seed // 3 + 5 * i) for i, name in enumerate(self.cast(seed, count))
        ]
        sources = torch.stack(voices)
        sources[0] *= 10 ** (level_db / 20)
        return sources * min(1.0, 0.9 / float(max(sources.abs().max(), sources.sum(0).abs().max())))

    @lru_cache(maxsize=64)  # noqa: B019
    def separated(
        self,
        seed: int,
        seconds: float = 3.0,
        level_db: float = 0.0,
        large: bool = False,
        change: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> Separated:
        """The first mixture from a seed on that a network separates well, and what it makes of it.

        Args:
            level_db: of the first voice over the second.
            change: what happens to the sources ``[2, T]`` before they are added: a room, a pause.
        """
        model = self.model(large)
        for attempt in range(60):
            sources = self.sources(seed + attempt, seconds, level_db=level_db)
            found = _separate(model, sources if change is None else change(sources))
            if found.improvement >= SEPARATES_DB:
                return found
        raise LookupError(f"no mixture from seed {seed} on is separated by {SEPARATES_DB} dB")

    def strange(self, seed: int, seconds: float = 3.0) -> Separated:
        """The first clean mixture from a seed on that the bundled network does not separate (under 2 dB).

        Of the bundled voices it knows all: there they are made to speak half as fast again, as small voices do.
        """
        model = load_model("small")
        for attempt in range(60):
            if self.known:
                slow = self.sources(seed + attempt, 1.5 * seconds)
                sources = resampled(slow, 3 * RATE // 2, RATE)[:, : int(seconds * RATE)]
            else:
                sources = self.sources(seed + attempt, seconds)
            found = _separate(model, sources)
            if found.improvement < 2:
                return found
        raise LookupError(f"every mixture from seed {seed} on is separated")


def _separate(model: DPRNNTasNet, sources: torch.Tensor) -> Separated:
    mixture = sources.sum(0)
    estimates = separate(model, mixture.numpy(), RATE)
    ordered = _PIT(estimates[None], sources[None], return_est=True)[1][0]
    gain = float((si_sdr(ordered, sources) - si_sdr(mixture, sources)).mean())
    return Separated(model, mixture, sources, ordered, gain)


def resampled(signal: torch.Tensor, from_rate: int, to_rate: int) -> torch.Tensor:
    """``[..., T]`` at another rate, properly."""
    return resample(signal, from_rate, to_rate)


def wideband(signal: torch.Tensor, seed: int) -> torch.Tensor:
    """``[..., T]`` of 8 kHz at 16 kHz, with breath above 4 kHz that follows the voice, 28 dB under it."""
    voice = resample(signal, RATE, 2 * RATE)
    noise = torch.randn(voice.shape, generator=torch.Generator().manual_seed(seed))
    spectrum = torch.fft.rfft(noise)
    spectrum[..., : spectrum.shape[-1] // 2] = 0
    high = torch.fft.irfft(spectrum, voice.shape[-1])
    padded = torch.nn.functional.pad(
        voice.abs().reshape(-1, 1, voice.shape[-1]), (256, 256), mode="replicate"
    )
    breath = high * torch.nn.functional.avg_pool1d(padded, 513, stride=1).reshape(voice.shape)
    return voice + torch.stack(
        [
            set_snr(v, b, 28.0)
            for v, b in zip(voice.reshape(-1, voice.shape[-1]), breath.flatten(0, -2), strict=True)
        ]
    ).reshape(voice.shape)


def set_snr(signal: torch.Tensor, noise: torch.Tensor, snr_db: float) -> torch.Tensor:
    """The noise at a level under the signal."""
    gain = signal.square().mean().sqrt() / noise.square().mean().sqrt() * 10 ** (-snr_db / 20)
    return noise * gain


def in_room(sources: torch.Tensor, rt60: float, seed: int, microphones: int = 1) -> torch.Tensor:
    """``[S, microphones, T]``: each source at a place of its own in one room, at the sources' levels."""
    import numpy as np
    import pyroomacoustics as pra

    random = np.random.default_rng(seed)
    size = random.uniform([5, 4, 2.6], [8, 6, 3.2])
    absorption, order = pra.inverse_sabine(rt60, size)
    centre = size * [0.5, 0.45, 0.45]
    heard = []
    for i, source in enumerate(sources):
        room = pra.ShoeBox(
            size, fs=RATE, materials=pra.Material(absorption), max_order=min(order, 25), air_absorption=False
        )
        angle = 2 * np.pi * (i / len(sources) + random.uniform(0, 0.2))
        room.add_source(centre + 1.3 * np.array([np.cos(angle), np.sin(angle), 0.15]))
        places = np.stack([centre + np.array([0.05 * m, 0, 0]) for m in range(microphones)], axis=1)
        room.add_microphone_array(places)
        room.compute_rir()
        channels = []
        for m in range(microphones):
            response = torch.as_tensor(room.rir[m][0], dtype=torch.float32)
            n = len(source) + len(response)
            wet = torch.fft.irfft(torch.fft.rfft(source, n) * torch.fft.rfft(response, n), n)[: len(source)]
            channels.append(wet)
        wet = torch.stack(channels)
        heard.append(wet * (source.square().mean().sqrt() / wet[0].square().mean().sqrt()))
    return torch.stack(heard)
