"""Dynamic mixing: endless new mixtures for training, and one fixed epoch of them for validation.

Notebook: 04_data
"""

import copy
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..audio import SAMPLE_RATE, resample, resampler, rms
from .augmentation import Noise, Rooms, add_noise, reverberate
from .corpus import UNSEEN_SPEAKER, SpeechCorpus
from .mixing import mix, pairs_by_kind
from .segment_lengths import SegmentLengths
from .sound_places import SILENT_RMS, is_silent, places_with_sound, start_at

__all__ = ["DynamicMixing", "FrozenMixture", "FrozenMixtures", "change_speed", "segment_length"]

SPEED_STEP = 5  # per cent
LARGEST_SPEED = 50  # per cent: half and one and a half times the speed
LARGEST_LEVEL_DB = 60.0


class DynamicMixing(Dataset):
    """Endless new mixtures: each epoch pairs other segments, speakers, levels and speeds.

    Item ``i`` of an epoch depends on (seed, epoch, i) alone. Workers and ranks read disjoint items, so they draw
    disjoint mixtures, and a resumed run continues with the same mixtures as an uninterrupted one.

    Args:
        voices: speaker to waveform ``[T]`` (:meth:`SpeechCorpus.voices`), or to an object that is sliced like one
            (:class:`FolderVoice <dprnn_lab.datasets.speaker_folders.FolderVoice>`).
        sexes: speaker to "f", "m" or None (not known); None if none is known: every pair is of the kind "any".
        samples: T, length of a mixture; of several, every ``per_step`` mixtures in a row draw one
            (:class:`SegmentLengths <dprnn_lab.datasets.segment_lengths.SegmentLengths>`).
        size: mixtures per epoch.
        kinds: weight of each pair kind, as ``{"man-woman": 1.0}``, or a curriculum: a list of
            ``(first epoch, weights)`` in ascending order. None: man-woman and woman-woman equally often or, if a
            sex is not known, every pair equally often.
        pair_weights: ``{("ivrvoice", "june"): 4.0}`` draws that pair four times as often as the others of its kind.
        level_db: the level of the first source over the second is uniform from -level_db to +level_db.
        speed_percent: speeds are drawn from 100 - speed_percent to 100 + speed_percent in steps of 5 %; 0 or 5 to 50.
        flip: invert the polarity of each source with probability 0.5. It is inaudible, and a network trained with it
            also separates recordings with inverted polarity.
        unseen: speakers whose pairs with the others are of the kind "seen-unseen", for the weights of fine-tuning.
        noise: added to the mixtures; the sources stay clean.
        rooms: that the mixtures are set in; the sources are reverberant, and sum to the mixture.
        per_step: mixtures in a row of equal length, if there are several lengths.
        seed: of everything random here.

    Shape:
        - item: mixture ``[T]``, sources ``[2, T]``
    """

    def __init__(
        self,
        voices: Mapping[str, Any],
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
    ) -> None:
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
        check_speed(speed_percent)
        if not (isinstance(level_db, Real) and 0 <= level_db <= LARGEST_LEVEL_DB):
            raise ValueError(
                f"level_db is {level_db!r} (--level-db): give the largest difference of the levels, 0 to "
                f"{LARGEST_LEVEL_DB:g} dB"
            )
        longest = segment_length(self.lengths.longest, speed_percent)
        short = [n for n in names if len(voices[n]) < longest]
        if short:
            raise ValueError(f"voices {short} are shorter than one segment of {longest} samples")
        levels = {n: rms(v) if isinstance(v, torch.Tensor) else v.rms() for n, v in voices.items()}
        odd = [n for n, level in levels.items() if not level.isfinite()]
        if odd:
            raise ValueError(
                f"the voices {odd} have samples that are NaN, infinite or huge: mend them (torch.nan_to_num), or leave "
                "these voices out"
            )
        self._floor: dict[str, torch.Tensor] = {n: level / 4 for n, level in levels.items()}  # -12 dB
        self._block: int = max(1, min(self.lengths.choices) // 4)
        self._places: dict[str, np.ndarray] = {}
        for n, level in levels.items():
            if level < 2 * SILENT_RMS:  # there may be sound in utterances that its level was not measured on
                self._floor[n] = torch.tensor(SILENT_RMS)
                self._find_sound(n)
        silent = [n for n, places in self._places.items() if not len(places)]
        if silent:
            raise ValueError(
                f"the voices {silent} are silent: there is no speech in their recordings; leave them out (speakers, "
                "--speakers), or record them again"
            )

    @classmethod
    def from_corpus(
        cls,
        split: str | Sequence[str] = "train",
        speakers: Sequence[str] | None = None,
        folder: str | os.PathLike | None = None,
        sample_rate: float = SAMPLE_RATE,
        **options: Any,
    ) -> "DynamicMixing":
        """Mix the bundled corpus, or one of the same layout, resampled to ``sample_rate`` (Hz).

        Pairs with :data:`UNSEEN_SPEAKER` are "seen-unseen". To fine-tune to her, with half of the mixtures as before::

            DynamicMixing.from_corpus(
                ["train", "adapt"], kinds={"man-woman": 0.25, "woman-woman": 0.25, "seen-unseen": 0.5}
            )
        """
        corpus = SpeechCorpus(split, speakers, folder=folder)
        voices = {name: resample(v, SAMPLE_RATE, sample_rate) for name, v in corpus.voices().items()}
        return cls(voices, corpus.speakers, **{"unseen": {UNSEEN_SPEAKER}, **options})

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch of the items."""
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
        if self.flip:  # drawn last: without it the mixtures of a seed stay as they were
            first, second = (source * float(rng.choice((-1, 1))) for source in (first, second))
        # Separate random streams: the same voices are drawn with noise, in a room and without.
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
        """The pair kind of an item, without mixing it."""
        return self._kind(self._rng(index))

    def speakers(self, index: int) -> tuple[str, str]:
        """The speakers of an item in the order of its sources, without mixing it."""
        first, second = self._pair(self._rng(index))
        return str(first), str(second)

    def _pair(self, rng: np.random.Generator) -> np.ndarray:
        """Two speakers in random order."""
        kind = self._kind(rng)
        pairs, shares = self.pairs[kind], self._pair_shares.get(kind)
        pair = pairs[rng.integers(len(pairs)) if shares is None else rng.choice(len(pairs), p=shares)]
        return rng.permutation(pair)

    def _shares(self, weights: Mapping[tuple[str, str], float]) -> dict[str, np.ndarray]:
        """Pair kind to the share of each of its pairs; kinds with equal shares are left out."""
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

    def _kind(self, rng: np.random.Generator) -> str:  # the first draw of an item
        weights = [w for first, w in self.curriculum if first <= self.epoch][-1]
        total = sum(weights.values())
        return str(rng.choice(list(weights), p=[w / total for w in weights.values()]))

    def _segment(self, speaker: str, samples: int, rng: np.random.Generator) -> torch.Tensor:
        """A segment with speech: at most 12 dB under the voice's level, or the loudest of ten."""
        voice = self.voices[speaker]
        steps = self.speed_percent // SPEED_STEP
        speed = 100 + SPEED_STEP * int(rng.integers(-steps, steps + 1))
        length = samples * speed // 100 + 1
        tried = []
        for _ in range(10):
            start = int(rng.integers(len(voice) - length + 1))
            tried.append(voice[start : start + length])
            if rms(tried[-1]) >= self._floor[speaker]:
                break
        segment = max(tried, key=lambda s: s.square().mean())
        if is_silent(segment):  # ten places in digital silence
            places = self._find_sound(speaker)
            place = int(places[rng.integers(len(places))])
            start = start_at(place, self._block, length, len(voice), rng)
            segment = voice[start : start + length]
        return change_speed(segment, speed)[:samples]

    def _find_sound(self, speaker: str) -> np.ndarray:
        """The places of a voice with speech, found when first asked for: the whole voice is read."""
        if speaker not in self._places:
            level = float(self._floor[speaker])
            self._places[speaker] = places_with_sound(self.voices[speaker], self._block, level)
        return self._places[speaker]


def check_speed(percent: int) -> None:
    """Raise ValueError for a speed perturbation that has no effect or is none."""
    if isinstance(percent, bool) or not isinstance(percent, Integral):
        raise TypeError(f"speed_percent is {percent!r} (speed, --speed): give a whole number")
    if percent and not SPEED_STEP <= percent <= LARGEST_SPEED:
        raise ValueError(
            f"speed_percent is {percent} (speed, --speed): speeds are drawn in steps of {SPEED_STEP} %, so give 0 "
            f"(none) or {SPEED_STEP} to {LARGEST_SPEED}"
        )


def change_speed(samples: torch.Tensor, percent: int) -> torch.Tensor:
    """Play ``[T]`` at ``percent`` % of its speed, like a tape: pitch and formants change with it.

    At 110 % the result has 100 samples for every 110; at 100 % it is the same tensor.
    """
    return samples if percent == 100 else resampler(percent, 100)(samples)


def segment_length(samples: int, speed_percent: int = 0) -> int:
    """Samples of a voice that a mixture of ``samples`` needs at the highest speed."""
    return samples * (100 + speed_percent) // 100 + 1


@dataclass(frozen=True)
class FrozenMixture:
    """Name and pair kind of an item of :class:`FrozenMixtures`."""

    id: str
    kind: str


class FrozenMixtures(Dataset):
    """The mixtures of the first epoch of a :class:`DynamicMixing`, for validation: the same every time.

    Item ``i`` is ``(mixture [T], sources [2, T], FrozenMixture)``.
    """

    def __init__(self, mixing: DynamicMixing) -> None:
        self.mixing = copy.copy(mixing)  # a training may set the epoch of the other one
        self.mixing.set_epoch(0)
        kinds = [self.mixing.kind(i) for i in range(len(mixing))]
        self.specs = [FrozenMixture(f"{kind}-{i:03d}", kind) for i, kind in enumerate(kinds)]

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, FrozenMixture]:
        return *self.mixing[index], self.specs[index]
