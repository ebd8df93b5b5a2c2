"""Slides of the six lectures: ``make slides``, or ``python docs/slides/build_slides.py [--help]``.

``lectures.toml`` names the cells of the notebooks that make a lecture. They are copied, tagged with nbconvert's
``slideshow`` metadata, and exported with reveal.js: the notebooks themselves are not changed. A slide is a headline and
one thing below it: an output, a question, a list, a table or an equation. The text that follows in the notebook, and
for a question the expected answer of the guide, are the speaker's notes (key S).

The pages work offline and from ``file://``: reveal.js and MathJax lie beside them, brought by npm from the lock file.
"""

import argparse
import functools
import re
import shutil
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT / "notebooks")]

import build_site  # noqa: E402
from instructors import answers  # noqa: E402

TABLE = HERE / "lectures.toml"
WIDTH, HEIGHT = 1280, 720
VENDORED = {
    "reveal.js/dist/reveal.js": "reveal/dist/reveal.js",
    "reveal.js/dist/reveal.css": "reveal/dist/reveal.css",
    "reveal.js/dist/theme/white.css": "reveal/dist/theme/white.css",
    "reveal.js/dist/theme/fonts/source-sans-pro": "reveal/dist/theme/fonts/source-sans-pro",
    "reveal.js/plugin/notes/notes.js": "reveal/plugin/notes/notes.js",
    "reveal.js/LICENSE": "reveal/LICENSE",
    "mathjax/es5/tex-svg-full.js": "mathjax/tex-svg-full.js",
    "mathjax/LICENSE": "mathjax/LICENSE",
}
KINDS = ("cell", "ask", "list", "table", "equation")  # what a slide shows of the cell that it names


class SlidesError(RuntimeError):
    """The slides can't be built; the message says why, and what to do."""


@dataclass(frozen=True)
class Slide:
    """One row of the table.

    Attributes:
        notebook: its name without ``.ipynb``.
        kind: one of ``KINDS``: the outputs of a code cell, or the question, the first list, the first table
            or the displayed equations of a text.
        cell: the cell's id.
        title: the headline; a question needs none.
        code: whether the code stands above its output.
        outputs: which outputs (or equations) are shown, by number from 0; none given: all. Successive pieces
            of printed text are one output: where a run cuts the text differs from run to run.
    """

    notebook: str
    kind: str
    cell: str
    title: str = ""
    code: bool = False
    outputs: tuple[int, ...] | None = None


def read_table(path: Path = TABLE) -> dict[str, tuple[str, list[Slide]]]:
    """The lectures in order: name to (title, slides).

    Raises:
        SlidesError: a slide names no cell, or two, or has a key that is not known.
    """
    lectures = {}
    for lecture in tomllib.loads(path.read_text(encoding="utf-8"))["lecture"]:
        slides = []
        for part in lecture["part"]:
            for row in part["slides"]:
                kinds = [kind for kind in KINDS if kind in row]
                unknown = set(row) - {*KINDS, "title", "code", "outputs"}
                if len(kinds) != 1 or unknown:
                    raise SlidesError(
                        f"{path.name}: the slide {row} needs exactly one of {', '.join(KINDS)}, and beside it only "
                        "title, code and outputs"
                    )
                rest = {key: row[key] for key in ("title", "code") if key in row}
                outputs = tuple(row["outputs"]) if "outputs" in row else None
                slides.append(Slide(part["notebook"], kinds[0], row[kinds[0]], outputs=outputs, **rest))
        lectures[lecture["name"]] = (lecture["title"], slides)
    return lectures


@functools.cache
def _read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def question(source: str) -> str:
    """The blockquote with the question of a text, without the word that begins it: the headline has it."""
    lines = source.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith("> **Predict.**")), None)
    if first is None:
        return ""
    quoted = []
    for line in lines[first:]:
        if not line.startswith(">"):
            break
        quoted.append(line)
    return "\n".join(quoted).replace("**Predict.** ", "", 1)


def bullets(source: str) -> str:
    """The first list of a text."""
    found: list[str] = []
    for line in source.splitlines():
        if line.startswith(("- ", "1. ")) or (found and line.startswith("  ") and line.strip()):
            found.append(line)
        elif found and line.strip():
            break
    return "\n".join(found)


def first_table(source: str) -> str:
    """The first table of a text."""
    match = re.search(r"^\|.*\n\|[-:| ]+\|\n(?:\|.*\n?)+", source, re.MULTILINE)
    return match[0].rstrip() if match else ""


def equations(source: str, numbers: tuple[int, ...] | None = None) -> str:
    """The displayed equations of a text, or those of some numbers."""
    found = re.findall(r"\$\$.+?\$\$", source, re.DOTALL)
    return "\n\n".join(found if numbers is None else (found[i] for i in numbers if i < len(found)))


def cells_of(slide: Slide, notebook: NotebookNode, answer: dict[str, str]) -> list[NotebookNode]:
    """The tagged cells of one slide: headline, content, notes.

    Raises:
        SlidesError: the notebook has no such cell, or it holds nothing of this kind.
    """
    place = next((i for i, cell in enumerate(notebook.cells) if cell.id == slide.cell), None)
    if place is None:
        raise SlidesError(
            f"{slide.notebook}.ipynb has no cell {slide.cell}: it was renamed or removed; mend {TABLE.name}"
        )
    cell = notebook.cells[place]
    title = slide.title or ("Predict" if slide.kind == "ask" else "")
    made = [_tagged(new_markdown_cell(f"## {title}"), "slide")]
    notes = []
    if slide.kind == "cell":
        if slide.code:
            made.append(_tagged(new_markdown_cell(f"```python\n{cell.source}\n```"), "-"))
        content, _ = CoalesceStreamsPreprocessor().preprocess_cell(nbformat.from_dict(cell), {}, place)
        if slide.outputs is not None:
            content.outputs = [content.outputs[i] for i in slide.outputs if i < len(content.outputs)]
        found = bool(content.get("outputs"))
        following = notebook.cells[place + 1 : place + 2]
        notes += [_before_heading(c.source) for c in following if c.cell_type == "markdown"]
    else:
        if slide.kind == "equation":
            text = equations(cell.source, slide.outputs)
        else:
            text = {"ask": question, "list": bullets, "table": first_table}[slide.kind](cell.source)
        content, found = new_markdown_cell(text), bool(text)
        notes += [answer[slide.cell]] if slide.kind == "ask" and slide.cell in answer else []
    if not found:
        raise SlidesError(
            f"{slide.notebook}.ipynb: the cell {slide.cell} has nothing for {slide.kind!r}; mend {TABLE.name}"
        )
    made.append(_tagged(content, "-"))
    notes.append(f"From notebook {slide.notebook}, cell {slide.cell}.")
    made += [_tagged(new_markdown_cell(text), "notes") for text in notes if text.strip()]
    return made


def _before_heading(source: str) -> str:
    """The text up to its first heading or question: what comments on the output above it."""
    return re.split(r"^(?:#|> \*\*Predict)", source, maxsplit=1, flags=re.MULTILINE)[0].strip()


def _tagged(cell: NotebookNode, kind: str) -> NotebookNode:
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell


def lecture_notebook(title: str, slides: list[Slide], folder: Path = ROOT / "notebooks") -> NotebookNode:
    """A notebook of tagged cells: a title slide and one slide per row."""
    names = list(dict.fromkeys(slide.notebook for slide in slides))
    notebooks = {name: _read(folder / f"{name}.ipynb") for name in names}
    given = {name: answers(name) for name in names}
    sources = ", ".join(name.replace("_", " ") for name in names)
    keys = "Keys: arrows, S for notes, O for all slides."
    first = f'# {title}\n\n<p class="source">dprnn-lab. From notebook {sources}. {keys}</p>'
    made = [_tagged(new_markdown_cell(first), "slide")]
    for slide in slides:
        made += cells_of(slide, notebooks[slide.notebook], given[slide.notebook])
    for number, cell in enumerate(made):
        cell.id = f"slide-cell-{number}"  # two notebooks may have cells of one id; the same sources give the same pages
    deck = new_notebook(cells=made)
    deck.metadata["title"] = title
    return deck


def exporter() -> SlidesExporter:
    """nbconvert's exporter with our template and local scripts."""
    made = SlidesExporter(
        template_name=HERE.name + "_template",
        exclude_input=True,
        exclude_output_prompt=True,
        reveal_url_prefix="reveal",
        reveal_theme="white",
        reveal_width=str(WIDTH),
        reveal_height=str(HEIGHT),
        mathjax_url="mathjax/tex-svg-full.js",
        extra_template_basedirs=[str(build_site.BUILD / "slides-template")],
    )
    return made


def build(destination: Path, modules: Path) -> list[Path]:
    """Write all lectures and what they load; returns the pages.

    The template is copied into ``build/``, since nbconvert finds templates by the name of their folder.
    """
    template = build_site.BUILD / "slides-template" / f"{HERE.name}_template"
    shutil.rmtree(template, ignore_errors=True)
    shutil.copytree(HERE / "template", template)
    destination.mkdir(parents=True, exist_ok=True)
    build_site.vendor(modules, destination, VENDORED)
    export, pages = exporter(), []
    for name, (title, slides) in read_table().items():
        page = destination / f"{name}.html"
        body, _ = export.from_notebook_node(lecture_notebook(title, slides))
        page.write_text(body, encoding="utf-8")
        pages.append(page)
    return pages


def main(arguments: list[str] | None = None) -> int:
    """Build the slides; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=build_site.BUILD / "slides", help="where the pages go")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        pages = build(options.out, build_site.install_javascript(build_site.BUILD / "site-js"))
    except (SlidesError, build_site.SiteError) as error:
        print(f"make slides: {error}.", file=sys.stderr)
        return 1
    print(f"{len(pages)} lectures, {time.monotonic() - started:.0f} s: {options.out}/*.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
