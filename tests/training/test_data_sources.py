"""Every kind of data of a run."""

import pytest
import soundfile
import torch

from dprnn_lab.datasets.disk_mixtures import FixedSegments, RandomSegments
from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.training import train_run
from dprnn_lab.training.data_sources import make_data

RATE = 8000


def noise(seconds, seed, rate=RATE):
    return torch.randn(int(seconds * rate), generator=torch.Generator().manual_seed(seed)) * 0.1


def save(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.numpy(), rate)


def write(path, seconds, seed, rate=RATE):
    save(path, noise(seconds, seed, rate), rate)


@pytest.fixture
def speakers(tmp_path):
    for i, name in enumerate(("ada", "bea", "carl")):
        for j in range(3):
            write(tmp_path / "voices" / name / f"{j}.wav", 5, 10 * i + j)
    return tmp_path / "voices"


@pytest.fixture
def mixtures(tmp_path):
    for split in ("train", "dev"):
        for i in range(4):
            made = {f"s{j}": noise(4.5, 10 * i + j) for j in (1, 2)}
            for name, samples in (made | {"mix_clean": sum(made.values())}).items():
                save(tmp_path / "Libri" / split / name / f"{i}.wav", samples)
    return tmp_path / "Libri"


def test_the_bundled_voices_with_every_augmentation(quick):
    settings = quick(
        easy_epochs=2, woman_woman=0.25, seen_unseen=0.5, splits=["train", "adapt"], level_db=1.0, speed=10,
        flip=True, noise="white", snr_db=[5, 5], seed=7,
    )  # fmt: skip
    data = make_data(settings, RATE)
    assert isinstance(data.train, DynamicMixing) and isinstance(data.valid, FixedMixtures)
    assert data.train.curriculum == [
        (0, {"man-woman": 1.0}), (2, {"man-woman": 0.25, "woman-woman": 0.25, "seen-unseen": 0.5})
    ]  # fmt: skip
    made = data.train
    assert (made.lengths.longest, made.size, made.level_db, made.speed_percent, made.flip, made.seed) == (
        800,
        4,
        1,
        10,
        True,
        7,
    )
    assert (made.noise.source, made.noise.snr_db, made.noise.share) == ("white", (5.0, 5.0), 0.5)


def test_another_corpus_of_the_same_layout(quick, tmp_path):
    """Its voices are trained on; the validation mixtures stay the bundled ones."""
    rows = ["file,speaker,sex,language,seconds,split"]
    for speaker, sex in (("ada", "f"), ("carl", "m"), ("dan", "m")):
        write(tmp_path / f"{speaker}.flac", 2, seed=ord(speaker[0]))
        rows.append(f"{speaker}.flac,{speaker},{sex},xx,2.0,train")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    settings = quick(data=str(tmp_path), woman_woman=0.0, man_man=0.25, pair_weights={"ada+dan": 3})
    data = make_data(settings, RATE)
    assert list(data.train.voices) == ["ada", "carl", "dan"]
    assert data.train.curriculum == [(0, {"man-woman": 0.75, "man-man": 0.25})]
    assert data.train._pair_shares["man-woman"].tolist() == [0.25, 0.75]
    assert isinstance(data.valid, FixedMixtures) and data.train[0][0].shape == (800,)


def test_the_bundled_voices_at_another_rate(quick):
    data = make_data(quick(resample=True, seconds=0.1), 16000)
    assert data.train[0][0].shape == (1600,)
    assert len(data.train.voices["carlo"]) == 2 * len(make_data(quick(), RATE).train.voices["carlo"])
    assert data.valid.specs[0].sample_rate == 16000


def test_rooms_are_made_from_the_settings(quick):
    pytest.importorskip("pyroomacoustics")
    made = make_data(quick(rt60=[0.2, 0.2], room_share=0.25), RATE).train
    assert (made.rooms.rt60, made.rooms.share) == ((0.2, 0.2), 0.25)


def test_a_run_learns_from_folders_of_speakers(speakers, tmp_path, quick):
    settings = quick(data=str(speakers))
    data = make_data(settings, RATE)
    assert set(data.train.voices) == {"ada", "bea", "carl"}
    assert data.valid[0][0].shape == (4 * RATE,)
    train_run(settings, tmp_path / "run")
    assert (tmp_path / "run" / "results.csv").read_text().splitlines()[1].startswith("2,any,200")


def test_a_run_learns_from_mixtures_on_disk(mixtures, tmp_path, quick):
    settings = quick(data=str(mixtures / "train"), valid_data=str(mixtures / "dev"))
    data = make_data(settings, RATE)
    assert isinstance(data.train, RandomSegments) and isinstance(data.valid, FixedSegments)
    assert data.train[0][0].shape == (800,)
    train_run(settings, tmp_path / "run")
    assert (tmp_path / "run" / "results.csv").read_text().splitlines()[1].startswith("2,mix_clean,4")


@pytest.mark.parametrize("kind", ["corpus", "speakers", "disk"])
def test_the_mixtures_of_a_step_have_one_length_in_every_process(kind, speakers, mixtures, quick):
    changes = {
        "corpus": {},
        "speakers": {"data": str(speakers)},
        "disk": {"data": str(mixtures / "train"), "valid_data": str(mixtures / "dev"), "epoch_size": None},
    }
    settings = quick(seconds=[0.1, 0.2], batch=1, devices=2, epoch_size=40).changed(**changes[kind])
    train = make_data(settings, RATE).train
    lengths = []
    for epoch in range(20 if kind == "disk" else 2):
        train.set_epoch(epoch)
        steps = [[len(train[i][0]) for i in (k, k + 1)] for k in range(0, len(train), 2)]
        assert all(a == b for a, b in steps)
        lengths += [a for a, _ in steps]
    assert len(lengths) == 40
    assert set(lengths) == {800, 1600} and 10 <= lengths.count(800) <= 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "give valid_data too"),
        ({"valid_data": "x", "noise": "white", "speed": 5}, "noise, speed would change them"),
    ],
)
def test_settings_that_ready_mixtures_do_not_allow_are_refused(mixtures, change, message, quick):
    with pytest.raises(ValueError, match=message):
        make_data(quick(data=str(mixtures / "train"), **change), RATE)


def test_an_unknown_layout_is_refused(tmp_path, quick):
    with pytest.raises(FileNotFoundError, match="expected a folder for each speaker"):
        make_data(quick(data=str(tmp_path)), RATE)
