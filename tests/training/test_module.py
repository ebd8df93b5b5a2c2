from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from dprnn_lab.training import SeparationModule
from dprnn_lab.training.module import freeze, silent_share


def module(model, **options):
    """A module whose logged values are kept in ``module.logged``."""
    made = SeparationModule(model, **options)
    made.logged = {}
    made.log = lambda name, value, **rest: made.logged.update({name: value})
    return made


def test_the_learning_rate_rises_stays_and_falls(tiny):
    factor = SeparationModule(tiny(), warmup=4, cooldown=10, max_steps=100).learning_rate_factor
    assert [factor(step) for step in (0, 1, 3, 4, 50, 90)] == [0.25, 0.5, 1, 1, 1, 1]
    assert factor(95) == pytest.approx(0.5)
    assert factor(100) == 0
    assert factor(101) == 0


def test_the_learning_rate_never_falls_without_a_cooldown(tiny):
    factor = SeparationModule(tiny(), warmup=0, max_steps=100).learning_rate_factor
    assert {factor(step) for step in range(200)} == {1.0}


def test_the_optimiser_follows_the_schedule(tiny):
    made = SeparationModule(tiny(), lr=0.1, warmup=2, cooldown=2, max_steps=5).configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(5):
        rates.append({group["lr"] for group in optimizer.param_groups})
        optimizer.step()
        schedule.step()
    assert all(len(rate) == 1 for rate in rates)
    assert [*map(max, rates)] == pytest.approx([0.05, 0.1, 0.1, 0.1, 0.05])
    assert made["lr_scheduler"]["interval"] == "step"


def test_every_parameter_is_trained(tiny):
    model = tiny()
    optimizer = SeparationModule(model).configure_optimizers()["optimizer"]
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in model.parameters()}


def test_the_training_loss_is_pit_on_negative_si_sdr(tiny):
    model, (mixture, sources) = tiny(), (torch.randn(3, 400), torch.randn(3, 2, 400))
    made = module(model)
    loss = made.training_step((mixture, sources))
    assert loss.requires_grad
    torch.testing.assert_close(loss, PITLossWrapper(pairwise_neg_sisdr)(model(mixture), sources))
    assert made.logged["train_loss"] is loss


def test_another_loss_is_trained_with_and_not_validated_with(tiny):
    model, (mixture, sources) = tiny(), (torch.randn(3, 400), torch.randn(3, 2, 400))
    made = module(model, loss=lambda estimates, targets: (estimates - targets).abs().mean())
    loss = made.training_step((mixture, sources))
    torch.testing.assert_close(loss, (model(mixture) - sources).abs().mean())
    rows = []
    for targets in (sources, sources.flip(1)):  # the best order, whatever the loss
        made.on_validation_epoch_start()
        with torch.no_grad():
            made.validation_step((mixture, targets, ["a", "b", "c"], ["k"] * 3))
        rows.append([row["si_sdr"] for row in made.scores])
    assert rows[0] == pytest.approx(rows[1], abs=1e-4)


def test_the_gradient_norm_is_that_of_all_parameters_together(tiny):
    made = module(tiny())
    made.training_step((torch.randn(3, 400), torch.randn(3, 2, 400))).backward()
    made.on_before_optimizer_step(None)
    together = torch.cat([p.grad.flatten() for p in made.model.parameters()])
    torch.testing.assert_close(made.logged["grad_norm"], together.norm())


def names(*kinds):
    return [f"{kind}-{i}" for i, kind in enumerate(kinds)], list(kinds)


def validated(model, *batches):
    """A module after a validation on one process."""
    made = module(model)
    made.trainer = SimpleNamespace(world_size=1)
    made.on_validation_epoch_start()
    with torch.no_grad():
        for batch in batches:
            made.validation_step(batch)
    made.on_validation_epoch_end()
    return made


@pytest.fixture
def trainerless(monkeypatch):
    # Lightning's property refuses what is not a Trainer; these tests need its world size only.
    monkeypatch.setattr(SeparationModule, "trainer", None, raising=False)


def test_validation_scores_each_kind_by_its_improvement(tiny, trainerless):
    model, sources = tiny(), torch.randn(3, 2, 400)
    mixture = sources.sum(1)
    ids, kinds = names("woman-woman", "man-woman", "woman-woman")
    first, last = slice(None, 2), slice(2, None)
    made = validated(model, *((mixture[s], sources[s], ids[s], kinds[s]) for s in (first, last)))
    with torch.no_grad():
        losses, _ = PITLossWrapper(pairwise_neg_sisdr).best_permutation(model(mixture), sources)
    inputs = [float(si_sdr(mixture[b], sources[b]).mean()) for b in range(3)]
    gains = [-float(losses[b]) - inputs[b] for b in range(3)]
    logged = made.logged
    assert logged["si_sdri_man-woman"] == pytest.approx(gains[1], abs=1e-4)
    assert logged["si_sdri_woman-woman"] == pytest.approx((gains[0] + gains[2]) / 2, abs=1e-4)
    assert logged["si_sdr_man-woman"] == pytest.approx(-float(losses[1]), abs=1e-4)
    assert logged["valid_loss"] == pytest.approx(float(losses.mean()), abs=1e-4)
    assert [row["id"] for row in made.scores] == ["woman-woman-0", "man-woman-1", "woman-woman-2"]
    assert [row["si_sdr_in"] for row in made.scores] == pytest.approx(inputs, abs=1e-4)


def test_validation_measures_the_correlation_of_the_outputs(tiny, trainerless):
    sources = torch.randn(2, 2, 400)

    class Same(torch.nn.Module):
        config: ClassVar = {}

        def forward(self, mixture):
            return torch.stack((mixture, -mixture), 1)

    logged = validated(Same(), (sources.sum(1), sources, *names("man-woman", "man-woman"))).logged
    assert logged["output_correlation"] == pytest.approx(1.0, abs=1e-5)
    assert validated(tiny(), (sources.sum(1), sources, *names("a", "b"))).logged["output_correlation"] < 1


def test_tracked_estimates_are_in_the_order_of_the_sources(tiny, trainerless):
    sources = torch.randn(2, 2, 400)

    class Swapped(torch.nn.Module):
        config: ClassVar = {}

        def forward(self, mixture):
            return sources.flip(1)

    made = module(Swapped())
    made.trainer, made.tracked_ids = SimpleNamespace(world_size=1), {"b-1"}
    made.validation_step((sources.sum(1), sources, *names("a", "b")))
    assert list(made.tracked_sounds) == ["b-1"]
    _, tracked_sources, estimates = made.tracked_sounds["b-1"]
    assert torch.equal(estimates, sources[1])
    assert torch.equal(tracked_sources, sources[1])


def test_silent_sources_are_counted():
    sources = torch.randn(2, 2, 1000)
    sources[1, 0] *= 1e-3
    assert silent_share(sources.sum(1), sources) == 0.25
    sources[1, 0] = 0
    sources[0] = 0
    assert silent_share(sources.sum(1), sources) == 0.75  # an empty mixture has two silent sources


def test_a_plateau_halves_the_rate_after_the_validations_asked_for(tiny):
    made = SeparationModule(tiny(), lr=0.1, halve_after=2, valid_every=3).configure_optimizers()
    schedule = made["lr_scheduler"]
    assert (schedule["interval"], schedule["frequency"], schedule["monitor"]) == ("epoch", 3, "valid_loss")
    rates = []
    for loss in (-1.0, -1.0, -1.0, -2.0, -2.0):
        schedule["scheduler"].step(loss)
        rates.append(made["optimizer"].param_groups[0]["lr"])
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.05]


def test_settings_that_contradict_each_other_are_refused(tiny):
    with pytest.raises(ValueError, match="halve_after is 5 and cooldown 100"):
        SeparationModule(tiny(), halve_after=5, cooldown=100)
    with pytest.raises(ValueError, match="optimizer is 'sgd': choose muon or adam"):
        SeparationModule(tiny(), optimizer="sgd")


def test_adam_is_the_papers_optimiser(tiny):
    made = SeparationModule(tiny(), lr=0.01, optimizer="adam").configure_optimizers()["optimizer"]
    assert type(made) is torch.optim.Adam


def test_frozen_parts_stay_and_the_rest_moves(tiny):
    model = tiny()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    left = freeze(model, ["encoder", "separator.bottleneck"])
    assert left == sum(p.numel() for p in model.parameters() if p.requires_grad)
    made = module(model)
    optimizer = made.configure_optimizers()["optimizer"]
    made.training_step((torch.randn(3, 400), torch.randn(3, 2, 400))).backward()
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert not [n for n in moved if n.startswith(("encoder.", "separator.bottleneck."))]
    assert {n for n, p in model.named_parameters() if p.requires_grad} == moved


def test_a_part_that_is_not_there_is_named(tiny):
    with pytest.raises(ValueError, match=r"freeze names 'encodr'.*encoder"):
        freeze(tiny(), ["encodr"])
    with pytest.raises(ValueError, match="nothing is left"):
        freeze(tiny(), ["encoder", "separator", "decoder"])
