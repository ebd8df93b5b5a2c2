"""How the diagnosis does on real voices that no network here was trained on: the table, from a folder of voices.

::

    python tests/diagnosis/unknown_voices.py --voices FOLDER --half tune        # on which thresholds were set
    python tests/diagnosis/unknown_voices.py --voices FOLDER --half report      # the figures to report

FOLDER has a folder of .wav or .flac files at 8 kHz for every voice. The voices are divided in two halves by the seed;
a mixture has two voices of one half. The limits in ``diagnosis/checks/`` that name this script were set on the first
half of 33 voices (two games in two languages, and one audio book), with the four networks of ``data/model``.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from dprnn_lab import DPRNNTasNet, diagnose, load_model, separate
from dprnn_lab.audio import audio_files, read_mono, resample
from dprnn_lab.datasets.augmentation import Noise, Rooms, reverberate
from dprnn_lab.datasets.mixing import mix
from dprnn_lab.diagnosis.evidence import best_order
from dprnn_lab.separation import scale_to_mixture

RATE = 8000
SAMPLES = 4 * RATE
LEVEL_DB = 2.5  # of the first voice over the second, at most


@dataclass
class Example:
    """One mixture of two unknown voices, the model, and the model's own estimates in the order of the sources."""

    model: DPRNNTasNet
    mixture: torch.Tensor  # [T]
    sources: torch.Tensor  # [2, T]
    other: torch.Tensor  # [2, T], estimates of another mixture of the same half
    rng: random.Random
    rooms: Rooms | None = None
    estimates: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.estimates = best_order(separate(self.model, self.mixture), self.sources)

    def arguments(self, **changes) -> dict:
        """Of :func:`dprnn_lab.diagnose`; a value of None leaves one out."""
        given = {"model": self.model, "mixture": self.mixture, "sample_rate": RATE} | changes
        return {name: value for name, value in given.items() if value is not None}

    def on(self, mixture: torch.Tensor, **changes) -> dict:
        """The same for another mixture, with the model's estimates of it."""
        return self.arguments(mixture=mixture, estimates=separate(self.model, mixture), **changes)


def voices_of_half(folder: Path, half: str, seed: int) -> dict[str, torch.Tensor]:
    """Name to samples ``[T]``, at most two minutes of each voice of a half."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir())
    random.Random(seed).shuffle(names)
    middle = (len(names) + 1) // 2
    chosen = sorted(names[:middle] if half == "tune" else names[middle:])
    voices = {}
    for name in chosen:
        parts = [read_mono(file, RATE) for file in audio_files(folder / name)[:40]]
        voices[name] = torch.cat(parts)[: 120 * RATE]
    return voices


def segment(voice: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Four seconds in which somebody speaks: the level is not far under that of the voice."""
    for _ in range(50):
        start = rng.randrange(len(voice) - SAMPLES + 1)
        part = voice[start : start + SAMPLES]
        if part.square().mean() > 0.3 * voice.square().mean():
            break
    return part


def example(voices: dict[str, torch.Tensor], model: DPRNNTasNet, seed: str, rooms: Rooms | None) -> Example:
    """A mixture of two voices of a half, and the model's estimates of another."""
    rng = random.Random(seed)
    names = rng.sample(sorted(voices), 4)
    parts = [segment(voices[name], rng) for name in names]
    mixture, sources = mix(parts[0], parts[1], rng.uniform(-LEVEL_DB, LEVEL_DB))
    other, _ = mix(parts[2], parts[3], 0.0)
    return Example(model, mixture, sources, separate(model, other), rng, rooms)


# What is done to an example: ``(example) -> arguments of diagnose``


def healthy(x: Example) -> dict:
    """Nothing; with and without references and estimates."""
    which = x.rng.randrange(3)
    return x.arguments(estimates=x.estimates if which else None, references=x.sources if which == 2 else None)


def gated(x: Example) -> dict:
    """One estimate or both through a noise gate, which leaves zeros in the pauses."""
    count = x.rng.choice([1, 2])
    chosen = x.estimates[:count].clone()
    frames = chosen.unfold(-1, 400, 400)
    loud = frames.square().mean(-1, keepdim=True)
    frames = frames * (loud > 0.03 * loud.mean(1, keepdim=True))
    return x.arguments(estimates=frames.reshape(count, -1))


def clicks(x: Example) -> dict:
    """A short pulse in the estimates at regular intervals."""
    every = x.rng.choice([RATE // 2, RATE, RATE])
    chosen = x.estimates.clone()
    start = x.rng.choice([0, every, x.rng.randrange(every)])
    for at in range(start or every, SAMPLES - 4, every):
        size = x.rng.choice([0.5, 1.0]) * float(chosen.abs().max())
        if x.rng.random() < 0.5:
            chosen[:, at] += size
        else:
            chosen[:, at : at + 4] += size * torch.tensor([1.0, -1.0, 0.5, -0.25])
    return x.arguments(estimates=chosen)


def gaps(x: Example) -> dict:
    """A few samples missing at the end of every window."""
    every = x.rng.choice([RATE // 2, RATE])
    lost = x.rng.choice([8, 20, 60])
    chosen = x.estimates.clone()
    for at in range(every, SAMPLES, every):
        chosen[:, at - lost : at] = 0
    return x.arguments(estimates=chosen)


def joined(x: Example) -> dict:
    """Windows of a quarter of a second, separated alone and joined end to end."""
    parts = []
    for at in range(0, SAMPLES, RATE // 4):
        window = slice(at, at + RATE // 4)
        alone = x.model(x.mixture[window]).detach()
        parts.append(best_order(scale_to_mixture(alone, x.mixture[window]), x.estimates[:, window]))
    return x.arguments(estimates=torch.cat(parts, -1))


def one_voice(x: Example) -> dict:
    """One person alone; nobody says so."""
    return x.on(x.sources[x.rng.randrange(2)].clone())


def noisy(x: Example) -> dict:
    """White or pink noise, 0 to 10 dB under the louder voice."""
    noise = Noise(x.rng.choice(["white", "pink"])).draw(
        SAMPLES, np.random.default_rng(x.rng.randrange(2**31))
    )
    level = x.sources.square().mean(-1).max().sqrt() / noise.square().mean().sqrt()
    return x.on(x.mixture + noise * level * 10 ** (-x.rng.uniform(0, 10) / 20))


def in_a_room(x: Example) -> dict:
    """A room with a reverberation time of 0.3 to 0.8 s."""
    assert x.rooms is not None
    pair = x.rooms.draw(np.random.default_rng(x.rng.randrange(2**31)))
    return x.on(sum(reverberate(s, r, x.rooms.delay) for s, r in zip(x.sources, pair, strict=True)))


def shifted(*lags: int) -> Callable[[Example], dict]:
    """Estimates that begin later (positive, in samples) or earlier; with one lag, both."""

    def make(x: Example) -> dict:
        parts = []
        for estimate, lag in zip(x.estimates, lags * 2 if len(lags) == 1 else lags, strict=False):
            moved = torch.zeros_like(estimate)
            if lag >= 0:
                moved[lag:] = estimate[: SAMPLES - lag]
            else:
                moved[:lag] = estimate[-lag:]
            parts.append(moved)
        references = x.sources if x.rng.random() < 0.5 else None
        return x.arguments(estimates=torch.stack(parts), references=references)

    return make


def half_length(x: Example) -> dict:
    """The second half of the estimates is missing."""
    return x.arguments(estimates=x.estimates[:, : SAMPLES // 2], references=x.sources)


def other_rate(rate: int) -> Callable[[Example], dict]:
    """Estimates at another rate, as samples."""

    def make(x: Example) -> dict:
        return x.arguments(estimates=resample(x.estimates, RATE, rate))

    return make


def wrong_mixture(x: Example) -> dict:
    """Both estimates, or one of them, are of another mixture."""
    chosen = x.other.clone()
    if x.rng.random() < 0.5:
        chosen[0] = x.estimates[0]
    return x.arguments(estimates=chosen)


def silent(x: Example) -> dict:
    """Outputs of zeros: the channels were in opposite phase, and were averaged."""
    return x.arguments(mixture=torch.stack((x.mixture, -x.mixture)), estimates=torch.zeros(2, SAMPLES))


def nan(x: Example) -> dict:
    """Estimates that are NaN."""
    return x.arguments(estimates=x.estimates * float("nan"))


# By name: the failures of which one must be named, and the maker.
KINDS: dict[str, tuple[tuple[str, ...], Callable[[Example], dict]]] = {
    "healthy": ((), healthy),
    "gated": ((), gated),
    "clicks": (("seam-artefact",), clicks),
    "gaps": (("seam-artefact",), gaps),
    "joined": (("seam-artefact",), joined),
    "one-voice": (("sources-count", "one-speaker"), one_voice),
    "noise": (("domain-mismatch",), noisy),
    "room": (("domain-mismatch",), in_a_room),
    "late-50-ms": (("late-estimates",), shifted(400)),
    "late-3-ms": (("late-estimates",), shifted(24)),
    "late-1-sample": (("late-estimates",), shifted(1)),
    "early-20-ms": (("late-estimates",), shifted(-160)),
    "one-late": (("late-estimates",), shifted(0, 40)),
    "half-length": (("late-estimates",), half_length),
    "rate-16000": (("late-estimates",), other_rate(16000)),
    "rate-4000": (("late-estimates",), other_rate(4000)),
    "wrong-mixture": (("late-estimates",), wrong_mixture),
    "silent": (("channels",), silent),
    "nan": (("not-finite",), nan),
}


@dataclass(frozen=True)
class Answer:
    """Of one case."""

    kind: str
    model: str
    expected: tuple[str, ...]
    named: tuple[str, ...]  # failures and warnings in the order of the report
    failed: tuple[str, ...]  # failures that no other finding explains
    seconds: float

    @property
    def found(self) -> bool:
        """Whether an expected failure is named; for a healthy case, whether nothing failed."""
        return bool(set(self.expected) & set(self.named)) if self.expected else not self.failed

    @property
    def first(self) -> bool:
        """Whether it is named first."""
        return self.named[:1] != () and self.named[0] in self.expected if self.expected else not self.failed


def answers(
    voices: dict[str, torch.Tensor], models: list[str], kinds: list[str], count: int, seed: int
) -> Iterator[Answer]:
    """Diagnose ``count`` cases of each kind with each model."""
    rooms = Rooms((0.3, 0.8), count=6, seed=seed) if "room" in kinds else None
    for name in models:
        model = load_model(name)
        for kind in kinds:
            expected, make = KINDS[kind]
            for number in range(count):
                x = example(voices, model, f"{seed} {kind} {number}", rooms)
                arguments = make(x)
                start = time.monotonic()
                findings = diagnose(**arguments).findings
                yield Answer(
                    kind,
                    name,
                    expected,
                    tuple(f.id for f in findings if f.bad),
                    tuple(f.id for f in findings if f.state == "fail" and not f.explained_by),
                    time.monotonic() - start,
                )


def table(found: list[Answer]) -> str:
    """Markdown: by kind and model, how many were named, named first, and what stood first instead."""
    lines = ["| case | network | cases | named | first | first instead |", "|---|---|---|---|---|---|"]
    for kind, model in dict.fromkeys((a.kind, a.model) for a in found):
        mine = [a for a in found if (a.kind, a.model) == (kind, model)]
        instead = Counter(a.named[0] if a.named else "nothing" for a in mine if not a.first)
        if not mine[0].expected:  # what was warned of
            instead = Counter(a.named[0] for a in mine if a.named)
        others = ", ".join(f"{name} {n}" for name, n in instead.most_common()) or "–"
        lines.append(
            f"| {kind} | {model} | {len(mine)} | {sum(a.found for a in mine)} | "
            f"{sum(a.first for a in mine)} | {others} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the answers and the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--half", choices=["tune", "report"], default="tune")
    parser.add_argument("--model", nargs="+", default=["small"], help="what load_model opens")
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--count", type=int, default=10, help="cases of each kind and model")
    parser.add_argument("--seed", type=int, default=0, help="of the halves and of everything random")
    options = parser.parse_args()
    voices = voices_of_half(options.voices, options.half, options.seed)
    found = []
    for answer in answers(voices, options.model, options.kind, options.count, options.seed):
        found.append(answer)
        print(f"{answer.seconds:5.1f} s  {answer.kind:14} {', '.join(answer.named) or 'nothing'}", flush=True)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
