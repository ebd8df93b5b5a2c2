import csv
import hashlib
import random
from collections import defaultdict

import pytest
import soundfile
import torch

from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets.corpus import UNSEEN_SPEAKER, SpeechCorpus, read_metadata
from dprnn_lab.files import data_folder

FOLDER = data_folder() / "speech"
with open(FOLDER / "metadata.csv", newline="", encoding="utf-8") as table:
    ROWS = list(csv.DictReader(table))


def splits_by(*columns):
    """For each value of the columns, the splits in which it occurs."""
    found = defaultdict(set)
    for row in ROWS:
        found[tuple(row[c] for c in columns)].add(row["split"])
    return found


# The committed corpus


def test_every_file_of_the_table_exists_and_no_other():
    on_disk = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.flac")}
    on_disk = {file for file in on_disk if not file.startswith("strangers/")}  # they have tables of their own
    assert on_disk == {row["file"] for row in ROWS}
    assert len(ROWS) == len(on_disk)


def test_no_recording_appears_twice():
    assert len({row["pcm_sha256"] for row in ROWS}) == len(ROWS)


def test_splits_share_no_file_and_no_family_of_recordings():
    assert all(len(splits) == 1 for splits in splits_by("file").values())
    assert all(len(splits) == 1 for splits in splits_by("package", "family").values())


def test_the_unseen_speaker_is_in_no_training_split():
    assert {
        s for (speaker,), splits in splits_by("speaker").items() if speaker == UNSEEN_SPEAKER for s in splits
    } == {
        "adapt",
        "valid",
        "test",
    }


def test_the_other_speakers_are_in_all_three_splits():
    others = {
        speaker: splits for (speaker,), splits in splits_by("speaker").items() if speaker != UNSEEN_SPEAKER
    }
    assert set(others) == {"allison", "carlo", "ivrvoice", "june"}
    assert all(splits == {"train", "valid", "test"} for splits in others.values())


def test_the_speakers_have_their_sex_and_language():
    assert {(r["speaker"], r["sex"], r["language"]) for r in ROWS} == {
        ("allison", "f", "en"),
        ("allison", "f", "es"),
        ("carlo", "m", "it"),
        ("ivrvoice", "f", "ru"),
        ("june", "f", "fr"),
        ("menardi", "f", "it"),
    }


def test_there_are_ten_to_twelve_and_a_half_minutes_of_each_voice():
    seconds = defaultdict(float)
    for row in ROWS:
        seconds[row["speaker"], row["language"]] += float(row["seconds"])
    assert {voice: s for voice, s in seconds.items() if not 600 <= s <= 750} == {}


def test_the_table_agrees_with_rate_length_and_channels_of_every_file():
    for row in ROWS:
        info = soundfile.info(FOLDER / row["file"])
        assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 1, "PCM_16")
        assert info.frames == int(row["samples"])
        assert float(row["seconds"]) == pytest.approx(info.frames / SAMPLE_RATE, abs=5e-4)


def test_utterances_last_at_least_a_second():
    assert min(float(row["seconds"]) for row in ROWS) >= 1


def test_the_samples_are_those_of_the_table():
    for row in random.Random(0).sample(ROWS, 60):
        samples, _ = soundfile.read(FOLDER / row["file"], dtype="int16")
        assert hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest() == row["pcm_sha256"], row["file"]


def test_no_utterance_is_silent_or_clipped():
    for row in random.Random(1).sample(ROWS, 60):
        samples, _ = soundfile.read(FOLDER / row["file"])
        assert (samples**2).mean() ** 0.5 > 0.005, row["file"]
        assert (abs(samples) >= 32767 / 32768).mean() < 1e-3, row["file"]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("asterisk-core-sounds.txt", ["CC-BY-SA-3.0", "CC-BY-3.0", "Allison Smith", "June Wallack", "Carlo"]),
        ("asterisk-prompt-it-menardi.txt", ["Creative Commons", "Paola Dal Zot", "Menardi"]),
    ],
)
def test_the_packages_licence_texts_lie_beside_the_audio(file, words):
    text = (FOLDER / "licences" / file).read_text(encoding="utf-8")
    assert [word for word in words if word not in text] == []
    assert len(text) > 10_000  # the licence in full, not its name


@pytest.mark.parametrize(
    ("folder", "name", "licence"),
    [
        ("allison/en", "Allison Smith", "CC BY-SA 3.0"),
        ("allison/es", "Allison Smith", "CC BY-SA 3.0"),
        ("june/fr", "June Wallack", "CC BY-SA 3.0"),
        ("carlo/it", "Carlo Flora", "CC BY 3.0"),
        ("ivrvoice/ru", "ivrvoice.ru", "CC BY 3.0"),
        ("menardi/it", "Paola Dal Zot", "CC BY-SA 3.0 IT"),
    ],
)
def test_every_voice_is_credited_with_its_licence(folder, name, licence):
    lines = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{folder}` |")]
    assert name in row
    assert row.endswith(f"| {licence} |")


# The dataset over it


def test_an_item_is_a_waveform_and_its_row():
    corpus = SpeechCorpus("valid", speakers=["june"])
    waveform, utterance = corpus[3]
    samples, _ = soundfile.read(FOLDER / utterance.file, dtype="int16")
    assert waveform.dtype == torch.float32
    assert torch.equal(waveform, torch.from_numpy(samples) / 2**15)
    assert (utterance.speaker, utterance.split, utterance.language) == ("june", "valid", "fr")


@pytest.mark.parametrize("split", ["train", "valid", "test", "adapt"])
def test_a_split_holds_its_own_rows_in_the_order_of_the_table(split):
    corpus = SpeechCorpus(split)
    assert [u.file for u in corpus.utterances] == [row["file"] for row in ROWS if row["split"] == split]
    assert len(corpus) == len(corpus.utterances)


def test_several_splits_are_a_list():
    files = {s: {u.file for u in SpeechCorpus(s).utterances} for s in ("train", "adapt")}
    assert {u.file for u in SpeechCorpus(["train", "adapt"]).utterances} == files["train"] | files["adapt"]
    assert len(SpeechCorpus()) == len(ROWS)


def test_filters_keep_the_speakers_and_the_long_utterances():
    corpus = SpeechCorpus(speakers=["carlo", "menardi"], min_seconds=5)
    assert corpus.speakers == {"carlo": "m", "menardi": "f"}
    assert min(u.seconds for u in corpus.utterances) >= 5
    assert len(corpus) < len(SpeechCorpus(speakers=["carlo", "menardi"]))


def test_iterating_stops_after_the_last_utterance():
    corpus = SpeechCorpus("adapt", min_seconds=10)
    assert len(list(corpus)) == len(corpus) > 0


def test_a_voice_is_the_concatenation_of_its_utterances():
    corpus = SpeechCorpus("valid", speakers=["carlo", "june"])
    voices = corpus.voices()
    assert list(voices) == ["carlo", "june"]
    expected = torch.cat([corpus.load(u) for u in corpus.utterances if u.speaker == "june"])
    assert torch.equal(voices["june"], expected)


def test_an_unknown_split_or_speaker_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="split is 'dev': choose one of train, valid, test, adapt"):
        SpeechCorpus("dev")
    with pytest.raises(ValueError, match=r"split is \['train', 'dev'\]"):
        SpeechCorpus(["train", "dev"])
    with pytest.raises(ValueError, match=r"unknown speakers \['bob'\]: the corpus has allison, carlo"):
        SpeechCorpus("test", speakers=["carlo", "bob"])


def test_a_selection_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no utterance of split 'train'"):
        SpeechCorpus("train", speakers=[UNSEEN_SPEAKER])
    with pytest.raises(ValueError, match=r"3600\.0 s or more"):
        SpeechCorpus("train", min_seconds=3600.0)


def test_the_data_folder_can_be_named_by_the_environment(tmp_path, monkeypatch):
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "metadata.csv").write_text(
        "file,speaker,sex,language,seconds,split\na.flac,x,f,eo,1.5,test\n"
    )
    monkeypatch.setenv("DPRNN_LAB_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert SpeechCorpus("test").utterances[0].speaker == "x"


def test_a_missing_corpus_is_an_error_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("DPRNN_LAB_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="set DPRNN_LAB_DATA to its data folder"):
        data_folder()


def test_the_metadata_are_read_once():
    assert read_metadata(FOLDER) is read_metadata(FOLDER)
