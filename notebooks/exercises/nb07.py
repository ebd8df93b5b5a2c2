"""Checks of notebook 07's exercises; their texts, solutions and wrong answers are in ``nb07.md``.

Notebook: 07_failures_in_training
"""

import copy
import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch

from dprnn_lab.audio import to_pcm16
from dprnn_lab.diagnosis import CATALOGUE
from dprnn_lab.faults.curves import recorded_curve
from dprnn_lab.loss import pairwise_neg_sisdr

from .exercise import Mistake, sheet_exercise
from .judging import (
    ask,
    compare_cases,
    need_numbers,
    need_shape,
    need_tensor,
    noise,
    other_inputs,
    recognise,
    same,
    seeded,
    shuffled,
    varied,
)

__all__ = ["audible", "clipped", "clusters", "consistent", "hidden", "leaked"]


def _lists() -> list[list[float]]:
    """Two clusters; one; two and an outlier, whose gap is the largest; a few good scores among many bad ones."""
    rng = np.random.default_rng(seeded(4))
    shapes = (((0.7, 0.8, 12), (10.9, 1.2, 20)), ((6.0, 2.0, 40),), ((2.0, 0.5, 15), (9.0, 0.5, 15), (16.0, 0.0, 1)),
              ((1.0, 0.9, 36), (11.0, 0.5, 4)))  # fmt: skip
    drawn = [np.concatenate([rng.normal(mean, spread, count) for mean, spread, count in s]) for s in shapes]
    return [rng.permutation(scores).round(1).tolist() for scores in drawn]


LISTS = _lists()


@sheet_exercise
def clusters(function, exercise):
    def read(answer) -> torch.Tensor:
        """Three numbers, or none of them for one cluster."""
        if answer is None:
            return torch.zeros(0, dtype=torch.float64)
        if (
            isinstance(answer, str | bytes)
            or not isinstance(answer, Sequence | np.ndarray)
            or len(answer) != 3
        ):
            raise Mistake("not three numbers", found=repr(answer))
        return need_numbers(answer, 3)

    def alike(one, other) -> bool:
        return same(one, other, 0.02)

    compare_cases(
        function,
        exercise,
        [(scores,) for scores in varied(LISTS, lambda rng: shuffled(_lists()))],
        read,
        alike,
        otherwise="other clusters",
    )


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
    order = shuffled(range(9))
    mixtures, sources = mixtures[order], sources[order]
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
    order = shuffled(range(7))
    sources = noise(7, 2, 1000, seed=8) * gains[order, :, None] * 1e-3  # a soft batch
    wanted = torch.tensor([True, False, True, False, False, True, True])[order]
    energies = sources.square().mean(-1)
    levels = (10 * torch.log10(energies / energies.max())).clamp(min=-99)
    compare_booleans(ask(function, (sources,)), wanted, exercise, (sources,), levels)
    broken = sources.clone()
    row = order.index(0)
    broken[row, 1, 17] = float("nan")
    found = ask(function, (broken,)).bool()
    if found[row]:
        raise Mistake("NaN kept")
    rest = [i for i in range(7) if i != row]
    if not same(found[rest], wanted[rest]):
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
    # Copies under other names, at other levels and with 16 bits, and the same names for other recordings.
    names = shuffled("0123456")
    train = {str(i): 0.2 * noise(3000, seed=20 + i).float() for i in range(5)}
    test = {str(i): 0.2 * noise(3000, seed=40 + i).float() for i in range(7)}
    test["1"] = train["3"].clone()
    test["4"] = 0.5 * train["0"]
    test["6"] = 0.37 * train["2"]  # no power of two: the numbers are rounded again
    test["5"] = to_pcm16(0.7 * train["1"]).float() / 2**15
    test["2"] = train["4"].flip(0)  # the same numbers in another order: another sound
    test = {names[int(name)]: x for name, x in test.items()}
    answer = ask(function, (train, test))
    if isinstance(answer, str | bytes) or not isinstance(answer, set | frozenset | Sequence | Mapping):
        raise Mistake("not a set of names", found=type(answer).__name__)
    found, wanted = {str(name) for name in answer}, {names[i] for i in (1, 4, 5, 6)}
    if found != wanted:
        recognise(found, exercise, (train, test))
        raise Mistake("other names", wanted=sorted(wanted), found=sorted(found))


def best_target(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The loss of the hidden case: each estimate takes its best target."""
    return pairwise_neg_sisdr(estimates, sources).min(-1).values.mean()


def _probes() -> dict[str, float]:
    """The loss of the hidden case in dB, for answers of which one knows how good they are."""
    voices = noise(4, 2, 4000, seed=90)
    good = voices + 0.3 * noise(4, 2, 4000, seed=91)
    answers = {
        "both voices, in order": good,
        "both voices, swapped": good.flip(1),
        "the first voice twice": good[:, :1].expand(-1, 2, -1),
        "the mixture twice": voices.sum(1, keepdim=True).expand(-1, 2, -1),
    }
    return {name: float(best_target(answer, voices)) for name, answer in answers.items()}


@cache
def _case() -> tuple[str, list[float], list[float]]:
    """The message, all its numbers, and those that only this failure shows."""
    with other_inputs(0):  # students have read this message, whoever asks first
        run, probes = recorded_curve("best-target"), _probes()
    rows = run.dropna(subset=["valid_loss"])[["step", "train_loss", "valid_loss", "grad_norm"]]
    mixtures = int(run["step"].iloc[-1]) * 4
    tried = "\n".join(f"    {name:24s}{value:6.1f}" for name, value in probes.items())
    text = (
        "My loss falls as it should, and the outputs are no separation. What is wrong?\n\n"
        f"{rows.round(1).to_string(index=False)}\n\n"
        f"The validation loss is that of PITLossWrapper, the training loss a function of my own. {mixtures} mixtures\n"
        "were drawn on the fly, none of them twice; the sources sum to the mixture to 1e-07. What my loss says\n"
        f"of two voices with a little noise on them (dB):\n\n{tried}\n"
    )
    every = [*rows.to_numpy().flatten(), *probes.values(), mixtures, 1e-7, 0.0]
    return text, [float(v) for v in every], [probes["the first voice twice"]]


def case() -> str:
    """The message of exercise 07.6: a recorded run, and its loss function at known answers."""
    return _case()[0]


NUMBER = re.compile(r"[-−+]?\d+(?:\.\d+)?(?:e[-−]?\d+)?")


def _quoted(text: object, known: list[float]) -> set[float]:
    """The numbers of ``known`` that a text quotes, as they are printed."""
    said = {float(n.replace("−", "-")) for n in NUMBER.findall(str(text))}
    return {round(k, 1) for k in known for s in said if abs(k - s) <= 0.051 * max(1.0, abs(k) / 100)}


@sheet_exercise
def hidden(answer, exercise):
    entries = ("failure", "evidence", "ruled_out", "remedy")
    missing = [e for e in entries if not isinstance(answer, Mapping) or not answer.get(e)]
    if missing:
        raise Mistake("not filled in", missing=", ".join(missing))
    failure = str(answer["failure"])
    scenes = {entry.id for entry in CATALOGUE.values() if entry.group == "E"}
    if failure not in scenes:
        raise Mistake("no such failure", found=failure)
    if failure != "pit-wrong-axis":
        names = {"overfit": "learned by heart", "no-pit": "no permutation at all"}
        names |= dict.fromkeys(("unhealthy-curve", "plateau-reading"), "a symptom")
        raise Mistake(names.get(failure, "another failure"), found=failure)
    _, every, decisive = _case()
    quoted = _quoted(answer["evidence"], every)
    if len(quoted) < 2:
        raise Mistake("no numbers", found=len(quoted))
    if not _quoted(answer["evidence"], decisive):
        raise Mistake("evidence for others too")
    others = answer["ruled_out"]
    if isinstance(others, Mapping) and failure in others:
        raise Mistake("ruled out itself")
    told = (
        [o for o in others if o in scenes and _quoted(others[o], every)]
        if isinstance(others, Mapping)
        else []
    )
    if len(told) < 2:
        raise Mistake("too few ruled out")
    if not re.search(r"permut|\bPIT|PITLossWrapper|assignment", str(answer["remedy"])):
        raise Mistake("remedy of another failure")
