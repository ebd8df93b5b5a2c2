"""How far apart two voices are: pitch and the distribution of MFCC, without any trained network.

A voice is described by the median and spread of the logarithm of its pitch, and by one Gaussian (mean and full
covariance) of 19 MFCC of its active frames. The distance of two voices is the Bhattacharyya distance of the Gaussians
plus a weighted squared difference of the pitches. It is for finding voices that may be one person; how well it does is
measured on voices whose identity is known::

    python data/many_voices/speaker_distance.py runs/voices/more runs/voices/kokoro   # same/different, area under ROC
    python data/many_voices/speaker_distance.py --cluster runs/voices/queen           # probable actors

It hears the microphone as well as the mouth, so voices of different recordings always look further apart, and an actor
who changes the voice is not recognised. "Far" is therefore no proof of two people.
"""

import argparse
import csv
import math
from pathlib import Path

import numpy as np
import soundfile
import torch

RATE, WINDOW, HOP, MELS, CEPSTRA = 8000, 256, 80, 26, 19
PITCH_WEIGHT = 1.0  # of a squared difference of the log pitch, in units of its spread


def mel_filters() -> torch.Tensor:
    """Triangles between 100 Hz and 3.8 kHz, ``[129, MELS]``."""
    edges = 700 * (torch.exp(torch.linspace(math.log1p(100 / 700), math.log1p(3800 / 700), MELS + 2)) - 1)
    bins = torch.linspace(0, RATE / 2, WINDOW // 2 + 1).unsqueeze(-1)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


def features(samples: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """MFCC 1 to 19 of the active frames, ``[N, 19]``, and log2 pitch of the voiced ones, ``[M]``, of int16 ``[T]``."""
    waveform = torch.from_numpy(samples.astype(np.float32) / 32768)
    frames = waveform.unfold(0, WINDOW, HOP) * torch.hann_window(WINDOW)
    energy = 10 * frames.square().mean(-1).clamp(min=1e-10).log10()
    frames = frames[energy > energy.max() - 30]
    mels = (torch.fft.rfft(frames).abs().square() @ mel_filters()).clamp(min=1e-8).log()
    angles = (torch.arange(MELS) + 0.5) * math.pi / MELS
    cepstra = mels @ torch.cos(torch.arange(1, CEPSTRA + 1).unsqueeze(0) * angles.unsqueeze(1))
    long = waveform.unfold(0, 400, 2 * HOP)
    loud = 10 * long.square().mean(-1).clamp(min=1e-10).log10()
    long = long[loud > loud.max() - 25]
    spectrum = torch.fft.rfft((long - long.mean(-1, keepdim=True)) * torch.hann_window(400), 1024)
    correlation = torch.fft.irfft(
        spectrum.abs(), 1024
    )  # of the square root of the power: less of the formants
    low, high = RATE // 420, RATE // 60
    best, lag = (correlation[:, low:high] / correlation[:, :1].clamp(min=1e-9)).max(-1)
    voiced = best > best.median()
    return cepstra, torch.log2(RATE / (lag[voiced] + low).float())


def describe(recordings: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """Mean ``[19]`` and covariance ``[19, 19]`` of the cepstra, and median and 0.1 quantile of the log2 pitch."""
    cepstra, pitch = (torch.cat(parts) for parts in zip(*map(features, recordings), strict=True))
    covariance = torch.cov(cepstra.T) + 0.05 * torch.eye(CEPSTRA)
    return {
        "mean": cepstra.mean(0), "covariance": covariance, "pitch": pitch.median(), "low": pitch.quantile(0.1),
        "spread": pitch.std(),
    }  # fmt: skip


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Of two descriptions; 0 for equal ones, symmetric."""
    shared = (one["covariance"] + other["covariance"]) / 2
    gap = one["mean"] - other["mean"]
    apart = gap @ torch.linalg.solve(shared, gap) / 8
    shape = torch.logdet(shared) - (torch.logdet(one["covariance"]) + torch.logdet(other["covariance"])) / 2
    pitch = (one["pitch"] - other["pitch"]).square() + (one["low"] - other["low"]).square()
    return float(apart + shape / 2 + PITCH_WEIGHT * pitch)


def halves(folder: Path, seconds: float = 60.0) -> dict[str, list[dict]]:
    """Voice to the descriptions of two lots of its files, alternately dealt, at most ``seconds`` each."""
    files: dict[str, list[str]] = {}
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            files.setdefault(row["voice"], []).append(row["path"])
    found = {}
    for voice, paths in files.items():
        lots: list[list[np.ndarray]] = [[], []]
        left = [seconds * RATE] * 2
        for number, path in enumerate(paths[:: max(1, len(paths) // 60)]):
            if left[number % 2] > 0:
                samples = soundfile.read(folder / path, dtype="int16")[0][: 8 * RATE]
                lots[number % 2].append(samples)
                left[number % 2] -= len(samples)
        if min(sum(map(len, lot)) for lot in lots) >= 10 * RATE:
            found[voice] = [describe(lot) for lot in lots]
    return found


def area_under_roc(same: list[float], different: list[float]) -> float:
    """How often a pair of one person is nearer than a pair of two."""
    one, two = np.array(same)[:, None], np.array(different)[None]
    return float((one < two).mean() + 0.5 * (one == two).mean())


def compare(voices: dict[str, list[dict]]) -> tuple[list[float], list[float]]:
    """Distances between the halves of each voice, and between halves of different voices."""
    names = sorted(voices)
    same = [distance(*voices[name]) for name in names]
    different = [distance(voices[one][0], voices[two][1]) for one in names for two in names if one != two]
    return same, different


def cluster(voices: dict[str, list[dict]], threshold: float) -> list[list[str]]:
    """Voices joined by average linkage until no two groups are nearer than ``threshold``."""
    groups = [[name] for name in sorted(voices)]

    def between(one: list[str], two: list[str]) -> float:
        pairs = [(a, b) for a in one for b in two]
        return (
            sum(distance(voices[a][i], voices[b][1 - i]) for a, b in pairs for i in (0, 1)) / len(pairs) / 2
        )

    while len(groups) > 1:
        apart, i, j = min(
            (between(groups[i], groups[j]), i, j)
            for i in range(len(groups))
            for j in range(i + 1, len(groups))
        )
        if apart > threshold:
            break
        groups[i] += groups.pop(j)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, help="voices folders")
    parser.add_argument("--cluster", action="store_true", help="join voices that may be one actor")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        voices = halves(folder)
        same, different = compare(voices)
        print(f"{folder}: {len(voices)} voices, area under ROC {area_under_roc(same, different):.3f}")
        print(f"  same {np.quantile(same, [0, 0.5, 0.9, 1]).round(2)}, ", end="")
        print(f"different {np.quantile(different, [0, 0.01, 0.1, 0.5]).round(2)} (quantiles)")
        if arguments.cluster:
            for number, group in enumerate(cluster(voices, float(np.quantile(same, 0.9)) * 1.5)):
                pitch = [round(2 ** float(voices[name][0]["pitch"])) for name in group]
                print(f"  {folder.name}-actor-{number}:", *map("{} ({} Hz)".format, group, pitch))


if __name__ == "__main__":
    main()
