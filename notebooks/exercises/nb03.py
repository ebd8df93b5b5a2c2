"""Checks of notebook 03's exercises; their texts, solutions and wrong answers are in ``nb03.md``.

On each input, the usual wrong ideas all give different numbers.

Notebook: 03_loss_and_pit
"""

import math
import random

import torch

from dprnn_lab import loss

from .exercise import Mistake, sheet_exercise
from .judging import ask, compare_numbers, need_numbers, need_shape, noise, same, varied

__all__ = ["pit_loss", "reorder_estimates", "share_failed", "si_sdr", "si_sdri"]

TOLERANCE_DB = 0.01

# Pairwise losses in dB. In each, every typical mistake gives another result (the tests check it).
MATRICES = (
    torch.tensor([[[-12, -9], [-8, 2]], [[5, -14], [-3, 4]], [[-7, 6], [-1, -3]]], dtype=torch.float64),
    torch.tensor(
        [[[3, -11, -2], [4, -6, -13], [-9, -5, 1]], [[-8, -10, 7], [-4, 5, -12], [0, -9, 2]]],
        dtype=torch.float64,
    ),
    noise(5, 4, 4, seed=3) * 10,
)


def other_matrices(rng: random.Random) -> tuple[torch.Tensor, ...]:
    return tuple(noise(*shape, seed=i) * 10 for i, shape in enumerate(((3, 2, 2), (2, 3, 3), (5, 4, 4))))


@sheet_exercise
def si_sdr(function, exercise):
    # Three examples of two sources that differ in level, with offsets; odd length; not contiguous in memory.
    target = (noise(3, 1001, 2, seed=1) * torch.tensor([1.0, 0.2]) + 0.5).transpose(1, 2)
    error = noise(3, 2, 1001, seed=2) * torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)[:, None, None]
    inputs = 0.4 * target + error + 0.3, target
    wanted = loss.si_sdr(*inputs)
    answer = need_numbers(ask(function, inputs))
    if answer.shape == ():
        raise Mistake("summed over the batch", shape=list(target.shape))
    need_shape(answer, wanted)
    compare_numbers(answer, wanted, exercise, inputs, TOLERANCE_DB)
    silence = torch.zeros(2, 1001, dtype=torch.float64)
    for estimate, reference in ((silence, target[0]), (target[0], silence)):
        answer = need_numbers(ask(function, (estimate, reference)))
        if not torch.isfinite(answer).all():
            raise Mistake("silence", found=answer[~torch.isfinite(answer)][0].item())


@sheet_exercise
def reorder_estimates(function, exercise):
    order = torch.tensor(
        [[1, 2, 0], [0, 2, 1], [2, 0, 1], [0, 1, 2]]
    )  # two of them are not their own inverse
    inputs = noise(4, 7, 3, seed=7).transpose(1, 2), order
    answer, wanted = need_numbers(ask(function, inputs)), loss.reorder(*inputs)
    need_shape(answer, wanted)
    compare_numbers(answer, wanted, exercise, inputs, TOLERANCE_DB)


@sheet_exercise
def pit_loss(function, exercise):
    for matrix in varied(MATRICES, other_matrices):
        answer, wanted = need_numbers(ask(function, (matrix,))), exercise.right(matrix)
        if answer.shape == (len(matrix),) and same(answer.mean(), wanted, TOLERANCE_DB):
            raise Mistake("no batch mean")
        need_shape(answer, wanted)
        first = matrix[0].round(decimals=1).tolist()
        compare_numbers(
            answer, wanted, exercise, (matrix,), TOLERANCE_DB, sources=matrix.shape[-1], first=first
        )


@sheet_exercise
def si_sdri(function, exercise):
    sources = noise(3, 2001, seed=4) * torch.tensor([[1.0], [0.4], [0.6]], dtype=torch.float64)
    mixture = sources.sum(0) + 0.5 * noise(2001, seed=5)  # with noise of its own: its score is not 0 dB
    estimates = sources + noise(3, 2001, seed=6) * 0.15
    wanted = loss.si_sdr(estimates, sources) - loss.si_sdr(mixture, sources)
    inputs = mixture, estimates[[1, 2, 0]] * torch.tensor([[2.0], [0.1], [-1.0]]), sources
    answer = need_numbers(ask(function, inputs))
    if same(answer, wanted, TOLERANCE_DB):
        raise Mistake("no mean")
    need_shape(answer, wanted.mean())
    compare_numbers(answer, wanted.mean(), exercise, inputs, TOLERANCE_DB)


@sheet_exercise
def share_failed(answer, exercise):
    share = float(need_numbers(answer))
    if not math.isfinite(share):
        raise Mistake("not a number", found=f"{share:g}")
    for name, wrong in exercise.known.items():
        if abs(share - wrong) < 0.005:
            raise Mistake(name)
    if abs(share - exercise.right) > 0.005:
        raise Mistake("other number", found=f"{share:g}", mean=f"{-16 * (1 - share) - share:.2f}")
