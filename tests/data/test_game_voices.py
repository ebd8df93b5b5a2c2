"""The readers of the games' formats and what they share, on made-up archives: no package is needed."""

import csv
import importlib
import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000
DATA = Path(__file__).parents[2] / "data"
SCRIPTS = ("many_voices", "build_many_voices", "build_more_speech", "build_speech")


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.syspath_prepend(DATA)
    names = ("folder", "amazon_queen", "steel_sky", "drascula", "speaker_distance")
    yield {name: importlib.import_module(f"many_voices.{name}") for name in names}
    for name in [n for n in sys.modules if n.split(".")[0] in SCRIPTS]:
        sys.modules.pop(name)


def vowel(seconds: float, pitch: float, formant: float = 700.0) -> np.ndarray:
    """int16 ``[T]``: pulses through a resonance, in syllables of a quarter of a second."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = np.cumsum(pitch * (1 + 0.03 * np.sin(2 * np.pi * time))) / RATE
    pulses = np.diff(np.floor(phase), prepend=0)
    decay = np.arange(400) / RATE
    response = np.exp(-150 * decay) * np.sin(2 * np.pi * formant * decay)
    voice = np.convolve(pulses, response)[: len(time)] * (0.02 + np.square(np.sin(4 * np.pi * time)))
    return (8000 * voice / np.abs(voice).max()).astype(np.int16)


@pytest.mark.parametrize("pitch", [80, 120, 180, 260])
def test_pitch_is_found_and_speech_told_from_noise(parts, pitch):
    folder = parts["folder"]
    measures = folder.measure(vowel(2, pitch))
    assert measures["pitch"] == pytest.approx(pitch, rel=0.06)
    assert folder.is_speech(measures)
    noise = np.random.default_rng(0).normal(0, 3000, 2 * RATE).astype(np.int16)
    assert not folder.is_speech(folder.measure(noise))
    tone = (3000 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.int16)
    assert not folder.is_speech(folder.measure(tone))


def test_long_recordings_are_cut_where_it_is_quiet(parts):
    samples = vowel(40, 120)
    samples[13 * RATE : 13 * RATE + 4000] = 0
    cut = parts["folder"].pieces(samples)
    assert all(RATE <= len(piece) <= 15 * RATE for piece in cut)
    assert 38 * RATE < sum(map(len, cut)) <= len(samples)
    assert len(cut[0]) == pytest.approx(13 * RATE, abs=1200)
    assert parts["folder"].pieces(vowel(0.7, 120)) == []


def test_spread_takes_evenly_and_keeps_to_the_minutes(parts):
    recordings = [(str(i), np.zeros(RATE, np.int16), "") for i in range(240)]
    kept = parts["folder"].spread(recordings, 1.0)
    assert len(kept) == pytest.approx(60, abs=1)
    assert np.diff([int(name) for name, _, _ in kept]).max() <= 5
    assert parts["folder"].spread(recordings, 10.0) == recordings


def test_short_recordings_are_joined(parts):
    recordings = [(str(i), np.full(2 * RATE, i, np.int16), f"s{i}") for i in range(8)]
    joined = parts["folder"].join(recordings)
    assert [(name, source) for name, _, source in joined] == [("0", "s0+s1+s2"), ("3", "s3+s4+s5")]
    assert joined[1][1].tolist() == np.repeat([3, 4, 5], 2 * RATE).tolist()


def test_a_voices_folder_has_the_two_tables(parts, tmp_path):
    folder = parts["folder"]
    voices = [
        folder.Voice("ada", "f", ["ada", "game"], "here", "en", "free", [("one", vowel(2, 220), "a:b")])
    ]
    digest = folder.write_folder(tmp_path, voices)
    assert digest == folder.write_folder(tmp_path, voices)
    with open(tmp_path / "voices.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {
                "voice": "ada",
                "sex": "f",
                "groups": "ada;game",
                "origin": "here",
                "language": "en",
                "minutes": "0.03",
            }
        ]
    with open(tmp_path / "metadata.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    samples, rate = soundfile.read(tmp_path / row["path"], dtype="int16")
    assert rate == RATE
    assert row == {
        "path": "ada/one.flac", "voice": "ada", "samples": str(len(samples)), "source": "a:b", "licence": "free"
    }  # fmt: skip


def archive(files: dict[str, bytes]) -> bytes:
    """An archive of Amazon Queen."""
    head = b"QTBLCEM10\0\0\0\1" + struct.pack(">H", len(files))
    offset, table, body = len(head) + 21 * len(files), b"", b""
    for name, content in files.items():
        table += name.encode().ljust(12, b"\0") + b"\1" + struct.pack(">II", offset + len(body), len(content))
        body += content
    return head + table + body


def test_amazon_queen_names_say_who_speaks(parts, tmp_path, monkeypatch):
    queen = parts["amazon_queen"]
    dialogue = bytes(20) + struct.pack(">3h", 1, 1, 27)

    def speech(pitch: float) -> bytes:
        memory = io.BytesIO()
        soundfile.write(memory, vowel(3, pitch), RATE, format="FLAC")
        return memory.getvalue()

    files = {"JOHN1.DOG": dialogue, "JOHN2.DOG": dialogue[:-1] + b"\x1c"}
    files |= {f"27{i:04X}P1.SB": speech(180 + i) for i in range(8)}
    files |= {f"28{i:04X}P2.SB": speech(190 + i) for i in range(8)}
    files |= {"27XXXXJ1.SB": speech(100), "C13A_011.SB": speech(150), "138SSSSS.SB": speech(150)}
    assert queen.entries(archive(files)) == files
    people = queen.characters(files)
    assert people == {27: "john", 28: "john"}
    assert queen.speaker_of("JOE00431.SB", people) == "joe"
    assert queen.speaker_of("2700A5P2.SB", people) == "john"
    assert queen.speaker_of("99000AP1.SB", people) is None
    root = tmp_path / queen.PACKAGE / Path(queen.ARCHIVE).parent
    root.mkdir(parents=True)
    (root / "queen.1c").write_bytes(archive(files))
    monkeypatch.setattr(queen, "unpack", lambda packages, name, scratch: scratch / name)
    monkeypatch.setattr(queen, "PARTNER_MINUTES", 0.5)
    voices, count = queen.read(tmp_path, tmp_path)
    assert [voice.name for voice in voices] == ["queen-john"]  # the hero has one line
    assert voices[0].sex == "f" and voices[0].groups == ["queen"]
    assert sum(len(s) for _, s, _ in voices[0].recordings) <= 33 * RATE
    assert count["cut scenes and noises"] == 2


class Bits:
    """Writes RNC's bits and the raw bytes between them the way its decoder reads them: from words of 16 bits."""

    def __init__(self):
        self.out, self.words, self.count = bytearray(), [0], 0

    def put(self, value: int, bits: int) -> None:
        for i in range(bits):
            if self.count == 16 * len(self.words):
                self.words.append(0)
            self.words[self.count // 16] |= (value >> i & 1) << self.count % 16
            self.count += 1


def test_rnc_is_unpacked(parts):
    """One block: five raw bytes, eight copied from three before, no more raw bytes."""
    bits = Bits()
    bits.put(0, 2)
    # Runs: value 0 is "0" and value 3 is "1"; distances: value 2 is "0"; lengths: value 3 is "0".
    for lengths in ([1, 0, 0, 1], [0, 0, 1], [0, 0, 0, 1, 0]):
        bits.put(len(lengths), 5)
        for length in lengths:
            bits.put(length, 4)
    bits.put(2, 16)
    bits.put(1, 1)  # the run's code: value 3
    bits.put(1, 2)  # 4 + 1
    before = bits.count
    bits.put(0, 1)  # distance: value 2
    bits.put(0, 1)  # 2, and 1
    bits.put(0, 1)  # length: value 3
    bits.put(2, 2)  # 6, and 2
    bits.put(0, 1)  # no raw bytes
    assert before % 16 and before // 16 == (bits.count - 1) // 16, (
        "raw bytes lie behind the word that is begun"
    )
    body = b"".join(word.to_bytes(2, "little") for word in bits.words) + b"hello"
    packed = b"RNC\1" + struct.pack(">II", 13, len(body)) + bytes(5) + b"\1" + body
    assert parts["steel_sky"].unpack_rnc(packed) == b"hellollollollo"[:13]
    with pytest.raises(ValueError, match="method 1"):
        parts["steel_sky"].unpack_rnc(b"RNC\2" + packed[4:])


def test_steel_sky_scripts_say_which_animation_speaks(parts, tmp_path):
    sky = parts["steel_sky"]
    words = [
        0,
        84,
        2,
        0x1003,
        2,
        9,
        11,
        3,
        4 * 36,
        19,
    ]  # the player says text 3 of section 1 with animation 9
    contents = {60400: np.array(words, "<u2").tobytes(), 50603: bytes([128, 255, 0])}
    disk = b""
    listing = struct.pack("<I", len(contents))
    for number, content in contents.items():
        listing += struct.pack("<H", number) + len(disk).to_bytes(3, "little")
        listing += (len(content) + sky.HEADER).to_bytes(3, "little")
        disk += bytes(sky.HEADER) + content
    (tmp_path / "sky.dnr").write_bytes(listing)
    (tmp_path / "sky.dsk").write_bytes(disk)
    files = sky.Disk(tmp_path)
    assert sky.animations(files) == {50603: {9}}
    assert files.speech(50603).tolist() == [0.0, 127 / 128, -1.0]


@pytest.mark.parametrize(
    ("stem", "who"),
    [
        ("12", ("hacker", "m")),
        ("BJ3", ("bj", "f")),
        ("B3", ("drunk", "m")),
        ("D40", ("drascula", "m")),
        ("D70", ("blind", "m")),
        ("D60", None),
        ("S3", None),
        ("x", None),
    ],
)
def test_drascula_file_names_say_who_speaks(parts, stem, who):
    assert parts["drascula"].who_speaks(stem) == who


def test_one_speaker_is_nearer_to_themselves_than_to_another(parts):
    measure = parts["speaker_distance"]
    low = [measure.describe([vowel(4, pitch, 600)]) for pitch in (100, 104)]
    high = [measure.describe([vowel(4, pitch, 900)]) for pitch in (200, 207)]
    assert 2 ** float(low[0]["pitch"]) == pytest.approx(100, rel=0.05)
    assert 2 ** float(high[0]["pitch"]) == pytest.approx(200, rel=0.05)
    voices = {"carl": low, "ada": high}
    same, different = measure.compare(voices)
    assert max(same) < min(different)
    assert measure.area_under_roc(same, different) == 1.0
    assert measure.distance(low[0], low[0]) == pytest.approx(0, abs=1e-3)
    assert measure.distance(low[0], high[0]) == pytest.approx(measure.distance(high[0], low[0]), rel=1e-4)
    assert sorted(map(sorted, measure.cluster(voices, max(same)))) == [["ada"], ["carl"]]
    assert len(measure.cluster(voices, max(different) * 2)) == 1


@pytest.fixture
def build(parts):
    return importlib.import_module("build_many_voices")


def test_mixtures_are_of_people_of_different_recordings(parts, build, tmp_path):
    folder = parts["folder"]
    cast = [("a", "f", "one"), ("b", "f", "two"), ("c", "m", "one"), ("d", "m", "two"), ("e", "m", "two")]
    voices = [
        folder.Voice(
            name, sex, [group], group, "en", "free", [(str(i), vowel(5, 100 + 30 * n), "") for i in range(3)]
        )
        for n, (name, sex, group) in enumerate(cast)
    ]
    folder.write_folder(tmp_path / "unseen", voices)
    specs = build.mixtures(tmp_path)
    assert len(specs) == 120
    people = {kind: {frozenset(f[0] for f in (s.first, s.second)) for s in specs if s.kind == kind} for kind in
              ("man-woman", "woman-woman", "man-man")}  # fmt: skip
    assert people == {
        "man-woman": {frozenset("ad"), frozenset("ae"), frozenset("bc")},
        "woman-woman": {frozenset("ab")},
        "man-man": {frozenset("cd"), frozenset("ce")},
    }
    arrays = np.load(tmp_path / "unseen" / "mixtures.npz")
    assert arrays["sources"].shape == (120, 2, 32000)
    assert np.array_equal(arrays["sources"].sum(1), arrays["mixture"])
    assert arrays["kind"].tolist() == [s.kind for s in specs]
    powers = 10 * np.log10(np.square(arrays["sources"]).mean(-1))
    assert powers[:, 0] - powers[:, 1] == pytest.approx([s.level_db for s in specs], abs=0.01)
    with open(tmp_path / "unseen" / "mixtures.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 120
    again = (tmp_path / "unseen" / "mixtures.csv").read_bytes()
    build.mixtures(tmp_path)
    assert (tmp_path / "unseen" / "mixtures.csv").read_bytes() == again


def test_a_corpus_of_the_old_layout_becomes_a_voices_folder(build, tmp_path):
    columns = "file,speaker,sex,language,split,package,source"
    rows = [
        "allison/en/one.flac,allison,f,en,train,p,x/one.wav",
        "allison/es/one.flac,allison,f,es,train,p,y/one.wav",
        "carlo/it/two.flac,carlo,m,it,test,p,z/two.wav",
    ]
    (tmp_path / "metadata.csv").write_text("\n".join([columns, *rows]) + "\n")
    for row in rows:
        path = tmp_path / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, vowel(20, 200), RATE, subtype="PCM_16")
    (allison,) = build.from_table(tmp_path, "old", lambda row: row["split"] == "train")
    assert (allison.name, allison.groups, allison.language) == ("allison", ["allison"], "en;es")
    assert [name for name, _, _ in allison.recordings] == ["en-one-0", "en-one-1", "es-one-0", "es-one-1"]
