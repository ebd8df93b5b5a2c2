"""A diagnosis leaves the model, the loss and all random numbers as they were, whatever happens in it."""

import copy
import random
import threading

import numpy as np
import pytest
import torch
from torch import nn

from dprnn_lab import DPRNNTasNet, PITLossWrapper, diagnose, load_model, pairwise_neg_sisdr
from dprnn_lab.diagnosis import CATALOGUE, engine
from dprnn_lab.diagnosis.checks import CHECKS
from dprnn_lab.diagnosis.untouched import Snapshot, working_copy


class Messy(nn.Module):
    """Batch norm, dropout, a counter, a hook, a gradient, a part in another mode, a frozen weight."""

    def __init__(self, copied: bool = True):
        super().__init__()
        self.split = nn.Conv1d(1, 2, 15, padding=7)
        self.norm = nn.BatchNorm1d(2)
        self.drop = nn.Dropout(0.3)
        self.frozen = nn.Linear(2, 2)
        self.frozen.requires_grad_(False)
        self.calls = 0
        self.cache = {}
        self.sample_rate = 8000
        if not copied:
            self.lock = threading.Lock()  # can't be copied
        self.split.register_forward_hook(lambda *_: None)
        self.split.weight.grad = torch.ones_like(self.split.weight)
        self.train()
        self.frozen.eval()

    def forward(self, x):
        self.calls += 1
        self.cache[self.calls] = x.shape
        torch.rand(1), np.random.rand(), random.random()
        return self.drop(self.norm(self.split(x[:, None]))) + self.frozen.bias[:, None]


def state(model):
    """All that can be seen of a model and of the random number generators."""
    return {
        "tensors": {n: t.clone() for n, t in model.state_dict().items()},
        "modes": [m.training for m in model.modules()],
        "wanted": [p.requires_grad for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "hooks": [list(m._forward_hooks) for m in model.modules()],
        "own": (getattr(model, "calls", 0), dict(getattr(model, "cache", {}))),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].copy(),
        "python": random.getstate(),
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def differences(model, before):
    after = state(model)
    return [name for name in before if not same(before[name], after[name])]


MIXTURE = 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("copied", [True, False])
def test_every_check_leaves_the_model_as_it_was(copied):
    model = Messy(copied)
    assert (working_copy(model) is model) != copied
    before = state(model)
    report = diagnose(
        model, MIXTURE, references=torch.stack((MIXTURE, -MIXTURE)), loss=PITLossWrapper(pairwise_neg_sisdr)
    )
    assert not report.errors
    assert differences(model, before) == []


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_check_that_breaks_everything_and_raises_is_undone(monkeypatch, copied, name):
    def vandal(evidence):
        network = evidence.network
        network.eval()
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.zero_()
        network.requires_grad_(True)
        network.split.weight.grad = None
        network.calls = 99
        network.split._forward_hooks.clear()
        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        raise RuntimeError("broken on purpose")

    # This check alone, and every check after it, which must see the model as it was given.
    order = list(CATALOGUE)
    seen = []
    for other in order:
        monkeypatch.setitem(CHECKS, other, lambda e: seen.append(state(e.network)) or CHECKS_OK)
    monkeypatch.setitem(CHECKS, name, vandal)
    model = Messy(copied)
    before = state(model)
    report = diagnose(model, MIXTURE)
    assert report[name].state == "error"
    assert differences(model, before) == []
    assert all(same(before[part], look[part]) for look in seen for part in ("tensors", "modes", "own"))


CHECKS_OK = engine.Finding("level", "ok", "looked")


def test_a_diagnosis_that_ends_with_an_error_leaves_it_too():
    model = Messy(copied=False)
    before = state(model)
    with pytest.raises(ValueError, match="no such file"):
        diagnose(model, "no/such/file.wav")
    assert differences(model, before) == []


def test_nothing_is_written_where_nothing_changed():
    """A graph that the caller still needs survives: in-place copies would move the version counters."""
    model = Messy()
    versions = [p._version for p in model.parameters()]
    Snapshot([model]).restore()
    diagnose(model, MIXTURE)
    assert [p._version for p in model.parameters()] == versions


def test_batch_norm_is_called_by_its_name():
    model = Messy()
    model.drop.eval()
    finding = diagnose(model, MIXTURE)["eval-mode"]
    assert (finding.state, finding.evidence["batch_norm"], finding.evidence["dropout"]) == (
        "fail",
        ["norm"],
        [],
    )
    assert "batch norm depends on the batch" in finding.says
    both = diagnose(Messy(), MIXTURE)["eval-mode"]
    assert "dropout at drop" in both.says
    assert "batch norm at norm" in both.says
    assert diagnose(Messy().eval(), MIXTURE)["eval-mode"].state == "ok"


def test_a_part_in_training_mode_is_seen_though_the_whole_is_not():
    model = Messy().eval()
    model.drop.train()
    assert diagnose(model, MIXTURE)["eval-mode"].state == "fail"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_a_model_of_another_precision(talk, dtype):
    case = talk(0)
    model = load_model(case.checkpoint).to(dtype).train()
    report = diagnose(model, case.mixture, references=case.references)
    assert not report.errors
    assert report.state == "ok", str(report)
    assert report["config-silent"].state == report["eval-mode"].state == "ok"
    assert {p.dtype for p in model.parameters()} == {dtype}


@pytest.mark.parametrize("surroundings", ["autocast", "all"])
def test_the_callers_modes_make_no_difference(talk, surroundings):
    case = talk(0)
    given = {
        "mixture": case.mixture,
        "references": case.references,
        "loss": PITLossWrapper(pairwise_neg_sisdr),
    }
    expected = [(f.id, f.state, f.says) for f in diagnose(case.model, **given).findings]
    default = torch.get_default_dtype()
    try:
        if surroundings in ("default dtype", "all"):
            torch.set_default_dtype(torch.float64)
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=surroundings in ("autocast", "all")),
            torch.inference_mode(surroundings in ("inference", "all")),
            torch.set_grad_enabled(surroundings not in ("no grad", "all")),
        ):
            found = [(f.id, f.state, f.says) for f in diagnose(case.model, **given).findings]
            assert torch.get_default_dtype() == (
                torch.float64 if surroundings in ("default dtype", "all") else default
            )
    finally:
        torch.set_default_dtype(default)
    assert found == expected


def test_a_model_made_in_inference_mode(talk):
    with torch.inference_mode():
        model = DPRNNTasNet(**talk(0).model.config).eval()
        model.load_state_dict(talk(0).model.state_dict())
    report = diagnose(model, talk(0).mixture)
    assert report.state == "ok", str(report)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_on_a_gpu(talk):
    model = copy.deepcopy(talk(0).model).cuda().train()
    report = diagnose(model, talk(0).mixture)
    assert report.state == "ok", str(report)
    assert next(model.parameters()).is_cuda
