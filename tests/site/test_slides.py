"""The slides of the six lectures: the table, the cells, and in a real browser without a network: each slide fits."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "slides"))
try:
    import build_slides
finally:
    sys.path.pop(0)

LECTURES = build_slides.read_table()
# What stands out of its slide, and pictures that did not load; the notes are not shown.
FAULTS = """() => { const slide = Reveal.getCurrentSlide(), edge = 1, found = [];
    const box = document.querySelector('.reveal .slides').getBoundingClientRect();
    const shown = 'h1, h2, p, li, img, pre, table, audio, mjx-container, blockquote, button';
    for (const e of slide.querySelectorAll(shown)) {
        if (e.closest('.notes') || !e.getClientRects().length) continue;
        const r = e.getBoundingClientRect();
        if (r.bottom > box.bottom + edge || r.right > box.right + edge || r.left < box.left - edge)
            found.push(`${e.tagName} ends at ${Math.round(r.right - box.left)}, ` +
                `${Math.round(r.bottom - box.top)}: ${e.innerText?.slice(0, 40)}`);
        if (e.tagName === 'IMG' && !(e.naturalWidth > 0)) found.push('a picture that did not load');
    }
    if (slide.querySelector('mjx-merror')) found.push('an equation that can not be typeset');
    return found; }"""


@pytest.mark.parametrize("name", LECTURES)
def test_every_slide_finds_its_cell_and_something_to_show(name):
    title, slides = LECTURES[name]
    deck = build_slides.lecture_notebook(title, slides)
    kinds = [cell.metadata.slideshow.slide_type for cell in deck.cells]
    assert kinds.count("slide") == len(slides) + 1
    assert len({cell.id for cell in deck.cells}) == len(deck.cells)


def test_a_lecture_asks_five_times_or_more_each_time_before_a_result():
    assert len(LECTURES) == 6
    for _, slides in LECTURES.values():
        asked = [i for i, slide in enumerate(slides) if slide.kind == "ask"]
        assert len(asked) >= 5
        assert all(slides[i + 1].kind == "cell" for i in asked if i + 1 < len(slides))
        assert all(slide.title for slide in slides if slide.kind != "ask")


def test_a_slide_speaks_of_nothing_that_is_not_on_the_slides():
    elsewhere = re.compile(
        r"(?<!dB )\b(?:above|below)\b(?! them| it| the error)"
        r"|\b(?:the (?:next|last) (?:cell|line|two|section)|here is)\b",
        re.IGNORECASE,
    )
    for name, (title, slides) in LECTURES.items():
        for cell in build_slides.lecture_notebook(title, slides).cells:
            if cell.cell_type == "markdown" and cell.metadata.slideshow.slide_type != "notes":
                assert not elsewhere.search(cell.source), (name, cell.source)


def test_what_answers_a_question_comes_after_it():
    """As in the notebook: no result before a question that stands before it, no other question between."""
    for _, slides in LECTURES.values():
        for notebook in {slide.notebook for slide in slides}:
            cells = build_slides._read(ROOT / "notebooks" / f"{notebook}.ipynb").cells
            place = {cell.id: i for i, cell in enumerate(cells)}
            shown = [slide for slide in slides if slide.notebook == notebook]
            for i, slide in enumerate(shown):
                if slide.kind == "ask":
                    here, answer = place[slide.cell], place[shown[i + 1].cell]
                    assert all(place[earlier.cell] <= here for earlier in shown[:i]), slide
                    assert all(place[later.cell] >= here for later in shown[i + 1 :]), slide
                    others = [cell for cell in build_slides.answers(notebook) if here < place[cell] < answer]
                    assert not others, f"between {slide} and its answer stand the questions {others}"


def test_text_that_a_cell_prints_in_pieces_is_one_output():
    def printed(text):
        return nbformat.v4.new_output("stream", text=text)

    picture = nbformat.v4.new_output("display_data", {"image/png": "AAAA"})
    cell = nbformat.v4.new_code_cell("1", id="c", outputs=[printed("a\n"), printed("b\n"), picture])
    slide = build_slides.Slide("n", "cell", "c", "A title", outputs=(1,))
    _, content, *_ = build_slides.cells_of(slide, nbformat.v4.new_notebook(cells=[cell]), {})
    assert [output.output_type for output in content.outputs] == ["display_data"]
    assert len(cell.outputs) == 3


def test_tables_and_single_equations_of_a_text_are_found():
    text = "A | b\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n\n$$a$$\n\n| z |\n|---|\n\n$$\nb\n$$\n$$c$$\n"
    assert build_slides.first_table(text) == "| x | y |\n|---|--:|\n| 1 | 2 |"
    assert build_slides.first_table("no | table") == ""
    assert build_slides.equations(text, (1,)) == "$$\nb\n$$"
    assert build_slides.equations(text).count("$$") == 6


def test_the_answer_of_a_question_is_in_its_notes():
    title, slides = LECTURES["2_dual_path"]
    cells = build_slides.lecture_notebook(title, slides).cells
    notes = [cell.source for cell in cells if cell.metadata.slideshow.slide_type == "notes"]
    assert build_slides.answers("02_dual_path")["c009"] in notes


def test_the_notebooks_stay_as_they_are():
    path = ROOT / "notebooks" / "02_dual_path.ipynb"
    before = path.read_bytes()
    build_slides.lecture_notebook(*LECTURES["2_dual_path"])
    assert path.read_bytes() == before


def test_a_missing_cell_is_one_sentence_with_the_remedy(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "02_dual_path.ipynb")
    slide = build_slides.Slide("02_dual_path", "cell", "gone", "A title")
    with pytest.raises(
        build_slides.SlidesError, match=r"02_dual_path.ipynb has no cell gone: .* mend lectures.toml"
    ):
        build_slides.lecture_notebook("A lecture", [slide], tmp_path)


def test_a_row_with_two_contents_or_an_unknown_key_is_refused(tmp_path):
    table = tmp_path / "lectures.toml"
    for row in ('{ cell = "a", ask = "b" }', '{ cell = "a", titel = "b" }'):
        table.write_text(
            f'[[lecture]]\nname = "x"\ntitle = "X"\n[[lecture.part]]\nnotebook = "02_dual_path"\nslides = [{row}]\n'
        )
        with pytest.raises(
            build_slides.SlidesError, match="needs exactly one of cell, ask, list, table, equation"
        ):
            build_slides.read_table(table)


def test_the_page_of_the_site_links_every_lecture_by_its_title():
    text = (ROOT / "docs" / "slides.md").read_text(encoding="utf-8")
    for name, (title, _) in LECTURES.items():
        assert f'<a href="slides/{name}.html">{title}</a>' in text


@pytest.fixture(scope="module")
def slides() -> Path:
    """The folder of the built slides. ``DPRNN_LAB_SLIDES`` names one that is built already."""
    if built := os.environ.get("DPRNN_LAB_SLIDES"):
        return Path(built).resolve()
    site = build_slides.build_site
    try:
        modules = site.install_javascript(site.BUILD / "site-js")
    except site.SiteError as error:
        pytest.skip(str(error))
    build_slides.build(site.BUILD / "slides", modules)
    return site.BUILD / "slides"


@pytest.mark.slow
@pytest.mark.parametrize("name", LECTURES)
def test_every_slide_fits_the_screen_without_a_network(slides, visitor, name):
    page = visitor.page
    page.set_viewport_size({"width": build_slides.WIDTH, "height": build_slides.HEIGHT})
    page.goto((slides / f"{name}.html").as_uri())
    page.wait_for_function("window.Reveal?.isReady()", timeout=120_000)
    count = page.evaluate("Reveal.getTotalSlides()")
    assert count == len(LECTURES[name][1]) + 1
    faults = {}
    for number in range(count):
        page.evaluate("number => Reveal.slide(number)", number)
        page.wait_for_function("[...Reveal.getCurrentSlide().querySelectorAll('img')].every(i => i.complete)")
        if found := page.evaluate(FAULTS):
            faults[number] = found
        visitor.picture(f"slides_{name}_{number:02d}")
    assert not faults


@pytest.mark.slow
def test_the_speaker_view_opens_without_a_network(slides, visitor):
    page = visitor.page
    page.goto((slides / "2_dual_path.html").as_uri())
    page.wait_for_function("window.Reveal?.isReady()", timeout=120_000)
    page.evaluate("Reveal.slide(3)")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    assert "Speaker" in popup.value.title()
