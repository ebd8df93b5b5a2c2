"""Small trees of speakers' folders, made of noise that is another in every file."""

import pickle

import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from dprnn_lab.audio import AudioError, resample, write_audio
from dprnn_lab.datasets.dynamic_mixing import FrozenMixtures
from dprnn_lab.datasets.speaker_folders import SpeakerFolders, read_sexes

SEXES = {"ada": "f", "bea": "f", "carl": "m"}


def write(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.numpy().T, rate)


@pytest.fixture
def flat(tmp_path):
    """Three speakers with ten files of 0.1 to 0.19 s each."""
    for name in SEXES:
        for i in range(10):
            write(tmp_path / name / f"{i}.wav", torch.rand(800 + 80 * i) - 0.5)
    return tmp_path


@pytest.fixture
def nested(tmp_path):
    """Two speakers with two chapters each, as LibriSpeech has them, at 16 kHz."""
    for speaker in ("19", "26"):
        for chapter in ("198", "227"):
            for i in range(3):
                file = tmp_path / speaker / chapter / f"{speaker}-{chapter}-000{i}.flac"
                write(file, torch.rand(2001 + 10 * i) - 0.5, 16000)
    return tmp_path


def files(folders, split):
    return {u.file for u in folders.utterances if u.split == split}


def test_every_file_is_in_one_part_only(flat):
    folders = SpeakerFolders(flat, sexes=SEXES, valid_share=0.2)
    train, valid = files(folders, "train"), files(folders, "valid")
    assert train | valid == set(flat.rglob("*.wav"))
    assert not train & valid
    for name in SEXES:
        seconds = [
            sum(u.samples for u in folders.utterances if u.speaker == name and u.file in s)
            for s in (train, valid)
        ]
        assert 0.1 < seconds[1] / sum(seconds) <= 0.3
    assert folders.sexes == SEXES
    assert folders.copies == []


def test_the_split_depends_on_the_seed_and_not_on_the_path_or_other_files(flat, tmp_path):
    first = files(SpeakerFolders(flat), "valid")
    assert files(SpeakerFolders(flat), "valid") == first
    assert files(SpeakerFolders(flat, seed=1), "valid") != first
    write(flat / "aaron" / "1.wav", torch.rand(800))
    assert files(SpeakerFolders(flat), "valid") == first
    moved = flat.rename(tmp_path.parent / "moved")
    assert {f.relative_to(moved) for f in files(SpeakerFolders(moved), "valid")} == {
        f.relative_to(flat) for f in first
    }


def test_one_recording_is_for_training_and_two_are_one_each(tmp_path):
    write(tmp_path / "one" / "a.wav", torch.rand(900))
    write(tmp_path / "two" / "long.wav", torch.rand(9000))
    write(tmp_path / "two" / "short.wav", torch.rand(800))
    folders = SpeakerFolders(tmp_path)
    assert {f.name for f in files(folders, "valid")} == {"short.wav"}
    assert {f.name for f in files(folders, "train")} == {"a.wav", "long.wav"}
    assert not files(SpeakerFolders(tmp_path, valid_share=0), "valid")
    assert len(files(SpeakerFolders(tmp_path, valid_share=0.99), "train")) == 2


def test_copies_are_left_out_so_that_none_leaks(flat):
    samples = torch.rand(1234) - 0.5
    write_audio(flat / "ada" / "x.wav", samples, 8000)
    write_audio(flat / "ada" / "y.flac", samples, 8000)
    write(flat / "ada" / "z.wav", torch.rand(1234) - 0.5)
    folders = SpeakerFolders(flat)
    assert [f.name for f in folders.copies] == ["y.flac"]
    kept = {u.file.name for u in folders.utterances if u.speaker == "ada"}
    assert {"x.wav", "z.wav"} <= kept
    assert "y.flac" not in kept


def test_a_copy_at_another_level_saved_as_16_bit_is_a_copy(flat):
    samples = torch.rand(8000) - 0.5
    write_audio(flat / "ada" / "x.wav", samples, 8000)
    write_audio(flat / "ada" / "y.wav", 0.7 * samples, 8000)
    write_audio(flat / "ada" / "z.wav", samples.flip(0), 8000)
    assert [f.name for f in SpeakerFolders(flat).copies] == ["y.wav"]


def test_a_voice_is_sliced_like_a_tensor_of_all_its_utterances(flat):
    voice = SpeakerFolders(flat, valid_share=0).voices()["ada"]
    whole = torch.cat(
        [torch.from_numpy(soundfile.read(f, dtype="float32")[0]) for f in sorted((flat / "ada").iterdir())]
    )
    assert len(voice) == len(whole)
    for start, stop in [
        (0, 1),
        (0, 800),
        (799, 801),
        (100, 5000),
        (800, 1680),
        (len(whole) - 3, len(whole)),
        (0, len(whole)),
    ]:
        assert torch.equal(voice[start:stop], whole[start:stop])
    assert torch.equal(voice[-5:], whole[-5:])
    assert float(voice.rms()) == pytest.approx(float(whole.square().mean().sqrt()), rel=1e-6)
    for part in (slice(3, 3), slice(0, 10, 2)):
        with pytest.raises(IndexError, match="give \\[start:stop\\]"):
            voice[part]


def test_chapters_and_another_rate_on_request(nested):
    with pytest.raises(AudioError, match=r"is at 16000 Hz, expected 8000 Hz: pass resample=True"):
        SpeakerFolders(nested)
    folders = SpeakerFolders(nested, resample=True, valid_share=0)
    assert len(folders.utterances) == 12
    voice = folders.voices()["19"]
    whole = torch.cat(
        [
            resample(torch.from_numpy(soundfile.read(f, dtype="float32")[0]), 16000, 8000)
            for f in sorted((nested / "19").rglob("*.flac"))
        ]
    )
    assert len(voice) == len(whole)
    # The cached filter is computed in float64, the other one in float32: they differ by 1e-7.
    assert torch.allclose(voice[900:2100], whole[900:2100], atol=5e-7)
    assert len(SpeakerFolders(nested, 16000, valid_share=0).voices()["19"]) > 1.9 * len(whole)


def test_mixing_and_validation_use_their_own_parts(flat):
    folders = SpeakerFolders(flat, sexes=SEXES, valid_share=0.4)
    train = folders.mixing(samples=500, size=20, speed_percent=10)
    assert {k: len(p) for k, p in train.pairs.items()} == {"man-woman": 2, "woman-woman": 1}
    assert train.curriculum == [(0, {"man-woman": 2.0, "woman-woman": 1.0})]
    mixture, sources = train[3]
    assert torch.equal(mixture, sources.sum(0))
    assert sources.shape == (2, 500)
    parts = [set(v.files) for v in train.voices.values()]
    assert set.union(*parts) == files(folders, "train")
    valid = folders.validation(500, count=12)
    assert isinstance(valid, FrozenMixtures)
    assert set.union(*(set(v.files) for v in valid.mixing.voices.values())) == files(folders, "valid")
    everything = folders.mixing(None, samples=500)
    assert sum(map(len, everything.voices.values())) == sum(u.samples for u in folders.utterances)


def test_frozen_mixtures_are_named_and_stay(flat):
    folders = SpeakerFolders(flat, sexes=SEXES, valid_share=0.4)
    mixing = folders.mixing(samples=500, size=30, kinds={"man-woman": 1, "woman-woman": 1})
    frozen = FrozenMixtures(mixing)
    before = frozen[4]
    mixing.set_epoch(3)
    assert torch.equal(frozen[4][1], before[1])
    assert torch.equal(before[0], before[1].sum(0))
    assert before[2] == frozen.specs[4]
    assert len(frozen) == len({s.id for s in frozen.specs}) == 30
    assert {s.kind for s in frozen.specs} == {"man-woman", "woman-woman"}
    assert all(s.id.startswith(s.kind) for s in frozen.specs)
    assert len(list(frozen)) == 30


def test_the_kind_of_an_item_is_that_of_its_voices(flat):
    time = torch.arange(2000) / 8000
    for name, hertz in zip(SEXES, (500, 1000, 2000), strict=True):
        for file in (flat / name).iterdir():
            file.unlink()
        write(flat / name / "tone.wav", 0.1 * torch.sin(6.2832 * hertz * time))
    mixing = SpeakerFolders(flat, sexes=SEXES).mixing(samples=800, size=20)
    for i, (_, sources) in enumerate(mixing):
        has_man = any(s.abs().max() > 0 and torch.fft.rfft(s).abs().argmax() == 200 for s in sources)
        assert mixing.kind(i) == ("man-woman" if has_man else "woman-woman")


def test_workers_read_the_same_mixtures(flat):
    mixing = pickle.loads(pickle.dumps(SpeakerFolders(flat).mixing(samples=500, size=4)))
    (none,), (two,) = ([b[0] for b in DataLoader(mixing, 4, num_workers=n)] for n in (0, 2))
    assert torch.equal(none, two)


def test_without_sexes_every_pair_is_as_likely_as_another(flat):
    assert set(SpeakerFolders(flat).mixing(samples=500).pairs) == {"any"}
    partly = SpeakerFolders(flat, sexes={"ada": "f", "carl": "m"}).mixing(samples=500)
    assert partly.curriculum == [(0, {"any": 2.0, "man-woman": 1.0})]


def test_speakers_with_too_little_speech_are_left_out(flat):
    write(flat / "dora" / "1.wav", torch.rand(400) - 0.5)
    assert list(SpeakerFolders(flat).mixing(samples=500).voices) == list(SEXES)
    with pytest.raises(
        ValueError, match=r"0 of 3 speakers have 2\.0 s or more for split 'valid', two are needed"
    ):
        SpeakerFolders(flat).validation(16000)
    with pytest.raises(ValueError, match="split is 'test'"):
        SpeakerFolders(flat).mixing("test")


def test_the_table_of_speakers(flat):
    folders = SpeakerFolders(flat, sexes={"ada": "f", "carl": "m"}, valid_share=0.2)
    table = folders.table()
    assert list(table.columns) == ["sex", "train", "valid"]
    assert table.sex.to_dict() == {"ada": "f", "bea": "?", "carl": "m"}
    assert table[["train", "valid"]].sum(axis=1).tolist() == pytest.approx([1.45] * 3)
    assert SpeakerFolders(flat, valid_share=0).table().valid.tolist() == [0, 0, 0]


def test_a_choice_of_speakers(flat):
    folders = SpeakerFolders(flat, speakers=["ada", "carl"])
    assert list(folders.voices()) == ["ada", "carl"]
    with pytest.raises(ValueError, match=r"unknown speakers \['zoe'\]: .* has ada, bea, carl"):
        SpeakerFolders(flat, speakers=["zoe"])


def test_a_wrong_layout_shows_what_was_found_and_expected(flat):
    def message(path):
        with pytest.raises(
            FileNotFoundError, match=r"expected a folder for each speaker .*LibriSpeech"
        ) as error:
            SpeakerFolders(path)
        return str(error.value)

    assert "holds no folders, 0 of them with audio, and 10 audio files beside them" in message(flat / "ada")
    assert "is not a folder" in message(flat / "nobody")
    assert f"{flat.parent} is" not in message(flat / "ada" / "1.wav")
    (flat / "empty" / "a").mkdir(parents=True)
    (flat / "empty" / "b").mkdir()
    assert "holds the folders a, b, 0 of them with audio" in message(flat / "empty")
    for name in ("mix_clean", "s1", "s2"):
        write(flat / "wham" / name / "1.wav", torch.rand(10))
    assert "read them with DiskMixtures" in message(flat / "wham")
    for speaker in ("19", "26"):
        write(flat / "libri" / "train" / speaker / "198" / "1.flac", torch.rand(100))
        write(flat / "libri" / "dev" / speaker / "198" / "1.flac", torch.rand(100))
    assert "audio 3 folders deep (dev/19/198/1.flac)" in message(flat / "libri")


def test_files_that_can_not_be_used_are_named(flat):
    write(flat / "ada" / "stereo.wav", torch.rand(2, 900))
    with pytest.raises(AudioError, match=r"stereo\.wav has 2 channels"):
        SpeakerFolders(flat)
    (flat / "ada" / "stereo.wav").write_bytes(b"not a wave")
    with pytest.raises(AudioError, match=r"stereo\.wav: not readable as audio"):
        SpeakerFolders(flat)
    write(flat / "ada" / "stereo.wav", torch.rand(0))
    with pytest.raises(AudioError, match=r"stereo\.wav: the file holds no samples"):
        SpeakerFolders(flat)
    with pytest.raises(ValueError, match="valid_share is 1"):
        SpeakerFolders(flat, valid_share=1)


def test_sexes_from_a_csv_and_from_librispeech(tmp_path, flat):
    table, speakers = tmp_path / "who.csv", tmp_path / "SPEAKERS.TXT"
    table.write_text("speaker,age,sex\nada,31,F\ncarl,40,m\n")
    speakers.write_text(
        ";ID  |SEX| SUBSET           |MINUTES| NAME\n\n"
        "14   | F | train-clean-360  | 25.03 | Kristin LeMoine\n19   | M | train-clean-100  | 25.19 | A | B\n"
    )
    assert read_sexes(table) == {"ada": "f", "carl": "m"}
    assert read_sexes(speakers) == {"14": "f", "19": "m"}
    assert SpeakerFolders(flat, sexes=table).sexes == {"ada": "f", "bea": None, "carl": "m"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "name,sex\nada,f\n", r"has the columns \['name', 'sex'\]: expected speaker, sex"),
        ("a.csv", "speaker,sex\nada,x\n", "speaker ada has sex 'x', expected f or m"),
        ("a.txt", "ada f\n", "expected lines such as '14 "),
        ("a.txt", "", "expected lines such as '14 "),
    ],
)
def test_sexes_that_can_not_be_read(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_sexes(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_sexes(tmp_path / "nobody.csv")
