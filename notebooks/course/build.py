"""Build the nbgrader course: ``make course``, or ``python notebooks/course/build.py [--help]``.

Writes into ``build/course``: ``source/`` (the instructor's version), ``release/`` (the students'), the gradebook,
nbgrader's settings and the table of tasks; with ``--exam students.csv`` an exam for each student. The README.md
of this folder says how to go on. Existing submissions, grades and feedback stay.
"""

import argparse
import os
import re
import secrets
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(NOTEBOOKS))

from course.assignments import SHEETS, assignment, notebook_of  # noqa: E402
from course.errors import CourseError  # noqa: E402
from course.table import table  # noqa: E402
from dprnn_lab.error_texts import explained  # noqa: E402

__all__ = ["build", "main"]

DEFAULT = NOTEBOOKS.parent / "build" / "course"


def secret_of(folder: Path, given: str | None) -> str:
    """The lecturer's secret: given, or kept in the folder, or drawn and kept there.

    Raises:
        CourseError: another one than the folder's.
    """
    path = folder / "secret.txt"
    kept = path.read_text(encoding="utf-8").strip() if path.exists() else None
    if kept and given and kept != given:
        raise CourseError(
            f"--secret differs from the one in {path}: hidden tests and exams that were handed out would change. "
            "Leave it out, or build into another folder with --out"
        )
    secret = kept or given or secrets.token_hex(8)
    if not re.fullmatch(r"[\w.-]{4,64}", secret):
        raise CourseError(f"--secret is {secret!r}: give 4 to 64 letters, digits, '.', '-' or '_'")
    if not kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{secret}\n", encoding="utf-8")
        path.chmod(0o600)
    return secret


def write_sources(folder: Path, secret: str, sheets: list[str]) -> None:
    """The instructor's notebooks and nbgrader's settings."""
    for sheet in sheets:
        name = notebook_of(sheet).stem
        path = folder / "source" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(assignment(sheet, secret), path)
    config = (NOTEBOOKS / "course" / "nbgrader_config.py").read_text(encoding="utf-8")
    (folder / "nbgrader_config.py").write_text(
        config.replace('"@COURSE@"', repr(str(Path(__file__).parent))), encoding="utf-8"
    )


def nbgrader(folder: Path, *arguments: str) -> None:
    """Run a command of nbgrader in the folder of the course.

    Raises:
        CourseError: the command fails.
    """
    command = [sys.executable, "-m", "nbgrader", *arguments]
    # nbgrader starts alembic by its name: it is beside this Python, whether the environment is activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.splitlines()
        causes = [line for line in lines if re.match(r"\s*[\w.]*(Error|Exception): ", line)]
        causes = causes or [line for line in lines if "ERROR" in line or "CRITICAL" in line] or lines[-3:]
        told = " ".join(line.strip() for line in causes)
        raise CourseError(f"nbgrader {' '.join(arguments)} failed in {folder}: {told}")


def build(
    folder: Path, secret: str | None = None, exam: Path | None = None, sheets: list[str] = SHEETS
) -> None:
    """Write the course into a folder.

    Args:
        folder: of the course.
        secret: of the hidden tests and the exam; None for the folder's own.
        exam: a CSV file with a column ``student``, for an exam; None for none.
        sheets: which notebooks, such as "03".

    Raises:
        CourseError: unknown notebooks, a bad list of students, another secret, nbgrader is missing or fails.
    """
    unknown = [sheet for sheet in sheets if sheet not in SHEETS]
    if unknown:
        raise CourseError(f"--notebooks {', '.join(unknown)}: choose from {', '.join(SHEETS)}")
    if find_spec("nbgrader") is None:
        raise CourseError('nbgrader is not installed: pip install -e ".[course]"')
    students = None
    if exam is not None:
        from course.exam_files import read_students, write_exam

        students = read_students(exam)  # before anything is written
    secret = secret_of(folder, secret)
    write_sources(folder, secret, sheets)
    if students is not None:
        write_exam(folder, secret, students)
    nbgrader(folder, "generate_assignment", "--assignment=*", "--force")
    if students is not None:
        from course.exam_files import hand_out

        hand_out(folder, students)
    text = table(sheets)
    (folder / "table.md").write_text(text, encoding="utf-8")
    print(text)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make course", description="Build the nbgrader course.")
    parser.add_argument(
        "--out", type=Path, default=DEFAULT, metavar="FOLDER", help="where to (default: build/course)"
    )
    parser.add_argument(
        "--secret", help="of the hidden tests and the exam (default: drawn once, kept in secret.txt)"
    )
    parser.add_argument(
        "--exam", type=Path, metavar="CSV", help="a list with a column 'student': an exam for each"
    )
    parser.add_argument(
        "--notebooks", nargs="+", default=SHEETS, metavar="NN", help="such as 01 03 (default: all)"
    )
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        build(chosen.out.resolve(), chosen.secret, chosen.exam, chosen.notebooks)
    except (CourseError, OSError) as error:
        print(f"error: {explained(error)}", file=sys.stderr)
        return 1
    print(
        f"{chosen.out} is ready after {time.monotonic() - began:.0f} s; notebooks/course/README.md says how to go on."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
