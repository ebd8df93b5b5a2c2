"""How long the live page takes in a Chromium: to load, and for a forward pass.

Usage: ``make site``, then ``python docs/explainer/measure.py [build/site] [--runs 5]``. Needs Playwright and Chromium.
Prints seconds: until runtime and model are ready, the warm-up run included, and of each forward pass on 4 s of sound.
"""

import argparse
import shutil
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

MEASURE = """async (runs) => {
  const from = performance.now();
  await Network.prepare();
  const load = (performance.now() - from) / 1000, passes = [];
  for (let i = 0; i < runs; i++) passes.push((await Network.run(explainer.mixture)).seconds);
  return { load, passes, place: Network.place };
}"""


def measure(site: Path, runs: int) -> dict:
    """Seconds to load and of each pass, and where the page computed: ``worker`` or ``page``."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--headless", "--no-sandbox"])
        page = browser.new_page()
        page.goto((site.resolve() / "_static" / "explainer" / "index.html").as_uri())
        page.wait_for_function("window.explainer?.fold")
        result = page.evaluate(MEASURE, runs)
        browser.close()
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", nargs="?", type=Path, default=Path("build/site"))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    found = measure(options.site, options.runs)
    passes = ", ".join(f"{seconds:.2f}" for seconds in found["passes"])
    print(f"computes in the {found['place']}; ready after {found['load']:.1f} s")
    print(f"forward passes {passes} s, median {median(found['passes']):.2f} s")
