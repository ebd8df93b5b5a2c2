"""Tables that people make: CSV lists with the encoding, the separator and the paths of any program and system.

Read are UTF-8 with and without a byte-order mark, UTF-16, Windows' cp1252; commas, semicolons and tabs; blank lines;
paths with backslashes, relative to the list or to the working folder. What can't be read is named with file, row and
column.

Notebook: 04_data
"""

import codecs
import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from ..error_texts import printable

__all__ = ["Row", "read_table", "table_columns", "text_of"]

LARGEST_TABLE = 2**28  # bytes; a list of a million mixtures has a quarter of them
SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Row:
    """A row of a table: cells by column, and where it stands."""

    file: Path
    line: int  # from 1, as editors count; the header is 1
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """A cell, or "" where the row has none."""
        return _text(self.cells.get(column, ""))

    def required(self, column: str) -> str:
        """A cell that must not be empty.

        Raises:
            ValueError: the row is too short, or the cell is empty.
        """
        if column not in self.cells:
            raise ValueError(
                f"{self.where()} ends before the column {column}: it has {len(self.cells)} cells; complete the row, or "
                "take it out"
            )
        if not self.cells[column]:
            raise ValueError(
                f"{self.where()}: the cell of {column} is empty; fill it in, or take the row out"
            )
        return _text(self.cells[column])

    def number(self, column: str, kind: type[int] | type[float] = float) -> float:
        """A cell as a number, written with a point or a decimal comma.

        Raises:
            ValueError: no number of that kind.
        """
        text = self.required(column)
        try:
            value = float(text) if text.count(",") != 1 or "." in text else float(text.replace(",", "."))
            if kind is int and not value.is_integer():
                raise ValueError
            if abs(value) >= 2**53 or value != value:
                raise ValueError
            return kind(value)
        except (ValueError, OverflowError):
            wanted = "a whole number" if kind is int else "a number"
            raise ValueError(f"{self.where()}: {column} is {text!r}, expected {wanted}") from None

    def path(self, column: str, exists: bool = True) -> Path:
        r"""A cell as the path of a file: absolute, relative to the list, or relative to the working folder.

        Backslashes are read as slashes where there is no file of the name as it stands; of a path with a drive
        (``D:\data\a.wav``) the longest end that is a file below the list's folder or the working
        folder is taken.

        Raises:
            ValueError: there is no such file in any of these places, and ``exists`` is True.
        """
        self.required(column)
        raw = self.cells[column]
        names = [raw]
        if (legacy := _text(raw)) != raw:
            names.append(legacy)
        names += [name.replace("\\", "/") for name in names if "\\" in name]
        for name in names:
            for home in (self.file.parent, Path()):
                if (found := _existing(home / name)) is not None:
                    return found
        windows = PureWindowsPath(raw)
        if windows.drive or "\\" in raw:
            parts = [part for part in windows.relative_to(windows.anchor).parts if part != ".."]
            # Not by the last name alone: mixture and sources often share it.
            for first in range(max(1, len(parts) - 1)):
                for home in (self.file.parent, Path()):
                    if (found := _existing(home.joinpath(*parts[first:]))) is not None:
                        return found
        if not exists:
            return self.file.parent / names[-1]
        raise ValueError(
            f"{self.where()}: {column} is {_text(raw)!r}, and there is no such file relative to {self.file.parent} or "
            "to the working folder; write paths that exist on this machine"
        )

    def where(self) -> str:
        """File and row, for messages."""
        return f"{printable(self.file)}, row {self.line}"


def table_columns(path: str | os.PathLike) -> list[str]:
    """The names of a table's columns.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_table` does.
    """
    return _parse(Path(path))[0]


def read_table(path: str | os.PathLike, needed: Sequence[str] = (), what: str = "rows") -> list[Row]:
    """The rows of a CSV file; blank ones are left out.

    Args:
        needed: columns that it must have.
        what: the rows are, for messages.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no table, a column that is missing, a row with more cells than columns, or no rows.
    """
    path = Path(path)
    columns, rows = _parse(path)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise ValueError(
            f"{printable(path)} has the columns {columns}: expected {', '.join(needed)}; "
            f"{', '.join(missing)} is missing"
        )
    if not rows:
        raise ValueError(f"{printable(path)} has no rows: it must list at least one of its {what}")
    return rows


def text_of(path: str | os.PathLike) -> str:
    """The text of a file in UTF-8 or UTF-16; bytes of another encoding are kept as surrogates (``surrogateescape``).

    Raises:
        FileNotFoundError: no such file.
        ValueError: larger than any list, or not text.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise ValueError(
                f"{printable(path)} has {path.stat().st_size / 1e6:.0f} MB, too much for a list: give the right file"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{printable(path)}: no such file") from None
    except OSError as error:
        raise ValueError(f"{printable(path)} can't be read ({error.strerror or error})") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in content[:4]:  # every other byte of English in UTF-16
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding, "surrogateescape" if encoding == "utf-8-sig" else "strict")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{printable(path)} is neither UTF-8 nor {encoding} ({error.reason}): save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ValueError(f"{printable(path)} holds zero bytes and is no text: save it as CSV in UTF-8")
    return text


def _parse(path: Path) -> tuple[list[str], list[Row]]:
    text = text_of(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=first.count) if any(map(first.count, SEPARATORS)) else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    columns: list[str] = []
    rows: list[Row] = []
    end = 0
    try:
        for cells in reader:
            line, end = end + 1, reader.line_num
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if not columns:
                columns = stripped
                continue
            if len(stripped) > len(columns) and any(stripped[len(columns) :]):
                raise ValueError(
                    f"{printable(path)}, row {line} has {len(stripped)} cells and the header {len(columns)}: put cells "
                    f"that contain {separator!r} in quotation marks"
                )
            rows.append(Row(path, line, dict(zip(columns, stripped, strict=False))))
    except csv.Error as error:
        raise ValueError(
            f"{printable(path)}, row {end + 1}: no CSV ({error}); save it as CSV in UTF-8"
        ) from error
    doubled = sorted({name for name in columns if name and columns.count(name) > 1})
    if doubled:
        raise ValueError(f"{printable(path)} has the column {doubled[0]} twice: take one out")
    return [_text(name) for name in columns], rows


def _text(cell: str) -> str:
    """A cell as it was meant: bytes that are not UTF-8 are taken for cp1252, Windows' encoding of Western languages."""
    try:
        cell.encode("utf-8")
    except UnicodeEncodeError:
        return cell.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return cell


def _existing(path: Path) -> Path | None:
    try:
        return path if (path.exists() and not path.is_dir()) or path.is_symlink() else None
    except (OSError, ValueError):  # a name too long for the system, or with a zero byte
        return None
