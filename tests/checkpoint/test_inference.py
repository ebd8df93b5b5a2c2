"""Arguments are inferred from shapes; contradictions and assumptions are reported."""

import re
import warnings

import pytest
import torch

from dprnn_lab import CheckpointError, load_model
from dprnn_lab.checkpoint.infer import ONLY_SINC, UNDECIDED, infer

MODELS = [
    {},
    {"n_src": 1},
    {"n_src": 5, "bn_chan": 7},
    {"n_filters": 9, "kernel_size": 3, "stride": 1},
    {"hid_size": 1, "n_repeats": 1},
    {"rnn_type": "GRU", "num_layers": 3},
    {"rnn_type": "RNN", "bidirectional": False},
    {"num_layers": 2, "dropout": 0.5},
    {"use_mulcat": True, "bidirectional": False},
    {"use_mulcat": True, "rnn_type": "GRU", "num_layers": 2, "n_repeats": 11},
    {"mask_act": "prelu"},
    {"encoder_activation": "prelu"},
    {"out_chan": 1},
    {"norm_type": "bN"},
    {"fb_name": "stft", "n_filters": 20},
    {"fb_name": "stft", "n_filters": 20, "kernel_size": 15, "stride": 4, "out_chan": 1},
    {"fb_name": "analytic_free", "n_filters": 8, "norm_type": "bN"},
    {"fb_name": "param_sinc", "n_filters": 8, "sample_rate": 16000, "min_low_hz": 20},
]


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_every_argument_that_shapes_determine_is_inferred(tiny, theirs, save, options):
    model = tiny(**options)
    found = {name: witness.value for name, witness in infer(model.state_dict()).items()}
    decided = {name: v for name, v in model.config.items() if name not in (*UNDECIDED, "dropout")}
    told = {name: "prelu" for name in ("mask_act", "encoder_activation") if model.config[name] == "prelu"}
    if model.config["norm_type"] == "bN":
        told["norm_type"] = "bN"
    if model.config["fb_name"] == "param_sinc":
        told["sample_rate"] = model.config["sample_rate"]
    assert found == decided | told
    silent = {name: model.config[name] for name in UNDECIDED if name not in told}
    loaded = load_model(save(theirs(model, "model.")), **silent)
    assert loaded.config == {**model.config, "dropout": 0}
    mixture = torch.randn(300)
    with torch.no_grad():
        assert torch.equal(loaded(mixture), model(mixture))


def test_any_one_witness_is_enough(tiny):
    state = tiny(n_filters=9, kernel_size=6, bn_chan=7, stride=3).state_dict()
    for name in ("encoder.filters", "separator.bottleneck.weight"):
        del state[name]
    found = {name: witness.value for name, witness in infer(state).items()}
    assert (found["n_filters"], found["kernel_size"], found["bn_chan"]) == (9, 6, 7)


def test_nothing_is_inferred_without_tensors():
    assert infer({}) == {}


WRONG = {
    "n_src": (2, "separator.source_split.weight [18, 6]"),
    "bn_chan": (7, "separator.bottleneck.weight [6, 5]"),
    "hid_size": (5, "separator.blocks.0.intra.rnn.weight_hh_l0 [16, 4]"),
    "n_repeats": (3, "separator.blocks.0 to 1"),
    "n_filters": (4, "encoder.filters [5, 1, 16]"),
    "kernel_size": (20, "encoder.filters [5, 1, 16]"),
    "rnn_type": ("GRU", "separator.blocks.0.intra.rnn.weight_hh_l0 [16, 4]"),
    "num_layers": (2, "separator.blocks.0.intra.rnn.weight_hh_l0 alone"),
    "bidirectional": (False, "separator.blocks.0.inter.rnn.weight_hh_l0_reverse is there"),
    "use_mulcat": (True, "separator.blocks.0.inter.gate_rnn.weight_hh_l0 is not there"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_contradiction_names_argument_shape_and_the_value_that_fits(model, package, save, same, name):
    value, evidence = WRONG[name]
    right = model.config[name]
    extra = {"in_chan": None} if name == "n_filters" else {}
    path = save(package(model, **extra, **{name: value}))
    sentence = (
        f"{name}={value!r} is in the file (model_args), but the weights say {name}={right!r} ({evidence})"
    )
    with pytest.raises(CheckpointError, match=re.escape(sentence)) as error:
        load_model(path)
    remedy = f"load_model(path, {name}={right!r})"
    assert remedy in str(error.value)
    assert same(load_model(path, **{name: right}))


def test_all_contradictions_are_named(model, package, save, same):
    path = save(package(model, n_src=2, n_repeats=4, use_mulcat=True))
    with pytest.raises(CheckpointError, match=r"load_model\(path, n_src=3, n_repeats=2, use_mulcat=False\)"):
        load_model(path)


def test_an_argument_given_wrongly_is_named_too(model, package, save):
    with pytest.raises(CheckpointError, match="n_src=2 was given, but the weights say n_src=3"):
        load_model(save(package(model)), n_src=2)


@pytest.mark.parametrize("name", ["mask_act", "encoder_activation"])
def test_prelu_is_inferred_from_its_weight(tiny, package, save, name):
    path = save(package(tiny(**{name: "prelu"}), **{name: "tanh"}))
    with pytest.raises(
        CheckpointError, match=f"{name}='tanh' is in the file .* the weights say {name}='prelu'"
    ):
        load_model(path)
    path = save(package(tiny(), **{name: "prelu"}))
    with pytest.raises(CheckpointError, match=r"1 missing \((separator\.mask_act|encoder_act)\.weight\)"):
        load_model(path)


# What the shapes leave open


def test_assumed_values_are_warned_of_by_name(tiny, theirs, save):
    model = tiny(kernel_size=6, stride=3, chunk_size=100)
    with pytest.warns(UserWarning) as caught:
        loaded = load_model(save(theirs(model)))
    assert loaded.config == model.config
    (text,) = [str(w.message) for w in caught]
    assert all(name in text for name in UNDECIDED if name not in ONLY_SINC)
    assert not any(name in text for name in ONLY_SINC)
    assert "stride=3" in text  # half of the kernel
    assert "recover_config" in text


def test_given_values_need_no_warning(tiny, theirs, save):
    with pytest.warns(UserWarning) as caught:
        load_model(save(theirs(tiny())), chunk_size=10, mask_act="sigmoid", sample_rate=8000)
    text = str(caught[0].message)
    assert "gives stride, norm_type, encoder_activation;" in text  # the hop goes with its chunk


def test_nothing_is_warned_of_when_all_is_known(model, package, theirs, save, silent):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_model(save(package(model)))
        load_model(save(theirs(model)), **silent)


def test_a_report_takes_the_place_of_the_warning(tiny, theirs, save):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, report = load_model(save(theirs(tiny())), report=True)
    assert list(report.assumed) == [name for name in UNDECIDED if name not in ONLY_SINC]


def test_given_values_take_precedence_over_the_file(model, package, save):
    loaded = load_model(save(package(model)), chunk_size=40, mask_act="sigmoid", encoder_activation=None)
    assert (loaded.config["chunk_size"], loaded.config["hop_size"]) == (40, 20)
    assert loaded.config["mask_act"] == "sigmoid"
    assert loaded.config["encoder_activation"] is None


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"chunks": 3}, TypeError, "'chunks' is no argument of DPRNNTasNet; there are n_src, "),
        ({"stride": 0}, CheckpointError, "the arguments given do not build a model: stride is 0"),
        ({"norm_type": "BN"}, CheckpointError, "norm_type is 'BN': choose one of gLN, cLN, fgLN, bN"),
    ],
    ids=str,
)
def test_given_values_that_make_no_sense(model, package, save, given, error, message):
    with pytest.raises(error, match=message):
        load_model(save(package(model)), **given)
