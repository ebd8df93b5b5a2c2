"""The models that come with the course, and the figures on their card."""

import re

import pandas as pd
import pytest
import torch

from dprnn_lab import CheckpointError, DPRNNTasNet, PITLossWrapper, load_model, pairwise_neg_sisdr, save_model
from dprnn_lab.checkpoint import read_info
from dprnn_lab.datasets.mixing import PAIR_KINDS, FixedMixtures
from dprnn_lab.evaluation import compare, evaluate, summarise
from dprnn_lab.files import data_folder
from dprnn_lab.training import Settings
from dprnn_lab.training.run import make_model

FOLDER = data_folder() / "model"
MODELS = ("small", "large")
ROWS = {
    "large": "large", "small": "small", "the mixture itself": "mixture", "NMF (told who speaks)": "nmf",
    "ideal ratio mask": "irm", "ideal binary mask": "ibm",
}  # fmt: skip


@pytest.fixture(scope="module")
def scores():
    return pd.read_csv(FOLDER / "evaluation" / "scores.csv")


def test_the_card_has_the_figures_of_the_evaluation(scores):
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    summary = summarise(scores).set_index(["system", "kind"])
    for label, system in ROWS.items():
        row = re.search(rf"^\| \*{{0,2}}{re.escape(label)}\*{{0,2}} \|(.*)\|$", card, re.MULTILINE)
        assert row, f"the card has no row {label!r}"
        for kind, cell in zip(PAIR_KINDS, row[1].split("|"), strict=True):
            mean, low, high = map(float, re.findall(r"-?\d+\.\d", cell))
            found = summary.loc[(system, kind)]
            assert (mean, low, high) == pytest.approx(
                (found["mean"], found["low"], found["high"]), abs=0.051
            ), (label, kind)


@pytest.mark.parametrize("name", MODELS)
def test_a_bundled_model_has_a_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = load_model(FOLDER / f"{name}.safetensors")
    for model in (load_model(name), DPRNNTasNet.from_pretrained(name)):
        assert model.config == expected.config
        assert torch.equal(model.encoder.filters, expected.encoder.filters)
    assert read_info(name)["config"] == expected.config


def test_an_unknown_name_lists_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CheckpointError, match=r'tiny: no such file, and no bundled model .* "large", .*"small"'
    ):
        load_model("tiny")
    monkeypatch.setenv("DPRNN_LAB_DATA", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"small: no such file, .* no data folder \(DPRNN_LAB_DATA\)"):
        load_model("small")


def test_a_file_comes_before_a_name(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(tiny(), tmp_path / "a.safetensors").rename(tmp_path / "small")
    assert load_model("small").config == tiny().config


@pytest.mark.parametrize("name", MODELS)
def test_the_models_reach_the_recorded_scores(name, scores):
    found = evaluate(load_model(FOLDER / f"{name}.safetensors"), FixedMixtures("test", limit=2))
    written = scores[scores["system"] == name].set_index("id").loc[found["id"]]
    assert len(found) == 6
    assert found["si_sdri"].to_numpy() == pytest.approx(written["si_sdri"].to_numpy(), abs=0.05)


@pytest.mark.parametrize("kind", ["man-woman", "woman-woman"])
def test_the_larger_model_is_better_on_voices_of_the_training(kind, scores):
    both = scores[scores["kind"] == kind].groupby("system")
    difference = compare(both.get_group("small"), both.get_group("large")).iloc[-1]
    assert difference["low"] > 0


@pytest.mark.parametrize("name", MODELS)
def test_the_score_does_not_depend_on_the_length(name):
    """Pieces of one second against the whole."""
    mixtures = FixedMixtures("test", kind="man-woman", limit=4)
    whole, pieces = [], []
    model = load_model(FOLDER / f"{name}.safetensors")
    for mixture, sources, _ in mixtures:
        whole.append(si_sdr_of(model, mixture, sources))
        pieces += [
            si_sdr_of(model, *part) for part in zip(mixture.split(8000), sources.split(8000, 1), strict=True)
        ]
    assert sum(pieces) / len(pieces) == pytest.approx(sum(whole) / len(whole), abs=1.0)


@torch.no_grad()
def si_sdr_of(model, mixture, sources):
    return -float(PITLossWrapper(pairwise_neg_sisdr)(model(mixture)[None], sources[None]))


def test_the_recipe_of_large_makes_its_network(tmp_path):
    one, two = (Settings.read(FOLDER / f"large-part-{part}.yaml") for part in (1, 2))
    assert one.init == "runs/small/model.safetensors"  # from the repository's root
    grown = save_model(
        make_model(one.changed(init=str(FOLDER / "small.safetensors"))), tmp_path / "1.safetensors"
    )
    assert two.init == "runs/large-1/model.safetensors"
    model = make_model(two.changed(init=str(grown)))
    assert dict(model.config) == dict(load_model(FOLDER / "large.safetensors").config)


@pytest.mark.parametrize("part", [2, 3])
def test_the_recipes_of_small_are_its_network(part):
    settings = Settings.read(FOLDER / f"small-part-{part}.yaml")
    assert settings.model.items() <= load_model(FOLDER / "small.safetensors").config.items()


def test_the_last_part_of_small_changes_no_network():
    settings = Settings.read(FOLDER / "small-part-5.yaml")
    model = make_model(settings.changed(init=str(FOLDER / "small-step61746.ckpt")))
    assert dict(model.config) == dict(load_model(FOLDER / "small.safetensors").config)
