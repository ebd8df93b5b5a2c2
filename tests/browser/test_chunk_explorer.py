"""The chunk explorer as a student meets it: JupyterLab, Run All Cells, arrow keys on the slider."""

import re

READOUT = ".chunk-readout"


def test_the_chunk_slider_moves_numbers_and_picture(student):
    page = student.page
    with student.watched("chunk-explorer"):
        student.run_all("02_dual_path.ipynb", seconds=240)
        student.scroll_to(READOUT)
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

        student.finish()
