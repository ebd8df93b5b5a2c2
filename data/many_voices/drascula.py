"""Voices of the adventure game *Drascula: The Vampire Strikes Back* (1996) in English and Spanish, from Debian.

For tests only, never for training. Packages ``drascula`` and ``drascula-spanish``, © 1996-2008 Alcachofa Soft S.L.; the
licence allows modified versions that are marked as such and keep the notices (``LICENCES.md``). What is written here
is modified: cut out, trimmed, converted to 8 kHz.

Speech is in ``*.ALS``: 11 025 Hz, 8 bit unsigned, no header. A file's letters say who speaks (the engine plays
``I7.ALS`` for Igor's seventh line), its number which line. Each language has actors of its own and is a recording, and
group, of its own. Left out: ``S`` (noises), ``F`` (three lines) and the lines ``D41`` to ``D67`` and from ``D79`` on,
which several characters speak.
"""

import re
from pathlib import Path

import numpy as np
from build_speech import unpack
from many_voices.folder import Voice, is_speech, join, measure, pieces, spread, to_pcm

RATE, LICENCE = 11025, "Drascula-License"
PACKAGES = {"en": "drascula", "es": "drascula-spanish"}
CAST = {  # letters of the files, and the lines; name, sex
    ("", range(1, 1000)): ("hacker", "m"),
    ("I", range(1, 100)): ("igor", "m"),
    ("D", range(1, 41)): ("drascula", "m"),
    ("D", range(68, 79)): ("blind", "m"),
    ("BJ", range(1, 100)): ("bj", "f"),
    ("VB", range(1, 100)): ("von-braun", "m"),
    ("L", range(1, 100)): ("wolf", "m"),
    ("T", range(1, 100)): ("bartender", "m"),
    ("B", range(1, 100)): ("drunk", "m"),
    ("P", range(1, 100)): ("pianist", "m"),
    ("E", range(1, 100)): ("mummy", "m"),  # no mummy: a drunkard kept alive; the engine's talk_mus
}


def who_speaks(stem: str) -> tuple[str, str] | None:
    """Name and sex of who speaks in the file with this stem, or None."""
    match = re.fullmatch(r"([A-Z]*)(\d+)", stem)
    if match:
        for (letters, lines), person in CAST.items():
            if match[1] == letters and int(match[2]) in lines:
                return person
    return None


def read(packages: Path, scratch: Path, minutes: float = 3.0, least: float = 40.0) -> list[Voice]:
    """The people of :data:`CAST` in both languages, each who has ``least`` seconds of speech."""
    voices = []
    for language, package in PACKAGES.items():
        folder = unpack(packages, package, scratch) / "usr/share/scummvm/drascula" / language
        spoken: dict[tuple[str, str], list] = {}
        for path in sorted(folder.glob("*.ALS")):
            person = who_speaks(path.stem)
            if person is None or path.is_symlink():  # the Spanish package shares noises with the English one
                continue
            samples = (np.frombuffer(path.read_bytes(), np.uint8).astype(np.float32) - 128) / 128
            for number, piece in enumerate(pieces(to_pcm(samples, RATE))):
                if is_speech(measure(piece)):
                    name = f"{path.stem.lower()}-{number}"
                    spoken.setdefault(person, []).append((name, piece, f"{package}:{path.name}"))
        for (who, sex), recordings in sorted(spoken.items()):
            if sum(len(r[1]) for r in recordings) < least * 8000:
                continue
            group = f"drascula-{language}"
            voices.append(
                Voice(
                    f"{group}-{who}",
                    sex,
                    [group],
                    group,
                    language,
                    LICENCE,
                    join(spread(recordings, minutes)),
                )
            )
    return voices
