"""The people whom no network was trained on: files, licences, and the list of mixtures."""

import csv
import hashlib
from collections import Counter

import pytest
import soundfile
import torch

from dprnn_lab.datasets import FixedMixtures, SpeechCorpus
from dprnn_lab.files import data_folder

FOLDER = data_folder() / "speech" / "strangers"
KINDS = ("new man-woman", "new woman-woman", "new man-man")


def table(name):
    with open(FOLDER / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


VOICES = {row["voice"]: row for row in table("voices.csv")} | {"menardi": {"sex": "f", "origin": "menardi"}}


def voice(file):
    """The voice of a file of the list."""
    return file.removeprefix("strangers/").split("/")[0]


def test_the_tables_list_every_file_and_a_minute_of_each_voice():
    rows = table("metadata.csv")
    assert {row["path"] for row in rows} == {p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*.flac")}
    seconds = Counter()
    for row in rows:
        info = soundfile.info(FOLDER / row["path"])
        assert (info.frames, info.samplerate, info.channels) == (int(row["samples"]), 8000, 1)
        seconds[row["voice"]] += info.duration
    assert set(seconds) == set(VOICES) - {"menardi"}
    assert min(seconds.values()) >= 60
    assert Counter(row["sex"] for row in VOICES.values()) == {"f": 6, "m": 6}
    assert len({row["origin"] for row in VOICES.values()}) == 4


def test_the_folder_is_the_one_that_was_measured():
    digest = hashlib.sha256((FOLDER / "metadata.csv").read_bytes()).hexdigest()
    assert digest.startswith("83c15037f0e3")


def test_each_licence_lies_beside_the_voices():
    said = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "Modified" in said
    for licence in {row["licence"] for row in table("metadata.csv")}:
        assert licence in said
    for file in (FOLDER / "licences").iterdir():
        assert file.name in said


def test_no_split_of_the_corpus_has_a_stranger():
    assert not {u.speaker for u in SpeechCorpus().utterances} & set(VOICES) - {"menardi"}
    trained = {u.speaker for u in SpeechCorpus("train").utterances}
    assert not trained & set(VOICES)


def test_the_list_has_forty_mixtures_of_each_kind_across_recordings():
    mixtures = FixedMixtures("unseen")
    assert Counter(spec.kind for spec in mixtures.specs) == dict.fromkeys(KINDS, 40)
    assert len({spec.id for spec in mixtures.specs}) == 120
    used = set()
    for spec in mixtures.specs:
        first, second = VOICES[voice(spec.first)], VOICES[voice(spec.second)]
        assert first["origin"] != second["origin"]
        sexes = {"man": "m", "woman": "f"}
        assert sorted(first["sex"] + second["sex"]) == sorted(
            "".join(sexes[word] for word in spec.kind.removeprefix("new ").split("-"))
        )
        assert abs(spec.level_db) <= 2.5
        used |= {voice(spec.first), voice(spec.second)}
    assert used == set(VOICES)


@pytest.mark.parametrize("kind", KINDS)
def test_both_voices_speak_through_each_mixture(kind):
    for mixture, sources, spec in FixedMixtures("unseen", kind=kind, limit=8):
        assert mixture.shape == (spec.samples,)
        assert torch.equal(mixture, sources.sum(0))
        halves = sources.unfold(-1, 8000, 8000).square().mean(-1).sqrt()
        assert halves.min() > 0.03 * halves.max(), spec.id
