"""The comparing player and the blind test on the built site, in a real browser without a network."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_the_blind_test_of_notebook_08_is_answered(site, server, visitor, scheme):
    home = site.as_uri() if scheme == "file" else server
    page = visitor.page
    page.goto(f"{home}/notebooks/08_evaluation.html")
    page.wait_for_function("document.querySelector('dprnn-blind-test')?.shadowRoot", timeout=60_000)
    page.locator("dprnn-blind-test").get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('dprnn-blind-test').position > 0.2")
    page.keyboard.press("x")
    assert page.evaluate("document.querySelector('dprnn-blind-test').active") == 2
    for _ in range(10):
        page.keyboard.press("1")
    text = page.locator("dprnn-blind-test .test").inner_text()
    assert "of 10 right, 95 % Clopper-Pearson interval" in text
    assert "Levels are matched" in text


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_player_of_notebook_00_fits_and_plays(site, visitor, theme, width):
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site / "notebooks" / "00_start_here.html").as_uri())
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    page.wait_for_function("document.querySelector('dprnn-player')?.shadowRoot", timeout=60_000)
    page.locator("dprnn-player").first.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('dprnn-player').position > 0.2")
    page.keyboard.press("2")
    assert page.evaluate("document.querySelector('dprnn-player').active") == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    visitor.picture(f"site-player-{width}-{theme}")
