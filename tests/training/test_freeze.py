"""Frozen parts: with every optimiser, and with their statistics."""

from copy import deepcopy

import pytest
import torch

from dprnn_lab.training import SeparationModule
from dprnn_lab.training.module import freeze


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
@pytest.mark.parametrize(
    "parts", [["separator"], ["encoder", "decoder"], ["encoder"], ["encoder", "decoder", "separator.blocks"]]
)
def test_any_part_can_be_frozen_with_any_optimiser(noise_run, tiny, parts, optimizer):
    torch.manual_seed(5)
    model = tiny(n_repeats=1)
    freeze(model, parts)
    before = deepcopy(model.state_dict())
    trained, _ = noise_run("run", 3, model=model, optimizer=optimizer)
    noise_run("run", 6, model=model, optimizer=optimizer, resume=True)
    for name, value in trained.state_dict().items():
        frozen = any(name.startswith(f"{part}.") for part in parts)
        assert torch.equal(value, before[name]) == frozen or not value.is_floating_point(), name


def test_matrices_alone_can_be_trained(noise_run, tiny):
    model = tiny(n_repeats=1)
    freeze(model, [n for n, p in model.named_parameters() if p.dim() != 2])
    noise_run("run", 3, model=model)
    noise_run("run", 6, model=model, resume=True)


def test_a_frozen_batch_norm_keeps_its_statistics(noise_run, tiny):
    torch.manual_seed(5)
    model = tiny(n_repeats=2, norm_type="bN")
    freeze(model, ["separator.blocks.0", "separator.input_norm"])
    before = {n: b.clone() for n, b in model.named_buffers()}
    noise_run("run", 3, model=model)
    for name, value in model.named_buffers():
        frozen = name.startswith(("separator.blocks.0.", "separator.input_norm."))
        assert torch.equal(value, before[name]) == frozen, name


def test_frozen_parts_stay_in_evaluation_mode(tiny):
    model = tiny(norm_type="bN", num_layers=2, dropout=0.5)
    freeze(model, ["separator.blocks.0"])
    for same in (model, deepcopy(model)):
        same.train()
        assert same.training and same.separator.blocks[1].inter_norm.training
        assert not any(m.training for m in same.separator.blocks[0].modules())
        same.separator.blocks[0].train()
        assert not same.separator.blocks[0].training
    freeze(model, ["encoder"])  # and no longer the block
    model.train()
    assert all(m.training for m in model.separator.modules())
    assert not model.encoder.training


def test_freezing_everything_is_a_sentence(tiny):
    model = tiny()
    with pytest.raises(ValueError, match="nothing is left to train; freeze fewer parts"):
        freeze(model, ["encoder", "separator", "decoder"])
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(ValueError, match="every parameter of the model is frozen"):
        SeparationModule(model.requires_grad_(False))
