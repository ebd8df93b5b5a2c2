"""Checks of notebook 07's exercises; their texts, solutions and wrong answers are in ``nb07.md``.

Notebook: 07_failures_in_training
"""

import copy
from collections.abc import Mapping, Sequence

import torch

from dprnn_lab.loss import reorder

from .exercise import Mistake, sheet_exercise
from .judging import ask, compare_numbers, need_numbers, need_shape, need_tensor, noise, recognise, same

__all__ = ["audible", "by_kind", "clipped", "consistent", "leaked"]


@sheet_exercise
def by_kind(function, exercise):
    # Six noisy mixtures of two kinds, of unlike quality, half of them with the estimates exchanged.
    kinds = ["man-woman", "man-woman", "man-woman", "woman-woman", "woman-woman", "man-woman"]
    sources = noise(6, 2, 2000, seed=1)
    mixtures = sources.sum(1) + 1.5 * noise(6, 2000, seed=2)
    leaks = torch.tensor([0.1, 0.2, 0.15, 1.1, 0.9, 0.5], dtype=torch.float64)[:, None, None]
    estimates = sources + leaks * sources.flip(1) + 0.2 * noise(6, 2, 2000, seed=3)
    order = torch.tensor([[0, 1], [1, 0], [1, 0], [0, 1], [0, 1], [1, 0]])
    inputs = mixtures, reorder(estimates, order), sources, kinds
    answer = ask(function, inputs)
    if not isinstance(answer, Mapping):
        raise Mistake("not a dictionary", found=type(answer).__name__)
    names = sorted(set(kinds))
    if set(answer) != set(names):
        raise Mistake("other kinds", found=sorted(map(str, answer)), wanted=names)

    def listed(means: Mapping) -> torch.Tensor:
        return need_numbers([float(means[name]) for name in names])

    compare_numbers(listed(answer), listed(exercise.right(*inputs)), exercise, inputs, 0.01, listed)


@sheet_exercise
def consistent(function, exercise):
    # Right: exact, rounded to 16 bits and to float32, a little noise, a peak cut. Wrong: noise, a sign, clipping.
    sources = 0.1 * noise(9, 2, 4000, seed=5)
    sources[5] *= 1e-4
    sources[2] *= 30
    mixtures = sources.sum(1)
    rest = noise(9, 4000, seed=6) * mixtures.square().mean(-1, keepdim=True).sqrt()
    mixtures[1] = (mixtures[1] * 32768).round() / 32768
    mixtures[2] += 10 ** (-50 / 20) * rest[2]
    mixtures[3, mixtures[3].abs().argmax()] *= 0.9
    mixtures[4] += 10 ** (-30 / 20) * rest[4]
    mixtures[5] += 10 ** (-15 / 20) * rest[5]  # less than a thousandth, but a large part of this mixture
    mixtures[6] = sources[6, 0] - sources[6, 1]
    mixtures[7] = mixtures[7].clamp(-0.15, 0.15)
    mixtures[8] = mixtures[8].float().double()
    inputs = mixtures, sources
    answer = ask(function, inputs)
    if isinstance(answer, bool) or (isinstance(answer, torch.Tensor) and answer.dim() == 0):
        raise Mistake("one answer for the batch")
    energies = [x.square().sum(-1) for x in (mixtures, mixtures - sources.sum(1))]
    levels = (10 * torch.log10(energies[0] / (energies[1] + 1e-20))).clamp(max=999)
    compare_booleans(answer, levels > 40, exercise, inputs, levels)


@sheet_exercise
def audible(function, exercise):
    gains = torch.tensor(
        [[1.0, 0.5], [0.3, 0.0], [0.01, 0.008], [1.0, 1e-3], [0.0, 0.0], [0.2, 1.0], [1.0, 0.018]],
        dtype=torch.float64,
    )
    sources = noise(7, 2, 1000, seed=8) * gains[..., None] * 1e-3  # a soft batch
    wanted = torch.tensor([True, False, True, False, False, True, True])
    energies = sources.square().mean(-1)
    levels = (10 * torch.log10(energies / energies.max())).clamp(min=-99)
    compare_booleans(ask(function, (sources,)), wanted, exercise, (sources,), levels)
    broken = sources.clone()
    broken[0, 1, 17] = float("nan")
    found = ask(function, (broken,)).bool()
    if found[0]:
        raise Mistake("NaN kept")
    if not same(found[1:], wanted[1:]):
        raise Mistake("NaN spoils the rest")


def compare_booleans(answer, wanted: torch.Tensor, exercise, inputs: Sequence, levels: torch.Tensor) -> None:
    """B booleans; ``levels`` in dB are for the hint."""
    answer = need_tensor(answer)
    need_shape(answer, wanted)
    if not same(answer.bool(), wanted):
        recognise(answer.bool(), exercise, inputs)
        found = answer.bool().tolist()
        raise Mistake(
            "other answers", wanted=wanted.tolist(), found=found, levels=levels.round().int().tolist()
        )


@sheet_exercise
def clipped(function, exercise):
    def flat(tensors) -> torch.Tensor:
        return torch.cat([t.flatten() for t in tensors])

    large = [noise(40, 30, seed=1), 0.5 * noise(60, seed=2), 3 * noise(2, 3, 4, seed=3)]
    for gradients in (large, [0.01 * g for g in large]):
        given = copy.deepcopy(gradients)
        answer = function(given, 5.0)
        if answer is None:  # in place, as PyTorch's own
            answer = given
        if not isinstance(answer, Sequence) or len(answer) != len(gradients):
            raise Mistake("not a list of tensors", found=type(answer).__name__)
        for mine, theirs in zip(answer, gradients, strict=True):
            need_shape(need_tensor(mine), theirs)
        found, wanted = flat(answer), flat(exercise.right(gradients, 5.0))
        if not torch.allclose(found, wanted, rtol=1e-4, atol=1e-8):
            recognise(found, exercise, (gradients, 5.0), flat)
            before, mine, theirs = (f"{float(x.norm()):.3g}" for x in (flat(gradients), found, wanted))
            raise Mistake("other numbers", before=before, found=mine, wanted=theirs)


@sheet_exercise
def leaked(function, exercise):
    # Copies under other names and at other levels, and the same names for other recordings.
    train = {str(i): 0.2 * noise(3000, seed=20 + i).float() for i in range(5)}
    test = {str(i): 0.2 * noise(3000, seed=40 + i).float() for i in range(7)}
    test["1"] = train["3"].clone()
    test["4"] = 0.5 * train["0"]
    test["6"] = 0.37 * train["2"]  # no power of two: the numbers are rounded again
    test["2"] = train["4"].flip(0)  # the same numbers in another order: another sound
    answer = ask(function, (train, test))
    if isinstance(answer, str | bytes) or not isinstance(answer, set | frozenset | Sequence | Mapping):
        raise Mistake("not a set of names", found=type(answer).__name__)
    found, wanted = {str(name) for name in answer}, {"1", "4", "6"}
    if found != wanted:
        recognise(found, exercise, (train, test))
        raise Mistake("other names", wanted=sorted(wanted), found=sorted(found))
