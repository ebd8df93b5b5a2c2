"""Notebook 07's exercises: the named mistakes, each with its own hint, and answers that are right another way."""

import json
import re
from pathlib import Path

import pytest
import torch
from exercises import RIGHT, nb07

ALL = {name: getattr(nb07, name) for name in nb07.__all__}


def kinds_of(slip):
    """A slip of 07.1 gives the means in alphabetical order; a student returns a dictionary."""

    def answer(mixtures, estimates, sources, kinds):
        means = slip(mixtures, estimates, sources, kinds)
        return dict(zip(sorted(set(kinds)), means.tolist(), strict=True))

    return answer


def tensors_of(slip):
    """A slip of 07.4 gives all numbers in a row."""

    def answer(gradients, most):
        parts = slip(gradients, most).split([g.numel() for g in gradients])
        return [part.reshape(g.shape) for part, g in zip(parts, gradients, strict=True)]

    return answer


SLIPS = {
    "by_kind": (nb07._KIND_SLIPS, kinds_of),
    "consistent": (nb07._SUM_SLIPS, lambda slip: slip),
    "clipped": (nb07._CLIP_SLIPS, tensors_of),
    "leaked": (nb07._LEAK_SLIPS, lambda slip: slip),
    "audible": (nb07._AUDIBLE_SLIPS, lambda slip: slip),
}


@pytest.mark.parametrize(
    ("name", "mistake"), [(n, m) for n, (slips, _) in SLIPS.items() for m in slips if m != "NaN kept"]
)
def test_slips(name, mistake, fails_with):
    slips, wrap = SLIPS[name]
    slip, hint = slips[mistake]
    fails_with(ALL[name], mistake, wrap(slip), hint)


def spoilt_by_nan(sources):
    energy = sources.square().mean(-1)
    return (energy * 100_000 >= energy.amax()).all(-1)


@pytest.mark.parametrize(
    ("exercise", "mistake", "answer"),
    [
        (nb07.by_kind, "not a dictionary", lambda m, e, s, k: 3.0),
        (nb07.by_kind, "other kinds", lambda m, e, s, k: {"all": 3.0}),
        (nb07.by_kind, "other numbers", lambda m, e, s, k: dict.fromkeys(k, 3.0)),
        (nb07.consistent, "one answer for the batch", lambda m, s: torch.allclose(m, s.sum(1))),
        (nb07.consistent, "one answer for the batch", lambda m, s: (m - s.sum(1)).abs().max() < 1e-3),
        (nb07.consistent, "not a tensor", lambda m, s: [True] * len(m)),
        (nb07.consistent, "wrong shape", lambda m, s: m > 0),
        (nb07.consistent, "other answers", lambda m, s: torch.ones(len(m), dtype=torch.bool)),
        (nb07.audible, "not a tensor", lambda s: True),
        (nb07.audible, "wrong shape", lambda s: s.abs().amax(-1) > 0),
        (nb07.audible, "other answers", lambda s: torch.ones(len(s), dtype=torch.bool)),
        (nb07.audible, "NaN kept", lambda s: nb07._audible(s.nan_to_num(0.0))),
        (nb07.audible, "NaN spoils the rest", spoilt_by_nan),
        (nb07.clipped, "not a list of tensors", lambda g, most: nb07._flat(g)[:2]),
        (nb07.clipped, "not a list of tensors", lambda g, most: 1.0),
        (nb07.clipped, "wrong shape", lambda g, most: [t.flatten() for t in g]),
        (nb07.clipped, "other numbers", lambda g, most: [2 * t for t in g]),
        (nb07.leaked, "not a set of names", lambda train, test: "1"),
        (nb07.leaked, "other names", lambda train, test: {"5"}),
    ],
)
def test_the_other_mistakes(exercise, mistake, answer, fails_with):
    fails_with(exercise, mistake, answer)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (nb07.consistent, lambda m, s: nb07._ceiling(m, s) > 40),
        (nb07.audible, lambda s: (nb07._levels(s) >= -50).all(-1)),
        (nb07.leaked, lambda train, test: ["1", "4", "6"]),
        (nb07.clipped, lambda g, most: _torch_own(g, most)),
    ],
)
def test_right_in_another_way(exercise, answer):
    exercise.check(answer)
    assert exercise.outcome == RIGHT


def _torch_own(gradients, most):
    """In place, and nothing returned."""
    parameters = [torch.nn.Parameter(g) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(parameters, most)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        gradient.copy_(parameter.grad)


def test_the_notebook_uses_every_exercise_and_its_minutes_add_up():
    path = Path(__file__).parents[2] / "notebooks" / "07_failures_in_training.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    for name in ALL:
        assert f"nb07.{name}.card()" in text
        assert f"nb07.{name}.check(" in text
    total, reading, exercising = map(
        int, re.search(r"about (\d+) minutes: (\d+) to read and try, (\d+) for the five", text).groups()
    )
    assert exercising == sum(exercise.minutes for exercise in ALL.values())
    assert total == reading + exercising
