"""Making mixtures: two sources at a level, on the fly for training or from a fixed list for evaluation.

In every mixture the sources sum exactly to the mixture: levels are set first, the sum is taken last.

Notebook: 04_data
"""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from torchaudio.transforms import Resample

from .audio import read_audio, resample
from .augmentation import PEAK, Noise, Rooms, add_noise, reverberate
from .pair_kinds import PAIR_KINDS, pair_kind, pairs_by_kind
from .segment_lengths import SegmentLengths
from .speech import SAMPLE_RATE, UNSEEN_SPEAKER, SpeechCorpus, data_folder

__all__ = [
    "PAIR_KINDS",
    "mix",
    "pair_kind",
    "MixtureSpec",
    "FixedMixtures",
    "DynamicMixing",
    "change_speed",
    "segment_length",
]

RMS = 0.05  # of the louder source before the peak is looked at: -26 dBFS, a usual speech level


def mix(
    first: torch.Tensor, second: torch.Tensor, level_db: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix two sources so that the first is ``level_db`` dB over the second (RMS).

    Shape:
        - first, second: ``[T]``
        - output: mixture ``[T]``, sources ``[2, T]`` with ``sources.sum(0)`` equal to the mixture

    Raises:
        ValueError: different lengths, or a source that is silent or not finite: its level can't be set.

    >>> mixture, sources = mix(torch.randn(8000), torch.randn(8000), level_db=2.5)
    >>> torch.equal(mixture, sources.sum(0))
    True
    """
    if first.shape != second.shape or first.dim() != 1 or not len(first):
        raise ValueError(
            f"sources have shapes {list(first.shape)} and {list(second.shape)}, expected two equal [T]"
        )
    rms = torch.stack((first, second)).square().mean(-1).sqrt()
    if not rms.isfinite().all() or rms.min() < 1e-5:
        raise ValueError(
            f"a source is silent or not finite (RMS {rms.tolist()}): its level can't be set, choose another segment"
        )
    gains = RMS / rms * torch.tensor([10 ** (level_db / 40), 10 ** (-level_db / 40)])
    sources = torch.stack((first, second)) * gains.unsqueeze(-1)
    sources = under_peak(sources)
    return sources.sum(0), sources


def under_peak(sources: torch.Tensor) -> torch.Tensor:
    """Sources ``[S, T]``, turned down together where one of them or their sum is over :data:`PEAK`."""
    loudest = max(sources.sum(0).abs().max(), sources.abs().max())
    return sources * (PEAK / loudest) if loudest > PEAK else sources


@dataclass(frozen=True)
class MixtureSpec:
    """One row of a mixture list: which samples of which utterances, at which level."""

    id: str
    kind: str
    first: str  # file, relative to the corpus folder
    first_offset: int  # samples
    second: str
    second_offset: int
    level_db: float  # of the first over the second
    samples: int
    sample_rate: float = SAMPLE_RATE  # Hz, of the item; offsets and samples count at the recordings' own


class FixedMixtures(Dataset):
    """The mixtures of a list such as ``data/mixtures/test.csv``: the same for every number in the course.

    Item ``i`` is ``(mixture [T], sources [2, T], spec)``.

    Args:
        name: "test" or "valid", or the path of a CSV file.
        kind: only this pair kind.
        limit: only the first so many *of each kind*.
        sample_rate: Hz that the sources are resampled to, for a model at another rate; nothing is over 4 kHz in them.

    Raises:
        FileNotFoundError, ValueError: no such list, no mixture of that kind.
    """

    def __init__(
        self,
        name: str | Path = "test",
        kind: str | None = None,
        limit: int | None = None,
        sample_rate: float = SAMPLE_RATE,
    ):
        path = Path(name) if Path(name).suffix else data_folder() / "mixtures" / f"{name}.csv"
        if not path.is_file():
            raise FileNotFoundError(f"no mixture list {path}: use 'test', 'valid' or the path of a CSV file")
        with path.open(newline="", encoding="utf-8") as file:
            specs = [replace(_parse_spec(row), sample_rate=sample_rate) for row in csv.DictReader(file)]
        kinds = list(dict.fromkeys(s.kind for s in specs))
        if kind is not None and kind not in kinds:
            raise ValueError(f"kind is {kind!r}: {path.name} has {', '.join(kinds)}")
        kinds = [kind] if kind else kinds
        self.specs = [s for k in kinds for s in [s for s in specs if s.kind == k][:limit]]
        self.folder = data_folder() / "speech"

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, MixtureSpec]:
        spec = self.specs[index]
        first = _read(self.folder / spec.first)[spec.first_offset :][: spec.samples]
        second = _read(self.folder / spec.second)[spec.second_offset :][: spec.samples]
        mixture, sources = mix(first, second, spec.level_db)
        if spec.sample_rate != SAMPLE_RATE:
            sources = resample(sources, SAMPLE_RATE, spec.sample_rate)
            mixture = sources.sum(0)
        return mixture, sources, spec


def _parse_spec(row: dict) -> MixtureSpec:
    columns = [name for name in MixtureSpec.__dataclass_fields__ if name != "sample_rate"]
    if sorted(row) != sorted(columns):
        raise ValueError(f"a mixture list has the columns {', '.join(row)}, expected {', '.join(columns)}")
    integers = {k: int(row[k]) for k in ("first_offset", "second_offset", "samples")}
    return MixtureSpec(**{**row, **integers, "level_db": float(row["level_db"])})


@lru_cache(maxsize=64)
def _read(path: Path) -> torch.Tensor:
    return read_audio(path)[0][0]


@lru_cache
def _speed_changer(percent: int) -> Resample:
    return Resample(percent, 100)


class DynamicMixing(Dataset):
    """Endless new mixtures: each epoch pairs other segments, speakers, levels and speeds.

    Item ``i`` of an epoch depends on (seed, epoch, i) alone. Workers and ranks read disjoint items, so they
    draw disjoint mixtures, and a resumed run continues with the mixtures it would have seen.

    Args:
        voices: speaker to waveform ``[T]`` (:meth:`SpeechCorpus.voices`), or to what can be cut like one
            (:class:`FolderVoice <dprnn_lab.speaker_folders.FolderVoice>`).
        sexes: speaker to "f", "m" or None where it is not known; None: no sex is known, and every pair is "any".
        samples: T, length of a mixture; of several, every ``per_step`` mixtures in a row draw one
            (:class:`SegmentLengths <dprnn_lab.segment_lengths.SegmentLengths>`).
        size: mixtures per epoch.
        kinds: weight of each pair kind, as ``{"man-woman": 1.0}``, or a curriculum: a list of
            ``(first epoch, weights)`` in ascending order. None: man-woman and woman-woman alike or, where a sex is
            not known, every pair alike.
        pair_weights: ``{("ivrvoice", "june"): 4.0}`` draws that pair four times as often as the others of its kind.
        level_db: the first source is uniformly -level_db to +level_db over the second.
        speed_percent: speeds are drawn from 100 - speed_percent to 100 + speed_percent in steps of 5 %.
        flip: turn each source upside down (times -1) half of the time. Nobody hears the difference, and a network
            that has seen both separates a recording with inverted polarity as well.
        unseen: speakers whose pairs with the others are of the kind "seen-unseen", so that fine-tuning can weigh
            them.
        noise: added to the mixtures; the sources stay clean, and the mixture is their sum and the noise.
        rooms: where the mixtures are set; the sources are the reverberant ones, and sum to the mixture.
        per_step: mixtures that are equally long, where there are several lengths.
        seed: of everything random here.

    Shape:
        - item: mixture ``[T]``, sources ``[2, T]``
    """

    def __init__(
        self,
        voices: dict[str, torch.Tensor],
        sexes: Mapping[str, str | None] | None,
        samples: int | Sequence[int] = SAMPLE_RATE,
        size: int = 1000,
        kinds: dict[str, float] | Sequence[tuple[int, dict[str, float]]] | None = None,
        pair_weights: Mapping[tuple[str, str], float] | None = None,
        level_db: float = 2.5,
        speed_percent: int = 0,
        flip: bool = False,
        unseen: Collection[str] = (),
        noise: Noise | None = None,
        rooms: Rooms | None = None,
        per_step: int = 1,
        seed: int = 0,
    ):
        self.voices, self.size = voices, size
        self.lengths = SegmentLengths(samples, per_step, seed)
        self.level_db, self.speed_percent, self.flip, self.seed = level_db, speed_percent, flip, seed
        self.noise, self.rooms = noise, rooms
        self.epoch = 0
        names = sorted(voices)
        sexes = dict.fromkeys(names) if sexes is None else sexes
        unknown = [n for n in names if n not in sexes]
        if unknown:
            raise ValueError(f"the voices {unknown} are not in sexes: give 'f', 'm' or None for each")
        self.pairs = pairs_by_kind({n: sexes[n] for n in names}, unseen)
        if kinds is None and "any" in self.pairs:
            kinds = {kind: float(len(pairs)) for kind, pairs in self.pairs.items()}
        elif kinds is None:
            kinds = {"man-woman": 0.5, "woman-woman": 0.5}
        self.curriculum = [(0, kinds)] if isinstance(kinds, dict) else list(kinds)
        if not self.curriculum or self.curriculum[0][0] > 0:
            raise ValueError(f"kinds are {kinds}: a curriculum needs weights from epoch 0 on")
        for _, weights in self.curriculum:
            if min(weights.values(), default=0) < 0 or sum(weights.values()) <= 0:
                raise ValueError(f"kinds are {kinds}: weights must be 0 or more, and one above 0")
        wanted = {k for _, weights in self.curriculum for k, w in weights.items() if w > 0}
        if wanted - self.pairs.keys():
            raise ValueError(
                f"no pair of kind {sorted(wanted - self.pairs.keys())} among the voices {names}: "
                f"there are {sorted(self.pairs)}"
            )
        self._pair_shares = self._shares(pair_weights or {})
        longest = segment_length(self.lengths.longest, speed_percent)
        short = [n for n in names if len(voices[n]) < longest]
        if short:
            raise ValueError(f"voices {short} are shorter than one segment of {longest} samples")
        self._floor = {n: _rms(v) / 4 for n, v in voices.items()}  # -12 dB

    @classmethod
    def from_corpus(
        cls,
        split: str | Sequence[str] = "train",
        speakers: list[str] | None = None,
        folder: Path | None = None,
        sample_rate: float = SAMPLE_RATE,
        **options,
    ) -> "DynamicMixing":
        """Mix the bundled corpus, or another one of its layout; at another rate (Hz) the voices are resampled.

        Pairs with :data:`UNSEEN_SPEAKER` are "seen-unseen". Fine-tuning to her, with half of the mixtures as before::

            DynamicMixing.from_corpus(
                ["train", "adapt"], kinds={"man-woman": 0.25, "woman-woman": 0.25, "seen-unseen": 0.5}
            )
        """
        corpus = SpeechCorpus(split, speakers, folder=folder)
        voices = {name: resample(v, SAMPLE_RATE, sample_rate) for name, v in corpus.voices().items()}
        return cls(voices, corpus.speakers, **{"unseen": {UNSEEN_SPEAKER}, **options})

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose mixtures the items are."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if not 0 <= index < self.size:
            raise IndexError(index)
        rng = self._rng(index)
        samples = self.lengths.of(self.epoch, index)
        first, second = (self._segment(name, samples, rng) for name in self._pair(rng))
        level_db = rng.uniform(-self.level_db, self.level_db)
        if self.flip:  # drawn last, so that a run without it keeps the mixtures that it always had
            first, second = (source * float(rng.choice((-1, 1))) for source in (first, second))
        # Drawn from streams of their own, so that the same voices are heard with noise, in a room and without.
        noise_rng, room_rng = rng.spawn(2)
        if self.rooms and room_rng.random() < self.rooms.share:
            responses = self.rooms.draw(room_rng)
            first, second = map(reverberate, (first, second), responses)
        mixture, sources = mix(first, second, level_db)
        if self.noise and noise_rng.random() < self.noise.share:
            noise = self.noise.draw(samples, noise_rng, self.voices)
            mixture, sources = add_noise(sources, noise, noise_rng.uniform(*self.noise.snr_db))
        return mixture, sources

    def kind(self, index: int) -> str:
        """The pair kind of an item, without making it."""
        return self._kind(self._rng(index))

    def speakers(self, index: int) -> tuple[str, str]:
        """Who speaks in an item, in the order of its sources, without making it."""
        first, second = self._pair(self._rng(index))
        return str(first), str(second)

    def _pair(self, rng: np.random.Generator) -> np.ndarray:
        """Two speakers in random order."""
        kind = self._kind(rng)
        pairs, shares = self.pairs[kind], self._pair_shares.get(kind)
        pair = pairs[rng.integers(len(pairs)) if shares is None else rng.choice(len(pairs), p=shares)]
        return rng.permutation(pair)

    def _shares(self, weights: Mapping[tuple[str, str], float]) -> dict[str, np.ndarray]:
        """Pair kind to the share of each of its pairs; a kind without weights has them alike and is left out."""
        left = {tuple(sorted(pair)): weight for pair, weight in weights.items()}
        shares = {}
        for kind, pairs in self.pairs.items():
            if any(tuple(sorted(pair)) in left for pair in pairs):
                drawn = np.array([left.pop(tuple(sorted(pair)), 1.0) for pair in pairs], dtype=float)
                if drawn.min() < 0 or not 0 < drawn.sum() < np.inf:
                    raise ValueError(
                        f"pair_weights of {kind} are {drawn.tolist()}: each must be 0 or more, one above 0"
                    )
                shares[kind] = drawn / drawn.sum()
        if left:
            raise ValueError(
                f"pair_weights name {'+'.join(next(iter(left)))}: there is no such pair of two of {sorted(self.voices)}"
            )
        return shares

    def _rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.epoch, index))

    def _kind(self, rng: np.random.Generator) -> str:  # the first that is drawn of an item
        weights = [w for first, w in self.curriculum if first <= self.epoch][-1]
        total = sum(weights.values())
        return str(rng.choice(list(weights), p=[w / total for w in weights.values()]))

    def _segment(self, speaker: str, samples: int, rng: np.random.Generator) -> torch.Tensor:
        """A segment with speech in it: at most 12 dB under the voice's level, or the loudest of ten."""
        voice = self.voices[speaker]
        steps = self.speed_percent // 5
        speed = 100 + 5 * int(rng.integers(-steps, steps + 1))
        length = samples * speed // 100 + 1
        tried = []
        for _ in range(10):
            start = int(rng.integers(len(voice) - length + 1))
            tried.append(voice[start : start + length])
            if tried[-1].square().mean().sqrt() >= self._floor[speaker]:
                break
        segment = max(tried, key=lambda s: s.square().mean())
        return change_speed(segment, speed)[:samples]


def change_speed(samples: torch.Tensor, percent: int) -> torch.Tensor:
    """Play ``[T]`` at so many per cent of its speed, as a tape would be: pitch and formants move with it.

    At 110 % the result has 100 samples for every 110; at 100 % it is the same tensor.
    """
    return samples if percent == 100 else _speed_changer(percent)(samples)


def segment_length(samples: int, speed_percent: int = 0) -> int:
    """Samples of a voice that a mixture of ``samples`` may need: more where it is played faster."""
    return samples * (100 + speed_percent) // 100 + 1


def _rms(voice: torch.Tensor) -> torch.Tensor:
    return voice.square().mean().sqrt() if isinstance(voice, torch.Tensor) else voice.rms()
