"""Notebook 06's exercises: the named mistakes, each with its own hint, and answers that are right another way."""

import itertools
import json
import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from exercises import CANT_CHECK, RIGHT, nb06

from dprnn_lab.checkpoint.names import rename
from dprnn_lab.separation.in_memory import scale_to_mixture

ALL = [getattr(nb06, name) for name in nb06.__all__]
SLIPS = (nb06._STRIP_SLIPS, nb06._SHARE_SLIPS, nb06._FIT_SLIPS, nb06._RATE_SLIPS)


def with_keys(names):
    """An answer to 06.1 that gives the tensors these names, in their order."""
    return lambda state, prefix: dict(zip(names(list(state), prefix), state.values(), strict=False))


# 06.1


@pytest.mark.parametrize("mistake", sorted(nb06._STRIP_SLIPS.keys() - {"others dropped"}))
def test_strip_slips(mistake, fails_with):
    slip, hint = nb06._STRIP_SLIPS[mistake]
    fails_with(nb06.strip_prefix, mistake, with_keys(slip), hint)


def in_place(state, prefix):
    for key in [k for k in state if k.startswith(prefix)]:
        state[key.removeprefix(prefix)] = state.pop(key)
    return state


def dropped(state, prefix):
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def copied(state, prefix):
    return {name: value.clone() for name, value in nb06_right(state, prefix).items()}


def nb06_right(state, prefix):
    return dict(zip(nb06._strip(list(state), prefix), state.values(), strict=True))


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a dict", lambda state, prefix: list(state)),
        ("input changed", in_place),
        ("others dropped", dropped),
        ("other tensors", copied),
        ("other names", lambda state, prefix: {k.upper(): v for k, v in state.items()}),
        (
            "letters eaten",
            with_keys(lambda keys, p: [k.lstrip(p) for k in keys] if nb06._strip(keys, p) != keys else keys),
        ),
    ],
)
def test_other_strips(mistake, answer, fails_with):
    fails_with(nb06.strip_prefix, mistake, answer)


def test_stripping_another_way_is_right():
    def answer(state, prefix):
        whole = sum(k.startswith(prefix) for k in state) == len(state)
        return OrderedDict((k[len(prefix) * whole :], v) for k, v in state.items())

    nb06.strip_prefix.check(answer)
    assert nb06.strip_prefix.outcome == RIGHT


def test_the_package_strips_as_asked(tmp_path):
    from dprnn_lab import DPRNNTasNet

    state = DPRNNTasNet(n_repeats=1, hid_size=4).state_dict()
    named = rename(tmp_path / "x.pth", {f"model.{k}": v for k, v in state.items()})
    assert named.prefix == "model." and named.tensors.keys() == state.keys()


# 06.2


def shapes(slip):
    return lambda network, file: slip(*({n: tuple(t.shape) for n, t in s.items()} for s in (network, file)))


@pytest.mark.parametrize("mistake", nb06._SHARE_SLIPS)
def test_share_slips(mistake, fails_with):
    slip, hint = nb06._SHARE_SLIPS[mistake]
    fails_with(nb06.matched_share, mistake, shapes(slip), hint)


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a number", lambda network, file: "all"),
        ("not a number", lambda network, file: network.keys() == file.keys()),
        ("not a number", lambda network, file: float("nan")),
        ("other numbers", lambda network, file: 0.5),
    ],
)
def test_other_shares(mistake, answer, fails_with):
    fails_with(nb06.matched_share, mistake, answer)


def test_a_share_as_a_tensor_is_right():
    nb06.matched_share.check(lambda network, file: torch.tensor(shapes(nb06._share)(network, file)))
    assert nb06.matched_share.outcome == RIGHT


# 06.3


@pytest.mark.parametrize("mistake", nb06._RATE_SLIPS)
def test_rate_slips(mistake, fails_with):
    slip, hint = nb06._RATE_SLIPS[mistake]
    fails_with(nb06.true_rate, mistake, lambda x, r: slip(x.double(), r), hint)


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("no usual rate", lambda x, r: 2 * 3990.0),
        ("no usual rate", lambda x, r: str(r)),
        ("no usual rate", lambda x, r: True),
        ("other rate", lambda x, r: 16000),
    ],
)
def test_other_rates(mistake, answer, fails_with):
    fails_with(nb06.true_rate, mistake, answer)


def test_a_rate_from_frames_is_right():
    def answer(samples, sample_rate):
        window = 1024
        energy = (
            torch.stft(samples, window, window=torch.hann_window(window), return_complex=True)
            .abs()
            .square()
            .mean(-1)
        )
        below = energy.cumsum(0) / energy.sum() < 0.999
        return next(r for r in nb06._RATES if r >= 2 * float(below.sum() - 1) * sample_rate / window)

    nb06.true_rate.check(answer)
    assert nb06.true_rate.outcome == RIGHT


def test_the_recordings_are_of_the_rates_they_were_made_for():
    wanted = [8000, 8000, 11025, 16000, 48000, 8000]
    assert [nb06._rate(nb06._recording(*band), band[1]) for band in nb06._BANDS] == wanted


# 06.4


@pytest.mark.parametrize("mistake", nb06._FIT_SLIPS)
def test_fit_slips(mistake, fails_with):
    slip, hint = nb06._FIT_SLIPS[mistake]
    fails_with(nb06.fit, mistake, slip, hint)


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a tensor", lambda e, x: e.tolist()),
        ("gains alone", lambda e, x: torch.linalg.lstsq(e.T, x[:, None]).solution[:, 0]),
        ("wrong shape", lambda e, x: nb06._fit(e, x).sum(0)),
        ("other numbers", lambda e, x: 2 * nb06._fit(e, x)),
        ("precision lost", lambda e, x: nb06._fit(e, x).float()),
        ("needs contiguous memory", lambda e, x: nb06._fit(e.view(-1).view(e.shape), x)),
    ],
)
def test_other_fits(mistake, answer, fails_with):
    fails_with(nb06.fit, mistake, answer)


@pytest.mark.parametrize(
    "answer",
    [
        lambda e, x: torch.linalg.solve(e @ e.T, e @ x)[:, None] * e,
        lambda e, x: torch.linalg.pinv(e.T) @ x[:, None] * e,
        lambda e, x: scale_to_mixture(e, x).double(),
    ],
)
def test_fits_that_are_right_another_way(answer):
    nb06.fit.check(answer)
    assert nb06.fit.outcome == RIGHT


# All


def test_the_slips_differ_from_each_other_and_the_right_answer():
    states = [(list(keys), prefix) for keys, prefix in nb06._STATES]
    recordings = [(nb06._recording(*band), band[1]) for band in nb06._BANDS]
    for right, slips, inputs in (
        (nb06._strip, nb06._STRIP_SLIPS, states),
        (nb06._share, nb06._SHARE_SLIPS, nb06._LOADS),
        (nb06._rate, nb06._RATE_SLIPS, recordings),
    ):
        answers = [[f(*given) for given in inputs] for f in (right, *(slip for slip, _ in slips.values()))]
        assert all(a != b for a, b in itertools.combinations(answers, 2))


def test_every_mistake_has_a_hint_of_its_own():
    hints = [hint for slips in SLIPS for _, hint in slips.values()]
    assert len(set(hints)) == len(hints)


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_an_answer_with_the_wrong_arguments_cannot_be_checked(exercise):
    exercise.check(lambda x: x + 1)
    assert exercise.outcome == CANT_CHECK


def test_the_minutes_of_the_cards_are_those_that_the_notebook_states():
    path = Path(__file__).parents[2] / "notebooks" / "06_failures_at_inference.ipynb"
    text = " ".join("".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).split())
    total, reading, exercises = map(
        int, re.search(r"about (\d+) minutes: (\d+) to read and try, (\d+) for the four", text).groups()
    )
    assert exercises == sum(e.minutes for e in ALL)
    assert total == reading + exercises
