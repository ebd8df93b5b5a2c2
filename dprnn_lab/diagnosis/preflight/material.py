"""The data of a preflight: a batch, whatever the user has, and a way to read more of it.

Notebook: 05_training
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ...audio import SAMPLE_RATE, resample, rms
from ...datasets.corpus import SpeechCorpus
from ...datasets.dynamic_mixing import DynamicMixing

__all__ = ["BundledMixtures", "Material", "read_material"]

RMS = 0.05  # of a bundled source
VOICE_SECONDS = 120.0  # of each bundled voice
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Material:
    """A batch ``mixtures [B, T]``, ``sources [B, S, T]``, and a function that reads batches one after another."""

    mixtures: torch.Tensor
    sources: torch.Tensor
    read: Callable[[], Iterator[Any]] | None  # None if one batch is all there is
    generators: tuple[torch.Generator, ...] = ()  # random state that reading changes

    @property
    def n_src(self) -> int:
        """S."""
        return self.sources.shape[1]


class BundledMixtures(Dataset):
    """Mixtures ``[T]`` of 1 to 4 bundled voices ``[S, T]``; a single voice gets white noise 10 dB below it."""

    def __init__(self, n_src: int, samples: int, sample_rate: float, seed: int = 0, size: int = 10_000):
        self.voices = list(_voices(SpeechCorpus("train"), sample_rate).values())
        if not 1 <= n_src <= len(self.voices):
            raise ValueError(
                f"the model has {n_src} outputs, and there are {len(self.voices)} bundled voices: "
                "give data, a batch (mixtures [B, T], sources [B, S, T])"
            )
        self.n_src, self.samples, self.seed, self.size = n_src, samples, seed, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng((self.seed, index))
        names = rng.permutation(len(self.voices))[: self.n_src]
        sources = torch.stack([self._segment(self.voices[i], rng) for i in names])
        mixture = sources.sum(0)
        if self.n_src == 1:
            noise = torch.from_numpy(rng.standard_normal(self.samples)).float()
            mixture = mixture + noise * RMS * 10 ** (-10 / 20)
        return mixture, sources

    def _segment(self, voice: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """The loudest of a few random segments, at the common level: speech has pauses."""
        starts = rng.integers(0, max(1, len(voice) - self.samples), 4)
        segment = max((voice[s : s + self.samples] for s in starts), key=lambda s: float(rms(s)))
        return segment * (RMS / max(float(rms(segment)), 1e-6))


def read_material(
    data: Any, n_src: int, sample_rate: float, batch: int = 4, seconds: float = 1.0, seed: int = 0
) -> Material:
    """The first batch of ``data``, and how to read more.

    Args:
        data: None for the bundled voices; a batch ``(mixtures [B, T] or [B, 1, T], sources [B, S, T])`` of tensors or
            arrays; a dataset of items ``(mixture [T], sources [S, T], ...)``; a ``DataLoader``, a list of batches or
            :class:`dprnn_lab.training.MixingData`.
        n_src: outputs of the model, for the bundled voices.
        sample_rate: of the model, in Hz, for the bundled voices.

    Raises:
        TypeError, ValueError: data of another kind or shape, or without content.
    """
    if data is None:
        data = _bundled(n_src, round(seconds * sample_rate), sample_rate, seed)
    if isinstance(data, tuple | list) and len(data) == 2 and all(map(_is_array, data)):
        return Material(*_as_batch(data), None)
    if isinstance(data, Iterator):
        raise TypeError(
            f"data is a {type(data).__name__}, an iterator: reading from it would take batches from the training; give "
            "the DataLoader itself or a batch"
        )
    loader = _loader(data, batch)
    generators = tuple(
        g
        for g in (
            getattr(loader, "generator", None),
            getattr(getattr(loader, "sampler", None), "generator", None),
        )
        if isinstance(g, torch.Generator)
    )
    return Material(torch.empty(0), torch.empty(0, 0, 0), lambda: iter(loader), generators)


def fill(material: Material) -> None:
    """Read the first batch, inside the block that puts the random state back."""
    if material.read is None or len(material.mixtures):
        return
    for first in material.read():
        material.mixtures, material.sources = _as_batch(first)
        return
    raise ValueError("data gives no batch: give a DataLoader with at least one, or a batch")


def _voices(corpus: SpeechCorpus, sample_rate: float) -> dict[str, torch.Tensor]:
    """The first minutes of each voice, resampled: for all of it that takes longer than the checks."""
    samples = round(VOICE_SECONDS * SAMPLE_RATE)
    return {name: resample(v[:samples], SAMPLE_RATE, sample_rate) for name, v in corpus.voices().items()}


def _bundled(n_src: int, samples: int, sample_rate: float, seed: int) -> Dataset:
    if n_src == 2:  # as dprnn-lab train mixes
        corpus = SpeechCorpus("train")
        return DynamicMixing(
            _voices(corpus, sample_rate), corpus.speakers, samples=samples, size=10_000, seed=seed
        )
    return BundledMixtures(n_src, samples, sample_rate, seed)


def _loader(data: Any, batch: int) -> Iterable:
    if hasattr(data, "train") and hasattr(
        data, "batch_size"
    ):  # MixingData: its own loader asks for a trainer
        return DataLoader(data.train, data.batch_size, drop_last=True, num_workers=data.workers)
    if isinstance(data, DataLoader):
        return data
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        return DataLoader(data, batch, collate_fn=_stack)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | dict):
        return data
    raise TypeError(
        f"data is {type(data).__name__}: give a batch (mixtures [B, T], sources [B, S, T]), a dataset or a DataLoader"
    )


def _stack(items: Sequence) -> Batch:
    return torch.stack([torch.as_tensor(i[0]) for i in items]), torch.stack(
        [torch.as_tensor(i[1]) for i in items]
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray)


def _as_batch(data: Any) -> Batch:
    """Mixtures ``[B, T]`` and sources ``[B, S, T]``, copies that no graph and no inference mode holds."""
    if not isinstance(data, tuple | list) or len(data) < 2 or not all(map(_is_array, data[:2])):
        raise TypeError(
            f"a batch is {type(data).__name__}: expected (mixtures [B, T], sources [B, S, T]) as tensors or arrays"
        )
    mixtures, sources = (torch.as_tensor(part).detach().clone() for part in data[:2])
    if mixtures.dim() == 3 and mixtures.shape[1] == 1:
        mixtures = mixtures[:, 0]
    if sources.dim() == 2 and mixtures.dim() == 2:
        sources = sources.unsqueeze(1)
    fits = mixtures.dim() == 2 and sources.dim() == 3 and len(mixtures) == len(sources) and mixtures.numel()
    if not fits or mixtures.shape[-1] != sources.shape[-1]:
        raise ValueError(
            f"mixtures have shape {list(mixtures.shape)} and sources {list(sources.shape)}: expected [B, T] and "
            "[B, S, T] with the same B and T"
        )
    return mixtures, sources
