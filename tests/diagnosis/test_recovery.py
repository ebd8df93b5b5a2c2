"""The configuration that the weights were trained with, recovered by remix consistency."""

import pytest
import torch
from safetensors.torch import load_file

from dprnn_lab import CheckpointError, DPRNNTasNet, PITLossWrapper, load_model, pairwise_neg_sisdr
from dprnn_lab.checkpoint import read_info, save_asteroid
from dprnn_lab.checkpoint.asteroid import to_asteroid
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.diagnosis import recover_config
from dprnn_lab.files import data_folder

SMALL = data_folder() / "model" / "small.safetensors"


@pytest.fixture(scope="module")
def speech():
    """A second and a half of three mixtures of a man and a woman, ``[3, T]``."""
    mixtures = FixedMixtures("test", kind="man-woman", limit=3)
    return torch.stack([mixture[8000:20_000] for mixture, _, _ in mixtures])


def test_the_configuration_of_a_trained_model_is_recovered(speech):
    candidates = {
        "mask_act": ["relu", "sigmoid", "tanh"],
        "norm_type": ["cLN", "gLN"],
        "encoder_activation": ["relu", None],
        "stride": [32, 16],
        "chunk_size": [100, 64],
    }
    found = recover_config(load_file(SMALL), speech, candidates)
    for name, values in candidates.items():
        assert {trial.value for trial in found.tables[name]} == set(values)
        if name != "chunk_size":
            assert found.config[name] == read_info(SMALL)["config"][name], name
            assert found.margin(name) > max(1.0, 3 * found.margin("chunk_size")), name
    assert not {"mask_act", "encoder_activation"} & set(found.undecided)
    text = str(found)
    assert "mask_act: 'sigmoid' (margin " in text
    assert "over 3 pieces" in text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["man-woman", "woman-woman"])
def test_the_ranking_is_the_one_that_references_would_give(kind):
    """Eight mixtures and all the usual candidates; the table is in the docstring of recover_config."""
    examples = [FixedMixtures("test", kind=kind)[i] for i in range(8)]
    mixtures = torch.stack([mixture[8000:24_000] for mixture, _, _ in examples])
    sources = torch.stack([sources[:, 8000:24_000] for _, sources, _ in examples])
    found = recover_config(load_file(SMALL), mixtures)
    model, loss = load_model(SMALL), PITLossWrapper(pairwise_neg_sisdr)

    def quality(name, value):
        changed = {**found.config, name: value}
        if name == "chunk_size":
            changed["hop_size"] = value // 2
        other = DPRNNTasNet(**changed).eval()
        other.load_state_dict(model.state_dict())
        with torch.no_grad():
            return -float(loss(other(mixtures), sources))

    for name, trials in found.tables.items():
        by_reference = {trial.value: quality(name, trial.value) for trial in trials}
        best = max(by_reference, key=by_reference.get)
        if name == "chunk_size":
            assert by_reference[best] - by_reference[trials[0].value] < 1.0
        else:
            assert found.decided(name), name
            assert trials[0].value == best == model.config[name]


def test_copies_of_the_mixture_score_about_zero(tiny, speech):
    model = tiny()
    with torch.no_grad():  # masks of one half everywhere, and a filterbank that inverts itself
        model.separator.mask.weight.zero_()
    found = recover_config(model.state_dict(), speech, {"norm_type": ["gLN", "cLN"]}, rounds=1)
    trial = found.tables["norm_type"][0]
    assert trial.score < 0.5
    assert trial.correlation == pytest.approx(1, abs=1e-3)


def test_what_makes_no_difference_is_not_decided(tiny, speech):
    state = tiny(n_repeats=1).state_dict()
    state["separator.mask.weight"].zero_()  # the separator is without effect
    found = recover_config(state, speech, {"norm_type": ["gLN", "cLN"], "chunk_size": [10, 20]})
    assert found.undecided == ["norm_type", "chunk_size"]
    assert "chunk_size: not decided by this audio" in str(found)


def test_the_search_starts_with_the_values_in_the_file(tiny, tmp_path, speech):
    model = tiny(stride=4, chunk_size=12, hop_size=3, encoder_activation="tanh")
    path = save_asteroid(model, tmp_path / "model.pth")
    found = recover_config(path, speech[:1, :4000], {"norm_type": ["gLN", "cLN"]}, rounds=1)
    same = {name: v for name, v in found.config.items() if name != "norm_type"}
    assert same == {n: v for n, v in read_info(path)["config"].items() if n != "norm_type"}


def test_a_chunk_keeps_its_overlap(tiny, speech):
    state = tiny().state_dict()
    found = recover_config(state, speech[:1, :4000], {"chunk_size": [30, 60]}, rounds=1)
    assert found.config["hop_size"] * 2 == found.config["chunk_size"]


def test_the_usual_candidates(tiny, speech):
    model = tiny(kernel_size=4, stride=2, mask_act="prelu", n_repeats=1)
    found = recover_config(model.state_dict(), speech[0, :2000], rounds=1)
    assert "mask_act" not in found.tables  # PReLU has a weight: there is no question
    assert {trial.value for trial in found.tables["stride"]} == {1, 2, 4}
    assert {trial.value for trial in found.tables["norm_type"]} == {"gLN", "cLN", "fgLN"}
    assert found.config.keys() == model.config.keys()
    DPRNNTasNet(**found.config).load_state_dict(model.state_dict())


def test_two_pieces_decide_nothing_and_three_may(speech):
    candidates = {"mask_act": ["relu", "sigmoid"]}
    few = recover_config(SMALL, speech[:2], candidates, rounds=1)
    assert few.undecided == ["mask_act"]
    assert few.tables["mask_act"][0].value == "sigmoid"
    assert recover_config(SMALL, speech, candidates, rounds=1).undecided == []


def test_a_recording_is_cut_into_pieces_and_silence_left_out(tiny, tmp_path, speech):
    long = torch.cat((speech[0, :8000], torch.zeros(4000), speech[1, :4000]))
    candidates = {"norm_type": ["gLN", "cLN"]}
    model = tiny(sample_rate=4000 / 3)  # pieces of three seconds: 4000 samples
    path = save_asteroid(model, tmp_path / "model.pth")
    assert len(recover_config(path, long, candidates, rounds=1).tables["norm_type"][0].scores) == 3


def test_a_value_stays_unless_another_is_clearly_better(tiny, speech):
    state = tiny().state_dict()
    state["separator.mask.weight"].zero_()
    for values in (["gLN", "cLN"], ["cLN", "gLN"]):
        assert recover_config(state, speech, {"norm_type": values}, rounds=1).config["norm_type"] == "gLN"


def test_the_result_loads_the_file(tiny, tmp_path, speech):
    path = tmp_path / "model.pth"
    torch.save(to_asteroid(tiny().state_dict()), path)
    found = recover_config(path, speech[0, :2000], {"norm_type": ["gLN", "cLN"]}, rounds=1)
    assert load_model(path, **found.config).config == found.config


@pytest.mark.parametrize(
    ("mixture", "candidates", "message"),
    [
        (torch.zeros(8000), None, "not silent"),
        ([0.1, 0.2], None, "the mixture is list: give a tensor of samples"),
        ("talk.wav", None, "the mixture is str: give a tensor of samples"),
        (torch.ones(8000).short(), None, "floating point"),
        (torch.ones(1, 2, 8000), None, r"\[T\] or \[B, T\]"),
        (torch.ones(8000), {"n_src": [1, 2]}, "for some of encoder_activation"),
        (torch.ones(8000), {"stride": [8]}, "two or more values"),
        (torch.ones(8000), {}, "two or more values"),
    ],
)
def test_useless_mixtures_and_candidates(tiny, mixture, candidates, message):
    with pytest.raises(ValueError, match=message):
        recover_config(tiny().state_dict(), mixture, candidates)


def test_one_output_says_nothing(tiny, speech):
    with pytest.raises(ValueError, match="one output"):
        recover_config(tiny(n_src=1).state_dict(), speech)


def test_weights_that_are_not_whole(tiny, speech):
    state = tiny().state_dict()
    del state["separator.mask.weight"]
    with pytest.raises(CheckpointError, match="make no whole model"):
        recover_config(state, speech)
