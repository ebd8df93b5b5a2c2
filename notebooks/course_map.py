"""Draw the map of the course: order, prerequisites, electives and minutes, as the notebooks themselves state them.

Usage: ``python notebooks/course_map.py``, also run at the end of ``make notebooks``. It writes a Mermaid diagram, which
GitHub and JupyterLab show as a picture, between the two marks in the README, and in notebook 00 if a cell has them.

Minutes and prerequisites come from the lines "Time" and "Before you start" in each notebook's first cell. Only the
arrows that no other path implies are drawn.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

__all__ = ["BEGIN", "ELECTIVES", "END", "Lesson", "arrows", "diagram", "read_course", "replaced", "write"]

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- course map, by notebooks/course_map.py -->", "<!-- end of the course map -->"
ELECTIVES = {"06", "09"}  # no other notebook builds on them
PAGES = {
    "where_the_field_went.md": "Where the field went: published results, and what a DPRNN can't do",
    "consent.md": "Consent and surveillance: what to ask before you separate voices",
}


@dataclass(frozen=True)
class Lesson:
    """One notebook: its number, such as "02" or "00b", short title, minutes in all, and the numbers it builds on."""

    number: str
    title: str
    minutes: int
    needs: tuple[str, ...]

    @property
    def preparation(self) -> bool:
        """Whether it is for those only who need it (00b)."""
        return self.number[-1].isalpha()


def read_lesson(path: Path) -> Lesson:
    """What the first cell of a notebook says.

    Raises:
        ValueError: it states no time, or no prerequisites.
    """
    source = nbformat.read(path, as_version=4).cells[0].source
    text = " ".join(source.split())
    time = re.search(r"\*\*Time\*\* (?:about )?(\d+) (?:minutes?)(: | to )", text)
    start = re.search(r"\*\*Before you start\*\* (.+?)\.(?: |$)", text)
    if time is None or start is None:
        raise ValueError(
            f"{path.name}: the first cell needs the lines '**Time** ... minutes' and '**Before you start** ...'"
        )
    title = source.splitlines()[0].removeprefix("# ").partition(":")[0]
    minutes = int(time[1])
    if time[2] == " to ":  # "35 minutes to read and try, 30 minutes for the exercises"
        more = re.search(r"\*\*Time\*\* \d+ minutes to [^.;]+?, (\d+) (?:minutes )?for the", text)
        minutes += int(more[1]) if more else 0
    needs = re.findall(r"(?<![\w.])(\d\d[a-z]?)(?=[_\s,;:)]|$)", start[1])
    return Lesson(path.name.partition("_")[0], title, minutes, tuple(dict.fromkeys(needs)))


def read_course(folder: Path = FOLDER) -> list[Lesson]:
    """All notebooks in their order."""
    return [
        read_lesson(path)
        for path in sorted(folder.glob("[0-9]*_*.ipynb"), key=lambda p: p.name.split("_")[0])
    ]


def arrows(lessons: list[Lesson]) -> list[tuple[str, str]]:
    """(prerequisite, notebook) without those that a longer path implies."""
    needs = {lesson.number: set(lesson.needs) for lesson in lessons}

    def before(number: str) -> set[str]:
        """Everything that comes before a notebook."""
        return needs.get(number, set()).union(*(before(other) for other in needs.get(number, ())))

    found = []
    for number, direct in needs.items():
        implied = set().union(*(before(other) for other in direct))
        found += [(other, number) for other in sorted(direct - implied)]
    return found


def diagram(lessons: list[Lesson]) -> str:
    """The map in Markdown: a Mermaid diagram, the hours, and the pages beside the notebooks."""
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    n{x.number}["{x.number} {x.title}<br/>{x.minutes} min"]' for x in lessons]
    lines += [f"    n{first} --> n{second}" for first, second in arrows(lessons)]
    for i, lesson in enumerate(lessons[:-1]):
        if lesson.preparation:
            lines.append(f"    n{lesson.number} -. if you need it .-> n{lessons[i + 1].number}")
    dashed = [f"n{x.number}" for x in lessons if x.number in ELECTIVES or x.preparation]
    lines += [
        "    classDef elective stroke-dasharray: 5 5",
        f"    class {','.join(dashed)} elective",
        "```",
        "",
    ]
    extra = [x.minutes for x in lessons if x.number in ELECTIVES or x.preparation]
    hours = (sum(x.minutes for x in lessons) - sum(extra)) / 60
    lines += [
        "An arrow means: do this one first. The numbers are a good order. Dashed: electives, which no other notebook "
        f"builds on, and a preparation for those who need it. With the exercises {hours:.0f} hours, and "
        f"{sum(extra) / 60:.0f} for what is dashed.",
        "",
    ]
    return "\n".join(lines)


def with_pages(lessons: list[Lesson], folder: str) -> str:
    """The map and the links to the pages, which lie in ``folder`` as seen from the text."""
    links = "; ".join(f"[{title}]({folder}{name})" for name, title in PAGES.items())
    return f"{BEGIN}\n\n{diagram(lessons)}\nBeside the notebooks: {links}.\n{END}"


def replaced(text: str, block: str) -> str:
    """The text with the block in place of what is between the marks, marks included.

    Raises:
        ValueError: the marks are not there, each once, in this order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(
            f"the text needs the marks {BEGIN!r} and {END!r}, each once: the map is written between them"
        )
    return text[: text.index(BEGIN)] + block + text[text.index(END) + len(END) :]


def write() -> list[Path]:
    """Write the map into the README, and into notebook 00 if a cell of it has the marks; returns what changed."""
    lessons, changed = read_course(), []
    readme = FOLDER.parent / "README.md"
    text = readme.read_text(encoding="utf-8")
    new = replaced(text, with_pages(lessons, "notebooks/"))
    if new != text:
        readme.write_text(new, encoding="utf-8")
        changed.append(readme)
    path = FOLDER / "00_start_here.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and BEGIN in cell.source:
            new = replaced(cell.source, with_pages(lessons, ""))
            if new != cell.source:
                cell.source = new
                nbformat.write(notebook, path)
                changed.append(path)
    return changed


if __name__ == "__main__":
    for path in write():
        print(f"{path.name}: the map is written")
