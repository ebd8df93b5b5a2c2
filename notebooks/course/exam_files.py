"""The exam's files: the list of students, the instructor's notebook, the key, and a folder and an archive for each.

The archive of a student has the released notebook, two networks and a recording. For every student the files have the
same names, sizes, tensors and metadata but for the settings, of which one may be the fault.
"""

import csv
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from scipy.io import wavfile

from dprnn_lab import DPRNNTasNet, save_model
from dprnn_lab.diagnosis import CATALOGUE
from dprnn_lab.diagnosis.catalogue import GROUPS

from .assignments import FIRST, KERNEL, nbgrader_metadata
from .errors import CourseError
from .exam import NAME, POINTS, Drawn, draw, material, read_key
from .exam_faults import CHOICES, RATE

__all__ = ["exam_notebook", "hand_out", "read_students", "write_exam", "write_files"]

NETWORK, EARLIER, RECORDING = "network.safetensors", "earlier.safetensors", "recording.wav"
SETTINGS_BYTES = 1500  # of the settings in a file with what fills them up, so that all files are as long
COLUMNS = ["student", "fault", *Drawn._fields[1:]]

TEXT = """# Find the fault in this checkpoint

{total} points. Beside this notebook lie `{network}`, a trained network for two voices at 8 kHz, `{earlier}`, from the
same run some time before, and `{recording}`, two people at once. Separated with the first network, the recording comes
out badly: something is broken. Everybody has a fault of their own. All tools of the workbook are allowed.

1. Set `fault` to its id in the list below: {fault} points, and {group} for a fault of the right group.
2. Complete `my_repair`. It gets both networks and the recording `[T]` as they are in your files, and returns the
   network and the recording `[T]` at 8 kHz with which the separation works: {repair} points if it does. The network
   must be made of the weights in your files.

The cell below your answers looks at their form only; each part has its own points. Hand in this notebook; your files
are known.

{faults}"""
LOAD = """import torch
from course.exam import check_form
from scipy.io import wavfile

from dprnn_lab import diagnose, load_model
from dprnn_lab.audio import resample
from dprnn_lab.diagnosis import rebuild

network = load_model("{network}", allow_nonfinite=True)
earlier = load_model("{earlier}", allow_nonfinite=True)
recording = torch.from_numpy(wavfile.read("{recording}")[1].copy())"""
ANSWER = """fault = ...  # an id of the list


def my_repair(network, earlier, recording):
    return network, recording


### BEGIN SOLUTION
from course.exam import solution

# Of the student in whose folder this runs; needs the key.
fault, right_repair = solution()


def my_repair(network, earlier, recording):
    return right_repair(network, earlier, recording)


### END SOLUTION"""
FORM = """from course.exam import check_form

check_form(fault, my_repair)"""
# A cell of its own, with no error whatever is handed in: nbgrader gives a cell that raises no points at all.
TEST = """# The marks: nothing to do here.
### BEGIN HIDDEN TESTS
from course.exam import points

points(globals().get("fault"), globals().get("my_repair"))
### END HIDDEN TESTS"""


def read_students(path: Path) -> list[str]:
    """The student numbers in the column ``student`` of a CSV file.

    Raises:
        CourseError: no such file or column, no student, one twice, or a number that can't be a folder's name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        # Spreadsheets write semicolons where the comma is the decimal sign.
        separator = next((sign for sign in ",;\t" if sign in first), ",")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CourseError(
            f"--exam {path}: can't be read ({error}): give a CSV file with a column 'student'"
        ) from None
    names = {(name or "").strip(): name for name in reader.fieldnames or []}
    if "student" not in names:
        found = ", ".join(names) or "nothing"
        raise CourseError(
            f"--exam {path}: its first line has {found}: name the column with the numbers 'student'"
        )
    students: list[str] = []
    for line, row in rows:
        student = (row[names["student"]] or "").strip()
        if not re.fullmatch(r"\w[\w.-]{0,60}", student, re.ASCII) or student.endswith((".zip", ".tmp")):
            raise CourseError(
                f"--exam {path}, line {line}: student {student!r} names a folder: use the letters A to Z, digits, '.', "
                "'-' and '_', and no ending .zip or .tmp"
            )
        if student in students:
            raise CourseError(
                f"--exam {path}, line {line}: student {student!r} is there twice: remove one line"
            )
        students.append(student)
    if not students:
        raise CourseError(f"--exam {path}: no student below the first line")
    return students


def write_exam(folder: Path, secret: str, students: list[str]) -> None:
    """The instructor's notebook and the key; a student who is in the key already keeps the exam."""
    source = folder / "source" / NAME / f"{NAME}.ipynb"
    source.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(exam_notebook(), source)
    path = folder / "exam_key.csv"
    kept: list[dict] = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            kept = list(csv.DictReader(file))
    known = {row["student"] for row in kept}
    for student in students:
        if student not in known:
            drawn = draw(student, secret)
            kept.append({"fault": drawn.fault.id, **drawn._asdict()})
    whole = path.with_suffix(".tmp")
    with whole.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(kept)
    whole.chmod(0o600)
    whole.replace(path)


def hand_out(folder: Path, students: list[str]) -> None:
    """``exam/STUDENT.zip`` for each student, with the released notebook and the student's files."""
    for student in students:
        own = folder / "exam" / student
        own.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "release" / NAME / f"{NAME}.ipynb", own / f"{NAME}.ipynb")
        write_files(read_key(folder / "exam" / student / NAME), own)
        _archive(own)


def _archive(folder: Path) -> None:
    """``FOLDER.zip``, not compressed: the size would tell of tensors of zeros. The same files give the same bytes."""
    whole = folder.parent / f"{folder.name}.tmp"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    whole.replace(folder.parent / f"{folder.name}.zip")


def write_files(drawn: Drawn, folder: Path) -> None:
    """The two networks and the recording of a student."""
    given = material(drawn)
    for name, model in ((NETWORK, given.network), (EARLIER, given.earlier)):
        _save(model, folder / name)
    wavfile.write(folder / RECORDING, RATE, given.recording.numpy().astype(np.float32))


def _save(model: DPRNNTasNet, path: Path) -> None:
    room = SETTINGS_BYTES - len(json.dumps(json.dumps(model.config)))
    save_model(model, path, training={"note": " " * room})


def exam_notebook() -> nbformat.NotebookNode:
    """The instructor's version; nbgrader makes the students' of it."""
    total = sum(POINTS.values())
    faults = "\n".join(f"- `{id}` ({GROUPS[CATALOGUE[id].group]}): {title}" for id, title in CHOICES.items())
    text = TEXT.format(
        total=total, network=NETWORK, earlier=EARLIER, recording=RECORDING, faults=faults, **POINTS
    )
    cells = [
        new_markdown_cell(text, metadata=nbgrader_metadata("intro", locked=True)),
        new_code_cell(
            FIRST.replace("\nfrom course import mark", ""), metadata=nbgrader_metadata("setup", locked=True)
        ),
        new_code_cell(
            LOAD.format(network=NETWORK, earlier=EARLIER, recording=RECORDING),
            metadata=nbgrader_metadata("files", locked=True),
        ),
        new_code_cell(ANSWER, metadata=nbgrader_metadata("answer", solution=True)),
        new_code_cell(FORM, metadata=nbgrader_metadata("form", locked=True)),
        new_code_cell(TEST, metadata=nbgrader_metadata("test", grade=True, locked=True, points=total)),
    ]
    made = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    for number, cell in enumerate(made.cells):
        cell.id = f"exam-{number}"
    nbformat.validate(made)
    return made
