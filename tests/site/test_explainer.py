"""The live page in a real browser: the same numbers as PyTorch, quick answers, keyboard, own files, a phone."""

import base64
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dprnn_lab import load_model, pairwise_neg_sisdr
from dprnn_lab.loss import si_sdr
from dprnn_lab.model.dual_path import chunk_count, segment

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-3  # of a tensor's peak
# A tensor of the page as a list of numbers is slow to pass on: base64 of its bytes is not.
BYTES = """name => { const d = explainer.tensors[name].data;
    const b = new Uint8Array(d.buffer, d.byteOffset, d.byteLength); let s = '';
    for (let i = 0; i < b.length; i += 32768) s += String.fromCharCode(...b.subarray(i, i + 32768));
    return [explainer.tensors[name].dims, btoa(s)]; }"""


@pytest.fixture(scope="module")
def with_tensors():
    """PyTorch's model that returns the same tensors."""
    sys.path.insert(0, str(ROOT / "docs" / "explainer"))
    try:
        from export_tensors import WithTensors
    finally:
        sys.path.pop(0)
    return WithTensors(load_model("small").eval())


@pytest.fixture
def live(site, visitor):
    """The page, opened as a file."""
    visitor.page.goto((site / "_static" / "explainer" / "index.html").as_uri())
    visitor.page.wait_for_function("window.explainer?.fold")
    return visitor


def separate(visitor) -> None:
    visitor.page.click("#run")
    visitor.page.wait_for_function(
        "window.explainer.tensors || /did not run/.test(document.querySelector('#state').innerText)",
        timeout=180_000,
    )
    assert "did not run" not in visitor.page.inner_text("#state"), visitor.page.inner_text("#state")


def samples(visitor) -> torch.Tensor:
    return torch.tensor(visitor.page.evaluate("Array.from(explainer.mixture)"), dtype=torch.float32)


def tensor(visitor, name: str) -> np.ndarray:
    dims, text = visitor.page.evaluate(BYTES, name)
    return np.frombuffer(base64.b64decode(text), dtype=np.float32).reshape(dims)


@pytest.mark.parametrize("choice", range(4))
def test_every_tensor_equals_pytorchs(live, with_tensors, choice):
    live.page.locator("#choices button").nth(choice).click()
    separate(live)
    with torch.no_grad():
        expected = with_tensors(samples(live)[None])
    assert live.page.evaluate("Object.keys(explainer.tensors).length") == len(with_tensors.names)
    for name, ours in zip(with_tensors.names, expected, strict=True):
        theirs = tensor(live, name)
        assert theirs.shape == tuple(ours.shape), name
        difference = float(np.abs(theirs - ours.numpy()).max() / ours.abs().max())
        assert difference <= TOLERANCE, f"{name}: {difference:.1e}"


def test_the_gain_it_states_is_ours(live):
    separate(live)
    estimates = torch.from_numpy(tensor(live, "estimates").copy())
    references = torch.tensor(live.page.evaluate("explainer.references.map(r => Array.from(r))"))
    pairs = -pairwise_neg_sisdr(estimates, references[None])[0]  # [estimate, reference], dB
    order = [0, 1] if pairs[0, 0] + pairs[1, 1] >= pairs[0, 1] + pairs[1, 0] else [1, 0]
    titles = live.page.locator("#outputs h3").all_inner_texts()
    for number, title in enumerate(titles):
        target = references[order[number]]
        gain = float(si_sdr(estimates[0, number], target) - si_sdr(samples(live), target))
        assert abs(float(title.split("SI-SDRi ")[1].split()[0]) - gain) < 0.06
    assert len(titles) == 2


def player(visitor):
    """Separate, and wait for the comparing player."""
    separate(visitor)
    visitor.page.wait_for_function(
        "document.querySelector('#player dprnn-player')?.shadowRoot", timeout=30_000
    )
    return visitor.page.locator("#player dprnn-player")


def test_mixture_and_outputs_are_heard_under_one_play_head(live):
    page, heard = live.page, player(live)
    tracks = heard.evaluate("e => e.tracks.map(t => [t.name, Array.from(t.stored, v => v * t.scale)])")
    assert [name for name, _ in tracks] == ["Mixture", "Output 1", "Output 2"]
    expected = [samples(live), *torch.from_numpy(tensor(live, "estimates").copy())[0]]
    for (_, played), signal in zip(tracks, expected, strict=True):
        step = max(1.0, float(signal.abs().max())) / 32767  # of 16 bits
        assert torch.allclose(torch.tensor(played), signal, atol=2 * step, rtol=0)

    heard.evaluate("e => e.setLoop(true)")  # a slow machine shall not reach the end
    heard.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('dprnn-player').position > 0.1")
    heard.evaluate("e => { window.graph = e.graph; }")
    page.keyboard.press("3")
    state = heard.evaluate("e => [e.active, e.playing, e.graph === window.graph]")
    assert state == [2, True, True], "a switch stops nothing and starts nothing"
    page.wait_for_function(
        """() => { const e = document.querySelector('dprnn-player'), g = e.graph.nodes.map(n => n.gain.gain.value);
        return g[0] < 0.01 && g[1] < 0.01 && Math.abs(g[2] - e.gains()[2]) < 0.01; }"""
    )
    page.keyboard.press("ArrowUp")
    assert heard.evaluate("e => [e.active, e.playing]") == [1, True]
    page.keyboard.press(" ")
    assert not heard.evaluate("e => e.playing")


def test_the_players_of_the_page_stop_each_other(live):
    page, heard = live.page, player(live)
    page.evaluate("document.querySelector('#mixture-sound').loop = true")
    heard.evaluate("e => e.setLoop(true)")
    page.evaluate("document.querySelector('#mixture-sound').play()")
    heard.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('#mixture-sound').paused")
    assert heard.evaluate("e => e.playing")
    page.evaluate("document.querySelector('#mixture-sound').play()")
    page.wait_for_function("!document.querySelector('dprnn-player').playing")
    heard.get_by_role("button", name="Play").click()
    page.evaluate("window.old = document.querySelector('dprnn-player')")
    page.locator("#choices button").nth(1).click()
    assert page.evaluate("[window.old.playing, document.querySelector('dprnn-player')]") == [False, None]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_player_fits_and_the_keyboard_reaches_it(live, width):
    page = live.page
    page.set_viewport_size({"width": width, "height": 900})
    heard = player(live)
    page.locator("#step").focus()
    names = []
    for _ in range(12):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.shadowRoot?.activeElement?.textContent?.trim() || ''")
        )
    assert any("Play" in name for name in names) and any("Mixture" in name for name in names)
    boxes = [heard.get_by_role("radio").nth(i).bounding_box() for i in range(3)]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    beside = len({round(box["y"]) for box in boxes}) == 1
    assert beside == (width > 600), "side by side on a desk, one below the other on a phone"
    assert heard.evaluate("e => e.tracks.every(t => t.canvas.getBoundingClientRect().width > 100)")
    live.picture(f"explainer_player_{width}")


@pytest.mark.parametrize("size", [4, 64, 250, 500])
def test_chunks_equal_segment_and_answer_quickly(live, size):
    live.page.evaluate(
        """size => { const s = document.querySelector('#size'); s.value = size;
        s.dispatchEvent(new Event('input')); }""",
        size,
    )
    levels = torch.tensor(live.page.evaluate("Array.from(explainer.levels)"))
    fold = live.page.evaluate("({...explainer.fold, chunks: Array.from(explainer.fold.chunks)})")
    expected = segment(levels[None, :, None], size, size // 2)[0, :, :, 0]
    assert fold["C"] == chunk_count(len(levels), size, size // 2) == len(expected)
    assert torch.allclose(torch.tensor(fold["chunks"]).view_as(expected), expected, atol=1e-6)
    fastest = min(
        live.page.evaluate(
            "() => { document.querySelector('#size').dispatchEvent(new Event('input')); "
            "return explainer.foldMilliseconds; }"
        )
        for _ in range(5)
    )
    assert fastest < 100


def test_the_keyboard_reaches_everything(live):
    live.page.locator("#choices button").first.focus()
    reached = []
    for _ in range(30):  # a player has several stops inside
        reached.append(live.page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        live.page.keyboard.press("Tab")
    assert {"file", "record", "size", "chunk", "run"} <= set(reached)
    live.page.locator("#size").focus()
    live.page.keyboard.press("ArrowRight")
    assert live.page.evaluate("explainer.fold.K") == 66
    live.page.locator("#run").focus()
    live.page.keyboard.press("Enter")
    live.page.wait_for_function("window.explainer.tensors", timeout=180_000)
    live.page.locator("#steps [aria-selected=true]").focus()
    titles = []
    for _ in range(live.page.locator("#steps button").count()):
        titles.append(live.page.inner_text("#step-title"))
        live.page.keyboard.press("ArrowRight")
    assert titles[0] == "Encoder" and titles[-1] == "Decoder" and len(set(titles)) == len(titles)


def test_everything_that_takes_input_or_shows_something_has_a_name(live):
    player(live)
    nameless = live.page.evaluate(
        """() => [document, ...[...document.querySelectorAll('dprnn-player')].map(e => e.shadowRoot || e)].flatMap(
            root => [...root.querySelectorAll('button, input, canvas, audio')]).filter(e =>
            !(e.getAttribute('aria-label') || e.innerText || (e.labels && e.labels.length))).map(e => e.outerHTML)"""
    )
    assert nameless == []


def test_a_file_of_another_rate_is_taken_and_a_broken_one_is_refused_in_one_sentence(live, tmp_path):
    time = np.arange(44100) / 44100
    stereo = np.stack([np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 660 * time)], axis=1) * 0.3
    soundfile.write(tmp_path / "tones.wav", stereo, 44100)
    live.page.set_input_files("#file", tmp_path / "tones.wav")
    live.page.wait_for_function("document.querySelector('#chosen').innerText.startsWith('tones.wav')")
    heard = samples(live)
    assert len(heard) == 32000
    assert float(heard[:7900].abs().max()) > 0.1 and float(heard[8100:].abs().max()) < 1e-3
    spectrum = torch.fft.rfft(heard[:8000]).abs()
    assert set(spectrum.topk(2).indices.tolist()) == {440, 660}

    (tmp_path / "broken.wav").write_bytes(b"not a sound")
    live.page.set_input_files("#file", tmp_path / "broken.wav")
    live.page.wait_for_function("document.querySelector('#chosen').innerText.startsWith('broken.wav')")
    assert "can't decode" in live.page.inner_text("#chosen")
    assert torch.equal(samples(live), heard)


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_it_records_from_the_microphone_and_separates(site, server, speaker, scheme):
    home = site.as_uri() if scheme == "file" else server
    speaker.page.goto(f"{home}/_static/explainer/index.html")
    speaker.page.wait_for_function("window.explainer?.fold")
    before = samples(speaker)
    speaker.page.click("#record")
    speaker.page.wait_for_function(
        "/^(Your recording|No recording)/.test(document.querySelector('#chosen').innerText)", timeout=60_000
    )
    assert speaker.page.inner_text("#chosen").startswith("Your recording"), speaker.page.inner_text("#chosen")
    heard = samples(speaker)
    assert len(heard) == 32000 and not torch.equal(heard, before)
    assert float(heard.abs().max()) > 0.01  # the beeps
    separate(speaker)
    assert np.isfinite(tensor(speaker, "estimates")).all()
    assert "SI-SDRi" not in speaker.page.inner_text("#outputs")  # no references, no score


def test_it_computes_in_a_worker_from_a_file_and_answers_meanwhile(live):
    live.page.evaluate("window.ticks = 0; window.ticking = setInterval(() => window.ticks++, 20)")
    live.page.evaluate("Network.prepare().then(() => null)")
    assert live.page.evaluate("Network.place") == "worker"
    ticks = live.page.evaluate(
        "async () => { const before = ticks; await Network.run(explainer.mixture); return ticks - before; }"
    )
    assert ticks >= 3


def test_where_a_worker_fails_it_computes_in_the_page(site, visitor):
    visitor.page.add_init_script(
        "window.Worker = class { constructor() { throw new Error('no workers here'); } }"
    )
    visitor.page.goto((site / "_static" / "explainer" / "index.html").as_uri())
    visitor.page.wait_for_function("window.explainer?.fold")
    separate(visitor)
    assert "no workers here" in visitor.page.evaluate("Network.place")


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_screen_and_shows_all_steps(live, width):
    live.page.set_viewport_size({"width": width, "height": 900})
    separate(live)
    assert live.page.evaluate("document.documentElement.scrollWidth") <= width
    live.picture(f"explainer_top_{width}")
    for number in range(live.page.locator("#steps button").count()):
        live.page.locator("#steps button").nth(number).click()
        colours = live.page.evaluate(
            """() => { const c = document.querySelector('#pictures canvas');
            const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            return new Set(new Uint32Array(pixels.buffer)).size; }"""
        )
        assert colours > 1, number
        assert live.page.evaluate("document.documentElement.scrollWidth") <= width
    live.page.locator("#steps button").nth(2).click()
    live.page.locator("#walk").scroll_into_view_if_needed()
    live.page.evaluate("document.querySelector('#walk').scrollIntoView()")
    live.picture(f"explainer_walk_{width}")
    live.page.evaluate("document.querySelector('#result').scrollIntoView()")
    live.page.wait_for_timeout(500)
    live.picture(f"explainer_result_{width}")


def test_the_course_page_shows_it_in_a_frame(site, visitor):
    visitor.page.goto((site / "live.html").as_uri())
    frame = visitor.page.frame_locator("iframe")
    assert "C = 65 chunks" in frame.locator("#plan").inner_text(timeout=30_000)


def test_picture_for_the_readme(live):
    separate(live)
    live.page.locator("#steps button").nth(2).click()
    live.page.evaluate("document.querySelector('#walk').scrollIntoView()")
    live.page.wait_for_timeout(500)
    live.picture("explainer", colours=64)
