"""Sounds of the runs of a sweep: kept as they were written, compared in the report, and refused where unusable."""

import json
import re

import pandas as pd
import pytest
import torch

from dprnn_lab.audio import write_audio
from dprnn_lab.evaluation.schedulers import open_scheduler
from dprnn_lab.sweeps import plan, sounds_by_setting, sweep, write_report

# The mixture is the same in all runs; the level of the output is that of the run.
WRITE = (
    "import numpy, soundfile; tone = numpy.sin(numpy.arange(4000) / 5); "
    "soundfile.write(sounds + '/mixture.flac', 0.5 * tone, 8000); "
    "soundfile.write(sounds + '/output 1.flac', (0.1 * size + 0.01 * seed) * tone, 8000)"
)


@pytest.fixture(scope="module")
def heard(make_notebook, tmp_path_factory):
    """Sizes 1 and 2, two seeds each, and size 3, which fails."""
    folder = tmp_path_factory.mktemp("heard")
    notebook = make_notebook(folder / "lesson" / "tiny.ipynb", sounds=WRITE)
    return (
        notebook,
        folder / "out",
        sweep(notebook, {"size": [1, 2, 3]}, folder / "out", 2, 2, progress=False),
    )


def level(samples):
    return float(samples.abs().max())


def test_each_finished_run_keeps_its_sounds(heard):
    _, out, table = heard
    assert table["status"].tolist() == ["ok"] * 4 + ["failed"] * 2
    assert sorted(path.name for path in (out / "sounds").iterdir()) == [
        f"size={size},seed={seed}" for size in (1, 2) for seed in (0, 1)
    ]
    assert {path.name for path in (out / "sounds" / "size=1,seed=0").iterdir()} == {
        "mixture.flac", "output 1.flac"
    }  # fmt: skip


def test_what_is_the_same_comes_once_and_the_rest_by_setting(heard):
    _, out, table = heard
    sounds, rate = sounds_by_setting(out, table)
    assert rate == 8000
    assert list(sounds) == ["mixture", "output 1, size=1", "output 1, size=2"]
    found = [level(samples) for samples in sounds.values()]
    assert found == pytest.approx([0.5, 0.1, 0.2], abs=1e-3)  # of the first seed


def test_the_page_has_one_player_and_says_which_runs_are_heard(heard):
    _, out, table = heard
    markdown, page = (path.read_text() for path in write_report(out, table))
    assert len(re.findall("<dprnn-player ", page)) == 1
    assert page.count("data:audio/flac;base64,") == 3
    assert "size=1, seed=0, score 9.50; size=2, seed=0, score 19.00" in page
    for link in re.findall(r"\]\((sounds/[^)]+)\)", markdown):
        assert (out / link.replace("%3D", "=").replace("%2C", ",").replace("%20", " ")).is_file()
    assert markdown.count("output 1](") == 2


def test_a_run_of_a_seed_alone_is_compared_by_seed(heard, tmp_path):
    notebook, _, _ = heard
    table = sweep(notebook, {"size": [1]}, tmp_path / "seeds", seeds=2, progress=False)
    assert list(sounds_by_setting(tmp_path / "seeds", table)[0]) == [
        "mixture",
        "output 1, seed=0",
        "output 1, seed=1",
    ]


def test_sounds_come_back_from_the_workers_of_a_cluster(heard, tmp_path):
    pytest.importorskip("distributed")
    notebook, _, _ = heard
    with open_scheduler("local:1") as executor:
        there = sweep(notebook, {"size": [1]}, tmp_path / "out", progress=False, executor=executor)
    sounds, _ = sounds_by_setting(tmp_path / "out", there)
    assert level(sounds["mixture"]) == pytest.approx(0.5, abs=1e-3)


def test_four_of_many_settings_are_heard_and_runs_without_sounds_are_passed_over(heard, tmp_path):
    """The best by the metric, the worst, and two between; a sweep without any sounds has no player."""
    sizes = range(10)
    (tmp_path / "settings.json").write_text(json.dumps({"grid": {"size": list(sizes), "seed": [0]}}))
    (tmp_path / "runs").mkdir()
    scores = [5, 3, 9, 1, 7, 8, 2, 6, 4, 0]
    table = pd.DataFrame(
        {"size": size, "seed": 0, "status": "ok", "seconds": 1.0, "score": float(scores[size])}
        | {"cell": None, "error": "", "notebook": f"notebooks/size={size},seed=0.ipynb"}
        for size in sizes
    )
    assert sounds_by_setting(tmp_path, table)[0] == {}
    assert "<dprnn-player" not in write_report(tmp_path, table)[1].read_text()
    for size in sizes[:-1]:  # the worst has none
        write_audio(
            tmp_path / "sounds" / f"size={size},seed=0" / "output.flac", torch.ones(100) * 0.01 * size, 8000
        )
    assert list(sounds_by_setting(tmp_path, table)[0]) == [f"output, size={size}" for size in (2, 3, 7, 8)]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        ("open(sounds + '/a.wav', 'w').write('none')", "the run's sound a.wav can't be read"),
        (
            "import numpy, soundfile; soundfile.write(sounds + '/a.wav', numpy.zeros((9, 2)), 8000)",
            "a.wav has 2 channels: write one channel",
        ),
        (
            "import numpy, soundfile; soundfile.write(sounds + '/a.wav', numpy.full(9, numpy.nan), 8000, 'FLOAT')",
            "a.wav has samples that are NaN or infinite",
        ),
        (
            "import numpy, soundfile; [soundfile.write(f'{sounds}/{i}.wav', numpy.zeros(9), 8000) for i in range(13)]",
            "the run wrote 13 sounds: write at most 12",
        ),
    ],
)
def test_sounds_that_nobody_can_play_fail_their_run(make_notebook, tmp_path, write, message):
    notebook = make_notebook(tmp_path / "lesson" / "tiny.ipynb", sounds=write)
    table = sweep(notebook, {"size": [1]}, tmp_path / "out", progress=False)
    assert table["status"].tolist() == ["failed"]
    assert message in table["error"][0]
    assert not (tmp_path / "out" / "sounds").exists()


def test_the_folder_is_the_sweep_s_own(heard):
    with pytest.raises(ValueError, match="'sounds' is in the grid: the sweep itself sets it"):
        plan(heard[0], {"sounds": ["here"]})
