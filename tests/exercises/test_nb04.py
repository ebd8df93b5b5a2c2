"""Notebook 04's exercises: each named mistake is recognised and has its own hint."""

import pytest
import torch
from exercises import RIGHT, nb04


@pytest.mark.parametrize("mistake", nb04._MIX_SLIPS)
def test_mix_slips(mistake, fails_with):
    change, hint = nb04._MIX_SLIPS[mistake]
    fails_with(nb04.mix_at, mistake, lambda a, b, d: nb04._mixed(a, b, d, **change), hint)


def _gained(first, second, level_db, extra=0.0):
    return nb04._mixed(first, second, level_db + extra)


def _in_place(first, second, level_db):
    first *= 0.5
    return nb04._mixed(first, second, level_db)


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not two results", lambda a, b, d: nb04._mixed(a, b, d)[0]),
        ("not a tensor", lambda a, b, d: (1.0, nb04._mixed(a, b, d)[1])),
        ("wrong shape", lambda a, b, d: (a, a)),
        ("wrong shape", lambda a, b, d: (a[:5], nb04._mixed(a, b, d)[1])),
        ("input changed", _in_place),
        ("other level", lambda a, b, d: _gained(a, b, d, 0.7)),
        ("sources do not sum to the mixture", lambda a, b, d: (a + b, nb04._mixed(a, b, d)[1])),
        ("sources changed", lambda a, b, d: nb04._mixed(a.flip(0), b, d)),
    ],
)
def test_other_mistakes_in_mixing(mistake, answer, fails_with):
    fails_with(nb04.mix_at, mistake, answer)


def test_any_common_gain_is_right():
    nb04.mix_at.check(lambda a, b, d: tuple(0.1 * x for x in nb04._mixed(a, b, d)))
    assert nb04.mix_at.outcome == RIGHT


@pytest.mark.parametrize("mistake", nb04._NOISE_SLIPS)
def test_noise_slips(mistake, fails_with):
    change, hint = nb04._NOISE_SLIPS[mistake]
    fails_with(nb04.add_noise, mistake, lambda s, n, d: nb04._noisy(s, n, d, **change), hint)


def _noise_in_targets(sources, noise, snr_db):
    sources += noise
    return sources.sum(0)


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a tensor", lambda s, n, d: "noise"),
        ("noise in the targets", _noise_in_targets),
        ("wrong shape", lambda s, n, d: s + n),
        ("other numbers", lambda s, n, d: s.sum(0)),
    ],
)
def test_other_mistakes_with_noise(mistake, answer, fails_with):
    fails_with(nb04.add_noise, mistake, answer)


def _by(key, count):
    """A split by a key of the pieces, the first ``count`` keys for validation."""

    def split(pieces, share):
        keys = sorted({key(p) for p in pieces})[:count]
        return [p for p in pieces if key(p) not in keys], [p for p in pieces if key(p) in keys]

    return split


def _in_order(pieces, share):
    takes = {}
    for piece in pieces:
        takes.setdefault(piece.partition("-")[0], {}).setdefault(piece.rpartition("-")[0])
    first = {next(iter(names)) for names in takes.values()}
    return [p for p in pieces if p.rpartition("-")[0] not in first], [
        p for p in pieces if p.rpartition("-")[0] in first
    ]


def _takes(*names):
    return lambda pieces, share: (
        [p for p in pieces if p.rpartition("-")[0] not in names],
        [p for p in pieces if p.rpartition("-")[0] in names],
    )


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not two lists", lambda p, s: p),
        ("overlap", lambda p, s: (p, p[:6])),
        ("pieces lost", lambda p, s: (p[:20], p[20:26])),
        ("a recording on both sides", lambda p, s: (p[6:], p[:6])),
        ("a speaker on one side", _by(lambda p: p.partition("-")[0], 1)),
        ("another share", _takes("ada-1", "ada-2", "bob-0", "bob-1")),
        ("depends on the order", _in_order),
    ],
)
def test_mistakes_in_splits(mistake, answer, fails_with):
    fails_with(nb04.split, mistake, answer)


@pytest.mark.parametrize("mistake", nb04._HEARD_SLIPS)
def test_heard_slips(mistake, fails_with):
    change, hint = nb04._HEARD_SLIPS[mistake]
    fails_with(nb04.heard, mistake, lambda *a: nb04._starts(*a, **change), hint)


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a tensor", lambda *a: "all"),
        ("pauses kept", lambda v, n, h, f: list(range(0, len(v) - n + 1, h))),
        ("other starts", lambda *a: []),
    ],
)
def test_other_mistakes_with_segments(mistake, answer, fails_with):
    fails_with(nb04.heard, mistake, answer)


def test_starts_may_be_a_tensor():
    nb04.heard.check(lambda *a: nb04._starts(*a))
    assert nb04.heard.outcome == RIGHT
    nb04.heard.check(lambda *a: torch.tensor(nb04._starts(*a).tolist()))
    assert nb04.heard.outcome == RIGHT
