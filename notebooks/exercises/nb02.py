"""Checks of notebook 02's exercises; their texts, solutions and wrong answers are in ``nb02.md``.

Tensors are small, float64, of sizes that all differ, and the hop is not half a chunk.

Notebook: 02_dual_path
"""

import random

import torch

from dprnn_lab.model.dual_path import chunk_count, overlap_add, segment
from dprnn_lab.model.filterbank import frame_count

from .exercise import Mistake, sheet_exercise
from .judging import ask, compare_cases, compare_tensors, need_number, noise, on_strided, varied

__all__ = ["best_chunk", "count_chunks", "cut_chunks", "inter_frames", "join_chunks"]


# frames, chunk size, hop size
COUNTS = ((999, 100, 50), (37, 8, 4), (37, 8, 2), (50, 7, 3), (23, 6, 6), (3, 10, 5), (1, 4, 3))


def other_counts(rng: random.Random) -> tuple:
    chunks = [rng.randrange(6, 60) for _ in range(8)]
    cases = [(rng.randrange(2, 1500), chunk, rng.randint(2, chunk)) for chunk in chunks]
    return (*cases, (2 * rng.randrange(20, 60) + 1, 8, 4))


@sheet_exercise
def count_chunks(function, exercise):
    cases = varied(COUNTS, other_counts)
    compare_cases(function, exercise, cases, need_number, otherwise="other count")


@sheet_exercise
def cut_chunks(function, exercise):
    frames = noise(2, 17, 3, seed=2)
    inputs = frames, 6, 4
    compare_tensors(ask(function, inputs), segment(*inputs), exercise, inputs)
    for length, chunk, hop in ((17, 6, 3), (5, 8, 4), (1, 2, 1)):
        short = frames[:, :length].contiguous()
        compare_tensors(ask(function, (short, chunk, hop)), segment(short, chunk, hop), exercise)
    on_strided(function, segment(*inputs), inputs)


@sheet_exercise
def join_chunks(function, exercise):
    def chunks(length: int, chunk: int, hop: int) -> torch.Tensor:
        return noise(2, chunk_count(length, chunk, hop), chunk, 3, seed=3)

    inputs = chunks(17, 6, 2), 17, 2
    compare_tensors(ask(function, inputs), overlap_add(*inputs), exercise, inputs)
    for length, chunk, hop in ((17, 6, 3), (17, 6, 4), (5, 8, 8), (1, 2, 1)):
        others = chunks(length, chunk, hop), length, hop
        compare_tensors(ask(function, others), overlap_add(*others), exercise)
    on_strided(function, overlap_add(*inputs), inputs)


# position, frames, chunk size, hop size
POSITIONS = ((5, 60, 12, 6), (0, 60, 12, 6), (11, 61, 12, 4), (2, 40, 7, 3))


def other_positions(rng: random.Random) -> tuple:
    chunks = [rng.randrange(7, 20) for _ in range(5)]
    return tuple(
        (rng.randrange(chunk), rng.randrange(40, 90), chunk, rng.randint(3, chunk)) for chunk in chunks
    )


@sheet_exercise
def inter_frames(function, exercise):
    def listed(answer) -> list[int]:
        if isinstance(answer, str | bytes) or not hasattr(answer, "__iter__"):
            raise Mistake("not a list", found=type(answer).__name__)
        return [int(frame) for frame in answer]

    cases = varied(POSITIONS, other_positions)
    compare_cases(function, exercise, cases, listed, otherwise="other frames")


# seconds, sample rate, kernel size, stride
LENGTHS = ((4.0, 8000, 16, 8), (1.0, 8000, 32, 16), (10.0, 8000, 2, 1), (30.0, 16000, 64, 32))


def other_lengths(rng: random.Random) -> tuple:
    strides = rng.sample([2, 4, 8, 16, 32], 4)
    return tuple((rng.randrange(2, 60) / 2, rng.choice([8000, 16000]), 2 * s, s) for s in strides)


@sheet_exercise
def best_chunk(function, exercise):
    cases = varied(LENGTHS, other_lengths)
    answers = [need_number(ask(function, case)) for case in cases]
    for name, wrong in exercise.known.items():
        guesses = [wrong(*case) for case in cases]
        if all(abs(a - g) <= 2 + 0.02 * g for a, g in zip(answers, guesses, strict=True)):
            raise Mistake(name)
    for case, answer in zip(cases, answers, strict=True):
        if answer != int(answer) or answer < 2 or int(answer) % 2:
            raise Mistake("not even", case=case, found=answer)
        seconds, rate, kernel, stride = case
        frames = frame_count(round(seconds * rate), kernel, stride)
        best = min(longer_rnn(size, frames) for size in range(2, 8 * int((2 * frames) ** 0.5), 2))
        steps = longer_rnn(int(answer), frames)
        if steps > 1.1 * best + 1:
            raise Mistake(
                "path too long", case=case, frames=frames, found=int(answer), steps=steps, best=best
            )


def longer_rnn(chunk: int, frames: int) -> int:
    """Steps of the longer of the two RNNs at half overlap."""
    return max(chunk, chunk_count(frames, chunk, max(1, chunk // 2)))
