"""The comparing player and the blind test on a page of its own, from file://, in a real browser without a network."""

import math
import os
from pathlib import Path

import nbformat
import pytest
import scipy.stats
import torch

from dprnn_lab.compare import blind_test_html, compare_html
from dprnn_lab.datasets import FixedMixtures

ROOT = Path(__file__).parents[2]
ACCEPT = ".jp-Dialog button.jp-mod-accept"
RATE = 8000
SECONDS = 3
# One element's sounds, heard: what the graph gives while the first of two sounds is switched to the second and back.
RENDER = """async ({ rate, seconds, matched, loop }) => {
    const player = document.querySelector('dprnn-player'), { startGraph, setGains, toBuffer, gainsOf } = dprnnSound;
    const context = new OfflineAudioContext(1, rate * seconds, rate), gains = gainsOf(player.tracks, matched);
    const heard = index => gains.map((gain, i) => i === index ? gain : 0);
    const buffers = player.tracks.map(t => toBuffer(t.stored, rate, loop || t.stored.length, 0, loop ? 40 : 0));
    const graph = startGraph(context, buffers, heard(0), 0, 0, Boolean(loop));
    for (const [time, index] of [[0.512, 1], [0.768, 0], [1.024, 1], [1.28, 0]]) {
        context.suspend(time).then(() => { setGains(graph, heard(index), context.currentTime); context.resume(); });
    }
    return Array.from((await context.startRendering()).getChannelData(0));
}"""


def tone(amplitude: float = 0.5, phase: float = 0.0, hertz: float = 200.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * hertz * torch.arange(SECONDS * RATE) / RATE + phase)


def speech() -> dict[str, torch.Tensor]:
    """Two real voices, their mixture, and outputs of a poor separation of it."""
    mixture, (first, second), _ = FixedMixtures("test", kind="man-woman")[1]
    sounds = {
        "mixture": mixture, "voice 1": first, "voice 1, a tenth of the other in it": first + 0.1 * second,
        "voice 2": second, "output 1": 0.4 * first + 0.1 * second, "output 2": second + 0.2 * first,
    }  # fmt: skip
    return {name: samples[: SECONDS * RATE] for name, samples in sounds.items()}


# Contrast (WCAG) of each button, note and time with what lies behind it, over both components of the page.
CONTRASTS = """() => {
    const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const paint = colours => {
        pen.clearRect(0, 0, 1, 1);
        for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
        return pen.getImageData(0, 0, 1, 1).data;
    };
    const bright = data => [0, 1, 2].reduce((sum, i) => {
        const v = data[i] / 255;
        return sum + [0.2126, 0.7152, 0.0722][i] * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    }, 0);
    const behind = part => {
        const layers = [];
        for (let e = part; e; e = e.parentElement || e.getRootNode().host)
            layers.unshift(getComputedStyle(e).backgroundColor);
        return layers;
    };
    const found = {}, texts = 'button:not([hidden]), small, output, .ticks span, .level, p, summary';
    for (const host of document.querySelectorAll('dprnn-player, dprnn-blind-test')) {
        for (const part of host.shadowRoot.querySelectorAll(texts)) {
            if (!part.textContent.trim()) continue;
            const layers = behind(part), back = bright(paint(layers));
            const front = bright(paint([...layers, getComputedStyle(part).color]));
            found[part.textContent] = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
        }
    }
    return found;
}"""


class Page:
    """A page with one component, and what a visitor does on it."""

    def __init__(self, page, folder):
        self.page, self.folder, self.problems, self.asked = page, folder, [], []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on(
            "request",
            lambda r: self.asked.append(r.url) if not r.url.startswith(("data:", "file:")) else None,
        )

    def show(self, html: str, element: str = "dprnn-player") -> None:
        path = self.folder / "page.html"
        path.write_text(f"<!doctype html><meta charset='utf-8'><body>{html}</body>", encoding="utf-8")
        self.page.goto(path.as_uri())
        self.page.wait_for_function(f"document.querySelector('{element}').shadowRoot")

    def state(self, name: str):
        return self.page.evaluate(f"document.querySelector('dprnn-player, dprnn-blind-test').{name}")

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name).click()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, condition: str) -> None:
        """Until a condition on the element, ``e``, holds."""
        self.page.wait_for_function(
            f"(e => {condition})(document.querySelector('dprnn-player, dprnn-blind-test'))", timeout=60_000
        )


@pytest.fixture(scope="module")
def tab(browser, tmp_path_factory):
    """A tab for all tests of this file: a page of its own for each would take most of their time."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    shown = Page(page, tmp_path_factory.mktemp("page"))
    yield shown
    page.close()
    assert not shown.asked, "the page asked another host"
    assert not shown.problems, shown.problems


THREE = {"mixture": tone(), "output 1": tone(0.25), "output 2": tone(0.5, math.pi / 2)}


def test_it_plays_and_a_switch_keeps_the_time(tab):
    tab.show(compare_html(THREE))
    assert tab.state("position") == 0
    tab.click("Play")
    tab.wait("e.position > 0.1")
    kept = tab.page.evaluate("""() => {
        const e = document.querySelector('dprnn-player'), graph = e.graph;
        const place = () => e.position - graph.context.currentTime;  // constant while the sound goes on
        const before = place();
        e.choose(1);
        return [before, place(), e.graph === graph];
    }""")
    assert abs(kept[1] - kept[0]) < 0.020
    assert kept[2]  # nothing stopped, nothing started
    tab.wait(
        "Math.abs(e.graph.nodes[1].gain.gain.value - e.gains()[1]) < 0.01 && e.graph.nodes[0].gain.gain.value < 0.01"
    )
    heads = tab.page.evaluate(
        "[...document.querySelector('dprnn-player').shadowRoot.querySelectorAll('.head')].map(h => h.style.left)"
    )
    assert len(set(heads)) == 1 and float(heads[0].rstrip("%")) > 100 * 0.1 / SECONDS
    tab.click("Pause")
    assert not tab.state("playing") and tab.state("position") > 0.1


@pytest.mark.parametrize("phase", [0.0, math.pi / 2], ids=["equal sounds", "other phase"])
def test_a_switch_has_no_gap_and_no_jump(tab, phase):
    tab.show(compare_html({"a": tone(), "b": tone(phase=phase)}))
    heard = torch.tensor(tab.page.evaluate(RENDER, {"rate": RATE, "seconds": 2, "matched": False}))
    heard = heard[RATE // 20 :]  # behind the fade at the start
    steepest = float(tone().diff().abs().max())
    assert float(heard.diff().abs().max()) < 1.6 * steepest
    levels = heard.unfold(0, RATE // 50, RATE // 50).square().mean(-1).sqrt() / (
        0.5 / math.sqrt(2)
    )  # of 20 ms
    assert float(levels.min()) > (0.99 if phase == 0 else 0.7)
    assert float(levels.max()) < 1.01


def test_matched_levels_are_equal_and_the_others_as_they_are(tab):
    speech = tone() * (torch.arange(SECONDS * RATE) % RATE < RATE // 2)  # with pauses: half of it is active
    tab.show(
        compare_html({"loud": tone(0.8), "quiet": tone(0.02), "with pauses": speech, "silent": 0 * tone()})
    )
    matched, plain = (
        tab.page.evaluate(
            f"(e => dprnnSound.gainsOf(e.tracks, {flag}).map((g, i) => g / e.tracks[i].scale * e.tracks[i].rms))"
            "(document.querySelector('dprnn-player'))"
        )
        for flag in ("true", "false")
    )
    assert 20 * math.log10(max(matched[:3]) / min(matched[:3])) < 0.5
    assert matched[3] == plain[3] == 0
    assert plain[:3] == pytest.approx([a / math.sqrt(2) for a in (0.8, 0.02, 0.5)], rel=0.02)
    tab.click("Match levels")
    text = tab.page.locator("dprnn-player .level").all_inner_texts()
    assert text[3] == "silent" and text[1].startswith("+")


def test_what_exceeds_full_scale_turns_all_down_and_nothing_clips(tab):
    tab.show(compare_html({"over": tone(2.0), "half": tone(0.5)}))
    heard = torch.tensor(tab.page.evaluate(RENDER, {"rate": RATE, "seconds": 2, "matched": False}))
    over, half = heard[1000:4000].abs().max(), heard[4300:6000].abs().max()
    assert float(over) == pytest.approx(1.0, abs=0.01)
    assert float(over / half) == pytest.approx(4.0, rel=0.01)
    assert "All are played 6.0 dB down" in tab.page.inner_text("dprnn-player .note")


def test_a_selection_loops_and_returns(tab):
    tab.show(compare_html(THREE))
    view = tab.page.locator("dprnn-player .view").first.bounding_box()
    x, y = view["x"], view["y"] + 20
    tab.page.mouse.click(x + view["width"] / 2, y)
    assert tab.state("position") == pytest.approx(SECONDS / 2, abs=0.05)
    tab.page.mouse.move(x + view["width"] * 0.5, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + view["width"] * 0.55, y, steps=3)
    tab.page.mouse.move(x + view["width"] * 0.6, y, steps=3)
    tab.page.mouse.up()
    assert tab.state("looping")
    assert tab.state("selection") == pytest.approx([1.5, 1.8], abs=0.05)
    tab.press("Space")
    tab.wait("(window.past ??= 0, e.position > 1.7 && (window.past = 1), window.past && e.position < 1.6)")
    assert tab.state("playing")
    tab.press("Escape")
    assert tab.state("selection") is None and tab.state("playing") and not tab.state("looping")


def test_the_seam_of_a_loop_has_no_click(tab):
    tab.show(compare_html({"a": tone(hertz=210), "b": tone(hertz=210)}))
    heard = torch.tensor(
        tab.page.evaluate(RENDER, {"rate": RATE, "seconds": 2, "matched": False, "loop": 3211})
    )
    assert float(heard.diff().abs().max()) < 1.6 * float(tone(hertz=210).diff().abs().max())


def test_every_key(tab):
    tab.show(compare_html(THREE))
    tab.page.locator("dprnn-player [role=radio]").first.focus()
    steps = [
        ("2", "active", 1), ("ArrowDown", "active", 2), ("ArrowDown", "active", 0), ("ArrowUp", "active", 2),
        ("b", "active", 0), ("b", "active", 2), ("9", "active", 2),
        ("ArrowRight", "position", 0.25), ("Shift+ArrowRight", "position", 1.25), ("ArrowLeft", "position", 1.0),
        ("[", "selection", [1.0, 3.0]), ("Escape", "selection", None), ("Home", "position", 0),
        ("l", "looping", True), ("l", "looping", False), ("m", "matched", True), ("m", "matched", False),
        ("Space", "playing", True), ("Space", "playing", False),
    ]  # fmt: skip
    for key, name, value in steps:
        tab.press(key)
        assert tab.state(name) == value, key
    focused = "document.querySelector('dprnn-player').shadowRoot.activeElement.textContent"
    assert "output 2" in tab.page.evaluate(focused)  # the focus follows the track
    assert (
        tab.page.evaluate(
            "getComputedStyle(document.querySelector('dprnn-player').shadowRoot.activeElement).outlineStyle"
        )
        == "solid"
    )
    names = tab.page.evaluate("""[...document.querySelector('dprnn-player').shadowRoot.children]
        .flatMap(part => [...part.querySelectorAll('button, input, canvas')])
        .map(part => part.getAttribute('aria-label') || part.textContent.trim())""")
    assert len(names) >= 11
    assert all(names)


def test_a_key_that_is_held_down_counts_once(tab):
    """The keyboard repeats it: a trial would be answered that nobody has heard."""
    tab.show(blind_test_html(tone(), tone(0.5, 0.1), trials=5, seed=3), "dprnn-blind-test")
    tab.page.evaluate("document.querySelector('dprnn-blind-test').focusTrack()")
    for _ in range(3):
        tab.page.keyboard.down("1")  # the second and third are repeats
    tab.page.keyboard.up("1")
    assert tab.state("given") == [0]
    for _ in range(3):
        tab.page.keyboard.down("ArrowRight")
    tab.page.keyboard.up("ArrowRight")
    assert tab.state("position") == 0.75


def test_it_fits_a_phone_and_falls_silent_when_it_goes(tab):
    tab.page.set_viewport_size({"width": 390, "height": 800})
    try:
        tab.show(compare_html({f"a long name of sound {i}": tone() for i in range(4)}, columns=4))
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
        lefts = tab.page.evaluate(
            "[...document.querySelector('dprnn-player').shadowRoot.querySelectorAll('.panel')].map(p => p.offsetLeft)"
        )
        assert len(lefts) == 4 and len(set(lefts)) == 1  # one below another
        tab.click("Play")
        gone = tab.page.evaluate("""() => {
            const e = document.querySelector('dprnn-player'), playing = e.playing;
            e.remove();
            return [playing, e.playing];
        }""")
        assert gone == [True, False]
    finally:
        tab.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_themes(tab, width, scheme):
    """With ``DPRNN_LAB_SCREENSHOTS`` set it also leaves a picture of both components there."""
    back, front = {"light": ("#fff", "#111"), "dark": ("#111", "#eee")}[scheme]
    style = f"<style>body{{background:{back};color:{front};margin:12px}}</style>"
    tab.page.set_viewport_size({"width": width, "height": 900})
    try:
        sounds = speech()
        both = [sounds["voice 1"], sounds["voice 1, a tenth of the other in it"]]
        tab.show(style + compare_html(sounds) + "<p></p>" + blind_test_html(*both, seed=1))
        tab.page.wait_for_function("document.querySelector('dprnn-blind-test').shadowRoot")
        tab.page.locator("dprnn-player [role=radio]").nth(1).click()
        tab.page.locator("dprnn-player .view").first.click(position={"x": 120, "y": 30})
        if folder := os.environ.get("DPRNN_LAB_SCREENSHOTS"):
            tab.page.screenshot(path=f"{folder}/player-{width}-{scheme}.png", full_page=True)
        contrasts = tab.page.evaluate(CONTRASTS)
        assert len(contrasts) > 15
        assert {name: value for name, value in contrasts.items() if value < 4.5} == {}
    finally:
        tab.page.set_viewport_size({"width": 1280, "height": 900})


def test_one_player_of_a_page_sounds_at_a_time(tab):
    tab.show(compare_html({"a": tone()}) + compare_html({"b": tone()}, view="wave"))
    tab.page.wait_for_function("[...document.querySelectorAll('dprnn-player')].every(e => e.shadowRoot)")
    for number in (0, 1):
        tab.page.locator("dprnn-player").nth(number).get_by_role("button", name="Play").click()
    playing = tab.page.evaluate("[...document.querySelectorAll('dprnn-player')].map(e => e.playing)")
    assert playing == [False, True]


def test_without_scripts_there_are_plain_players_and_the_picture(browser, tmp_path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    path = tmp_path / "plain.html"
    path.write_text(compare_html(THREE, picture=b"\x89PNG", alt="three sounds"), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.locator("audio").count() == 3
    assert all(page.locator("audio").nth(i).is_visible() for i in range(3))
    assert page.get_by_alt_text("three sounds").count() == 1
    context.close()


def test_the_interval_is_scipys(tab):
    tab.show(blind_test_html(tone(), tone(0.4), trials=4, seed=1), "dprnn-blind-test")
    cases = [(k, n) for n in (1, 2, 10, 25, 400) for k in sorted({0, 1, n // 3, n // 2, (4 * n) // 5, n})]
    found = tab.page.evaluate(
        """cases => { const T = customElements.get('dprnn-blind-test');
            return cases.map(([k, n]) => [...T.interval(k, n), T.guessing(k, n)]); }""",
        cases,
    )
    for (k, n), (low, high, p) in zip(cases, found, strict=True):
        test = scipy.stats.binomtest(k, n, 0.5, alternative="two-sided")
        interval = test.proportion_ci(0.95, method="exact")
        assert (low, high) == pytest.approx((interval.low, interval.high), abs=1e-6), (k, n)
        assert p == pytest.approx(scipy.stats.binomtest(k, n, 0.5, alternative="greater").pvalue, rel=1e-6)
    assert tab.page.evaluate("customElements.get('dprnn-blind-test').verdict(7, 10)").startswith(
        "7 of 10 right, 95 % Clopper-Pearson interval 0.35 to 0.93; chance is 0.50; p = 0.172"
    )


def test_a_blind_test_counts_and_tells_only_at_the_end(tab):
    html = blind_test_html(tone(), tone(0.4), trials=4, seed=7, names=("the first", "the second"))
    tab.show(html, "dprnn-blind-test")
    order = tab.state("order")
    levels = tab.page.evaluate(
        "(e => e.gains().map((g, i) => g * e.tracks[i].rms))(document.querySelector('dprnn-blind-test'))"
    )
    assert levels == pytest.approx([levels[0]] * 3, rel=1e-3)  # matched, X too
    tab.page.locator("dprnn-blind-test [role=radio]").first.focus()
    for key, index in (("x", 2), ("b", 1), ("a", 0)):
        tab.press(key)
        assert tab.state("active") == index
    tab.press("Space")
    assert tab.state("playing")
    text = tab.page.inner_text("dprnn-blind-test .test")
    for trial, hidden in enumerate(order):
        assert f"Trial {trial + 1} of 4" in text and "right" not in text
        x = tab.page.evaluate("(e => e.tracks[2].stored === e.tracks[e.order[e.given.length]].stored)"
                              "(document.querySelector('dprnn-blind-test'))")  # fmt: skip
        assert x
        answer = hidden if trial else 1 - hidden  # the first one wrong
        tab.press("12"[answer])
        text = tab.page.inner_text("dprnn-blind-test .test")
    assert "3 of 4 right" in text and "Levels are matched" in text
    tab.press("1")  # nothing more is counted
    assert len(tab.state("given")) == 4
    tab.show(html, "dprnn-blind-test")
    assert tab.state("order") == order  # a seed repeats it
    tab.show(blind_test_html(tone(), tone(0.4), trials=200, seed=8), "dprnn-blind-test")
    assert 60 < sum(tab.state("order")) < 140


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"b": tone()}, "a and b are the same samples"),
        ({"b": tone()[:-1]}, "their lengths would tell them apart"),
        ({"b": tone() * math.nan}, "b has NaN or infinite samples"),
        ({"a": torch.zeros(2, 8000)}, "a has shape [2, 8000]"),
        ({"b": tone() + 1e-7}, "the same at 16 bits"),
        ({"a": "a.wav"}, "a is str and no samples"),
        ({"names": ("one",)}, "names is ('one',): give two, of a and of b"),
        ({"names": "AB"}, "names is 'AB': give two"),
        ({"trials": 0}, "trials is 0: give a whole number from 1 to 1000"),
        ({"seed": -1}, "seed is -1"),
        ({"sample_rate": 0}, "sample_rate is 0"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else None,
)
def test_a_blind_test_refuses(change, says):
    arguments = {"a": tone(), "b": tone(0.4)} | change
    with pytest.raises(ValueError) as caught:
        blind_test_html(arguments.pop("a"), arguments.pop("b"), **arguments)
    assert says in str(caught.value)


SAVED = "saved.ipynb"
LIVE = "live.ipynb"
ELEMENT = "document.querySelector('dprnn-player')"


def write_notebook(path, source: str, outputs: list, kernel: bool) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=1 if outputs else None)]
    )
    if kernel:
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@pytest.mark.slow
def test_a_saved_notebook_plays_without_a_kernel(student):
    """First untrusted, where no script runs; then trusted, as somebody does it in JupyterLab."""
    page, folder = student.page, student.lab.folder
    html = compare_html(THREE, picture=(ROOT / "docs/pictures/live.png").read_bytes(), alt="three sounds")
    saved = nbformat.v4.new_output("display_data", data={"text/html": html, "text/plain": "sounds"})
    write_notebook(folder / SAVED, "listen(sounds)", [saved], kernel=False)
    with student.watched("saved"):
        page.goto(student.lab.notebook(SAVED))
        page.wait_for_selector(".jp-Notebook", timeout=60_000)
        page.wait_for_selector(".jp-Dialog select", timeout=60_000)  # it asks which kernel
        page.locator(".jp-Dialog select").select_option(label="No Kernel")
        page.locator(ACCEPT).click()
        page.wait_for_selector(".jp-OutputArea audio", state="attached")
        assert page.evaluate(f"!{ELEMENT}?.shadowRoot")
        assert page.get_by_alt_text("three sounds").is_visible()
        assert all(page.locator(".jp-OutputArea audio").nth(i).is_visible() for i in range(3))
        page.keyboard.press("Control+Shift+c")
        page.wait_for_selector(".lm-CommandPalette input", state="visible")
        page.keyboard.type("trust notebook")
        page.wait_for_selector(".lm-CommandPalette-item.lm-mod-active >> text=Trust")
        page.keyboard.press("Enter")
        page.locator(ACCEPT).click()
        page.wait_for_function(f"{ELEMENT}?.shadowRoot", timeout=20_000)
        page.get_by_role("button", name="Play").click()
        page.wait_for_function(f"{ELEMENT}.position > 0.2")
        for key in ("2", "m"):  # in a notebook they make a heading, and a cell of text
            page.keyboard.press(key)
        assert page.evaluate(f"[{ELEMENT}.active, {ELEMENT}.matched, {ELEMENT}.playing]") == [1, True, True]
        page.keyboard.press("Space")
        assert page.evaluate(f"!{ELEMENT}.playing")
        assert page.locator(".jp-CodeCell").count() == 1


@pytest.mark.slow
def test_an_explorer_plays_and_a_redraw_stops_the_old_sound(student):
    source = (
        "import torch\nfrom dprnn_lab.explorers.levels import LevelExplorer\n"
        "explorer = LevelExplorer(torch.rand(24000) - 0.5, torch.rand(24000) - 0.5)\nexplorer"
    )
    page = student.page
    write_notebook(student.lab.folder / LIVE, source, [], kernel=True)
    with student.watched("live"):
        student.run_all(LIVE, 180)
        page.wait_for_function(f"{ELEMENT}?.shadowRoot", timeout=30_000)
        page.get_by_role("button", name="Play").click()
        page.wait_for_function(f"{ELEMENT}.position > 0.1")
        page.evaluate(f"window.old = {ELEMENT}")
        page.locator(".widget-text input").first.fill("20")
        page.keyboard.press("Enter")
        page.wait_for_function(f"{ELEMENT} !== window.old && {ELEMENT}?.shadowRoot", timeout=20_000)
        assert page.evaluate("[old.playing, old.isConnected]") == [False, False]
