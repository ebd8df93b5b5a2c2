"""Cut the bundled strangers out of the test-only voices: a minute of each of eleven people, and 120 mixtures of pairs.

From the repository's root, after ``data/build_many_voices.py unseen``::

    python data/build_strangers.py --voices runs/voices/unseen

Writes ``data/speech/strangers/`` (``<voice>/<name>.flac``, ``voices.csv``, ``metadata.csv``: the columns of
``many_voices/folder.py``) and ``data/mixtures/unseen.csv``, 40 mixtures of 4 s of each of three kinds ("new
man-woman" and so on), the two voices always from different recordings. Menardi's recordings lie in
``data/speech/menardi`` already: her test utterances are used. The result depends on the voices and this code alone.
"""

import argparse
import csv
import itertools
import shutil
from pathlib import Path

import numpy as np
import soundfile
from build_many_voices import LEVEL_DB, MIXTURES, SAMPLES, active_offsets
from build_speech import SAMPLE_RATE
from many_voices.folder import write_tables

DATA = Path(__file__).resolve().parent
OUT, LIST = DATA / "speech" / "strangers", DATA / "mixtures" / "unseen.csv"
# The men of one game are those of its cast that lie furthest apart by speaker_distance.py (2.7, 3.6 and 2.8; the same
# voice: 0.3 at most). "146" may be Danielle's actress (0.24): six women's parts are five women.
PEOPLE = (
    "steel-sky-anita", "steel-sky-danielle", "steel-sky-146", "drascula-en-bj", "drascula-es-bj",
    "steel-sky-foster", "steel-sky-lamb", "drascula-en-wolf", "drascula-en-von-braun", "drascula-es-bartender",
    "drascula-es-drascula",
)  # fmt: skip
SECONDS, SEED = 60.0, 20262


def choose(files: list[dict], folder: Path) -> list[dict]:
    """Rows of one voice in which a segment of 4 s can start, evenly taken, a minute or a little more of them."""
    usable = [row for row in files if active_offsets(soundfile.read(folder / row["path"], dtype="int16")[0])]
    total = sum(int(row["samples"]) for row in usable) / SAMPLE_RATE
    wanted = min(len(usable), int(np.ceil(len(usable) * SECONDS / total)) + 1)
    return [usable[i] for i in np.unique(np.linspace(0, len(usable) - 1, wanted).round().astype(int))]


def rows(path: Path) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def copy_voices(source: Path) -> dict[str, list[str]]:
    """Write ``strangers/``; voice to files, relative to ``data/speech``."""
    voices = {row["voice"]: row for row in rows(source / "voices.csv")}
    listed = rows(source / "metadata.csv")
    for voice in PEOPLE:
        shutil.rmtree(OUT / voice, ignore_errors=True)
    people, files, found = [], [], {}
    for voice in PEOPLE:
        chosen = choose([row for row in listed if row["voice"] == voice], source)
        (OUT / voice).mkdir(parents=True)
        for row in chosen:
            shutil.copyfile(source / row["path"], OUT / row["path"])
        minutes = sum(int(row["samples"]) for row in chosen) / SAMPLE_RATE / 60
        people.append(voices[voice] | {"minutes": f"{minutes:.2f}"})
        files += chosen
        found[voice] = [f"strangers/{row['path']}" for row in chosen]
    digest = write_tables(OUT, people, files)
    print(f"strangers/metadata.csv: SHA-256 {digest}")
    return found


def draw(found: dict[str, list[str]]) -> list[dict]:
    """The rows of the list: every pair of a kind in turn, levels within 2.5 dB."""
    people = {row["voice"]: row for row in rows(OUT / "voices.csv")}
    sexes = {voice: row["sex"] for voice, row in people.items()} | {"menardi": "f"}
    origins = {voice: row["origin"] for voice, row in people.items()} | {"menardi": "menardi"}
    starts = {
        file: active_offsets(soundfile.read(DATA / "speech" / file, dtype="int16")[0])
        for files in found.values()
        for file in files
    }
    pairs: dict[str, list[tuple[str, str]]] = {"man-woman": [], "woman-woman": [], "man-man": []}
    for first, second in itertools.combinations(sorted(found), 2):
        if origins[first] != origins[second]:
            both = {sexes[first], sexes[second]}
            pairs["man-woman" if len(both) == 2 else "woman-woman" if both == {"f"} else "man-man"].append(
                (first, second)
            )
    rng, specs = np.random.default_rng(SEED), []
    for kind, choices in pairs.items():
        order = rng.permutation(len(choices))
        for i in range(MIXTURES):
            spec: dict = {"id": f"new-{kind}-{i:02d}", "kind": f"new {kind}"}
            for place, voice in zip(
                ("first", "second"), rng.permutation(choices[order[i % len(choices)]]), strict=True
            ):
                usable = [file for file in found[voice] if starts[file]]
                spec[place] = usable[rng.integers(len(usable))]
                spec[f"{place}_offset"] = int(rng.choice(starts[spec[place]]))
            specs.append(
                spec | {"level_db": round(float(rng.uniform(-LEVEL_DB, LEVEL_DB)), 2), "samples": SAMPLES}
            )
    return specs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--voices", type=Path, required=True, help="the folder unseen of build_many_voices.py"
    )
    found = copy_voices(parser.parse_args().voices)
    found["menardi"] = [
        row["file"]
        for row in rows(DATA / "speech" / "metadata.csv")
        if row["speaker"] == "menardi" and row["split"] == "test"
    ]
    specs = draw(found)
    with open(LIST, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(specs[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(specs)
    print(f"{len(specs)} mixtures of {len(found)} voices: {LIST.relative_to(DATA.parent)}")


if __name__ == "__main__":
    main()
