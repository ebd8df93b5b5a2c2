"""Paths a folder too high or too deep (LibriMix, WHAM!, TIMIT) are refused with the folders that were meant."""

import re

import numpy as np
import pytest
import soundfile

from dprnn_lab.datasets.disk_mixtures import DiskMixtures
from dprnn_lab.datasets.layouts import audio_by_speaker, source_folders
from dprnn_lab.datasets.speaker_folders import SpeakerFolders


@pytest.fixture
def tree(tmp_path):
    """``tree(names)``: files of 0.1 s, each another."""

    def make(*names):
        for i, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.random.default_rng(i).normal(0, 0.1, 800), 8000)
        return tmp_path

    return make


def refused(path, message):
    with pytest.raises(FileNotFoundError, match=message) as error:
        SpeakerFolders(path)
    return str(error.value)


MIXED = [f"{{}}/{name}/{i}.wav" for name in ("mix_clean", "s1", "s2") for i in range(2)]


@pytest.mark.parametrize(
    ("parts", "given"),
    [
        (("Libri2Mix/wav8k/min/train-100", "Libri2Mix/wav8k/min/dev"), "Libri2Mix/wav8k/min"),
        (("Libri2Mix/wav8k/min/train-100", "Libri2Mix/wav8k/min/dev"), "Libri2Mix"),
        (("wham/wav8k/min/tr", "wham/wav8k/min/cv"), "wham/wav8k"),
        (("mine/one", "mine/two"), "mine"),
    ],
)
def test_a_folder_above_mixtures_names_those_that_hold_them(tree, parts, given):
    root = tree(*(name.format(part) for part in parts for name in MIXED))
    message = refused(root / given, "ready mixtures with their sources, which are no speakers: give one of")
    assert all(str(root / part) in message for part in parts)
    with pytest.raises(FileNotFoundError, match="near it are mixtures and sources in") as error:
        DiskMixtures(root / given)
    assert all(str(root / part) in str(error.value) for part in parts)


def test_a_folder_inside_mixtures_names_the_one_above(tree):
    root = tree(*(name.format("dev") for name in MIXED))
    for given in ("dev/mix_clean", "dev/s1"):
        assert str(root / "dev") + ":" not in refused(
            root / given, f"mixtures and sources in {re.escape(str(root))}/dev"
        )


@pytest.mark.parametrize(
    "parts",
    [("train", "dev", "test"), ("tr", "cv", "tt"), ("si_tr_s", "si_dt_05"), ("train-clean-100", "dev-clean", "ada"),
     ("TRAIN", "TEST"), ("train_set", "val")],
    ids=str,
)  # fmt: skip
def test_parts_of_a_corpus_are_no_speakers(tree, parts):
    root = tree(*(f"{part}/{name}/{i}.wav" for part in parts for name in ("ada", "bob") for i in range(2)))
    message = refused(root, "are parts of a corpus and not speakers")
    assert str(root / parts[0]) in message


def test_a_speaker_may_have_an_unlucky_name(tree):
    root = tree(*(f"{name}/{i}.wav" for name in ("ada", "bob", "carl", "test") for i in range(2)))
    assert list(audio_by_speaker(root)[0]) == ["ada", "bob", "carl", "test"]


def test_regions_with_speakers_below_are_no_speakers(tree):
    timit = [f"TRAIN/DR{r}/{s}{r}/SA{i}.WAV" for r in (1, 2) for s in ("FCJF", "MABW") for i in (1, 2)]
    mine = [f"mine/{r}/{s}/{i}.wav" for r, s in (("north", "ada"), ("south", "bob")) for i in (1, 2)]
    plain = [
        f"plain/{r}/{s}/{i}.wav"
        for r, two in (("x", ("ada", "eve")), ("y", ("bob", "jim")))
        for s in two
        for i in (1, 2)
    ]
    root = tree(*timit, *mine, *plain)
    assert str(root / "TRAIN" / "DR1") in refused(
        root / "TRAIN", "DR1, DR2, each with folders of its own .*FCJF1"
    )
    refused(root / "mine", "north, south, each with folders of its own")
    assert "--speakers" in refused(root / "plain", r"each with folders of its own \(x: ada, eve\)")
    assert list(SpeakerFolders(root / "plain", speakers=["x", "y"]).voices()) == ["x", "y"]


@pytest.mark.parametrize(
    "names",
    [
        ["19/198/19-198-0.flac", "19/227/19-227-0.flac", "26/495/26-495-0.flac", "26/496/26-496-0.flac"],
        ["id1/1zcIwhmdeo4/1.wav", "id1/7gWzIy6yIIk/1.wav", "id2/0_laIeN-Q44/1.wav", "id2/6WO410QOeuo/1.wav"],
        ["p225/wav/1.wav", "p226/wav/1.wav"],
        ["ada/monday/1.wav", "ada/friday/1.wav", "bob/monday/1.wav", "bob/friday/1.wav"],
        ["s1/bbaf2n.wav", "s2/lbax4s.wav"],
    ],
    ids=["LibriSpeech", "VoxCeleb", "VCTK", "sessions", "GRID"],
)  # fmt: skip
def test_speakers_with_chapters_stay_speakers(tree, names):
    root = tree(*names)
    assert sorted(audio_by_speaker(root)[0]) == sorted({name.split("/")[0] for name in names})


def test_sources_without_their_mixtures_and_mixtures_by_name_are_no_speakers(tree):
    root = tree("a/s1/1.wav", "a/s2/1.wav", "b/mixture/1.wav", "b/ada/1.wav")
    refused(root / "a", "files of the same names and lengths, which are the sources of ready mixtures")
    refused(root / "b", "mixture is one of mixtures by its name and no speaker")


def test_a_mistyped_folder_names_near_ones(tree):
    root = tree("voices/ada/1.wav", "voices/bob/1.wav")
    assert f"did you mean {root / 'voices'}?" in refused(root / "voces", "there is nothing of that name")
    with pytest.raises(FileNotFoundError, match=r"did you mean .*voices\?"):
        DiskMixtures(root / "voises" / "train")


def test_sources_are_in_the_order_of_their_numbers():
    names = ["s10", "s2", "mix", "s1", "s01", "s", "s3x", "sources"]
    assert source_folders(names) == ["s1", "s2", "s10"]
