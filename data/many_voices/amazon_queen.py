"""Voices of the adventure game *Flight of the Amazon Queen* (talkie, 1995), from Debian's package of that name.

© 1995 John Passfield and Steven Stamatiadis; the licence allows modified versions that are marked as such and keep
the notices (``LICENCES.md``). What is written here is modified: cut out, trimmed, converted to 8 kHz.

``queen.1c`` is one archive: ``QTBL``, a version of 6 characters and 2 bytes, how speech is packed (1: MP3), the
number of entries (big endian, 16 bit), and for each a name of 12 characters, a bundle (1 byte), offset and size (32
bit). The dialogues are ``*.DOG``: a header of 20 bytes, then 16-bit numbers, the third of which is the *talk key*.
Who speaks follows from the names of the speech files and that key::

    NNxxxxJk.SB    the hero, Joe King, in the dialogue with talk key NN; k is the part of the sentence
    NNxxxxPk.SB    his partner in that dialogue, parts of a sentence again: k is *not* a second partner
    JOExxxxk.SB    the hero alone
    C*.SB          cut scenes, where anybody speaks: left out, and so are noises (NN*SSSSS, NNN*)

A character has several dialogues (``BOB1.DOG`` to ``BOB5.DOG``): their names without the number are the voices. One
actor may have spoken several characters, so all share the group ``queen`` and are mixed with other origins only.
"""

import io
import re
import struct
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile
from build_speech import SAMPLE_RATE, unpack
from many_voices.folder import Voice, is_speech, measure, pieces, spread, to_pcm

PACKAGE = "flight-of-the-amazon-queen"
ARCHIVE = "usr/share/scummvm/flight-of-the-amazon-queen/queen.1c"
LICENCE = "Flight-of-the-Amazon-Queen-License"
HERO, HERO_MINUTES, PARTNER_MINUTES, MIN_VOICE_SECONDS = "joe", 6.0, 4.0, 40.0
WOMAN_HZ = 165.0  # voices over this median pitch are taken for women's where SEX does not say it
# From what they say and are told, where the pitch misleads: actors put on voices.
SEX = {"man": "m", "sparky": "m", "witch": "m", "tam": "f"}


def entries(archive: bytes) -> dict[str, bytes]:
    """File name to content."""
    if archive[:4] != b"QTBL" or archive[12] != 1:
        raise ValueError("no archive of speech in MP3: expected QTBL and packing 1")
    (count,) = struct.unpack_from(">H", archive, 13)
    found = {}
    for position in range(15, 15 + 21 * count, 21):
        name = archive[position : position + 12].rstrip(b"\0").decode("latin1")
        offset, size = struct.unpack_from(">II", archive, position + 13)
        found[name] = archive[offset : offset + size]
    return found


def characters(files: dict[str, bytes]) -> dict[int, str]:
    """Talk key to the character who is talked to, in small letters without a number."""
    return {
        struct.unpack_from(">h", content, 24)[0]: re.sub(r"\d|\.DOG", "", name).lower()
        for name, content in files.items()
        if name.endswith(".DOG")
    }


def speaker_of(name: str, people: dict[int, str]) -> str | None:
    """Who speaks in the file of this name, where that is certain."""
    if re.fullmatch(r"JOE\d{4}.\.SB", name):
        return HERO
    match = re.fullmatch(r"(\d\d)(?:[0-9A-F]{4}|XXXX|SSSS)([JP]).\.SB", name)
    if not match or int(match[1]) not in people:
        return None
    return HERO if match[2] == "J" else people[int(match[1])]


def read(packages: Path, scratch: Path) -> tuple[list[Voice], dict[str, int]]:
    """The voices, and how many files went where."""
    files = entries((unpack(packages, PACKAGE, scratch) / ARCHIVE).read_bytes())
    people = characters(files)
    count: dict[str, int] = defaultdict(int)
    spoken: dict[str, list] = defaultdict(list)
    pitches: dict[str, list[float]] = defaultdict(list)
    seen = set()
    for name in sorted(n for n in files if n.endswith(".SB")):
        who = speaker_of(name, people)
        if who is None:
            count["cut scenes and noises"] += 1
            continue
        samples, rate = soundfile.read(io.BytesIO(files[name]), dtype="float32")
        cut = pieces(to_pcm(samples, rate))
        if not cut:
            count["under a second"] += 1
        for number, piece in enumerate(cut):
            measures = measure(piece)
            if not is_speech(measures):
                count["not speech"] += 1
            elif piece.tobytes() in seen:
                count["copies"] += 1
            else:
                seen.add(piece.tobytes())
                count["kept before the caps"] += 1
                stem = name[:-3].lower() + (f"-{number}" if len(cut) > 1 else "")
                spoken[who].append((stem, piece, f"{PACKAGE}:queen.1c/{name}"))
                pitches[who].append(measures["pitch"])
    voices = []
    for who in sorted(spoken):
        if sum(len(r[1]) for r in spoken[who]) < MIN_VOICE_SECONDS * SAMPLE_RATE:
            count["of voices under 40 s"] += len(spoken[who])
            continue
        kept = spread(spoken[who], HERO_MINUTES if who == HERO else PARTNER_MINUTES)
        count["written"] += len(kept)
        sex = SEX.get(who, "f" if np.nanmedian(pitches[who]) > WOMAN_HZ else "m")
        voices.append(Voice(f"queen-{who}", sex, ["queen"], "amazon-queen", "en", LICENCE, kept))
        count[f"pitch of {who}"] = round(float(np.nanmedian(pitches[who])))
    return voices, dict(count)
