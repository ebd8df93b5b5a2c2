"""The models that come with the course, and the figures on their card."""

import re

import pandas as pd
import pytest
import torch

from dprnn_lab import CheckpointError, DPRNNTasNet, PITLossWrapper, load_model, pairwise_neg_sisdr, save_model
from dprnn_lab.checkpoint import read_info
from dprnn_lab.datasets.mixing import PAIR_KINDS, FixedMixtures
from dprnn_lab.evaluation import cluster_bootstrap, clusters_of, compare, evaluate, open_mixtures, summarise
from dprnn_lab.evaluation.clusters import voices_of
from dprnn_lab.evaluation.opening import JoinedMixtures
from dprnn_lab.files import data_folder
from dprnn_lab.training import Settings
from dprnn_lab.training.run import make_model

FOLDER = data_folder() / "model"
MODELS = ("small", "large")
NETWORKS = {
    "large": "model/large", "small": "model/small",
    **{f"{part}/{size}": f"{part}/{size}" for part in ("six-voices", "many-voices") for size in MODELS},
}  # fmt: skip
BASELINES = {
    "the mixture itself": "mixture", "NMF (told who speaks)": "nmf", "ideal ratio mask": "irm",
    "ideal binary mask": "ibm",
}  # fmt: skip
KNOWN = list(PAIR_KINDS)
NEW = ["new man-woman", "new woman-woman", "new man-man"]


@pytest.fixture(scope="module")
def scores():
    return pd.read_csv(FOLDER / "evaluation" / "scores.csv")


@pytest.fixture(scope="module")
def baselines():
    return pd.read_csv(FOLDER / "evaluation" / "baselines.csv")


@pytest.fixture(scope="module")
def clusters():
    mixtures = open_mixtures("unseen,test")
    return clusters_of(mixtures) | {
        f"room-{spec.id}": voices_of(spec) for spec in FixedMixtures("unseen").specs
    }


def numbers(cell):
    return [float(number) for number in re.findall(r"-?\d+\.\d", cell)]


def table_of(file, heading):
    """The rows of the first table under a heading: label to cells."""
    text = (FOLDER / file).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in text.split("\n") if line.startswith("|")]
    return {cells[0].strip(" *"): [cell.strip(" |") for cell in cells[1:]] for cells in lines[2:]}


def interval(scores, system, kind, clusters):
    rows = scores[(scores["system"] == system) & scores["kind"].isin(kind)]
    return cluster_bootstrap(rows["si_sdri"], [clusters[name] for name in rows["id"]])


@pytest.mark.parametrize("label", NETWORKS)
def test_the_card_has_the_figures_of_new_people(label, scores, clusters):
    rows = table_of("README.md", "On people that no network here was trained on")
    *cells, over, rooms = rows[label]
    for kind, cell in zip([[NEW[0]], [NEW[1]], [NEW[2]], NEW, ["in rooms"]], [*cells, rooms], strict=True):
        found = interval(scores, NETWORKS[label], kind, clusters)
        assert numbers(cell) == pytest.approx([found.mean, found.low, found.high], abs=0.051), kind
    mine = scores[(scores["system"] == NETWORKS[label]) & scores["kind"].isin(NEW)]
    assert int(over.rstrip(" %")) == round(100 * (mine["si_sdri"] > 5).mean())


@pytest.mark.parametrize("label", [*NETWORKS, *BASELINES])
def test_the_card_has_the_figures_of_known_voices(label, scores, baselines, clusters):
    cells = table_of("README.md", "On voices of the training")[label]
    table, system = (scores, NETWORKS[label]) if label in NETWORKS else (baselines, BASELINES[label])
    for kind, cell in zip(KNOWN, cells, strict=True):
        found = interval(table, system, [kind], clusters)
        assert numbers(cell) == pytest.approx([found.mean, found.low, found.high], abs=0.051), kind


@pytest.mark.parametrize("label", ["large", "small", *BASELINES])
def test_the_card_of_the_six_voices_has_their_figures(label, scores, baselines):
    cells = table_of("six-voices/README.md", "On the voices that they know")[label]
    table, system = (scores, f"six-voices/{label}") if label in MODELS else (baselines, BASELINES[label])
    summary = summarise(table[table["system"] == system]).set_index("kind")
    for kind, cell in zip(KNOWN, cells, strict=True):
        assert numbers(cell) == pytest.approx(summary.loc[kind, ["mean", "low", "high"]].tolist(), abs=0.051)


def test_both_tables_have_the_same_baselines(scores, baselines):
    for system in ("mixture", "irm", "ibm"):
        one, other = (t[t["system"] == system].set_index("id")["si_sdri"] for t in (scores, baselines))
        assert one.loc[other.index].to_numpy() == pytest.approx(other.to_numpy(), abs=1e-3)


@pytest.mark.parametrize(("size", "share"), [("small", 0.7), ("large", 0.85)])
def test_a_bundled_model_is_the_average_that_it_says(size, share):
    model, report = load_model(size, report=True)
    six, many = (load_model(f"{part}/{size}").state_dict() for part in ("six-voices", "many-voices"))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, torch.lerp(six[name], many[name], report.facts["share"])), name
    assert report.facts["share"] == share  # of data/blend_models.py
    blends = pd.read_csv(FOLDER / "blend.csv")
    valid = blends[blends["model"] == size].set_index("share")["valid, all"]
    assert valid[0.0] - valid[share] < 2.45 and abs(valid[share] - valid[0.7]) < 0.05  # dB, as the card says


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


@pytest.mark.parametrize("label", NETWORKS)
def test_the_models_reach_the_recorded_scores(label, scores):
    mixtures = JoinedMixtures([FixedMixtures(name, limit=1) for name in ("unseen", "test")])
    found = evaluate(load_model(label), mixtures)
    written = scores[scores["system"] == NETWORKS[label]].set_index("id").loc[found["id"]]
    assert len(found) == 6
    assert found["si_sdri"].to_numpy() == pytest.approx(written["si_sdri"].to_numpy(), abs=0.05)


@pytest.mark.parametrize("part", ["model", "six-voices", "many-voices"])
@pytest.mark.parametrize("kinds", [NEW, KNOWN], ids=["new", "known"])
def test_the_larger_model_is_better(part, kinds, scores):
    both = scores[scores["kind"].isin(kinds)].groupby("system")
    difference = compare(both.get_group(f"{part}/small"), both.get_group(f"{part}/large")).iloc[-1]
    assert difference["low"] > 0


@pytest.mark.parametrize("size", MODELS)
def test_the_average_is_better_on_new_people_than_the_network_of_six_voices(size, scores, clusters):
    """By 2 dB at least, and it keeps all but 4 dB of what that network has on its own voices."""
    both = scores.groupby("system")
    six, average = both.get_group(f"six-voices/{size}"), both.get_group(f"model/{size}")
    gain = compare(six, average).set_index("kind")["difference"]
    assert gain[NEW].min() > 2
    assert gain[KNOWN].mean() > -4


@pytest.mark.parametrize("name", MODELS)
def test_the_score_does_not_depend_on_the_length(name):
    """Pieces of one second against the whole."""
    mixtures = FixedMixtures("test", kind="woman-woman", limit=4)
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
