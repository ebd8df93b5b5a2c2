"""The table: results.md for people, results.json for programs."""

import json
from pathlib import Path

from timing import Result

__all__ = ["write"]

ORDER = ("inference", "parts", "training step", "PIT loss", "long files", "cold start")
CLOCK = {
    "wall": "Times are what a person waits.",
    "cpu": "Times are processor time, measured beside other programs.",
}


VARIES = ("load average at the start", "a large product on the threads used")


def write(folder: Path, machine: dict[str, str], rows: list[Result], clock: str) -> None:
    """Write both files; groups that these rows do not have stay, if they were measured on the same machine."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*kept(folder / "results.json", machine, rows, clock), *rows]
    rows.sort(key=lambda row: ORDER.index(row.group))
    content = {"machine": machine, "clock": clock, "rows": [row.as_dict() for row in rows]}
    for name, text in (
        ("results.json", json.dumps(content, indent=2) + "\n"),
        ("results.md", table(machine, rows, clock)),
    ):
        scratch = folder / f".{name}"
        scratch.write_text(text)
        scratch.replace(folder / name)


def kept(file: Path, machine: dict[str, str], rows: list[Result], clock: str) -> list[Result]:
    """The rows of other groups in the file, if it is of this machine, these packages and this clock."""
    if not file.is_file():
        return []
    before = json.loads(file.read_text())
    same = [
        {name: fact for name, fact in facts.items() if name not in VARIES}
        for facts in (before["machine"], machine)
    ]
    if same[0] != same[1] or before["clock"] != clock:
        return []
    new = {row.group for row in rows}
    return [Result(**row) for row in before["rows"] if row["group"] not in new]


def table(machine: dict[str, str], rows: list[Result], clock: str) -> str:
    """One table for each group."""
    lines = [
        "# dprnn-lab beside Asteroid",
        "",
        "Same weights, same input, same process (long files and cold starts: a process for each run), one call of",
        "each in turn. Medians; a ratio is the median over turns of the first value in the row, Asteroid's, by the",
        f"other's: above 1, Asteroid takes more. {CLOCK[clock]} Made by `make bench`.",
        "",
        "The peak is the faster of two large products, MKL's (torch.mm) and oneDNN's, in the same precision; the",
        "processor may run small or memory-bound work far below it.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
    ]
    for group in dict.fromkeys(row.group for row in rows):
        mine = [row for row in rows if row.group == group]
        names = list(dict.fromkeys(name for row in mine for name in row.values))
        rivals = list(dict.fromkeys(name for row in mine for name in row.ratios))
        head = ["", *names, *(f"ratio, {name}" for name in rivals)]
        lines += ["", f"## {group[0].upper()}{group[1:]}", "", f"| {' | '.join([*head, 'turns'])} |"]
        lines.append("|---" + "|---:" * len(head) + "|")
        for row in mine:
            cells = [row.case]
            cells += [f"{row.values[n]:.3g} {row.unit}" if n in row.values else "" for n in names]
            cells += [f"**{row.ratios[n]:.2f}**" if n in row.ratios else "" for n in rivals]
            lines.append(f"| {' | '.join([*cells, str(row.turns)])} |")
        notes = [f"- {row.case}: {row.note}" for row in mine if row.note]
        lines += ["", *notes] if notes else []
    return "\n".join(lines).rstrip() + "\n"
