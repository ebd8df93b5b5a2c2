"""The built site in a real browser without a network: math, sounds, search, links, dark theme, a phone."""

import pytest

pytestmark = pytest.mark.slow


def test_all_pages_ask_no_other_host_and_report_no_error(site, visitor):
    pages = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    assert len(pages) > 30
    for path in pages:
        visitor.page.goto(path.as_uri(), wait_until="load", timeout=120_000)
        assert not visitor.outside, path
        assert not visitor.problems, (path, visitor.problems)


def test_mathematics_is_typeset(site, visitor):
    visitor.page.goto((site / "notebooks" / "03_loss_and_pit.html").as_uri())
    visitor.page.wait_for_selector("mjx-container svg", timeout=60_000)
    visitor.page.wait_for_function(
        "document.querySelectorAll('mjx-container').length >= document.querySelectorAll('.math').length",
        timeout=120_000,
    )
    assert visitor.page.locator("mjx-merror").count() == 0
    visitor.picture("math")


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_sounds_decode_and_play(site, server, visitor, scheme):
    home = site.as_uri() if scheme == "file" else server
    visitor.page.goto(f"{home}/notebooks/00_start_here.html")
    seconds = visitor.page.evaluate(
        """async () => {
            const all = [...document.querySelectorAll('audio')];
            return Promise.all(all.map(a => new Promise((done, fail) => {
                if (a.readyState >= 1) return done(a.duration);
                a.onloadedmetadata = () => done(a.duration);
                a.onerror = () => fail(new Error('an audio element does not decode'));
                a.preload = 'auto'; a.load();
            })));
        }"""
    )
    assert len(seconds) >= 10
    assert all(0.5 < value < 60 for value in seconds)
    moved = visitor.page.evaluate(
        """async () => { const a = document.querySelector('audio'); a.muted = true; await a.play();
            await new Promise(r => setTimeout(r, 700)); const t = a.currentTime; a.pause(); return t; }"""
    )
    assert moved > 0.05


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_search_finds_overlap_add(site, server, visitor, scheme):
    home = site.as_uri() if scheme == "file" else server
    visitor.page.goto(f"{home}/search.html?q=overlap-add")
    visitor.page.wait_for_selector("#search-results li a", timeout=60_000)
    visitor.page.wait_for_function(
        "document.querySelector('#search-results p, .search-summary')?.innerText.match(/found|finished/i)"
    )
    links = visitor.page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    assert any("02_dual_path" in link for link in links)
    # Summaries of results are fetched, which a browser refuses for files: results stand without them.
    if scheme == "file":
        visitor.problems = [text for text in visitor.problems if not _is_refused_fetch(text)]


def _is_refused_fetch(text: str) -> bool:
    return (
        "CORS" in text
        or "ERR_FAILED" in text
        or "Fetch API cannot load file" in text
        or "Failed to fetch" in text
    )


def test_next_and_previous_go_through_the_course(site, visitor):
    visitor.page.goto((site / "notebooks" / "01_encoder_decoder.html").as_uri())
    visitor.page.click("a.right-next")
    visitor.page.wait_for_load_state()
    assert visitor.page.url.endswith("02_dual_path.html")
    visitor.page.click("a.left-prev")
    visitor.page.wait_for_load_state()
    assert visitor.page.url.endswith("01_encoder_decoder.html")


def test_the_dark_theme_is_dark(site, visitor):
    visitor.page.goto((site / "index.html").as_uri())
    background = "getComputedStyle(document.body).backgroundColor"
    light = visitor.page.evaluate(background)
    visitor.page.locator("button.theme-switch-button:visible").first.click()
    visitor.page.locator("button[data-mode=dark]:visible").click()
    visitor.page.keyboard.press("Escape")
    dark = visitor.page.evaluate(background)
    assert visitor.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert _brightness(dark) < 60 < 200 < _brightness(light)
    visitor.page.wait_for_timeout(1000)  # colours fade
    visitor.picture("dark")


def _brightness(colour: str) -> float:
    values = [float(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    return sum(values) / 3


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", "notebooks/00_start_here", "glossary", "api/dprnn_lab.model"])
def test_a_page_fits_its_screen(site, visitor, name, width):
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.page.goto((site / f"{name}.html").as_uri())
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    visitor.picture(f"{name.replace('/', '_')}_{width}")


def test_a_notebook_page_says_how_to_run_it(site, visitor):
    visitor.page.goto((site / "notebooks" / "03_loss_and_pit.html").as_uri())
    note = visitor.page.locator(".run-this-page").first.inner_text()
    assert note.startswith("Run this notebook") and "make lab NOTEBOOK=03_loss_and_pit" in note


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", "notebooks/02_dual_path", "search"])
def test_the_header_has_one_search_at_most(site, visitor, name, width):
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.page.goto((site / f"{name}.html").as_uri())
    shown = visitor.page.locator(
        ".bd-header-article .search-button:visible, .bd-header .search-button:visible"
    )
    fields = visitor.page.locator(".search-button-field:visible")
    assert shown.count() + fields.count() == 1


def test_picture_for_the_readme(site, visitor):
    visitor.page.goto((site / "notebooks" / "02_dual_path.html").as_uri(), timeout=120_000)
    visitor.page.wait_for_selector("mjx-container svg", timeout=120_000)
    visitor.page.locator("img").first.scroll_into_view_if_needed()
    visitor.page.wait_for_timeout(500)
    visitor.picture("site", colours=128)


@pytest.mark.parametrize(
    "name",
    ["notebooks/INSTRUCTORS", "notebooks/instructors/nb02", "notebooks/course/README", "slides"],
)
def test_the_pages_for_teachers_fit_a_phone_and_a_screen(site, visitor, name):
    for width in (1280, 390):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        visitor.page.goto((site / f"{name}.html").as_uri())
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        visitor.picture(f"{name.replace('/', '_')}_{width}")


def test_the_links_to_the_slides_lead_somewhere(site, visitor):
    visitor.page.goto((site / "slides.html").as_uri())
    links = visitor.page.eval_on_selector_all("article a[href*='slides/']", "all => all.map(a => a.href)")
    assert len(links) == 6
    for link in links:
        assert (site / "slides" / link.rsplit("/", 1)[1]).is_file()
