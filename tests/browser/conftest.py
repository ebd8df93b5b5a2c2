"""A JupyterLab of our own on a copy of the notebooks, a Chromium to look at it, and a student at the keyboard.

Nothing is installed here: where Playwright or Chromium is missing, the tests are skipped and say which.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "dprnn-lab-test"
START_SECONDS = 180
# Messages of JupyterLab itself, on a machine without a network, that say nothing about our notebook.
NOT_OURS = re.compile(r"favicon|jupyter.org|announcements|api/news|net::ERR_|ResizeObserver|pypi.org", re.I)
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
BUSY = ".jp-Notebook-ExecutionIndicator:not([data-status=idle])"
ACCEPT = ".jp-Dialog button.jp-mod-accept"


@dataclass(frozen=True)
class Lab:
    """A running server."""

    url: str
    folder: Path  # of the notebooks' copies

    def notebook(self, name: str) -> str:
        """The address of a notebook, in a workspace of its own."""
        return f"{self.url}/lab/workspaces/test-{Path(name).stem}/tree/{name}?token={TOKEN}&reset"


@pytest.fixture(scope="session")
def browser(chromium):
    """Playwright's browser, driving the Chromium that is installed."""
    return chromium(CHROMIUM_FLAGS)


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab on a temporary copy of the notebooks, so that running them leaves the checkout clean.

    It asks for ``browser`` only to be skipped before it starts where there is none.
    """
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(
        ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
        "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={folder / 'notebooks'}", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),  # the settings of whoever runs the test stay out of it
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    log = folder / "lab.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )
    try:
        _wait_until_up(server, url, log)
        yield Lab(url, folder / "notebooks")
    finally:
        server.terminate()
        try:
            server.wait(20)  # it ends its kernels first
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_up(server: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"JupyterLab ended with code {server.returncode}:\n{log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(f"{url}/api/status?token={TOKEN}", timeout=2).close()
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
    pytest.fail(f"JupyterLab was not up after {START_SECONDS} s:\n{log.read_text()[-2000:]}")


class Student:
    """A page of the browser, and what somebody does on it."""

    def __init__(self, page, lab: Lab, folder: Path):
        self.page, self.lab, self.folder, self.problems = page, lab, folder, []
        page.on("console", lambda m: self.problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    @contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """Keep a picture of the page when what follows fails."""
        try:
            yield
        except BaseException:
            folder = Path(os.environ.get("DPRNN_LAB_SCREENSHOTS") or self.folder)
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(folder / f"{name}.png"))
            print("screenshot:", folder / f"{name}.png")
            raise

    def run_all(self, notebook: str, seconds: float) -> None:
        """Open a notebook, take the kernel it offers, and run all cells."""
        self.notebook = notebook
        self.page.goto(self.lab.notebook(notebook))
        self.page.wait_for_selector(".jp-Notebook", timeout=60_000)
        self.settle(120)
        for _ in range(3):
            self.page.get_by_text("Run", exact=True).first.click()
            self.page.get_by_text("Run All Cells", exact=True).first.click()
            self.page.wait_for_selector(f"{BUSY}, {ACCEPT}", timeout=20_000)
            if not self.settle(seconds):
                return
            # On a slow machine JupyterLab asks for the kernel only now, and forgets what it was to run.
        raise AssertionError("JupyterLab asked for a kernel three times")

    def settle(self, seconds: float) -> bool:
        """Wait until the kernel has been idle for three seconds; take a kernel when asked for, and say whether."""
        asked, quiet, deadline = False, 0, time.monotonic() + seconds
        while quiet < 6:
            assert time.monotonic() < deadline, f"the kernel was not idle after {seconds:.0f} s"
            for button in self.page.query_selector_all(ACCEPT):
                button.click()
                asked, quiet = True, 0
            quiet = quiet + 1 if self.page.query_selector(IDLE) else 0
            self.page.wait_for_timeout(500)
        return asked

    def scroll_to(self, selector: str):
        """The first element that fits: JupyterLab builds cells only as they come near the view."""
        for _ in range(6):  # it goes back to the last cell while it still lays out
            self.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
            self.page.wait_for_timeout(300)
        for _ in range(120):
            element = self.page.query_selector(selector)
            if element and element.is_visible():
                element.scroll_into_view_if_needed()
                return element
            self.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop += 500")
            self.page.wait_for_timeout(150)
        raise AssertionError(f"nothing in the notebook fits {selector}")

    def wait_for_text(self, selector: str, text: str, seconds: float = 20) -> str:
        """The text of an element, once this is in it."""
        self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)",
            arg=[selector, text],
            timeout=1000 * seconds,
        )
        return self.page.query_selector(selector).inner_text()

    def finish(self) -> None:
        """Save; no cell may have failed, and nothing of ours be on the console."""
        self.page.keyboard.press("Control+s")
        self.page.wait_for_timeout(3000)
        path = self.lab.folder / self.notebook
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert all(c.execution_count for c in cells), f"{path.name} was saved before its cells had run"
        errors = [f"{o.ename}: {o.evalue}" for c in cells for o in c.outputs if o.output_type == "error"]
        assert not errors, errors
        ours = [text for text in self.problems if not NOT_OURS.search(text)]
        assert not ours, ours


@pytest.fixture
def student(browser, lab, tmp_path) -> Iterator[Student]:
    """Somebody with the lab before them."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    yield Student(page, lab, tmp_path)
    page.close()
