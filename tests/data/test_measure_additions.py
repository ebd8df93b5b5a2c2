"""The table of what each addition to the training gives: a whole call with tiny trainings."""

import functools
import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dprnn_lab import DPRNNTasNet, save_model
from dprnn_lab.datasets import FixedMixtures

TINY = dict(
    n_filters=8, kernel_size=16, stride=8, bn_chan=8, hid_size=4, n_repeats=1, chunk_size=20, hop_size=10
)


@pytest.fixture
def additions(monkeypatch, tmp_path):
    """The script, with six noises for voices, a tiny network, and four mixtures of each list."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "data")
    script = importlib.import_module("measure_additions")
    voices = importlib.import_module("gpu_training.voices")
    rng = np.random.default_rng(0)
    origins = ["more-speech", "amazon-queen", "kokoro +1.00 a"] * 2
    people = [
        voices.Voice(f"v{i}", "ffmmff"[i], frozenset([f"v{i}"]), origin, 1.0)
        for i, origin in enumerate(origins)
    ]
    bank = voices.VoiceBank(people, [rng.normal(0, 1500, 40_000).astype(np.int16) for _ in people])
    save_model(DPRNNTasNet(**TINY), tmp_path / "start.safetensors")
    monkeypatch.setattr(script, "START", tmp_path / "start.safetensors")
    monkeypatch.setattr(script, "load_pack", lambda *_, **__: (bank, {}))
    monkeypatch.setattr(script, "_mixtures", functools.cache(four))
    yield script
    for name in [
        n for n in sys.modules if n.split(".")[0] in ("measure_additions", "gpu_training", "evaluate_unseen")
    ]:
        sys.modules.pop(name)


def four(name):
    mixtures = FixedMixtures("valid" if name == "valid" else "unseen")
    chosen = [0, len(mixtures) // 3, len(mixtures) - 2, len(mixtures) - 1]  # of all kinds
    mixture, sources = (
        torch.stack(p)[..., :8000] for p in zip(*(mixtures[i][:2] for i in chosen), strict=True)
    )
    return mixture, sources, np.array([mixtures.specs[i].kind for i in chosen])


def test_each_setting_is_trained_and_measured_once(additions, tmp_path, capsys):
    out = tmp_path / "additions.csv"
    call = ["--pack", "x", "--out", str(out), "--steps", "3", "--batch", "1", "--processes", "1"]
    additions.main([*call, "--only", additions.NONE, "six voices", "+ synthetic voices"])
    scores = pd.read_csv(out)
    assert list(scores["setting"].unique()) == [additions.NONE, "six voices", "+ synthetic voices"]
    assert (scores.groupby(["setting", "list"]).size() == 4).all()
    assert list(scores.groupby("setting", sort=False)["voices"].first()) == [0, 2, 4]
    untrained, trained = (
        scores[scores["setting"] == n]["si_sdri"].to_numpy() for n in (additions.NONE, "six voices")
    )
    assert np.isfinite(trained).all()
    assert (untrained != trained).any()
    first = capsys.readouterr().out
    assert first.count(" s\n") == 2
    additions.main(call)
    after = pd.read_csv(out)
    assert set(after["setting"]) == {additions.NONE, *(s.name for s in additions.SETTINGS)}
    pd.testing.assert_frame_equal(after.iloc[: len(scores)], scores)
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert printed.count(": loss ") == len(additions.SETTINGS) - 2
    with pytest.raises(SystemExit):
        additions.main([*call, "--steps", "4"])
    assert f"--steps 4: {out} has trainings of 3 steps" in capsys.readouterr().err
    pd.testing.assert_frame_equal(pd.read_csv(out), after)


def test_the_table_compares_mixture_by_mixture(additions):
    rows = [
        {
            "setting": setting,
            "voices": 2,
            "list": name,
            "mixture": i,
            "kind": f"new {kind}",
            "si_sdri": value + i,
        }
        for setting, value in ((additions.NONE, 1.0), ("six voices", 3.5))
        for name in additions.LISTS
        for i, kind in enumerate(["man-woman", "man-woman", "woman-woman", "man-man"])
    ]
    lines = additions.table(pd.DataFrame(rows)).splitlines()
    assert len(lines) == 4
    cells = [c.strip() for c in lines[3].split("|")[1:-1]]
    assert cells[:5] == ["six voices", "2", "4.00", "5.50", "6.50"]
    assert cells[6] == f"+2.50 [+2.50, +2.50] on *{additions.NONE}*"
    assert cells[7:] == ["5.00", "5.00"]
    assert len(lines[0].split("|")) == len(lines[1].split("|")) == len(lines[3].split("|"))


def test_every_comparison_is_with_a_setting_before(additions):
    names = [setting.name for setting in additions.SETTINGS]
    assert len(set(names)) == len(names)
    for at, setting in enumerate(additions.SETTINGS):
        assert setting.than is None or setting.than in names[:at]
