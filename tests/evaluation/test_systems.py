"""Addresses of systems: names that tell them apart, prefixes, baselines that can't be computed; undefined scores."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from dprnn_lab import save_model
from dprnn_lab.evaluation import overview, report, scores, undefined
from dprnn_lab.evaluation.baselines import BASELINES, why_not
from dprnn_lab.evaluation.run import open_mixtures
from dprnn_lab.evaluation.scores import score
from dprnn_lab.evaluation.systems import fingerprint, make_system, names_of, split_prefix


@pytest.mark.parametrize(
    ("addresses", "names"),
    [
        (["a/model.safetensors", "b/model.safetensors"], ["a/model", "b/model"]),
        (["x/a/model.pth", "y/a/model.pth", "z.pth"], ["x/a/model", "y/a/model", "z"]),
        (["runs/last.ckpt", "runs/last.pth"], ["last.ckpt", "last.pth"]),
        (["last.ckpt::model", "last.ckpt::ema_model"], ["last (model)", "last (ema_model)"]),
        (["conv-tasnet:best.pth", "x/best.pth", "irm"], None),
        (["small", "large", "mixture"], ["small", "large", "mixture"]),
    ],
)
def test_each_address_gets_a_name_of_its_own(addresses, names):
    found = names_of(addresses)
    assert len(set(found)) == len(addresses)
    assert names is None or found == names


def test_a_model_given_twice_is_refused():
    with pytest.raises(ValueError, match=r"two models have the same name: a.pth is given twice"):
        names_of(["a.pth", "b.pth", "a.pth"])


def test_a_prefix_chooses_one_of_several_models_in_a_file(tiny, tmp_path):
    torch.manual_seed(1)
    models = {"model.": tiny(), "ema_model.": tiny()}
    state = {prefix + name: value for prefix, m in models.items() for name, value in m.state_dict().items()}
    file = tmp_path / "two.ckpt"
    torch.save(
        {"state_dict": state, "pytorch-lightning_version": "2", "hyper_parameters": dict(tiny().config)}, file
    )
    for prefix, model in models.items():
        loaded = make_system(f"{file}::{prefix}")
        assert torch.equal(loaded.state_dict()["decoder.filters"], model.state_dict()["decoder.filters"])
    assert fingerprint(f"{file}::model.") != fingerprint(f"{file}::ema_model.")
    odd = save_model(tiny(), tmp_path / "a::b.safetensors")
    assert split_prefix(odd) == (str(odd), None)  # a file of such a name comes first


def test_which_baselines_can_be_computed():
    disk = SimpleNamespace(id="x", kind="y")
    assert [name for name in BASELINES if why_not(name, disk)] == ["nmf"]
    known = SimpleNamespace(first="ada/1.wav", second="bob/1.wav")
    assert not any(why_not(name, known) for name in BASELINES)


@pytest.mark.parametrize("samples", [1, 20, 128, 129, 4000])
def test_masks_work_on_mixtures_of_any_length(samples):
    sources = torch.randn(2, samples)
    for name in ("mixture", "irm", "ibm"):
        assert BASELINES[name]()(sources.sum(0), sources, None).shape == sources.shape


# Scores that are not defined


def cases():
    one, two = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(8000)
    return {
        "silent": torch.stack([one, zero]),
        "all silent": torch.stack([zero, zero]),
        "equal": torch.stack([one, one]),
        "inverted copies": torch.stack([one, -0.3 * one]),
        "short": torch.stack([one, two])[:, :300],
        "one sample": torch.stack([one, two])[:, :1],
        "constant": torch.ones(2, 8000),
    }


@pytest.mark.parametrize("case", cases())
def test_sdr_is_nan_where_it_is_not_defined(case):
    sources = cases()[case]
    found = score(sources + 0.1 * torch.randn_like(sources), sources, sources.sum(0), ["bss"])
    assert all(math.isnan(found[name]) for name in ("sdr", "sdri", "sir", "sar"))


@pytest.mark.parametrize("case", ["silent", "all silent", "short", "one sample"])
def test_stoi_is_nan_where_it_is_not_defined(case):
    pytest.importorskip("pystoi")
    sources = cases()[case]
    found = score(sources + 0.1 * torch.randn_like(sources), sources, sources.sum(0), ["stoi"])
    assert math.isnan(found["stoi"]) and math.isnan(found["stoi_in"])


def test_pesq_is_nan_where_its_package_finds_no_speech(monkeypatch):
    class NoUtterancesError(Exception):
        __module__ = "pesq.cypesq"

    def nothing(*arguments):
        raise NoUtterancesError

    monkeypatch.setattr("torchmetrics.functional.audio.pesq.perceptual_evaluation_speech_quality", nothing)
    sources = torch.randn(2, 8000)
    assert math.isnan(scores._pesq(sources, sources, 8000))
    assert math.isnan(scores._pesq(sources, cases()["silent"], 8000))


def test_the_table_has_every_metric_and_undefined_ones_are_counted():
    table = pd.DataFrame(
        {"kind": "x", "id": ["a", "b", "c"], "si_sdri": [1.0, 2.0, 3.0], "correlation": 0.0}
        | {name: [1.0, np.nan, 3.0] for name in ("sdr", "sdri", "sir", "sar")}
        | {"stoi": [0.1, 0.2, 0.6], "stoi_in": 0.1}
    )
    row = overview(table, ["bss", "stoi"]).iloc[0]
    assert [row[name] for name in ("sdr", "sdri", "sir", "sar")] == [2.0] * 4
    assert row["stoi"] == pytest.approx(0.3)
    (sentence,) = undefined(table, ["bss", "stoi"])
    assert sentence.startswith("sdr, sdri, sir, sar: not defined for 1 of 3 mixtures")


def test_a_report_of_scores_that_are_nan_or_infinite():
    rows = [
        {"system": system, "id": f"m{i}", "kind": "mix_$a$b$", "si_sdr": math.nan, "si_sdri": math.nan}
        | {"correlation": 0.0}
        for system in ("one", "two")
        for i in range(3)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    for value in (math.nan, math.inf):
        assert "There is no histogram" in report._histogram(table.assign(si_sdri=value))[0]
    assert "better than" not in report.markdown_report(table)
    assert "si_sdri: not defined for 3 of 3 mixtures" in report.markdown_report(table)
    assert len(report._histogram(table.assign(si_sdri=[1.0, math.nan, 2.0] * 2))) == 2


# Lists of mixtures


def test_a_mistyped_folder_is_answered_with_a_near_name(tmp_path):
    (tmp_path / "Libri2Mix" / "wav8k" / "min" / "test").mkdir(parents=True)
    with pytest.raises(
        FileNotFoundError, match=r"no such folder or file.*did you mean .*Libri2Mix/wav8k/min/test"
    ):
        open_mixtures(tmp_path / "Libri2Mx" / "wav8k" / "min" / "test")
    with pytest.raises(FileNotFoundError, match=r"did you mean .*min/test"):
        open_mixtures(tmp_path / "Libri2Mix" / "wav8k" / "min" / "tset")
    with pytest.raises(
        FileNotFoundError, match=r"no mixture list of the bundled voices: .*test, unseen, valid"
    ):
        open_mixtures("dev")


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -8000, 0, 1e12])
def test_an_absurd_rate_is_named(rate):
    with pytest.raises(ValueError, match="sample_rate is"):
        open_mixtures("test", sample_rate=rate)
