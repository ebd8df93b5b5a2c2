"""Recordings of an hour are read in parts: the memory stays bounded, whatever the number of files."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

HOUR = 3600 * 8000
LIMIT_MB = 500

DRAW = """
import re, sys
from pathlib import Path
from dprnn_lab.datasets.speaker_folders import SpeakerFolders
from dprnn_lab.datasets.augmentation import Noise

def kilobytes(name):  # of this process alone; getrusage counts the one that started it too
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

start = kilobytes("VmRSS")
folders = SpeakerFolders(sys.argv[1])
mixing = folders.mixing(samples=8000, size=200, noise=Noise(sys.argv[2]))
for item in mixing:
    pass
for item in folders.validation(32000, 20):
    pass
print((kilobytes("VmHWM") - start) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process alone is in /proc only")
@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_ten_recordings_of_an_hour_take_under_500_mb(tmp_path, ending):
    rng = np.random.default_rng(0)
    minute = rng.integers(-300, 300, 60 * 8000).astype(np.int16)
    for speaker in ("ada", "bob"):
        (tmp_path / "voices" / speaker).mkdir(parents=True)
        for i in range(5):
            with soundfile.SoundFile(
                tmp_path / "voices" / speaker / f"{i}.{ending}", "w", 8000, 1, "PCM_16"
            ) as file:
                for _ in range(60):
                    file.write(np.roll(minute, int(rng.integers(len(minute)))))
    command = [sys.executable, "-c", DRAW, tmp_path / "voices", tmp_path / "voices"]
    used = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert used < LIMIT_MB, f"{used:.0f} MB"
    print(f"{used:.0f} MB")
