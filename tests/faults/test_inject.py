"""Faults are named, seeded, and leave the healthy case as it was."""

import copy

import pytest
import torch

from dprnn_lab.faults import FAULTS, inject


def same(a, b):
    if isinstance(a, torch.Tensor):
        return (
            isinstance(b, torch.Tensor)
            and a.shape == b.shape
            and torch.equal(a.nan_to_num(7), b.nan_to_num(7))
        )
    return a == b


CHEAP = ["level", "channels", "order-arbitrary", "scale-free", "outputs-alike", "not-finite", "sources-count"]


@pytest.mark.parametrize("failure", CHEAP)
def test_the_same_seed_breaks_in_the_same_way(broken, failure):
    first, second = broken(failure, seed=1), broken(failure, seed=1)
    assert first.variant == second.variant
    assert same(first.mixture, second.mixture)
    assert same(first.estimates, second.estimates)


@pytest.mark.parametrize("failure", CHEAP)
def test_seeds_go_through_the_variants(broken, failure):
    names = [broken(failure, seed=seed).variant for seed in range(len(FAULTS[failure]))]
    assert names == list(FAULTS[failure])


@pytest.mark.parametrize(
    "failure", [*CHEAP, "weights-partial", "weights-corrupt", "dead-output", "eval-mode"]
)
def test_the_healthy_case_stays_as_it_was(talk, tmp_path, failure):
    case = talk(0).change(folder=tmp_path)
    before = {
        "mixture": case.mixture.clone(),
        "references": case.references.clone(),
        "estimates": case.estimates.clone(),
    }
    state = copy.deepcopy(case.model.state_dict())
    for variant in FAULTS[failure]:
        if variant != "curve":
            broken = inject(failure, case, variant=variant)
            assert (broken.fault, broken.variant) == (failure, variant)
    for name, value in before.items():
        assert torch.equal(getattr(case, name), value)
    assert all(torch.equal(value, case.model.state_dict()[name]) for name, value in state.items())
    assert not case.model.training
    assert case.fault == ""


def test_strength_matters(broken):
    weak, gross = (broken("level", "offset", strength=s).mixture.mean().abs() for s in (0, 1))
    assert gross > 2 * weak


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wights-unmatched",), "choose one of weights-unsafe"),
        (("level", 0, 0.5, "loud"), "level has sixteen-bit"),
        (("level", 0, 1.5), "from 0 to 1"),
    ],
)
def test_what_can_not_be_injected(talk, arguments, message):
    failure, *rest = arguments
    with pytest.raises(ValueError, match=message):
        inject(failure, talk(0), *rest)
