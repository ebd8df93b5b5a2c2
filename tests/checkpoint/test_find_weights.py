"""Weights are found by their content, under any key, and under wrappers anywhere in their names."""

import pytest
import torch
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from dprnn_lab import CheckpointError, load_model
from dprnn_lab.model import DPRNNTasNet

pytestmark = pytest.mark.usefixtures("no_warnings")


def tree(state):
    """Dotted names as nested dictionaries."""
    root = {}
    for name, value in state.items():
        *path, last = name.split(".")
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return root


OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
PLACES = {
    **{
        key: (lambda state, key=key: {"epoch": 5, key: state, "optimizer": OPTIMIZER})
        for key in ("net", "network", "model_state", "params", "separator_weights", "0")
    },
    "a.b": lambda state: {"a": {"b": state, "lr": 0.1}, "epoch": 5},
    "models.1": lambda state: {"models": [{"epoch": 1}, state], "epoch": 5},
    "run.nets.0": lambda state: {"run": {"nets": [state]}, "epoch": 5},
    "params (nested)": lambda state: {"params": tree(state), "epoch": 5},
    "net (arrays)": lambda state: {"net": {k: v.numpy() for k, v in state.items()}, "epoch": 5},
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_under_any_key(model, theirs, save, silent, same, place):
    loaded, report = load_model(save(PLACES[place](theirs(model))), report=True, **silent)
    assert same(loaded)
    assert report.format == f"training checkpoint (weights under {place.split(' ')[0]!r})"
    assert report.format in str(report)
    assert report.facts == {"epoch": 5}


def test_a_list_at_the_top(model, theirs, save, silent, same):
    assert same(load_model(save([{"epoch": 5}, theirs(model)]), **silent))


def test_modules_saved_one_by_one(model, theirs, save, silent, same):
    parts = {}
    for name, value in theirs(model).items():
        first, _, rest = name.partition(".")
        parts.setdefault(first, {})[rest] = value
    assert set(parts) == {"encoder", "masker", "decoder"}
    assert same(load_model(save(parts | {"epoch": 3}), **silent))


def test_the_state_of_an_optimiser_is_not_taken_for_weights(model, theirs, save, silent, same):
    moments = {name: torch.zeros_like(value) for name, value in theirs(model).items()}
    path = save({"optimizer": {"exp_avg": moments}, "grads": moments, "net": theirs(model)})
    assert same(load_model(path, **silent))
    with pytest.raises(CheckpointError, match="no tensor"):
        load_model(save({"optimizer": {"exp_avg": moments}}))
    assert same(load_model(save({"upgraded_adams": theirs(model), "optimizer_states": [moments]}), **silent))


def test_a_file_without_our_weights_is_not_called_damaged(save):
    for content in ({"epoch": 3, "net": {"conv.weight": torch.ones(3)}}, {"epoch": 3, "lr": 0.1}):
        with pytest.raises(CheckpointError) as error:
            load_model(save(content))
        assert "ownload" not in str(error.value)


# Wrappers

WRAPPED = {
    "compiled separator": lambda k: k.replace("masker.", "masker._orig_mod."),
    "compiled blocks": lambda k: k.replace(".net.1.", ".net.1._orig_mod."),
    "parallel separator": lambda k: "model." + k.replace("masker.", "masker.module."),
    "FSDP": lambda k: (
        "_fsdp_wrapped_module."
        + k.replace("masker.", "masker._fsdp_wrapped_module.").replace(
            ".net.0.", ".net.0._fsdp_wrapped_module."
        )
    ),
    "checkpointed": lambda k: k.replace("_RNN.", "_RNN._checkpoint_wrapped_module."),
    "Fabric": lambda k: "_forward_module.module." + k,
    "two": lambda k: "model." + k.replace("masker.", "masker._orig_mod.module."),
    "of the user": lambda k: k.replace("masker.", "masker.inner."),
    "of the user, twice": lambda k: k.replace("masker.", "masker.inner.wrapped."),
    "of the user, in a block": lambda k: k.replace("intra_RNN.", "intra_RNN.traced."),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrappers_are_taken_off_anywhere(model, theirs, save, silent, same, kind):
    state = {WRAPPED[kind](name): value for name, value in theirs(model).items()}
    assert state.keys() != theirs(model).keys()
    loaded, report = load_model(save(state), report=True, **silent)
    assert same(loaded)
    assert report.complete


def test_a_parameter_twice_is_an_error(model, theirs, save, silent):
    state = theirs(model)
    state["masker._orig_mod.mask_net.weight"] = state["masker.mask_net.weight"] + 1
    with pytest.raises(
        CheckpointError, match=r"has masker\.mask_net\.weight twice, as .* and as masker\._orig_mod"
    ):
        load_model(save(state), **silent)


@pytest.mark.parametrize("form", ["old", "parametrized"])
def test_weight_normalisation_is_undone(model, theirs, save, silent, form):
    state = theirs(model)
    names = [n for n in state if n.endswith(("bottleneck.1.weight", "intra_linear.weight", "weight_hh_l0"))]
    assert len(names) == 7
    for name in names:
        direction = 3 * state.pop(name)
        length = direction.flatten(1).norm(dim=1).reshape(-1, *[1] * (direction.dim() - 1)) / 3
        parts = (f"{name}_g", f"{name}_v")
        if form == "parametrized":
            path, _, last = name.rpartition(".")
            parts = tuple(f"{path}.parametrizations.{last}.original{i}" for i in (0, 1))
        state[parts[0]], state[parts[1]] = length, direction
    loaded = load_model(save(state), **silent)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value)


def test_torchs_own_weight_normalisation_and_pruning(model, save, silent, same):
    changed = DPRNNTasNet(**model.config)
    changed.load_state_dict(model.state_dict())
    weight_norm(changed.separator.bottleneck, dim=1)
    prune.random_unstructured(changed.separator.output_gate, "weight", 0.5)
    state = changed.state_dict()
    assert not state.keys() & {"separator.bottleneck.weight", "separator.output_gate.weight"}
    loaded = load_model(save(state), **silent)
    torch.testing.assert_close(loaded.separator.bottleneck.weight, model.separator.bottleneck.weight)
    assert torch.equal(loaded.separator.output_gate.weight, changed.separator.output_gate.weight)


# Advice


def test_a_load_that_leaves_the_network_random_is_never_advised(model, theirs, save, silent):
    """With little missing a load that is not strict is offered, with the count of random weights."""
    total = sum(value.numel() for value in model.state_dict().values())
    little = theirs(model)
    lost = little.pop("masker.net_out.0.bias").numel()
    with pytest.raises(
        CheckpointError, match=rf"strict=False\) loads what fits and leaves {lost} weights random"
    ):
        load_model(save(little), **silent)
    much = {name: value for name, value in theirs(model).items() if ".net." not in name}
    left = sum(value.numel() for name, value in model.state_dict().items() if ".blocks." in name)
    renamed = {name.replace("masker", "blob"): value for name, value in theirs(model).items()}
    for state, options in ((much, {"n_repeats": 2, "hid_size": 4}), (renamed, model.config)):
        with pytest.raises(CheckpointError) as error:
            load_model(save(state), **(silent | options))
        assert "strict=False" not in str(error.value)
        assert "random in" in str(error.value)
    with pytest.raises(
        CheckpointError, match=rf"{left:,} of the model's {total:,} weights \(\d\d%\) are not in the"
    ):
        load_model(save(much), **silent, n_repeats=2, hid_size=4)
