"""Checks of notebook 04's exercises; their texts, solutions and wrong answers are in ``nb04.md``.

Notebook: 04_data
"""

import random

import torch

from .exercise import Mistake, sheet_exercise
from .judging import (
    ask,
    compare_cases,
    compare_tensors,
    generator,
    need_shape,
    need_tensor,
    noise,
    recognise,
    same,
    varied,
)

__all__ = ["add_noise", "mix_any", "mix_at", "speech_starts", "split"]


@sheet_exercise
def mix_at(function, exercise):
    # An offset in the first, a click in the second, and different levels: every measure gives another number.
    first, second, level_db = 3 * noise(701, seed=1) + 2, 0.2 * noise(701, seed=2), 4.0
    second[100] = 5.0
    inputs = first, second, level_db
    given = first.clone(), second.clone()
    answer = function(*given, level_db)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Mistake("not two results")
    mixture, sources = map(need_tensor, answer)
    if not (torch.equal(first, given[0]) and torch.equal(second, given[1])):
        raise Mistake("input changed")
    need_shape(sources, torch.stack((first, second)))
    need_shape(mixture, first)
    level = level_of(answer)
    if abs(level - level_db) > 1e-3:
        recognise(level, exercise, inputs, level_of, lambda a, b: abs(a - b) < 1e-3)
        raise Mistake("other level", level_db=level_db, found=f"{level:.2f}")
    if not same(mixture, sources.sum(0)):
        raise Mistake("sources do not sum to the mixture")
    alike = torch.cosine_similarity(sources, torch.stack((first, second)))
    if not torch.allclose(alike, torch.ones_like(alike)):
        raise Mistake("sources changed")


def level_of(answer) -> float:
    """RMS of the first source over that of the second, in dB."""
    return float(10 * torch.log10(answer[1][0].square().mean() / answer[1][1].square().mean()))


def other_places(rng: random.Random) -> tuple[int, int, int, int]:
    return rng.randrange(10, 250), rng.randrange(480, 600), rng.randrange(70, 130), rng.randrange(30, 48)


@sheet_exercise
def speech_starts(function, exercise):
    voice = noise(900, seed=7)
    soft, pause, samples, hop = varied((200, 500, 100, 50), other_places)
    voice[soft : soft + 220] *= 0.3  # softer speech
    voice[pause : pause + 300] *= 0.001  # a pause ...
    voice[pause + 150] = 6.0  # ... with a click in it

    def listed(answer) -> list[int]:
        if isinstance(answer, list | tuple) and all(isinstance(x, int) for x in answer):
            return list(answer)
        return need_tensor(answer).long().tolist()

    compare_cases(function, exercise, [(voice, samples, hop, -15.0)], listed, otherwise="other starts")


@sheet_exercise
def add_noise(function, exercise):
    sources = torch.stack((0.4 * noise(501, seed=3), noise(501, seed=4)))
    inputs = sources, 7 * noise(501, seed=5), 6.0
    given = sources.clone()
    answer = need_tensor(function(given, *inputs[1:]))
    if not torch.equal(sources, given):
        raise Mistake("noise in the targets")
    compare_tensors(answer, exercise.right(*inputs), exercise, inputs)


@sheet_exercise
def split(function, exercise):
    # Ten recordings cut into three pieces each; "ada-3-1" is the second piece of ada's recording 3.
    names = varied(["ada", "bob"], lambda rng: rng.sample(["cleo", "dan", "eve", "finn", "gil"], 2))
    pieces = [f"{name}-{take}-{piece}" for name in names for take in range(5) for piece in range(3)]
    shuffled = [pieces[i] for i in torch.randperm(30, generator=generator(6)).tolist()]
    answer = ask(function, (shuffled, 0.2))
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Mistake("not two lists")
    train, valid = (list(part) for part in answer)
    if set(train) & set(valid):
        raise Mistake("overlap", piece=min(set(train) & set(valid)))
    if sorted(train + valid) != sorted(pieces):
        raise Mistake("pieces lost")
    takes = [{piece.rpartition("-")[0] for piece in part} for part in (train, valid)]
    if takes[0] & takes[1]:
        raise Mistake("a recording on both sides", recording=min(takes[0] & takes[1]))
    speakers = [{take.partition("-")[0] for take in part} for part in takes]
    if speakers[0] != speakers[1]:
        raise Mistake("a speaker on one side")
    if len(valid) != 6:
        raise Mistake("another share", found=len(valid))
    again = ask(function, (shuffled[::-1], 0.2))
    if [sorted(part) for part in again] != [sorted(train), sorted(valid)]:
        raise Mistake("depends on the order")


@sheet_exercise
def mix_any(function, exercise):
    # Three speakers of unlike length, softly: one begins late and is cut at the end. Two loud ones, whose sum clips.
    voices = [(i + 1.0) * noise(length, seed=60 + i) for i, length in enumerate((900, 500, 700))]
    voices[2][:200] *= 4  # its first part is louder than what is cut off
    cases = [
        (voices, [-30.0, -36.0, -33.0], [0, 150, 400], 800),
        (voices[:2], [-6.0, -9.0], [100, 0], 1000),
    ]

    def read(answer) -> torch.Tensor:
        """[1 + S, length]: the mixture above its sources."""
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise Mistake("not two results")
        mixture, sources = map(need_tensor, answer)
        if sources.dim() != 2 or mixture.shape != sources.shape[1:]:
            raise Mistake(
                "wrong shape", found=[list(mixture.shape), list(sources.shape)], wanted="[T] and [S, T]"
            )
        return torch.cat((mixture[None], sources))

    compare_cases(function, exercise, cases, read, otherwise="other mixture")
    for case in cases:
        if ask(function, case)[1].dtype != torch.float64:
            raise Mistake("precision lost", found=ask(function, case)[1].dtype, wanted=torch.float64)
