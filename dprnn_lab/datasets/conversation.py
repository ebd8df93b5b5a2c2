"""Long conversations of the bundled voices with known sources, and the speaker swaps in their estimates.

Turns overlap, and there are silences longer than the overlap of two windows.

Notebook: 09_long_audio
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..audio import SAMPLE_RATE
from .corpus import SpeechCorpus
from .mixing import RMS, under_peak

__all__ = ["Turn", "Conversation", "make_conversation", "Swaps", "count_swaps"]

FADE = 80  # samples (10 ms) at both ends of a turn, so that a cut within a word does not click


@dataclass(frozen=True)
class Turn:
    """One speaker's turn."""

    speaker: int  # index in the conversation's speakers
    start: int  # samples
    stop: int


@dataclass(frozen=True)
class Conversation:
    """A mixture with its sources, and who speaks when."""

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
    """Let speakers take turns, talk over each other, and fall silent for long.

    The next speaker starts ``overlap_seconds`` before the turn at hand ends, so that two talk at once. With
    probability ``silence_share`` a turn is a monologue instead: its speaker goes on alone for
    ``silence_seconds``, and the others are silent for that time. With probability ``pause_share`` nobody speaks
    for ``pause_seconds`` after it. By default both are longer than the overlap of two windows of 20 s.

    Args:
        seed: of everything random here.
        seconds: length of the conversation.
        speakers: S names from the corpus.
        split: where their utterances are from.
        turn_seconds: shortest and longest turn.
        overlap_seconds: shortest and longest time for which two turns overlap.
        silence_seconds: shortest and longest time that a monologue has for itself.
        silence_share: share of monologues among the turns.
        pause_seconds: shortest and longest time in which all are silent.
        pause_share: share of turns with such a pause after them.
        level_db: each speaker is uniformly up to half of that over or under the usual level.

    Raises:
        ValueError: fewer than two speakers, the same one twice, an unknown one, or no time at all.
    """
    if len(speakers) < 2 or len(set(speakers)) < len(speakers):
        raise ValueError(f"speakers are {list(speakers)}: a conversation needs two or more different ones")
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds}: give a length above 0")
    rng = np.random.default_rng(seed)
    voices = SpeechCorpus(split, list(speakers)).voices()
    total = round(seconds * SAMPLE_RATE)
    turns, start, speaker = [], 0, int(rng.integers(len(speakers)))
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
    for index, speaker in enumerate(speakers):
        voice = voices[speaker]
        voice = voice * (RMS / voice.square().mean().sqrt() * 10 ** (rng.uniform(-1, 1) * level_db / 40))
        place = int(rng.integers(len(voice)))
        for turn in turns:
            if turn.speaker == index:
                # Go through the utterances in order, from a random place, round and round.
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
    """Where the estimates of a conversation change places.

    Attributes:
        count: passages in which several speakers are heard and stand in each other's outputs.
        seconds: their length.
        of_seconds: length of all passages with several speakers.
        lone_seconds: the same for passages with one speaker, whose voice is in another's output.
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

    The order of outputs which is best in a segment is that with the least squared error, so with the largest
    sum of inner products of estimate and source. A segment is swapped when its own order explains 30 % more of its
    sources' energy than the order of the whole does: less is a voice shared out, not one in the wrong place.

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
            f"[S, T] of {segment} s and more"
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
    # A passage goes on through pauses and lone voices until several are heard in their places again.
    places, place = [], None
    for k in several.nonzero()[:, 0].tolist():
        if swapped[k]:
            place = (place[0] if place else k * segment, (k + 1) * segment)
        elif place:
            places.append(place)
            place = None
    places += [place] if place else []
    seconds = [float(segment * x.sum()) for x in (several & swapped, several, lone & swapped, lone)]
    return Swaps(len(places), *seconds, tuple(places))
