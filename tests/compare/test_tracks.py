"""Sounds become HTML that keeps their samples, their levels and their names."""

import base64
import fnmatch
import io
import re
import tomllib
import warnings
from pathlib import Path

import pytest
import soundfile
import torch

from dprnn_lab.audio import to_pcm16
from dprnn_lab.compare import blind_test_html, compare_html
from dprnn_lab.compare.scripts import FILES, script, source
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.plots import comparison

ROOT = Path(__file__).parents[2]
NOISE = torch.rand(8000, generator=torch.Generator().manual_seed(0)) - 0.5


def samples_in(html: str) -> list[torch.Tensor]:
    encoded = re.findall(r"src='data:audio/flac;base64,([^']+)'", html)
    return [torch.tensor(soundfile.read(io.BytesIO(base64.b64decode(e)), dtype="int16")[0]) for e in encoded]


def test_samples_are_those_of_16_bits():
    (found,) = samples_in(compare_html({"noise": NOISE}))
    assert torch.equal(found, (NOISE * 2**15).round().to(torch.int16))


def test_a_sound_over_full_scale_keeps_its_factor_and_a_silent_one_stays_silent():
    html = compare_html({"over": 4 * NOISE / NOISE.abs().max(), "silent": torch.zeros(800)})
    assert re.findall(r"data-scale='([^']+)'", html) == ["4.0"]
    over, silent = samples_in(html)
    assert int(over.int().abs().max()) >= 2**15 - 1
    assert not silent.any()


def test_speech_as_flac_is_smaller_than_as_wav():
    mixture = FixedMixtures("test", kind="man-woman")[1][0]
    html = compare_html({"mixture": mixture}).partition("<script>")[0]
    wav = 4 * (44 + 2 * len(mixture)) / 3
    assert len(html) < 0.8 * wav


@pytest.mark.parametrize("element", FILES)
def test_a_script_is_small_and_loses_only_comments(element):
    assert len(script(element)) < 12_000
    files = [(ROOT / "dprnn_lab" / "compare" / name).read_text() for name in FILES[element]]
    kept = [line.strip() for text in files for line in text.splitlines()]
    assert source(element).splitlines() == [line for line in kept if line and not line.startswith("//")]
    assert "</script" not in source(element)


def test_every_script_is_in_the_wheel():
    package_data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    scripts = [path.relative_to(ROOT / "dprnn_lab").as_posix() for path in (ROOT / "dprnn_lab").rglob("*.js")]
    assert len(scripts) == len({name for files in FILES.values() for name in files})
    assert all(any(fnmatch.fnmatch(path, p) for p in package_data["dprnn_lab"]) for path in scripts)


def test_names_are_text():
    odd = "a <b> 'c' \x1b"
    html = compare_html({odd: NOISE, odd + "2": NOISE / 0}, picture=b"", alt=odd).partition("<script>")[0]
    html += blind_test_html(NOISE, -NOISE, names=(odd, odd)).partition("<script>")[0]
    assert "<b>" not in html and "\x1b" not in html
    assert not re.search(r"<[^>]*'c'[^>]*>", html)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sounds": {}}, "sounds is empty: give at least one name"),
        (
            {"sounds": {"x": torch.zeros(2, 9)}},
            r"x has shape \[2, 9\]: a player takes \[T\] with samples in it",
        ),
        ({"sounds": {"x": torch.zeros(0)}}, "a player takes"),
        ({"sounds": {"x": NOISE[None]}}, r"x has shape \[1, 8000\].*, such as samples\[0\]"),
        ({"sounds": {"x": "x.wav"}}, "x is str and no samples"),
        ({"sounds": {"x": NOISE > 0}}, "x has dtype bool"),
        ({"sounds": [NOISE]}, "sounds is a list: give a dict of names"),
        ({"sounds": {"x": NOISE}, "sample_rate": None}, "sample_rate is None: give a number, in Hz"),
        ({"sounds": {"x": NOISE}, "columns": 0}, "columns is 0: give 1 or more"),
        ({"sounds": {"x": NOISE}, "view": "bars"}, "view is 'bars': choose 'spectrogram' or 'wave'"),
        ({"sounds": {"x": NOISE}, "sample_rate": 0}, "sample_rate is 0 Hz"),
    ],
)
def test_what_can_not_be_shown_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        compare_html(**arguments)
    if "view" not in arguments:
        with pytest.raises(ValueError, match=says):
            comparison(**arguments)


def test_arrays_and_whole_numbers_are_samples_too():
    whole = to_pcm16(NOISE)
    for samples in (
        whole,
        whole.numpy(),
        NOISE.numpy(),
        NOISE.double().numpy(),
        NOISE.clone().requires_grad_(),
    ):
        html = compare_html({"x": samples})
        assert torch.equal(samples_in(html)[0], whole) and "data-scale" not in html


def test_names_are_drawn_as_they_are():
    """A dollar sign begins no formula, a sign that the font lacks gives no warning, a name may be a number."""
    odd = {"$x_{$": NOISE, "from $5 to $6": NOISE, "\u58f0\u97f3": NOISE, "a\x1b": NOISE, 1: NOISE}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        html = comparison(odd)
    assert html.count("<audio") == len(odd) and "aria-label='\u58f0\u97f3'" in html


@pytest.mark.parametrize("rate", [10, 22050.5, 100_000])
@pytest.mark.parametrize("samples", [1, 100])
def test_a_sound_of_any_rate_and_length_has_a_picture(rate, samples):
    assert "data:image/png" in comparison({"x": NOISE[:samples]}, rate)
