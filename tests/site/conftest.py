"""The site, built once, and a Chromium that reaches no host but this one."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
# No name is resolved: a request to another host fails even if a test forgets to look for it.
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--autoplay-policy=no-user-gesture-required",
]
FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built pages. ``DPRNN_LAB_SITE`` names one that is built already."""
    if built := os.environ.get("DPRNN_LAB_SITE"):
        return Path(built).resolve()
    for package in ("sphinx", "myst_nb", "sphinx_book_theme"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install -e .[site]")
    command = [sys.executable, str(ROOT / "docs" / "build_site.py")]
    result = subprocess.run(command, capture_output=True, text=True)
    if "needs the npm registry" in result.stderr:
        pytest.skip(result.stderr.strip().splitlines()[-1])
    assert result.returncode == 0, result.stdout + result.stderr
    return ROOT / "build" / "site"


@pytest.fixture(scope="session")
def browser(chromium):
    """Playwright's browser, driving the Chromium that is installed."""
    return chromium(CHROMIUM_FLAGS)


@pytest.fixture(scope="session")
def server(site) -> Iterator[str]:
    """The address of a plain static server of the site."""
    handler = functools.partial(_QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class Visitor:
    """A page of the browser, what it asked for, and what went wrong on it."""

    def __init__(self, page):
        self.page, self.outside, self.problems = page, [], []
        page.on("request", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda m: self.problems.append(m.text) if m.type == "error" else None)
        page.route(lambda url: not _is_local(url), lambda route: route.abort())

    def _note(self, request) -> None:
        if not _is_local(request.url):
            self.outside.append(request.url)

    def picture(self, name: str, colours: int | None = None) -> None:
        """Write what is on the screen into ``DPRNN_LAB_SCREENSHOTS``, if that is set; a small file with few colours."""
        if folder := os.environ.get("DPRNN_LAB_SCREENSHOTS"):
            path = Path(folder) / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(path))
            if colours:
                Image.open(path).convert("RGB").quantize(colours).save(path, optimize=True)


def _is_local(url: str) -> bool:
    return url.startswith(("file://", "data:", "blob:", "about:", "http://127.0.0.1"))


@pytest.fixture
def visitor(browser) -> Iterator[Visitor]:
    """Somebody with a window of 1280 by 900; no page may ask another host or report an error."""
    yield from _visit(browser)


@pytest.fixture
def speaker(chromium) -> Iterator[Visitor]:
    """The same with a microphone that beeps, and who allows the page to record."""
    yield from _visit(chromium([*CHROMIUM_FLAGS, *FAKE_MICROPHONE]))


def _visit(browser) -> Iterator[Visitor]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    visitor = Visitor(page)
    yield visitor
    page.close()
    assert visitor.outside == []
    assert visitor.problems == []
