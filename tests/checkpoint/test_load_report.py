"""The load report counts and names what fits and what does not."""

import warnings

import pytest
import torch

from dprnn_lab import CheckpointError, load_model
from dprnn_lab.checkpoint import LoadReport, inspect_checkpoint


@pytest.fixture
def changed(model, package, save):
    """A package whose state dict was changed: ``changed(lambda state: ...)``."""

    def make(change, **arguments):
        content = package(model, **arguments)
        change(content["state_dict"])
        return save(content)

    return make


def lose(state):
    del state["masker.mask_net.weight"], state["masker.net.1.intra_linear.bias"]


def add(state):
    state["masker.extra.weight"] = torch.ones(2)


def reshape(state):
    state["masker.mask_net.weight"] = torch.ones(3, 6, 1)


def poison(state):
    state["masker.mask_net.weight"][0, :2] = float("nan")
    state["encoder.filterbank._filters"][1, 0, 0] = float("inf")


def test_everything_fits(model, package, save):
    report = load_model(save(package(model)), report=True)[1]
    assert isinstance(report, LoadReport)
    assert report.complete
    assert report.matched == sorted(model.state_dict())
    assert report.parameters == sum(p.numel() for p in model.parameters())
    assert report.config == model.config
    assert {setting.source for setting in report.settings.values()} == {"file (model_args)"}
    assert report.settings["n_src"].evidence == "shapes agree"
    assert report.settings["stride"].evidence == ""
    assert not report.problems()


def test_missing_unexpected_and_reshaped_parameters(changed):
    report = inspect_checkpoint(changed(lambda s: (lose(s), add(s))))
    assert report.missing == ["separator.blocks.1.intra.projection.bias", "separator.mask.weight"]
    assert report.unexpected == ["masker.extra.weight"]
    report = inspect_checkpoint(changed(reshape))
    assert report.reshaped == {"separator.mask.weight": ([3, 6], [5, 6])}
    assert not report.complete


@pytest.mark.parametrize("change", [lose, add, reshape, poison])
def test_whatever_does_not_fit_is_an_error(changed, change):
    with pytest.raises(CheckpointError):
        load_model(changed(change))


def test_a_partial_load_must_be_requested_and_is_reported(model, changed):
    with pytest.warns(UserWarning, match=r"loaded in part: 2 missing \(.*\) of 62 parameters"):
        loaded = load_model(changed(lose), strict=False)
    state = loaded.state_dict()
    for name, value in model.state_dict().items():
        lost = name in ("separator.mask.weight", "separator.blocks.1.intra.projection.bias")
        assert torch.equal(state[name], value) != lost


def test_a_partial_load_with_a_report(changed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, report = load_model(changed(lambda s: (lose(s), add(s))), strict=False, report=True)
    assert len(report.matched) == 60
    assert (len(report.missing), len(report.unexpected)) == (2, 1)


def test_weights_for_two_sources_in_a_model_for_three(tiny, package, save):
    path = save(package(tiny(n_src=2)))
    loaded, report = load_model(path, n_src=3, strict=False, report=True)
    assert loaded.n_src == 3
    assert sorted(report.reshaped) == ["separator.source_split.bias", "separator.source_split.weight"]
    assert str(report.conflicts[0]).startswith("n_src=3 was given, but the weights say n_src=2")


def test_a_file_of_which_nothing_fits_is_an_error_even_so(save):
    with pytest.raises(CheckpointError, match="none of its 1 tensors is a parameter"):
        load_model(save({"conv.weight": torch.ones(2)}), strict=False)
    with pytest.raises(CheckpointError, match="nothing of it fits"):
        load_model(save({"encoder.filterbank._filters": torch.ones(2)}), strict=False)


# NaN


@pytest.mark.parametrize("strict", [True, False])
def test_weights_that_are_no_numbers(changed, strict):
    path = changed(poison)
    with pytest.raises(CheckpointError, match="3 weights are NaN or infinite"):
        load_model(path, strict=strict)
    report = inspect_checkpoint(path)
    assert report.nonfinite == {"separator.mask.weight": 2, "encoder.filters": 1}


def test_weights_that_are_no_numbers_can_be_loaded_on_request(changed):
    with pytest.warns(UserWarning, match="3 weights are NaN or infinite"):
        loaded = load_model(changed(poison), allow_nonfinite=True)
    assert int(loaded.separator.mask.weight.isnan().sum()) == 2


# Prefixes


def test_tensors_without_the_prefix_are_left_out_and_named(model, theirs, save, silent):
    state = {**theirs(model, "model."), "loss_func.weight": torch.ones(3)}
    _, report = load_model(save(state), report=True, **silent)
    assert report.outside == ["loss_func.weight"]
    assert "loss_func.weight" in str(report)


def test_tensors_with_the_prefix_must_be_known(model, theirs, save, silent):
    state = {**theirs(model, "model."), "model.head.weight": torch.ones(3)}
    with pytest.raises(CheckpointError, match=r"1 unexpected \(model\.head\.weight\)"):
        load_model(save(state), **silent)


def test_without_a_prefix_everything_must_be_known(model, theirs, save, silent):
    with pytest.raises(CheckpointError, match=r"1 unexpected \(loss\.weight\)"):
        load_model(save({**theirs(model), "loss.weight": torch.ones(3)}), **silent)


def test_two_models_in_a_file_must_be_chosen_from(tiny, model, theirs, save, silent, same):
    other = {"ema." + name: value + 1 for name, value in theirs(model).items()}
    path = save({**theirs(model, "model."), **other})
    with pytest.raises(CheckpointError, match=r"2 complete models, under 'ema\.', 'model\.'.*prefix='"):
        load_model(path, **silent)
    assert same(load_model(path, prefix="model.", **silent))
    assert not same(load_model(path, prefix="ema.", **silent))
    with pytest.raises(CheckpointError, match=r"behind the prefix 'net\.'; there are 'model\.', 'ema\.'"):
        load_model(path, prefix="net.", **silent)


# The text


def test_the_text_names_everything_that_matters(changed):
    text = str(inspect_checkpoint(changed(lambda s: (lose(s), add(s), poison_filters(s)), n_repeats=3)))
    for part in (
        "Asteroid package, Asteroid names",
        "missing: separator.blocks.1.intra.projection.bias",
        "unexpected: masker.extra.weight",
        "NaN or Inf  1 in encoder.filters",
        "chunk_size         12        file (model_args)",
        "contradiction: n_repeats=3 is in the file (model_args), but the weights say n_repeats=2",
        "software_versions",
        "does not load",
    ):
        assert part in text


def poison_filters(state):
    state["encoder.filterbank._filters"][1, 0, 0] = float("inf")


def test_the_text_says_what_was_assumed(model, theirs, save):
    text = str(inspect_checkpoint(save(theirs(model, "module."))))
    assert "bare state_dict, Asteroid names, prefix 'module.' taken off" in text
    assert "n_src              3         shapes (separator.source_split.weight [18, 6])" in text
    assert "stride             8         assumed (half of kernel_size)" in text
    assert "undecided   neither the file nor any shape gives stride, chunk_size" in text
    assert text.endswith("verdict     loads")
