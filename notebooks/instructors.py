"""The instructor's guide: its tables of minutes, and what its tests compare with the notebooks.

Usage: ``python notebooks/instructors.py`` writes the tables anew, and lists what the guide says and the notebooks do
not.

The guide is ``INSTRUCTORS.md`` and one page for each notebook, ``instructors/nbNN.md``. On a page

- an answer to a question is a list item that begins with the id of the cell that asks: ``- `c005` ...``;
- text that an output contains stands in curly quotes, followed by the id of the code cell: “13 steps” (`c006`);
- any other id of a cell stands in backticks and brackets, too: (`c006`).

Minutes are counted as in ``reading_time.py``, section by section; exercises take the minutes of their sheets. In the
plans a question takes ``MINUTES_PER_QUESTION`` more: to write an answer down, and to count and discuss the answers.
"""

import functools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from kernel_memory import read_kept
from nbformat import NotebookNode
from reading_time import SECONDS_PER_CODE_LINE, WORDS_PER_MINUTE, count, measure, states_time

__all__ = [
    "BEGIN",
    "END",
    "Section",
    "answers",
    "output_text",
    "page_of",
    "problems",
    "questions",
    "quotes",
    "sections",
    "write",
]

FOLDER = Path(__file__).parent
INDEX, PAGES, PLANS = FOLDER / "INSTRUCTORS.md", FOLDER / "instructors", FOLDER / "instructors" / "plans.toml"
BEGIN, END = "<!-- {}, by notebooks/instructors.py -->", "<!-- end of {} -->"
MINUTES_PER_QUESTION = 2
_ANSWER = re.compile(r"^- `([\w-]+)` (.+?)(?=^- |^#|^<!--|\Z)", re.MULTILINE | re.DOTALL)
_QUOTED = re.compile(r"((?:“[^”]+”[\s,;:]*(?:and|to|or|then)?\s*)*)\(`([\w-]+)`\)")
_EXERCISE = re.compile(r"^`(\w+)` · difficulty \d of 3 · (\d+) minutes", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A part of a notebook from one heading to the next.

    Attributes:
        title: of the heading; empty before the first.
        minutes: to read the text and the code and to hear every sound once.
        exercise_minutes: of the exercises whose card is in it.
        questions: how many predictions it asks for.
    """

    title: str
    minutes: float
    exercise_minutes: int
    questions: int

    @property
    def number(self) -> str:
        """ "3" of "3. The loss"; empty without one."""
        return match[1] if (match := re.match(r"(\d+)\.", self.title)) else ""


@functools.cache
def _parsed(path: Path, modified: int) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def _read(path: Path) -> NotebookNode:
    """A notebook, parsed once for each version of the file; nobody may change it."""
    return _parsed(path, path.stat().st_mtime_ns)


def page_of(name: str) -> Path:
    """The guide's page of a notebook, such as ``instructors/nb02.md`` of ``02_dual_path``."""
    return PAGES / f"nb{name.split('_')[0]}.md"


@functools.cache
def lessons() -> tuple[Path, ...]:
    """The notebooks that have a page: those that state how long they take."""
    return tuple(path for path in sorted(FOLDER.glob("[0-9]*_*.ipynb")) if states_time(path))


def questions(notebook: NotebookNode) -> list[str]:
    """The ids of the cells that ask for a prediction."""
    return [c.id for c in notebook.cells if c.cell_type == "markdown" and "> **Predict.**" in c.source]


def answers(name: str) -> dict[str, str]:
    """The id of the cell that asks, to the answer in Markdown; empty without a page."""
    page = page_of(name)
    if not page.exists():
        return {}
    return {m[1]: m[2].strip() for m in _ANSWER.finditer(page.read_text(encoding="utf-8"))}


def quotes(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each cell that a page names in brackets, and the texts that it quotes from that cell's output."""
    for match in _QUOTED.finditer(text):
        yield match[2], re.findall("“([^”]+)”", match[1])


def output_text(cell: NotebookNode) -> str:
    """What a code cell printed, as a reader sees it: tables and Markdown without their marks."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        found.append(output.get("text", ""))
        found.append(data.get("text/markdown", ""))
        if "text/html" in data:
            found.append(
                re.sub(r"<style.*?</style>|<[^>]+>|data:[^\"']+", " ", data["text/html"], flags=re.DOTALL)
            )
        elif "text/markdown" not in data:
            found.append(data.get("text/plain", ""))
    return " ".join(" ".join(found).replace("&#x27;", "'").replace("**", "").split())


def sections(path: Path) -> list[Section]:
    """The sections of a notebook, by its headings of the second level."""
    sheet = path.parent / "exercises" / f"nb{path.stem.split('_')[0]}.md"
    minutes = dict(_EXERCISE.findall(sheet.read_text(encoding="utf-8"))) if sheet.exists() else {}
    parts: list[tuple[str, list[NotebookNode]]] = [("", [])]
    for cell in _read(path).cells:
        if cell.cell_type != "markdown":
            parts[-1][1].append(cell)
            continue
        for piece in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
            if piece.startswith("## "):
                parts.append((piece.splitlines()[0].removeprefix("## "), []))
            if piece.strip():
                parts[-1][1].append(nbformat.v4.new_markdown_cell(piece))
    return [_section(title, cells, minutes) for title, cells in parts if title not in ("Recap", "References")]


def _section(title: str, cells: list[NotebookNode], exercises: dict[str, str]) -> Section:
    words, code, sound = count(cells)
    cards = [
        m
        for c in cells
        if c.cell_type == "code"
        for m in re.findall(r"^nb\w+\.(\w+)\.card\(\)", c.source, re.M)
    ]
    return Section(
        title,
        words / WORDS_PER_MINUTE + (code * SECONDS_PER_CODE_LINE + sound) / 60,
        sum(int(exercises.get(card, 0)) for card in cards),
        len(questions(nbformat.v4.new_notebook(cells=cells))),
    )


def minutes_table(path: Path) -> str:
    """Minutes by section, in Markdown."""
    rows = ["| section | read, try, listen | exercises | questions |", "|---|---|---|---|"]
    for part in sections(path):
        title = part.title or "Before section 1"
        rows.append(
            f"| {title} | {part.minutes:.0f} | {part.exercise_minutes or ''} | {part.questions or ''} |"
        )
    return "\n".join(rows)


def course_table() -> str:
    """Minutes by notebook, in Markdown."""
    rows = ["| notebook | read, try, listen | exercises | run | questions |", "|---|---|---|---|---|"]
    for path in lessons():
        time = measure(path)
        run = "" if time.run_seconds is None else f"{max(1, round(time.run_seconds / 60))}"
        asked = len(questions(_read(path)))
        link = f"[`{path.stem}`](instructors/{page_of(path.stem).name})"
        rows.append(
            f"| {link} | {time.reading_minutes:.0f} | {time.exercise_minutes or ''} | {run} | {asked or ''} |"
        )
    return "\n".join(rows)


def memory_table() -> str:
    """Peak memory by notebook, in Markdown, as far as it was measured."""
    rows = ["| notebook | kernel (MB) |", "|---|---|"]
    rows += [f"| `{name}` | {peak} |" for name, peak in read_kept().items()]
    return "\n".join(rows)


def plan_tables(plans: Path = PLANS) -> dict[str, str]:
    """The name of each plan to its table in Markdown: session, what is covered, questions, minutes.

    Raises:
        ValueError: a plan names a notebook or a section that does not exist, or a session is longer than it may be.
    """
    known = {path.stem.split("_")[0]: path for path in lessons()}
    tables = {}
    for plan in tomllib.loads(plans.read_text(encoding="utf-8"))["plan"]:
        rows = ["| session | notebook | sections | questions | minutes |", "|---|---|---|---|---|"]
        for session in plan["session"]:
            total, all_asked = 0.0, 0
            for item in session["items"]:
                label, asked, spent = _planned(item, known)
                total, all_asked = total + spent, all_asked + asked
                title = "" if item is not session["items"][0] else session["title"]
                rows.append(
                    f"| {title} | {item.get('notebook', '')} | {label} | {asked or ''} | {spent:.0f} |"
                )
            if total > session["minutes"]:
                raise ValueError(
                    f"plan {plan['name']}, session {session['title']!r}: {total:.0f} minutes do not fit into "
                    f"{session['minutes']}; leave a section out in {plans.name}"
                )
            rows.append(f"| | | **of {session['minutes']} minutes** | {all_asked or ''} | **{total:.0f}** |")
        tables[plan["name"]] = "\n".join(rows)
    return tables


def _planned(item: dict, known: dict[str, Path]) -> tuple[str, int, float]:
    """What a row of a plan covers, its questions, its minutes: sections, or something else that states its minutes."""
    if "notebook" not in item:
        return item["what"], 0, item["minutes"]
    if item["notebook"] not in known:
        raise ValueError(f"there is no notebook {item['notebook']}: the plans know {', '.join(known)}")
    parts = {part.number or part.title: part for part in sections(known[item["notebook"]])}
    if missing := [name for name in item["sections"] if name not in parts]:
        raise ValueError(
            f"notebook {item['notebook']} has no section {', '.join(missing)}: {', '.join(parts)}"
        )
    chosen = [parts[name] for name in item["sections"]]
    asked = sum(part.questions for part in chosen)
    spent = sum(part.minutes for part in chosen) + asked * MINUTES_PER_QUESTION
    if exercises := item.get("exercises", False):
        spent += sum(part.exercise_minutes for part in parts.values()) if exercises == "all" else 0
        spent += sum(part.exercise_minutes for part in chosen) if exercises is True else 0
    label = ", ".join(name or "opening" for name in item["sections"])
    extra = {True: ", with the exercises", "all": ", all exercises"}.get(exercises, "")
    return label + extra + (f": {item['what']}" if "what" in item else ""), asked, spent


def replaced(text: str, name: str, table: str) -> str:
    """The text with a table between the marks of this name.

    Raises:
        ValueError: the marks are not there, each once, in this order.
    """
    begin, end = BEGIN.format(name), END.format(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(
            f"the text needs the marks {begin!r} and {end!r}, each once: a table is written between them"
        )
    return text[: text.index(begin)] + f"{begin}\n\n{table}\n\n{end}" + text[text.index(end) + len(end) :]


def tables() -> Iterator[tuple[Path, str, str]]:
    """Each file of the guide, the name of a table in it, and the table."""
    yield INDEX, "minutes of the notebooks", course_table()
    yield INDEX, "memory of the kernels", memory_table()
    for name, table in plan_tables().items():
        yield INDEX, f"plan {name}", table
    for path in lessons():
        if page_of(path.stem).exists():
            yield page_of(path.stem), "minutes of the sections", minutes_table(path)


def write() -> list[Path]:
    """Write all tables; returns the files that changed."""
    changed = []
    for path, name, table in tables():
        text = path.read_text(encoding="utf-8")
        if (new := replaced(text, name, table)) != text:
            path.write_text(new, encoding="utf-8")
            changed.append(path)
    return list(dict.fromkeys(changed))


def problems(path: Path) -> list[str]:
    """What the page of a notebook says and the notebook does not, and the questions without an answer."""
    page = page_of(path.stem)
    if not page.exists():
        return [f"{path.name} has no page: write instructors/{page.name}"]
    notebook, text = _read(path), page.read_text(encoding="utf-8")
    cells, asked, given = {c.id: c for c in notebook.cells}, questions(notebook), answers(path.stem)
    found = [f"{page.name}: the question of cell {q} has no answer" for q in asked if q not in given]
    found += [f"{page.name}: cell {a} asks no question" for a in given if a not in asked]
    for name, quoted in quotes(text):
        if name not in cells:
            found.append(f"{page.name}: {path.name} has no cell {name}")
            continue
        printed = output_text(cells[name]) if cells[name].cell_type == "code" else ""
        found += [
            f"{page.name}: cell {name} does not print “{q}”"
            for q in quoted
            if " ".join(q.split()) not in printed
        ]
    return found


if __name__ == "__main__":
    for path in write():
        print(f"{path.name}: its tables are written")
    for lesson in lessons():
        for line in problems(lesson):
            print(line)
