"""How long a notebook takes, counted from the notebook itself, and the line of its first cell that says so.

Usage: ``python notebooks/reading_time.py`` prints a table; ``--write`` also rewrites the **Time** line of every
notebook. ``execute.py`` rewrites it for each notebook that it runs.

To read: 200 words of text a minute (M. Brysbaert, "How many words do we read per minute?", 2019, has 238 for plain
non-fiction), 10 seconds for a line of code, which is 360 lines an hour, a usual pace of code reviews, and every sound
once. Exercises take the minutes of their sheets (``exercises/nbNN.md``). The run time is one that ``execute.py``
measured and kept in ``run_seconds.json``; a notebook without it states none. Computers differ by a factor of four
and more, and slow ones are to keep the stated time: a run that is faster by less than four times replaces none.
"""

import base64
import io
import json
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import soundfile

__all__ = [
    "LINE",
    "NotebookTime",
    "count",
    "keep_run_seconds",
    "measure",
    "stated_time",
    "states_time",
    "time_line",
    "write",
]

FOLDER = Path(__file__).parent
WORDS_PER_MINUTE = 200
SECONDS_PER_CODE_LINE = 10
RUN_SECONDS = "run_seconds.json"  # beside the notebooks: how long a run of each took
LINE = re.compile(
    r"^\*\*Time\*\*.*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL
)  # the paragraph that states the time
_PLAYER = re.compile(r"data:audio/(?:x-)?(?:wav|flac);base64,([A-Za-z0-9+/=]+)")
_MINUTES = re.compile(r"difficulty \d of 3 · (\d+) minutes")


class NotebookTime(NamedTuple):
    """What there is to read, to hear and to do in a notebook."""

    words: int
    code_lines: int
    sound_seconds: float
    exercises: int
    exercise_minutes: int
    run_seconds: float | None

    @property
    def reading_minutes(self) -> float:
        """To read the text and the code and to hear every sound once."""
        code = self.code_lines * SECONDS_PER_CODE_LINE
        return self.words / WORDS_PER_MINUTE + (code + self.sound_seconds) / 60


def measure(path: Path) -> NotebookTime:
    """Count words, lines of code, seconds of sound and minutes of exercises of a notebook with its outputs."""
    words, code, sound = count(nbformat.read(path, as_version=4).cells)
    sheet = path.parent / "exercises" / f"nb{path.stem.split('_')[0]}.md"
    minutes = [int(m) for m in _MINUTES.findall(sheet.read_text(encoding="utf-8"))] if sheet.exists() else []
    return NotebookTime(words, code, sound, len(minutes), sum(minutes), _run_seconds(path).get(path.stem))


def count(cells: list[nbformat.NotebookNode]) -> tuple[int, int, float]:
    """Words, lines of code and seconds of sound of some cells with their outputs."""
    texts, code, sound = [], 0, 0.0
    for cell in cells:
        if cell.cell_type == "markdown":
            texts.append(LINE.sub("", cell.source))
            continue
        code += sum(bool(line.strip()) for line in cell.source.splitlines())
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts.append(data.get("text/markdown", ""))  # claims, and the cards of exercises
            sound += sum(_seconds(match) for match in _PLAYER.findall(data.get("text/html", "")))
    words = sum(len(re.findall(r"\w[\w'’.,-]*", text)) for text in texts)
    return words, code, sound


def _run_seconds(path: Path) -> dict[str, float]:
    kept = path.parent / RUN_SECONDS
    return json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}


def keep_run_seconds(path: Path, seconds: float) -> None:
    """Keep how long a run of the notebook took, to 5 seconds, unless a slower one took up to four times as long."""
    times = _run_seconds(path)
    if not seconds <= times.get(path.stem, 0) <= 4 * seconds:
        times[path.stem] = 5 * max(1, round(seconds / 5))
    text = json.dumps(dict(sorted(times.items())), indent=2)
    (path.parent / RUN_SECONDS).write_text(text + "\n", encoding="utf-8")


def _seconds(encoded: str) -> float:
    return soundfile.info(io.BytesIO(base64.b64decode(encoded))).duration


def time_line(time: NotebookTime) -> str:
    """The paragraph of the first cell, the time to read rounded up to 5 minutes."""
    reading = 5 * math.ceil(time.reading_minutes / 5)
    total = reading + time.exercise_minutes
    parts = f"{reading} to read, try and listen"
    if time.exercises:
        parts += f", {time.exercise_minutes} for the {time.exercises} exercises"
    line = f"**Time** about {total} minutes: {parts}."
    if time.run_seconds is not None:
        run = math.ceil(time.run_seconds / 60)
        line += f" The code runs in {run} minute{'s' * (run > 1)} on two CPU cores."
    sound = f", {time.sound_seconds / 60:.0f} minutes of sound" if time.sound_seconds >= 60 else ""
    return f"{line}\n(Counted: {time.words} words, {time.code_lines} lines of code{sound}.)"


def states_time(path: Path) -> bool:
    """Whether the first cell has a paragraph that begins with ``**Time**``: a lesson has, a template for sweeps not."""
    return LINE.search(nbformat.read(path, as_version=4).cells[0].source) is not None


def stated_time(path: Path) -> str:
    """The paragraph as it stands in the notebook.

    Raises:
        ValueError: the first cell has no paragraph that begins with ``**Time**``.
    """
    match = LINE.search(nbformat.read(path, as_version=4).cells[0].source)
    if match is None:
        raise ValueError(
            f"{path.name}: its first cell states no time: add a paragraph that begins with **Time**"
        )
    return match.group()


def write(path: Path) -> bool:
    """Put the counted time into the first cell; whether it was another one before."""
    line = time_line(measure(path))
    if stated_time(path) == line:
        return False
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = LINE.sub(lambda _: line, notebook.cells[0].source, count=1)
    scratch = path.with_suffix(".ipynb.new")
    nbformat.write(notebook, scratch)
    scratch.replace(path)
    return True


if __name__ == "__main__":
    names = [a for a in sys.argv[1:] if a != "--write"]
    total = 0.0
    print("notebook                      words   code  sound s  read min  exercises min  run s")
    for path in [FOLDER / name for name in names] or sorted(FOLDER.glob("[0-9]*.ipynb")):
        if not states_time(path):
            continue
        time = measure(path)
        total += time.reading_minutes + time.exercise_minutes
        run = "-" if time.run_seconds is None else f"{time.run_seconds:.0f}"
        print(
            f"{path.stem:28s}{time.words:7d}{time.code_lines:7d}{time.sound_seconds:9.0f}{time.reading_minutes:10.0f}"
            f"{time.exercise_minutes:15d}{run:>7s}{'  rewritten' if '--write' in sys.argv and write(path) else ''}"
        )
    print(f"all of them: {total / 60:.1f} hours")
