"""Exercises of notebook 02: right answers, untouched stubs, errors, every named mistake with its own hint."""

import inspect
import re

import pytest
import torch
from exercises import RIGHT, WRONG, judging, nb02
from torch.nn import functional as F

from dprnn_lab.model.dual_path import chunk_count, overlap_add, segment

ALL = {name: getattr(nb02, name) for name in nb02.__all__}


def test_another_way_of_doing_it_is_right_too():
    nb02.cut_chunks.check(lambda x, k, p: F.pad(x, (0, 0, k, k)).unfold(1, k, p).mT)
    assert nb02.cut_chunks.outcome == RIGHT
    nb02.inter_frames.check(lambda k, n, size, p: torch.tensor([f for f in range(k - size, n, p) if f >= 0]))
    assert nb02.inter_frames.outcome == RIGHT
    nb02.best_chunk.check(lambda s, r, k, p: 2 * int(((s * r - k) / p / 2) ** 0.5))  # rounded down
    assert nb02.best_chunk.outcome == RIGHT


# ---------------------------------------------------------------- wrong answers


def _cut(x, k, p, before=None, after=None):
    padded = F.pad(x, (0, 0, k if before is None else before, k if after is None else after))
    return padded.unfold(1, k, p).mT


def _join(chunks, frames, hop, *, step=None, add=True, keep=slice(0, 0), gain=1.0):
    batch, count, k, features = chunks.shape
    step = step or hop
    total = chunks.new_zeros(batch, max(frames + 2 * k, (count - 1) * step + k), features)
    for c in range(count):
        before = total[:, c * step : c * step + k].clone() if add else 0
        total[:, c * step : c * step + k] = before + chunks[:, c]
    return gain * total[:, keep if keep.stop else slice(k, k + frames)]


def _seen(k, n, size, p):
    return [c * p - size + k for c in range(chunk_count(n, size, p))]


def _frames(s, r, k, p):
    return (round(s * r) - k) // p + 1


WRONG_ANSWERS = {
    "count_chunks": {
        "not a number": lambda n, k, p: [n],
        "no padding": lambda n, k, p: (n - k) // p + 1,
        "no padding, at least one": lambda n, k, p: max(n - k, 0) // p + 1,
        "one end padded": lambda n, k, p: n // p + 1,
        "off by one": lambda n, k, p: (n + k) // p,
        "rounded up": lambda n, k, p: -(-(n + k) // p) + 1,
        "chunk's own length": lambda n, k, p: (n + 2 * k) // p + 1,
        "half overlap assumed": lambda n, k, p: (n + k) // max(1, k // 2) + 1,
        "not a whole number": lambda n, k, p: (n + k) / p + 1,
        "other count": lambda n, k, p: 7,
    },
    "cut_chunks": {
        "not a tensor": lambda x, k, p: [x],
        "no padding": lambda x, k, p: _cut(x, k, p, 0, 0),
        "one end padded": lambda x, k, p: _cut(x, k, p, 0, k),
        "padded by a hop": lambda x, k, p: _cut(x, k, p, p, p),
        "axes swapped": lambda x, k, p: _cut(x, k, p).transpose(1, 2),
        "features before positions": lambda x, k, p: _cut(x, k, p).mT,
        "last chunk lost": lambda x, k, p: _cut(x, k, p)[:, :-1],
        "no overlap": lambda x, k, p: _cut(x, k, k),
        "wrong shape": lambda x, k, p: x,
        "other numbers": lambda x, k, p: -_cut(x, k, p),
        "precision lost": lambda x, k, p: _cut(x, k, p).float(),
        "needs contiguous memory": lambda x, k, p: _cut(x.view(-1).view(x.shape), k, p),
    },
    "join_chunks": {
        "not a tensor": lambda x, n, p: 3,
        "padding kept": lambda x, n, p: _join(x, n, p, keep=slice(0, n)),
        "both paddings kept": lambda x, n, p: _join(x, n, p, keep=slice(0, n + 2 * x.shape[2])),
        "gain taken out": lambda x, n, p: _join(x, n, p, gain=p / x.shape[2]),
        "overwritten": lambda x, n, p: _join(x, n, p, add=False),
        "half overlap assumed": lambda x, n, p: _join(x, n, p, step=x.shape[2] // 2),
        "end to end": lambda x, n, p: _join(x, n, p, step=x.shape[2]),
        "wrong shape": lambda x, n, p: x,
        "other numbers": lambda x, n, p: _join(x, n, p, gain=-1.0),
        "precision lost": lambda x, n, p: _join(x.float(), n, p),
        "needs contiguous memory": lambda x, n, p: _join(x.view(-1).view(x.shape), n, p),
    },
    "inter_frames": {
        "not a list": lambda k, n, size, p: 3,
        "padding included": _seen,
        "offset forgotten": lambda k, n, size, p: list(range(k, n, p)),
        "a chunk apart": lambda k, n, size, p: [f for f in _seen(k, n, size, size) if 0 <= f < n],
        "intra, not inter": lambda k, n, size, p: list(range(k, k + size)),
        "other frames": lambda k, n, size, p: [0],
    },
    "best_chunk": {
        "not a number": lambda s, r, k, p: "64",
        "factor two forgotten": lambda s, r, k, p: round(_frames(s, r, k, p) ** 0.5),
        "samples, not frames": lambda s, r, k, p: 2 * round((2 * s * r) ** 0.5 / 2),
        "root forgotten": lambda s, r, k, p: 2 * _frames(s, r, k, p),
        "half inside the root": lambda s, r, k, p: 2 * round((_frames(s, r, k, p) / 2) ** 0.5 / 2),
        "not even": lambda s, r, k, p: 2 * round((2 * _frames(s, r, k, p)) ** 0.5 / 2) + 1,
        "path too long": lambda s, r, k, p: 100,
    },
}


@pytest.mark.parametrize(
    ("name", "mistake"), [(n, m) for n, answers in WRONG_ANSWERS.items() for m in answers]
)
def test_a_wrong_answer_gets_its_own_hint(name, mistake):
    exercise = ALL[name]
    exercise.check(WRONG_ANSWERS[name][mistake])
    assert (exercise.outcome, exercise.mistake) == (WRONG, mistake)


def test_every_mistake_of_the_module_is_tried():
    source = inspect.getsource(nb02) + inspect.getsource(judging)
    named = set(re.findall(r'Mistake\(\s*"([^"]+)"', source)) | set(
        re.findall(r'^ +"([^"]+)": \(', source, re.MULTILINE)
    )
    assert named == {m for answers in WRONG_ANSWERS.values() for m in answers}


def test_the_wrong_segmentations_are_wrong():
    """The deliberate mistakes above differ from the package; its right relatives do not."""
    x = torch.randn(2, 17, 3)
    assert torch.equal(_cut(x, 6, 4), segment(x, 6, 4))
    chunks = torch.randn(2, chunk_count(17, 6, 2), 6, 3)
    torch.testing.assert_close(_join(chunks, 17, 2), overlap_add(chunks, 17, 2))
