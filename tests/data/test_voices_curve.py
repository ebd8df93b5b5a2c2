"""Which voices the runs over the number of voices draw, and the commands' answers to bad input."""

import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

DATA = Path(__file__).parents[2] / "data"
SCRIPTS = ("voices_curve", "record_voices_curve", "class_training", "record_healthy_runs")


@pytest.fixture
def drawing(monkeypatch):
    monkeypatch.syspath_prepend(DATA)
    yield importlib.import_module("voices_curve.drawing")
    for name in [n for n in sys.modules if n.split(".")[0] in SCRIPTS]:
        sys.modules.pop(name)


def pool(drawing):
    """100 voices: 6 people, 28 of a game (one group), 66 synthetic ones; half of each are men."""
    names = [("allison", "f"), ("carlo", "m"), *((f"person-{i}", "fm"[i % 2]) for i in range(4))]
    voices = [drawing.Voice(name, sex, "people", frozenset({name})) for name, sex in names]
    voices += [drawing.Voice(f"game-{i}", "fm"[i % 2], "game", frozenset({"game"})) for i in range(28)]
    return voices + [
        drawing.Voice(f"made-{i:02d}", "fm"[i % 2], "synthetic", frozenset({f"made-{i}"})) for i in range(66)
    ]


def test_every_order_begins_with_the_shared_voices_and_has_all_of_them(drawing):
    voices = pool(drawing)
    for seed in range(5):
        order = drawing.order(voices, seed)
        assert [v.name for v in order[:2]] == list(drawing.SHARED)
        assert Counter(order) == Counter(voices)
        assert order == drawing.order(voices[::-1], seed), "the order depends on the seed and the names alone"
    assert len({tuple(v.name for v in drawing.order(voices, seed)[:6]) for seed in range(5)}) > 2


@pytest.mark.parametrize("size", [25, 50])
def test_every_beginning_is_a_small_copy_of_the_whole(drawing, size):
    voices = pool(drawing)
    for seed in range(3):
        part = drawing.order(voices, seed)[:size]
        for of in ("source", "sex"):
            whole, found = (Counter(getattr(v, of) for v in list_) for list_ in (voices, part))
            for name, count in whole.items():
                assert abs(found[name] - count * size / len(voices)) < 3, (of, name, seed)


def test_who_may_be_one_person_is_not_mixed(drawing):
    voices = drawing.order(pool(drawing), 0)[:25]
    weights = drawing.weights(voices)
    games = {v.name: v.sex for v in voices if v.source == "game"}
    men, women = ([name for name, sex in games.items() if sex == wanted] for wanted in "mf")
    assert set(weights) == {(woman, man) for woman in women for man in men}
    assert set(weights.values()) <= {0.0}


def test_the_end_of_a_voice_is_held_out(drawing, tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 20 * 8000)
    soundfile.write(tmp_path / "000.flac", samples, 8000, subtype="PCM_16")
    voice = drawing.Voice("one", "f", "synthetic", frozenset(), tmp_path)
    trained, held = voice.samples()
    assert len(held) == 5 * 8000
    assert np.allclose(np.concatenate([trained, held]), samples, atol=1e-4)
    slow, _ = drawing.Voice("slow", "f", "changed", frozenset(), tmp_path, speed=80).samples()
    assert len(slow) == 20 * 8000 * 100 // 80 - 5 * 8000


def test_a_missing_part_of_the_folder_is_named(drawing, tmp_path):
    assert {v.name for v in drawing.read_pool(None)} >= set(drawing.SHARED)
    with pytest.raises(
        FileNotFoundError, match=r"more.voices.csv is missing: run `python data/build_many_voices"
    ):
        drawing.read_pool(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "voices.csv").write_text(
        "voice,sex,groups,origin,language,minutes\nnsh,m,nsh,x,ru,9\n"
    )
    with pytest.raises(ValueError, match="has 1 voices, 6 are needed"):
        drawing.read_pool(tmp_path)


@pytest.mark.parametrize(
    ("script", "options", "words"),
    [
        ("record_voices_curve", ["--sizes", "2", "100"], "--voices is missing"),
        ("record_voices_curve", ["--sizes", "1"], "--sizes are [1]: there are 2 to"),
        ("record_healthy_runs", ["--stages", "600", "300"], "--stages are [600, 300]: give multiples of 100"),
    ],
)
def test_bad_options_get_a_sentence(script, options, words):
    command = [sys.executable, DATA / f"{script}.py", *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_row_replaces_the_one_of_the_same_run(drawing, tmp_path):
    extend = importlib.import_module("record_voices_curve").extend
    path, same = tmp_path / "rows.csv", ["voices", "seed"]
    extend(path, [{"voices": 2, "seed": 0, "score": 1.0}], same)
    extend(path, [{"voices": 6, "seed": 0, "score": 2.0}], same)
    extend(path, [{"voices": 2, "seed": 0, "score": 3.0}], same)
    assert pd.read_csv(path)["score"].tolist() == [2.0, 3.0]


def test_the_networks_of_the_band_are_those_that_were_recorded(drawing):
    from dprnn_lab.diagnosis.healthy_runs import size_of

    recorded = importlib.import_module("record_healthy_runs")
    assert {size: size_of(vars(settings))[0] for size, settings in recorded.SIZES.items()} == {
        "class": "class",
        "small": "small",
    }
