import pytest
import torch

from dprnn_lab.training.muon import MuonAdam


@pytest.fixture
def problem(tiny):
    """A model and a function that computes fresh gradients for it."""
    model = tiny().train()
    mixtures = torch.randn(3, 400)

    def gradients():
        model.zero_grad()
        loss = model(mixtures).square().mean()
        loss.backward()
        return loss

    return model, gradients


def parameters(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_every_parameter_moves(problem):
    model, gradients = problem
    before = parameters(model)
    optimizer = MuonAdam(model, lr=0.01)
    gradients()
    optimizer.step()
    assert not [name for name, p in model.named_parameters() if torch.equal(p, before[name])]


def test_matrices_take_orthogonal_steps_of_adams_size(problem):
    model, gradients = problem
    before = parameters(model)
    optimizer = MuonAdam(model, lr=0.01)
    gradients()
    optimizer.step()
    steps = {n: (p - before[n]).detach() for n, p in model.named_parameters() if p.dim() == 2}
    assert len(steps) > 10
    for step in steps.values():
        values = torch.linalg.svdvals(step)
        assert values.median() > 0.5 * values.max()  # of an orthogonal matrix all would be equal
        assert 0.001 < step.square().mean().sqrt() < 0.003  # meant to be 0.2 of the learning rate


def test_all_other_parameters_take_adams_steps(problem):
    model, gradients = problem
    twins = [p.detach().clone().requires_grad_() for p in model.parameters() if p.dim() != 2]
    optimizer, adam = MuonAdam(model, lr=0.01), torch.optim.Adam(twins, 0.01)
    for _ in range(3):
        gradients()
        others = [p for p in model.parameters() if p.dim() != 2]
        for twin, parameter in zip(twins, others, strict=True):
            twin.grad = parameter.grad.clone()
        optimizer.step()
        adam.step()
        for twin, parameter in zip(twins, others, strict=True):
            assert torch.equal(twin, parameter)


def test_a_scheduler_rules_both_parts(problem):
    model, gradients = problem
    optimizer = MuonAdam(model, lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: float(step > 0))
    before = parameters(model)
    gradients()
    optimizer.step()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    schedule.step()
    gradients()
    optimizer.step()
    assert not any(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_a_restored_optimiser_continues_identically(problem):
    model, gradients = problem
    optimizer = MuonAdam(model, lr=0.01)
    for _ in range(3):
        gradients()
        optimizer.step()
    weights, state = parameters(model), optimizer.state_dict()
    state = torch.utils._pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, state)

    def two_steps(optimizer):
        for _ in range(2):
            gradients()
            optimizer.step()
        return parameters(model)

    expected = two_steps(optimizer)
    model.load_state_dict(weights)
    restored = MuonAdam(model, lr=0.5)
    restored.load_state_dict(state)
    got = two_steps(restored)
    assert all(torch.equal(got[name], expected[name]) for name in expected)
    model.load_state_dict(weights)
    forgetful = two_steps(MuonAdam(model, lr=0.01))
    assert not any(torch.equal(forgetful[name], expected[name]) for name in expected)


def test_frozen_parameters_stay(problem):
    model, gradients = problem
    model.encoder.filters.requires_grad_(False)
    model.separator.bottleneck.weight.requires_grad_(False)
    before = parameters(model)
    optimizer = MuonAdam(model, lr=0.01)
    gradients()
    optimizer.step()
    stayed = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert stayed == {"encoder.filters", "separator.bottleneck.weight"}


def test_a_closure_is_called_with_gradients_and_its_loss_comes_back(problem):
    model, gradients = problem
    optimizer = MuonAdam(model, lr=0.01)
    with torch.no_grad():
        loss = optimizer.step(gradients)
    assert loss.item() > 0
    assert model.encoder.filters.grad is not None


def test_zero_grad_clears_all_gradients(problem):
    model, gradients = problem
    optimizer = MuonAdam(model, lr=0.01)
    gradients()
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())
