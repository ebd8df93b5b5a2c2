"""Mutated files: each is read in a child process with limits of time and memory, and works or gets one clear error.

Checkpoints have a fuzzer of their own, ``tests/checkpoint/fuzzing.py``.

python -m tests.injected.fuzz audio 200 1      # the child: prints a line of JSON for each file
"""

import json
import os
import random
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from .jobs import Row
from .process import ROOT

__all__ = ["KINDS", "fuzzed", "outcome"]

SECONDS = 10  # for one file
EXTRA_BYTES = 1 << 30  # of address space beside what the imports take


def audio(folder: Path) -> list[Path]:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4000)
    for ending in ("wav", "flac", "ogg", "mp3", "aiff", "au"):
        soundfile.write(folder / f"noise.{ending}", noise, 8000)
    soundfile.write(folder / "float.wav", np.stack([noise, noise], 1), 48000, subtype="FLOAT")
    return sorted(folder.iterdir())


def configurations(folder: Path) -> list[Path]:
    from dprnn_lab.training import Settings

    Settings().write(folder / "default.yaml")
    for file in sorted((ROOT / "data").rglob("*.yaml"))[:6]:
        (folder / file.name).write_bytes(file.read_bytes())
    return sorted(folder.glob("*.yaml"))


def lists(folder: Path) -> list[Path]:
    noise = 0.1 * np.random.default_rng(0).standard_normal((3, 2000))
    rows = ["mixture_ID,mixture_path,source_1_path,source_2_path,length"]
    for index in range(3):
        names = [f"{kind}{index}.wav" for kind in ("mix", "a", "b")]
        for name, signal_ in zip(names, (noise[0] + noise[1], noise[0], noise[1]), strict=True):
            soundfile.write(folder / name, signal_, 8000)
        rows.append(",".join([f"u{index}", *names, "2000"]))
    (folder / "libri.csv").write_text("\n".join(rows) + "\n")
    for file in sorted((ROOT / "data" / "mixtures").glob("*.csv"))[:2]:
        (folder / file.name).write_text("\n".join(file.read_text().splitlines()[:5]) + "\n")
    return sorted(folder.glob("*.csv"))


def read_sound(path: Path) -> None:
    from dprnn_lab.audio import read_audio, resample
    from dprnn_lab.separation.audio_stream import AudioStream

    stream = AudioStream(path, 8000, resample=True, mono="mean")  # as for separation, in pieces
    for start in range(0, stream.samples, 100_000):
        stream.read(start, min(start + 100_000, stream.samples))
    samples, rate = read_audio(path)
    resample(samples, rate, 8000)


def read_configuration(path: Path) -> None:
    from dprnn_lab.training import Settings

    Settings.read(path)


def read_list(path: Path) -> None:
    from dprnn_lab.evaluation import open_mixtures

    mixtures = open_mixtures(path)
    for index in range(min(3, len(mixtures))):
        mixtures[index]


KINDS: dict[str, tuple[Callable, Callable]] = {
    "audio": (audio, read_sound),
    "configurations": (configurations, read_configuration),
    "lists": (lists, read_list),
}
TEXT = (
    b"-1", b"0", b"1e999", b"nan", b"999999999999", b"", b"\xff\xfe", b"'", b'"', b"[" * 2000, b"{a: &x [*x]}",
    b"\x00", b"../../..", b"!!python/object:os.system", b"\r", b",,,,", b"null", b"\x1b[31m",
)  # fmt: skip


def mutated(content: bytes, draw: random.Random, text: bool) -> bytes:
    """One to four changes: bytes turned, a part removed, doubled, moved or overwritten, the end cut."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at, length = draw.randrange(len(data) + 1), draw.choice((1, 4, 8, 64, 1000))
        if not text:
            at = draw.choice((at, draw.randrange(min(200, len(data)) + 1)))  # headers decide most
        way = draw.randrange(6)
        if way == 0:
            for place in range(at, min(at + draw.choice((1, 2, 4)), len(data))):
                data[place] ^= 1 << draw.randrange(8)
        elif way == 1:
            del data[at : at + length]
        elif way == 2:
            data[at:at] = data[at : at + length]
        elif way == 3:
            data[at:at] = draw.choice(TEXT)
        elif way == 4:
            data[at : at + length] = draw.choice((b"\xff", b"\x00", b"\x7f")) * min(length, len(data) - at)
        else:
            del data[draw.choice((at, len(data) // 2)) :]
    return bytes(data)


def main(kind: str, count: int, seed: int, first: int = 0) -> None:
    """The child: one line for each file, before and after it is read."""
    make, read = KINDS[kind]
    with tempfile.TemporaryDirectory() as name:
        originals = make(Path(name))
        for path in originals:
            read(path)  # loads all modules, and shows that the files are good
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_BYTES, resource.RLIM_INFINITY))
        for index in range(first, count):
            print(json.dumps({"index": index, "begins": kind}), flush=True)
            begun = time.monotonic()
            ends = outcome(kind, originals, seed, index)
            print(json.dumps({"index": index, "ends": ends, "seconds": time.monotonic() - begun}), flush=True)


def outcome(kind: str, originals: list[Path], seed: int, index: int) -> str:
    """What comes of reading one mutated file: "works", "error" or "bad: ..."."""
    draw = random.Random(f"{seed} {index}")
    original = draw.choice(originals)
    victim = original.with_name(f"fuzzed-{index}{original.suffix}")
    victim.write_bytes(mutated(original.read_bytes(), draw, original.suffix in (".csv", ".yaml")))
    try:
        return _outcome(KINDS[kind][1], victim)
    finally:
        victim.unlink()


def _outcome(read: Callable, path: Path) -> str:
    def late(number, frame):
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        read(path)
        return "works"
    except TimeoutError as error:
        return f"bad: {error}"
    except (ValueError, OSError) as error:
        text = str(error)
        if type(error) in (UnicodeDecodeError,) or not text or "\x1b" in text:
            return f"bad: {type(error).__name__}: {text[:150]!r}"
        return "error"
    except TypeError as error:  # settings of another type; a TypeError of Python's own is a fault
        return "error" if ": expected" in str(error) else f"bad: TypeError: {str(error)[:150]!r}"
    except BaseException as error:
        return f"bad: {type(error).__name__}: {str(error)[:150]!r}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzzed(kind: str, count: int, seed: int) -> Row:
    """Read ``count`` mutated files; the child is started again after a file that killed it."""
    if kind == "checkpoints":
        return _fuzzed_checkpoints(count, seed)
    row, outcomes, first, slowest = Row(f"{kind} fuzzed", count), Counter(), 0, 0.0
    while first < count:
        command = [sys.executable, "-m", "tests.injected.fuzz", kind, str(count), str(seed), str(first)]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        }
        child = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800, env=environment
        )
        lines = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise RuntimeError(f"the fuzzing of {kind} does not start: {child.stderr[-500:]}")
        for line in lines:
            if "ends" in line:
                outcomes[line["ends"].split(":")[0]] += 1
                slowest = max(slowest, line["seconds"])
                if line["ends"].startswith("bad"):
                    row.problems.append(f"{kind} {seed} {line['index']}: {line['ends'][5:]}")
        first = lines[-1]["index"] + 1
        if "begins" in lines[-1]:
            row.problems.append(f"{kind} {seed} {first - 1}: ended the process with {child.returncode}")
    row.note = (
        f"{outcomes['works']} work, {outcomes['error']} get one error; the slowest took {slowest:.1f} s"
    )
    return row


def _fuzzed_checkpoints(count: int, seed: int) -> Row:
    fuzzing = runpy.run_path(str(ROOT / "tests" / "checkpoint" / "fuzzing.py"))  # that folder is no package
    with tempfile.TemporaryDirectory() as folder:
        found = fuzzing["outcomes"](fuzzing["mutants"](Path(folder), count, seed))
    outcomes = Counter(found.values())
    note = f"{outcomes[fuzzing['LOADS']]} load, {outcomes[fuzzing['REFUSED']]} get one error"
    return Row("checkpoints fuzzed", len(found), list(fuzzing["unexpected"](found)), note)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
