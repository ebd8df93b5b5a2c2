"""The larger training corpus: what it takes of the packages, and what it keeps its hands off."""

import csv
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dprnn_lab.datasets.corpus import SpeechCorpus

RATE = 8000
NOISE = np.random.default_rng(0)


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    yield importlib.import_module("build_more_speech")
    for name in ("build_more_speech", "build_speech"):
        sys.modules.pop(name, None)


def noise(seconds, rate=RATE):
    return (3000 * NOISE.standard_normal(int(seconds * rate))).astype(np.int16)


def package(folder: Path, name: str, files: dict[str, tuple[np.ndarray, int]]) -> None:
    """A Debian package of WAV files."""
    root = folder / name
    for path, (samples, rate) in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / path, samples, rate, subtype="PCM_16")
    (root / "DEBIAN").mkdir()
    control = (
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <a@b.c>\nDescription: voices\n"
    )
    (root / "DEBIAN" / "control").write_text(control)
    subprocess.run(["dpkg-deb", "-b", root, folder / f"{name}_1_all.deb"], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="packages are made with dpkg-deb")
def test_nothing_that_is_heard_in_the_test_is_trained_on(script, tmp_path, monkeypatch):
    kept_away, free = noise(3), noise(2)
    shares = np.concatenate([noise(2), kept_away[RATE : 2 * RATE], noise(1)])
    base = "usr/share/asterisk/sounds/some"
    package(tmp_path, "voice", {
        f"{base}/test.wav": (kept_away, RATE), f"{base}/shares.wav": (shares, RATE),
        f"{base}/free.wav": (free, RATE), f"{base}/short.wav": (noise(0.5), RATE),
    })  # fmt: skip
    twice = noise(2, 16000)
    package(tmp_path, "other", {
        "wav/one.wav": (twice, 16000), "wav/again.wav": (twice, 16000), "wav/two.wav": (noise(1.5, 16000), 16000),
    })  # fmt: skip
    bundled = tmp_path / "bundled.csv"
    bundled.write_text("source,split\nsome/test.wav,test\nsome/free.wav,train\n")
    monkeypatch.setattr(script, "BUNDLED", bundled)
    voices, more = [("voice", "some", "ada", "f", "xx")], [("other", "wav", ".wav", "carl", "m", "xx")]
    monkeypatch.setattr(script, "VOICES", voices)
    monkeypatch.setattr(script, "MORE", more)
    monkeypatch.setattr(script, "ProcessPoolExecutor", InThisProcess)
    minutes = dict(script.build(tmp_path, tmp_path / "out"))
    assert minutes == pytest.approx({"voice": 2 / 60, "other": 3.5 / 60}, rel=0.01)
    corpus = SpeechCorpus("train", folder=tmp_path / "out")
    assert {u.file for u in corpus.utterances} == {
        "ada/xx/free.flac",
        "carl/xx/again.flac",
        "carl/xx/two.flac",
    }
    assert corpus.speakers == {"ada": "f", "carl": "m"}
    with open(tmp_path / "out" / "metadata.csv", newline="") as file:
        row = next(csv.DictReader(file))
    samples, rate = soundfile.read(tmp_path / "out" / row["file"], dtype="int16")
    assert rate == RATE
    assert np.array_equal(samples, free)


class InThisProcess:
    """A pool that needs no processes: those would not see what the test has changed."""

    def __init__(self, workers, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    map = staticmethod(map)
