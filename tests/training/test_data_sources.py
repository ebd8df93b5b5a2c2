"""Every kind of data of a run."""

import pytest
import soundfile
import torch

from dprnn_lab.datasets.disk_mixtures import FixedSegments, RandomSegments
from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.training import train_run
from dprnn_lab.training.data_sources import describe, make_data

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


def test_who_speaks_is_said_before_the_training(speakers, mixtures, tmp_path, quick, capsys):
    write(speakers / "dora" / "short.wav", 0.05, 99)
    (speakers / "ada" / "._0.wav").write_bytes(b"of macOS")
    train_run(quick(data=str(speakers)), tmp_path / "run")
    first, *rest = capsys.readouterr().out.splitlines()
    assert f"{speakers}: 3 speakers (ada, bea, carl), 0.5 min for training and 0.2 min held out" in first
    assert any(
        "1 of 4 speakers have less than 0.1 s of training and are left out (dora)" in line for line in rest
    )
    data = make_data(quick(data=str(mixtures / "train"), valid_data=str(mixtures / "dev")), RATE)
    assert [line.partition(": ")[2] for line in describe(data)] == [
        "4 mixtures of mix_clean with 2 sources for training",
        "4 mixtures of mix_clean with 2 sources for validation",
    ]
    assert describe(make_data(quick(), RATE))[0].startswith("the bundled voices: ")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("voices", {"mix": "mix_clean"}, r"mix \(--mix\) has no effect on a folder for each speaker"),
        ("voices", {"woman_woman": 0.1}, r"woman_woman \(--woman-woman\) has no effect"),
        (
            "voices",
            {"noise_share": 1.0},
            r"noise_share \(--noise-share\) has no effect without noise \(--noise\)",
        ),
        ("voices", {"room_share": 1.0}, r"has no effect without rt60 \(--rt60\)"),
        ("corpus", {"mix": "x", "valid_data": "y"}, r"mix, valid_data \(--mix, --valid-data\) has no effect"),
        ("corpus", {"skip_bad": True}, r"skip_bad \(--skip-bad\) has no effect"),
        ("Libri/train", {"speakers": ["ada"]}, r"speakers \(--speakers\) has no effect on ready mixtures"),
        ("Libri/train", {"level_db": 5.0}, r"level_db would change them \(--level-db\)"),
    ],
)
def test_options_without_effect_are_refused(speakers, mixtures, tmp_path, quick, kind, change, message):
    data = kind if kind == "corpus" else str(tmp_path / kind)
    valid = {"valid_data": str(mixtures / "dev")} if kind.startswith("Libri") else {}
    with pytest.raises(ValueError, match=message):
        make_data(quick(data=data, **valid, **change), RATE)


def test_a_model_of_another_number_of_outputs_is_refused_at_the_start(speakers, mixtures, quick):
    for settings in (
        quick(),
        quick(data=str(speakers)),
        quick(data=str(mixtures / "train"), valid_data=str(mixtures / "dev")),
    ):
        with pytest.raises(
            ValueError, match=r"its mixtures have 2 sources, and the model has n_src=3 outputs"
        ):
            make_data(settings, RATE, n_src=3)


def test_a_folder_too_high_and_a_source_that_is_missing_are_refused(mixtures, quick):
    with pytest.raises(FileNotFoundError, match=r"ready mixtures with their sources.*Libri/dev.*Libri/train"):
        make_data(quick(data=str(mixtures), mix="mix_clean"), RATE)
    for i in range(4):
        save(mixtures / "train" / "mix_single" / f"{i}.wav", noise(4.5, 10 * i + 1))
    (mixtures / "dev" / "mix_clean").rename(mixtures / "dev" / "mix_single")
    settings = quick(data=str(mixtures / "train"), valid_data=str(mixtures / "dev"), mix="mix_single")
    with pytest.raises(ValueError, match="the source s2 is not in the mixtures of mix_single"):
        make_data(settings, RATE)


def test_bad_files_are_left_out_and_counted_where_that_is_allowed(mixtures, speakers, quick):
    (mixtures / "train" / "s1" / "2.wav").write_bytes(b"garbage")
    (speakers / "ada" / "9.wav").write_bytes(b"garbage")
    ready = quick(data=str(mixtures / "train"), valid_data=str(mixtures / "dev"), epoch_size=None)
    for settings in (ready, quick(data=str(speakers))):
        with pytest.raises(ValueError, match=r"\.wav: not readable as audio .*--skip-bad"):
            data = make_data(settings, RATE)
            list(data.train)
        data = make_data(settings.changed(skip_bad=True), RATE)
        assert any(
            "left out (skip_bad, --skip-bad)" in line and "not readable" in line for line in describe(data)
        )
    with pytest.raises(
        ValueError, match=r"size is 4 \(epoch_size, --epoch-size\), and 3 mixtures can be used"
    ):
        make_data(ready.changed(skip_bad=True, epoch_size=4), RATE)
