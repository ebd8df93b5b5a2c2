"""Long conversations of the bundled voices with known sources, and counting speaker swaps in their estimates.

Turns overlap, and silences are longer than the overlap of two windows of :func:`separate <dprnn_lab.separate>`.

Notebook: 09_long_audio
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..audio import SAMPLE_RATE, rms
from .corpus import SpeechCorpus
from .mixing import MEAN_RMS, under_peak

__all__ = ["Turn", "Conversation", "make_conversation", "Swaps", "count_swaps"]

FADE = 80  # samples (10 ms) at both ends of a turn, which prevents clicks at cuts within a word


@dataclass(frozen=True)
class Turn:
    """One speaker's turn."""

    speaker: int  # index in the conversation's speakers
    start: int  # samples
    stop: int


@dataclass(frozen=True)
class Conversation:
    """A mixture with its sources and the turns of the speakers."""

    mixture: torch.Tensor  # [T]
    sources: torch.Tensor  # [S, T]; their sum is the mixture
    speakers: tuple[str, ...]
    turns: tuple[Turn, ...]


def make_conversation(
    seed: int,
    seconds: float = 60.0,
    speakers: Sequence[str] = ("carlo", "allison"),
    *,
    split: str = "test",
    turn_seconds: tuple[float, float] = (2.0, 8.0),
    overlap_seconds: tuple[float, float] = (0.5, 4.0),
    silence_seconds: tuple[float, float] = (6.0, 12.0),
    silence_share: float = 0.25,
    pause_seconds: tuple[float, float] = (6.0, 8.0),
    pause_share: float = 0.1,
    level_db: float = 2.5,
) -> Conversation:
    """Speakers take turns, talk over each other, and pause for long.

    The next speaker starts ``overlap_seconds`` before the current turn ends, so that two talk at once. With
    probability ``silence_share`` a turn is a monologue: its speaker continues alone for ``silence_seconds``. With
    probability ``pause_share`` all are silent for ``pause_seconds`` after it. By default both exceed the overlap
    of two windows: 2 s at the default window of 8 s, 5 s at 20 s.

    Args:
        seed: of everything random here.
        seconds: length of the conversation.
        speakers: S names from the corpus.
        split: of their utterances.
        turn_seconds: shortest and longest turn.
        overlap_seconds: shortest and longest time for which two turns overlap.
        silence_seconds: shortest and longest time that a speaker continues alone.
        silence_share: share of monologues among the turns.
        pause_seconds: shortest and longest time in which all are silent.
        pause_share: share of turns with such a pause after them.
        level_db: each speaker's level is uniform within half of that over or under :data:`.MEAN_RMS`.

    Raises:
        ValueError: fewer than two speakers, one given twice, an unknown one, or a length of 0 or less.
    """
    if len(speakers) < 2 or len(set(speakers)) < len(speakers):
        raise ValueError(f"speakers are {list(speakers)}: a conversation needs two or more different ones")
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds}: give a length above 0")
    rng = np.random.default_rng(seed)
    voices = SpeechCorpus(split, list(speakers)).voices()
    total = round(seconds * SAMPLE_RATE)
    turns: list[Turn] = []
    start, speaker = 0, int(rng.integers(len(speakers)))
    while start < total:
        length = rng.uniform(*turn_seconds)
        until_next = length - min(rng.uniform(*overlap_seconds), 0.9 * length)
        alone, pause = rng.uniform(size=2) < (silence_share, pause_share)
        if alone:
            more = rng.uniform(*silence_seconds)
            length, until_next = length + more, until_next + more
        if pause:
            until_next = length + rng.uniform(*pause_seconds)
        turns.append(Turn(speaker, start, min(start + round(length * SAMPLE_RATE), total)))
        start += round(until_next * SAMPLE_RATE)
        speaker = (speaker + 1 + int(rng.integers(len(speakers) - 1))) % len(speakers)
    sources = torch.zeros(len(speakers), total)
    for index, name in enumerate(speakers):
        voice = voices[name]
        voice = voice * (MEAN_RMS / rms(voice) * 10 ** (rng.uniform(-1, 1) * level_db / 40))
        place = int(rng.integers(len(voice)))
        for turn in turns:
            if turn.speaker == index:
                # The utterances in order, cyclically, from a random place.
                said = torch.roll(voice, -place).repeat(-(-total // len(voice)))[: turn.stop - turn.start]
                place = (place + len(said)) % len(voice)
                sources[index, turn.start : turn.stop] += _faded(said)
    sources = under_peak(sources)
    return Conversation(sources.sum(0), sources, tuple(speakers), tuple(turns))


def _faded(samples: torch.Tensor) -> torch.Tensor:
    samples = samples.clone()
    ramp = torch.linspace(0, 1, FADE)[: len(samples)]
    samples[: len(ramp)] *= ramp
    samples[-len(ramp) :] *= ramp.flip(0)
    return samples


@dataclass(frozen=True)
class Swaps:
    """Speaker swaps in the estimates of a conversation.

    Attributes:
        count: passages in which several speakers are active, in each other's outputs.
        seconds: their length.
        of_seconds: length of all passages with several speakers.
        lone_seconds: length of the passages with one speaker, in another's output.
        of_lone_seconds: length of all passages with one speaker.
        places: ``(start, stop)`` in seconds of each of the ``count`` passages.
    """

    count: int
    seconds: float
    of_seconds: float
    lone_seconds: float
    of_lone_seconds: float
    places: tuple[tuple[float, float], ...]


def count_swaps(
    estimates: torch.Tensor, sources: torch.Tensor, sample_rate: float = SAMPLE_RATE, segment: float = 0.5
) -> Swaps:
    """Compare the best order of each segment with the best order of the whole.

    The best order of a segment has the least squared error, so the largest sum of inner products of estimate and
    source. A segment is swapped when its own best order explains more of its sources' energy than the order of the
    whole, by 30 % of that energy: less is a voice split among the outputs, not a swap.

    Args:
        estimates: ``[S, T]``, scaled to the mixture.
        sources: ``[S, T]``.
        segment: seconds.

    Raises:
        ValueError: shapes that differ, or less than one segment.
    """
    length = round(segment * sample_rate)
    if estimates.shape != sources.shape or sources.dim() != 2 or sources.shape[1] < length:
        raise ValueError(
            f"estimates have shape {list(estimates.shape)} and sources {list(sources.shape)}: expected two equal "
            f"[S, T] of {segment} s or more"
        )
    whole = sources.shape[1] // length * length
    e, s = (x[:, :whole].unflatten(1, (-1, length)).double() for x in (estimates, sources))
    energy = s.square().sum(-1)  # [S, segments]
    active = energy > 0.01 * energy.mean(1, keepdim=True)  # 20 dB under the speaker's mean: a pause
    products = torch.einsum("ikn,jkn->kij", e, s)
    orders = torch.tensor(list(itertools.permutations(range(len(sources)))))
    gain = products[:, orders, torch.arange(len(sources))].sum(-1)  # [segments, orders]
    best = gain.max(1).values - gain[:, gain.sum(0).argmax()]
    swapped = best > 0.3 * energy.sum(0)
    several, lone = active.sum(0) > 1, active.sum(0) == 1
    # A passage continues through pauses and single voices until several are in their places again.
    places, place = [], None
    for k in several.nonzero()[:, 0].tolist():
        if swapped[k]:
            place = (place[0] if place else k * segment, (k + 1) * segment)
        elif place:
            places.append(place)
            place = None
    places += [place] if place else []
    a, b, c, d = (float(segment * x.sum()) for x in (several & swapped, several, lone & swapped, lone))
    return Swaps(len(places), a, b, c, d, tuple(places))
