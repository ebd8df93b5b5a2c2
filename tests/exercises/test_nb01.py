"""Exercises of notebook 01: right answers, untouched stubs, errors, every named mistake with its own hint."""

import re
from pathlib import Path

import pytest
import torch
from exercises import WRONG, nb01
from torch.nn import functional as F

ALL = {name: getattr(nb01, name) for name in nb01.__all__}


# ---------------------------------------------------------------- wrong answers


def _windows(x, filters, stride):
    return x.unfold(-1, filters.shape[-1], stride)


def _encode_single(x, filters, stride):
    return (_windows(x, filters, stride) @ filters.T).transpose(1, 2).float()


def _encode_view(x, filters, stride):
    return (_windows(x.view(-1).view(x.shape), filters, stride) @ filters.T).transpose(1, 2)


def _decode(frames, filters, stride, *, kind="add"):
    batch, _, count = frames.shape
    size = filters.shape[-1]
    zeros = torch.zeros if kind == "single" else frames.new_zeros
    out = zeros(batch, (count - 1) * stride + size)
    cover = torch.zeros(out.shape[-1])
    if kind == "view":
        frames = frames.view(-1).view(frames.shape)
    if kind == "flipped":
        filters = filters.flip(-1)
    for i in range(count):
        here = slice(i * stride, i * stride + size)
        piece = frames[:, :, i] @ filters
        out[:, here] = piece if kind == "overwritten" else out[:, here] + piece
        cover[here] += 1
    if kind == "averaged":
        return out / cover
    if kind == "end":
        return out[:, : count * stride]
    return out.unsqueeze(1) if kind == "channel" else out


def _peaks(filters, n_fft):
    return torch.fft.rfft(filters, n=n_fft).abs().argmax(-1)


WRONG_ANSWERS = {
    "frames": {
        "off by one": lambda t, k, s: max(t - k, 0) // s,
        "kernel forgotten": lambda t, k, s: t // s,
        "rounded up": lambda t, k, s: -(-max(t - k, 0) // s) + 1,
        "rounded": lambda t, k, s: round(max(t - k, 0) / s) + 1,
        "not a whole number": lambda t, k, s: max(t - k, 0) / s + 1,
        "short input": lambda t, k, s: max((t - k) // s + 1, 0),
        "other count": lambda t, k, s: t - k,
        "not a number": lambda t, k, s: [t],
    },
    "encode": {
        "axes transposed": lambda x, f, s: _windows(x, f, s) @ f.T,
        "filter flipped": lambda x, f, s: (_windows(x, f, s) @ f.flip(-1).T).transpose(1, 2),
        "stride forgotten": lambda x, f, s: (_windows(x, f, 1) @ f.T).transpose(1, 2),
        "stride forgotten, axes transposed": lambda x, f, s: _windows(x, f, 1) @ f.T,
        "no overlap": lambda x, f, s: (_windows(x, f, f.shape[-1]) @ f.T).transpose(1, 2),
        "tail kept": lambda x, f, s: (_windows(F.pad(x, (0, s)), f, s) @ f.T).transpose(1, 2),
        "wrong shape": lambda x, f, s: (_windows(x, f, s) @ f.T).transpose(1, 2)[0],
        "other numbers": lambda x, f, s: 2 * (_windows(x, f, s) @ f.T).transpose(1, 2),
        "precision lost": _encode_single,
        "needs contiguous memory": _encode_view,
        "not a tensor": lambda x, f, s: x.numpy(),
    },
    "borrow_phase": {
        "phase dropped": lambda a, b: a.abs(),
        "swapped": lambda a, b: torch.polar(b.abs(), a.angle()),
        "phase not borrowed": lambda a, b: a,
        "conjugate": lambda a, b: torch.polar(a.abs(), -b.angle()),
        "degrees": lambda a, b: torch.polar(a.abs(), torch.rad2deg(b.angle())),
        "silent bin": lambda a, b: a.abs() * b / b.abs(),
        "other numbers": lambda a, b: a.abs() * b,
        "precision lost": lambda a, b: torch.polar(a.abs(), b.angle()).to(torch.complex64),
        "wrong shape": lambda a, b: torch.polar(a.abs(), b.angle()).T,
        "not a tensor": lambda a, b: 1.0,
    },
    "filter_order": {
        "wrong axis": lambda f, n: torch.fft.rfft(f, n=n).abs().argmax(0),
        "peaks returned": _peaks,
        "sorted peaks returned": lambda f, n: _peaks(f, n).sort().values,
        "high to low": lambda f, n: _peaks(f, n).argsort(descending=True),
        "ranks": lambda f, n: _peaks(f, n).argsort().argsort(),
        "real part": lambda f, n: torch.fft.rfft(f, n=n).real.argmax(-1).argsort(),
        "peak in time": lambda f, n: f.abs().argmax(-1).argsort(),
        "no zero-padding": lambda f, n: torch.fft.rfft(f).abs().argmax(-1).argsort(stable=True),
        "not indices": lambda f, n: _peaks(f, n).argsort().double(),
        "no permutation": lambda f, n: torch.zeros(len(f), dtype=torch.long),
        "other order": lambda f, n: torch.arange(len(f)),
        "wrong shape": lambda f, n: _peaks(f, n).argsort()[:3],
        "not a tensor": lambda f, n: [0, 1],
    },
    "decode": {
        "overwritten": lambda x, f, s: _decode(x, f, s, kind="overwritten"),
        "no overlap": lambda x, f, s: (x.transpose(1, 2) @ f).flatten(1),
        "averaged": lambda x, f, s: _decode(x, f, s, kind="averaged"),
        "filter flipped": lambda x, f, s: _decode(x, f, s, kind="flipped"),
        "end cut off": lambda x, f, s: _decode(x, f, s, kind="end"),
        "channel axis kept": lambda x, f, s: _decode(x, f, s, kind="channel"),
        "wrong shape": lambda x, f, s: _decode(x, f, s)[:, 1:],
        "other numbers": lambda x, f, s: -_decode(x, f, s),
        "precision lost": lambda x, f, s: _decode(x, f, s, kind="single"),
        "needs contiguous memory": lambda x, f, s: _decode(x, f, s, kind="view"),
        "not a tensor": lambda x, f, s: 0,
    },
}
CASES = [(name, mistake) for name, answers in WRONG_ANSWERS.items() for mistake in answers]


@pytest.mark.parametrize(("name", "mistake"), CASES)
def test_each_wrong_answer_gets_its_own_hint(name, mistake, monkeypatch):
    said = []
    monkeypatch.setattr(nb01.Exercise, "_say", _listener(said))
    ALL[name].check(WRONG_ANSWERS[name][mistake])
    assert (ALL[name].outcome, ALL[name].mistake) == (WRONG, mistake)
    assert said[0]


def _listener(said):
    def say(self, outcome, text):
        self.outcome = outcome
        said.append(text)

    return say


@pytest.mark.parametrize("name", ALL)
def test_hints_of_an_exercise_differ(name, monkeypatch):
    said = []
    monkeypatch.setattr(nb01.Exercise, "_say", _listener(said))
    for answer in WRONG_ANSWERS[name].values():
        ALL[name].check(answer)
    shared = {"encode": 2}.get(name, 0)  # the three ways to miss the stride share one hint
    assert len(set(said)) == len(said) - shared


def test_the_order_exercise_tells_magnitude_real_part_and_time_apart():
    filters = nb01._tones()
    right = _peaks(filters, 512).argsort()
    assert _peaks(filters, 512).unique().numel() == len(filters)
    for name in ("real part", "peak in time", "no zero-padding"):
        assert not torch.equal(WRONG_ANSWERS["filter_order"][name](filters, 512), right)


def test_the_minutes_of_the_cards_are_those_that_the_notebook_states():
    text = (Path(__file__).parents[2] / "notebooks" / "01_encoder_decoder.ipynb").read_text(encoding="utf-8")
    total, reading, exercises = map(
        int, re.search(r"about (\d+) minutes: (\d+) to read and try, (\d+) for the exercises", text).groups()
    )
    assert exercises == sum(exercise.minutes for exercise in ALL.values())
    assert total == reading + exercises
