"""Voices of the adventure game *Beneath a Steel Sky* (talkie, 1994), from Debian's package ``beneath-a-steel-sky``.

For tests only, never for training. © Revolution Software Ltd; the licence allows modified versions that are marked as
such and keep the notices (``LICENCES.md``). What is written here is modified: cut out, trimmed, converted to 8 kHz.

``sky.dnr`` lists the files of ``sky.dsk``: their number (32 bit, little endian), then 8 bytes each: file number (16
bit), offset (24 bit; the top bit multiplies the rest by 16) and size (the low 22 of 24 bits). A file has a header of
22 bytes; what follows is packed with RNC, method 1, where it begins with ``RNC``. Speech is 11 025 Hz, 8 bit unsigned,
in the files 50000 + the number of its text. Who says a text follows from the scripts (files 60400 and on, 16-bit
words): ``fnSpeakMe`` and its relatives are called with the speaker, the text and the animation of the speaker's mouth.
The speaker is often a variable, but the animation is a number, and each belongs to one character. Where one actor
speaks several characters it does not matter here: all voices share the group ``steel-sky`` and are mixed with other
recordings only.
"""

import struct
from pathlib import Path

import numpy as np
from build_speech import unpack
from many_voices.folder import Voice, is_speech, join, measure, pieces, spread, to_pcm

PACKAGE = "beneath-a-steel-sky"
FOLDER = "usr/share/scummvm/beneath-a-steel-sky"
LICENCE = "Beneath-a-Steel-Sky-License"
RATE, HEADER, FIRST_SPEECH, FIRST_SCRIPT = 11025, 22, 50000, 60400
# Section of a text (its top 4 bits) to the first file of that section.
SECTIONS = [0, 600, 1100, 2430, 3380, 4530, 5080, 5230]
PUSH, CALL = 2, 11  # commands of the scripts
# Character to sex and the animations. Those whose name is not certain have the number of their animation.
CAST = {
    "foster": ("m", {7, 9}),
    "lamb": ("m", {26}),
    "jobsworth": ("m", {1}),
    "anchor": ("m", {100, 101, 102}),
    "burke": ("m", {95, 96}),
    "trevor": ("m", {103}),
    "anita": ("f", {25, 71}),
    "danielle": ("f", {152, 177}),
    "146": ("f", {146}),
    "151": ("m", {151}),
    "157": ("m", {157}),
    "134": ("m", {134}),
}
SPEAK = [35, 36, 37, 38]  # fnSpeakMe, fnSpeakMeDir, fnSpeakWait, fnSpeakWaitDir


def unpack_rnc(data: bytes) -> bytes:
    """Decode RNC, method 1: Huffman-coded runs of raw bytes and of copies, tables new in each block.

    Bits are read from 16-bit little-endian words, lowest bit first; raw bytes lie between the words.
    """
    if data[:4] != b"RNC\1":
        raise ValueError("no RNC data of method 1")
    size, blocks = struct.unpack_from(">I", data, 4)[0], data[17]
    position, window, count = 20, int.from_bytes(data[18:20], "little"), 16
    out = bytearray()

    def need(bits: int) -> None:
        nonlocal position, window, count
        while count < bits:
            window |= int.from_bytes(data[position : position + 2], "little") << count
            position += 2
            count += 16

    def take(bits: int) -> int:
        nonlocal window, count
        need(bits)
        value = window & ((1 << bits) - 1)
        window >>= bits
        count -= bits
        return value

    def table() -> list[tuple[int, int, int]]:
        lengths = [take(4) for _ in range(take(5))]
        codes, code = [], 0
        for length in range(1, 17):
            for value, own in enumerate(lengths):
                if own == length:
                    codes.append((length, int(f"{code >> (16 - length):0{length}b}"[::-1], 2), value))
                    code += 1 << (16 - length)
        return codes

    def decode(codes: list[tuple[int, int, int]]) -> int:
        need(16)
        for length, code, value in codes:
            if window & ((1 << length) - 1) == code:
                take(length)
                return value if value < 2 else (1 << (value - 1)) | take(value - 1)
        raise ValueError("RNC data is damaged")

    take(2)
    for _ in range(blocks):
        raw, distances, lengths = table(), table(), table()
        for remaining in range(take(16), 0, -1):
            run = decode(raw)
            if run:
                position -= 2 * (count // 16)  # whole words read ahead lie behind the raw bytes
                out += data[position : position + run]
                position += run
                count %= 16
                window &= (1 << count) - 1
            if remaining > 1:
                distance = decode(distances) + 1
                length = decode(lengths) + 2
                start = len(out) - distance
                chunk = out[start : start + length]
                while len(chunk) < length:
                    chunk += chunk[: length - len(chunk)]
                out += chunk
    if len(out) != size:
        raise ValueError(f"RNC data gives {len(out)} bytes, expected {size}")
    return bytes(out)


class Disk:
    """The files of ``sky.dsk`` by number."""

    def __init__(self, folder: Path):
        listing, self.data = (folder / "sky.dnr").read_bytes(), (folder / "sky.dsk").read_bytes()
        self.places = {}
        for position in range(4, 4 + 8 * struct.unpack_from("<I", listing)[0], 8):
            (number,) = struct.unpack_from("<H", listing, position)
            offset = int.from_bytes(listing[position + 2 : position + 5], "little")
            if offset >> 23:
                offset = (offset & 0x7FFFFF) << 4
            size = int.from_bytes(listing[position + 5 : position + 8], "little") & 0x3FFFFF
            self.places[number] = (offset, size)

    def __getitem__(self, number: int) -> bytes:
        """The content of a file, unpacked, without its header."""
        offset, size = self.places[number]
        content = self.data[offset + HEADER : offset + size]
        return unpack_rnc(content) if content[:3] == b"RNC" else content

    def speech(self, number: int) -> np.ndarray:
        """float32 ``[T]`` at 11 025 Hz."""
        return (np.frombuffer(self[number], np.uint8).astype(np.float32) - 128) / 128


def animations(disk: Disk) -> dict[int, set[int]]:
    """File number of speech to the talking animations that the scripts play with it."""
    found: dict[int, set[int]] = {}
    for number in sorted(n for n in disk.places if FIRST_SCRIPT <= n < FIRST_SCRIPT + 16):
        words = np.frombuffer(disk[number][: len(disk[number]) // 2 * 2], "<u2")
        window = np.lib.stride_tricks.sliding_window_view(words, 7)
        calls = (window[:, [0, 2]] == PUSH).all(1) & (window[:, 4] == CALL) & (window[:, 5] == 3)
        calls &= np.isin(window[:, 6], [4 * s for s in SPEAK])
        for text, animation in window[calls][:, [1, 3]].tolist():
            file = FIRST_SPEECH + SECTIONS[text >> 12] + (text & 0xFFF)
            if file in disk.places:
                found.setdefault(file, set()).add(animation)
    return found


def read(packages: Path, scratch: Path, minutes: float = 3.0) -> list[Voice]:
    """The people of :data:`CAST`."""
    disk = Disk(unpack(packages, PACKAGE, scratch) / FOLDER)
    spoken = animations(disk)
    voices = []
    for who, (sex, played) in CAST.items():
        files = sorted(f for f, seen in spoken.items() if seen <= played)
        recordings = []
        for file in files:
            for number, piece in enumerate(pieces(to_pcm(disk.speech(file), RATE))):
                if is_speech(measure(piece)):
                    recordings.append((f"{file}-{number}", piece, f"{PACKAGE}:sky.dsk/{file}"))
        kept = join(spread(recordings, minutes))
        voices.append(Voice(f"steel-sky-{who}", sex, ["steel-sky"], "steel-sky", "en", LICENCE, kept))
    return voices
