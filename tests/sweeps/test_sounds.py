"""Sounds of the runs of a sweep: kept as they were written, compared in the report, and refused where unusable."""

import json
import os
import re
from html import unescape

import pandas as pd
import pytest
import torch

from dprnn_lab.audio import write_audio
from dprnn_lab.evaluation.schedulers import open_scheduler
from dprnn_lab.files import write_whole
from dprnn_lab.sweeps import plan, sounds_by_setting, sweep, write_report
from dprnn_lab.sweeps.sounds import collect_sounds

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
        ("import os; os.mkdir(sounds + '/sub')", "the run made a folder 'sub' among its sounds"),
        ("import os; os.rmdir(sounds); open(sounds, 'w')", "the run's folder of sounds can't be read"),
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


SINE = torch.sin(torch.arange(2000) / 5) * 0.1


@pytest.fixture
def make_sweep(tmp_path):
    """Maker of a folder like that of a sweep, with a sound ``output`` of each size, and its table."""

    def make(sizes, scores=None, rates=None, **columns):
        (tmp_path / "settings.json").write_text(json.dumps({"grid": {"size": sizes, "seed": [0]}}))
        rows = []
        for i, size in enumerate(sizes):
            name = f"size={size},seed=0"
            rows.append(
                {"size": size, "seed": 0, "status": "ok", "seconds": 1.0, "score": scores[i] if scores else i}
                | columns
                | {"cell": None, "error": "", "notebook": f"notebooks/{name}.ipynb"}
            )
            rate = rates[i] if rates else 8000
            write_audio(tmp_path / "sounds" / name / "output.wav", SINE[: 1000 + i], rate)
        return tmp_path, pd.DataFrame(rows)

    return make


def test_of_many_settings_those_with_the_highest_and_lowest_number_are_heard(make_sweep):
    out, table = make_sweep(list(range(6)), [float("nan"), 1.0, 2.0, 3.0, 4.0, 5.0])
    assert list(sounds_by_setting(out, table)[0]) == [f"output, size={size}" for size in (1, 2, 4, 5)]
    for path in write_report(out, table):
        assert (
            "4 of the 6 settings that have sounds, from the lowest to the highest score" in path.read_text()
        )


def test_sounds_of_other_rates_lose_nothing(make_sweep):
    sounds, rate = sounds_by_setting(*make_sweep([1, 2], rates=[8000, 16000]))
    assert rate == 16000
    assert [len(samples) for samples in sounds.values()] == [2000, 1001]


@pytest.mark.parametrize("damage", ["cut", "odd rate"])
def test_a_report_names_what_it_cannot_play_and_plays_the_rest(make_sweep, damage):
    out, table = make_sweep([1, 2], rates=[8000, 8000 if damage == "cut" else 44101])
    if damage == "cut":
        (out / "sounds" / "size=1,seed=0" / "output.wav").write_bytes(b"none")
    for path in write_report(out, table):
        assert "output, size=1 can't be played: " in unescape(path.read_text())
    assert path.read_text().count("data:audio/flac;base64,") == 1
    with pytest.raises(ValueError, match=r"can't be played: .* or delete it from"):
        sounds_by_setting(out, table)


def test_hidden_files_and_names_that_are_not_text_are_no_obstacle(make_sweep):
    out, table = make_sweep([1, 2])
    folder = out / "sounds" / "size=1,seed=0"
    (folder / ".DS_Store").write_text("x")
    (folder / "output.wav").rename(os.fsdecode(os.fsencode(folder) + b"/\xff\n%.wav"))
    markdown, page = (path.read_text() for path in write_report(out, table))
    assert "%FF%0A%25.wav)" in markdown
    assert page.count("data:audio/flac;base64,") == 2


def test_settings_keep_their_values(make_sweep):
    """Also None among numbers, which pandas turns into NaN, and the text "1" beside the number."""
    out, table = make_sweep([None, 8, "8", True], setting=1.5)
    labels = [f"output, size={value!r}" for value in (None, 8, "8", True)]
    assert list(sounds_by_setting(out, table)[0]) == labels
    numbers = table[:2].astype({"size": float})
    assert list(sounds_by_setting(out, numbers)[0]) == ["output, size=None", "output, size=8"]
    assert "size=None, seed=0, setting 1.50" in write_report(out, numbers, "setting")[0].read_text()


def test_a_table_that_is_none_of_a_sweep_is_refused_before_anything_is_written(make_sweep):
    out, table = make_sweep([1, 2])
    before = sorted(out.iterdir())
    for wrong, metric, message in [
        (table, "pesq", "metric is 'pesq': the runs report score"),
        (table.drop(columns="notebook"), None, "no column 'notebook'"),
        (table.assign(notebook=float("nan")), None, "column notebook has nan"),
    ]:
        for call in (sounds_by_setting, write_report):
            with pytest.raises(ValueError, match=message):
                call(out, wrong, metric)
    with pytest.raises(ValueError, match="most is 0"):
        sounds_by_setting(out, table, most=0)
    assert sorted(out.iterdir()) == before


def test_limits_of_names_and_lengths(tmp_path, monkeypatch):
    write_audio(tmp_path / f"{'a' * 197}.wav", SINE, 8000)
    with pytest.raises(ValueError, match="has a name of 201 bytes: give it at most 200"):
        collect_sounds(tmp_path)
    (tmp_path / f"{'a' * 197}.wav").rename(tmp_path / "a.wav")
    assert list(collect_sounds(tmp_path)) == ["a.wav"]
    monkeypatch.setattr("dprnn_lab.sweeps.sounds.MOST_SAMPLES", 1000)
    with pytest.raises(ValueError, match="samples: write at most"):
        collect_sounds(tmp_path)


def test_a_disk_that_is_full_at_a_sound_leaves_nothing(heard, tmp_path, monkeypatch):
    def full(path, content):
        if path.suffix == ".flac":
            raise OSError(28, "No space left on device", str(path))
        return write_whole(path, content)

    monkeypatch.setattr("dprnn_lab.sweeps.running.write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        sweep(heard[0], {"size": [1]}, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
