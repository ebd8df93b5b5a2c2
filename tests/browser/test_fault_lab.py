"""The fault lab as a student meets it: break something, read the report, then guess a hidden failure."""

import pytest

READOUT, REPORT, PLAYERS = ".fault-readout", ".fault-report", ".fault-players"


@pytest.mark.slow  # minutes: every fault and its report in a real JupyterLab
def test_the_lab_breaks_reports_and_hides(student):
    page = student.page
    with student.watched("fault-lab"):
        student.run_all("06_failures_at_inference.ipynb", seconds=360)
        student.scroll_to(READOUT)
        student.wait_for_text(READOUT, "Break it")
        page.get_by_label("failure", exact=True).select_option("D · scale-free")
        page.get_by_label("variant", exact=True).select_option("one-faint")
        page.get_by_role("button", name="Break it").click()
        said = student.wait_for_text(READOUT, "Injected: scale-free", seconds=60)
        assert "variant one-faint" in said and "named scale-free first: right" in said
        assert "scale-free" in student.wait_for_text(REPORT, "scale_to_mixture")
        assert page.locator(f"{PLAYERS} audio").count() == 8
        assert page.locator("img.widget-image").last.evaluate("image => image.naturalWidth") > 500

        page.get_by_role("button", name="Hide a failure").click()
        student.wait_for_text(READOUT, "Something is wrong here", seconds=60)
        assert not page.query_selector(REPORT).inner_text().strip()
        page.get_by_label("my guess").select_option("B · domain-mismatch")
        page.get_by_role("button", name="Check my guess").click()
        said = student.wait_for_text(READOUT, "Injected:")
        assert "of 1 right so far" in said
        failure = said.partition("Injected: ")[2].partition(",")[0]
        assert ("You are right" in said) == (failure == "domain-mismatch")
        assert "Likeliest cause" in page.query_selector(REPORT).inner_text()
        student.finish()
