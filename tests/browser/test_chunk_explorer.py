"""The chunk explorer as a student meets it: JupyterLab, Run All Cells, arrow keys on the slider."""

import os
import re
import time
from pathlib import Path

import nbformat
import pytest

# Messages of JupyterLab itself, on a machine without a network, that say nothing about our notebook.
NOT_OURS = re.compile(r"favicon|jupyter.org|announcements|api/news|net::ERR_|ResizeObserver|pypi.org", re.I)
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
BUSY = ".jp-Notebook-ExecutionIndicator:not([data-status=idle])"
ACCEPT = ".jp-Dialog button.jp-mod-accept"
READOUT = ".chunk-readout"


@pytest.fixture
def page(browser):
    """A page that remembers what went wrong on it."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    page.close()


def keep_screenshot(page, folder: Path, name: str) -> Path:
    folder = Path(os.environ.get("DPRNN_LAB_SCREENSHOTS") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=str(path))
    return path


def run_all(page, address: str, seconds: float) -> None:
    """Open a notebook, take the kernel it offers, and run all cells."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook", timeout=60_000)
    settle(page, 120)
    for _ in range(3):
        page.get_by_text("Run", exact=True).first.click()
        page.get_by_text("Run All Cells", exact=True).first.click()
        page.wait_for_selector(f"{BUSY}, {ACCEPT}", timeout=20_000)
        if not settle(page, seconds):
            return
        # On a slow machine JupyterLab asks for the kernel only now, and forgets what it was to run.
    raise AssertionError("JupyterLab asked for a kernel three times")


def settle(page, seconds: float) -> bool:
    """Wait until the kernel has been idle for three seconds; take a kernel when asked for, and say whether."""
    asked, quiet, deadline = False, 0, time.monotonic() + seconds
    while quiet < 6:
        assert time.monotonic() < deadline, f"the kernel was not idle after {seconds:.0f} s"
        for button in page.query_selector_all(ACCEPT):
            button.click()
            asked, quiet = True, 0
        quiet = quiet + 1 if page.query_selector(IDLE) else 0
        page.wait_for_timeout(500)
    return asked


def scroll_to(page, selector: str):
    """The first element of a notebook that fits: JupyterLab builds cells only as they come near the view."""
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
    for _ in range(80):
        element = page.query_selector(selector)
        if element and element.is_visible():
            element.scroll_into_view_if_needed()
            return element
        page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop += 500")
        page.wait_for_timeout(150)
    raise AssertionError(f"nothing in the notebook fits {selector}")


def errors_in(path: Path) -> list[str]:
    """What went wrong in the cells of a saved notebook; it must have been run to its end."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert all(c.execution_count for c in cells), f"{path.name} was saved before its cells had run"
    return [f"{o.ename}: {o.evalue}" for c in cells for o in c.outputs if o.output_type == "error"]


def test_the_chunk_slider_moves_numbers_and_picture(lab, page, tmp_path):
    try:
        run_all(page, lab.notebook("02_dual_path.ipynb"), seconds=240)
        scroll_to(page, READOUT)
        # The widget stands in the page before its text and picture have come.
        page.wait_for_function(
            "selector => document.querySelector(selector)?.innerText.includes('K = ') "
            "&& document.querySelector('img.widget-image')?.src",
            arg=READOUT,
            timeout=20_000,
        )
        readout = page.query_selector(READOUT)
        picture = page.query_selector("img.widget-image")
        slider = page.query_selector(".widget-slider [role=slider]")
        before, source = readout.inner_text(), picture.get_attribute("src")
        chunk = int(re.search(r"K = (\d+)", before)[1])

        slider.focus()
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "([selector, text]) => document.querySelector(selector).innerText.includes(text)",
            arg=[READOUT, f"K = {chunk + 4},"],
            timeout=20_000,
        )
        page.wait_for_function(
            "source => document.querySelector('img.widget-image').src !== source", arg=source, timeout=20_000
        )
        after = page.query_selector(READOUT).inner_text()
        assert f"P = {(chunk + 4) // 2}" in after
        assert re.search(r"C, K, F\] = \[\d+", after)[0] != re.search(r"C, K, F\] = \[\d+", before)[0]
        # The number box beside the slider has moved with it.
        assert page.get_by_label("K =").first.input_value() == str(chunk + 4)

        page.keyboard.press("Control+s")
        page.wait_for_timeout(3000)
        assert not errors_in(lab.folder / "02_dual_path.ipynb")
        ours = [text for text in page.problems if not NOT_OURS.search(text)]
        assert not ours, ours
    except BaseException:
        print("screenshot:", keep_screenshot(page, tmp_path, "chunk-explorer"))
        raise
