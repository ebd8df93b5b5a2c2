"""Notebook 05 as a class sees it: the view draws while the network trains, and its buttons play old steps again."""

import nbformat
import pytest

READOUT, SOUNDS = ".training-readout", ".training-sounds"
SHORT = {
    "steps": 60,
    "preflight_seconds": 2,
    "by_hand": 4,
    "resume_steps": 10,
    "tuning_steps": 4,
    "mixtures_per_kind": 2,
    "timed_steps": 1,
}


def shorten(path):
    """The notebook with a training that takes seconds."""
    notebook = nbformat.read(path, as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    cell.source = "\n".join(f"{name} = {value}" for name, value in {"seed": 0, **SHORT}.items())
    nbformat.write(notebook, path)


@pytest.mark.slow
def test_the_view_follows_the_run_and_plays_its_steps(student):
    page = student.page
    shorten(student.lab.folder / "05_training.ipynb")
    with student.watched("live-training"):
        student.run_all("05_training.ipynb", seconds=240)
        student.scroll_to(READOUT)
        said = student.wait_for_text(READOUT, "man-woman mixtures improve by")
        assert said.startswith("Step 60, ")
        assert page.locator("img.widget-image").first.evaluate("image => image.naturalWidth") > 500
        assert page.locator(f"{SOUNDS} audio").count() == 6
        assert "At step 60:" in page.query_selector(SOUNDS).inner_text()
        page.get_by_role("button", name="earlier step").focus()
        page.keyboard.press("Enter")
        student.wait_for_text(SOUNDS, "At step 40:")
        student.finish()
