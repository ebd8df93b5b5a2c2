"""A visitor's own recordings: conversions are said, mixtures of two are scored, every bad file gets a sentence."""

import datetime
import io

import numpy as np
import pytest
import soundfile
import torch

from dprnn_lab import load_model
from dprnn_lab.audio import AudioError
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.explorers.own_recording import OwnRecording, separate_recordings


def encoded(samples, rate=8000, kind="WAV", subtype=None):
    """Samples ``[T]`` or ``[T, channels]`` as the bytes of a file."""
    with io.BytesIO() as file:
        soundfile.write(file, np.asarray(samples), rate, format=kind, subtype=subtype)
        return file.getvalue()


@pytest.fixture(scope="module")
def people():
    """A mixture ``[T]`` and its two sources ``[2, T]``."""
    return FixedMixtures("unseen", kind="new man-woman")[5][:2]


@pytest.fixture(scope="module")
def small():
    return load_model("small")


def test_one_recording_is_separated_and_not_scored(people, small):
    mixture, _ = people
    separated = separate_recordings({"talk.wav": encoded(mixture)}, small)
    assert separated.estimates.shape == (2, len(mixture))
    assert separated.references is None and separated.improvement is None
    assert separated.changes == []
    assert len(separated.report.findings) > 20


def test_two_recordings_are_mixed_and_scored_in_their_order(people, small):
    _, sources = people
    files = {"a.flac": encoded(sources[0], kind="FLAC"), "b.wav": encoded(2 * sources[1][:24000])}
    separated = separate_recordings(files, small)
    assert separated.mixture.shape == (24000,)
    assert torch.equal(separated.references.sum(0), separated.mixture)
    levels = separated.references.square().mean(-1).sqrt().tolist()
    assert levels[0] == pytest.approx(levels[1], rel=1e-3)
    turned = separate_recordings(dict(reversed(files.items())), small)
    assert turned.improvement.flip(0).tolist() == pytest.approx(separated.improvement.tolist(), abs=0.3)
    assert separated.changes == ["Both were mixed at equal levels over 3.0 s, as long as the shorter one."]


def test_conversions_are_said(people, small):
    stereo = np.repeat(np.stack([people[0]] * 2, 1), 2, axis=0)  # 16 kHz
    separated = separate_recordings({"phone.ogg": encoded(stereo, 16000, "OGG")}, small, mono="left")
    assert separated.changes == [
        "phone.ogg: 2 channels became one (left).",
        "phone.ogg: converted from 16000 Hz to the 8000 Hz of the network; what lies above 4 kHz is gone.",
    ]
    assert separated.estimates.shape[-1] == len(people[0])


NOISE = 0.1 * np.random.default_rng(0).standard_normal(16000)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "0 files: give one recording of two people"),
        (dict.fromkeys("abc", encoded(NOISE)), "3 files: give one"),
        ({"notes.txt": b"hello"}, "notes.txt"),
        ({"talk.m4a": b"\0\0\0 ftypM4A " + bytes(3000)}, "talk.m4a"),
        ({"empty.wav": b""}, "empty.wav"),
        ({"none.wav": encoded(np.zeros(0))}, "none.wav"),
        ({"mute.wav": encoded(np.zeros(16000))}, "mute.wav is silent"),
        ({"bad.wav": encoded(np.r_[NOISE, np.nan], subtype="FLOAT")}, "bad.wav"),
        ({"long.wav": encoded(np.zeros(121 * 8000))}, "long.wav lasts 121 s, at most 120 s here"),
        ({"a.wav": encoded(NOISE), "b.wav": encoded(NOISE[:400])}, "b.wav has 0.05 s"),
        (
            {"a.wav": encoded(NOISE), "b.wav": encoded(np.r_[np.zeros(16000), NOISE])},
            "b.wav is silent in its first",
        ),
    ],
)
def test_every_bad_file_gets_its_sentence(files, sentence, small):
    with pytest.raises(AudioError, match=sentence) as caught:
        separate_recordings(files, small)
    assert "/tmp" not in str(caught.value) and "recording.wav" not in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(small):
    with pytest.raises(AudioError, match="has 51 MB, at most 50 MB here"):
        separate_recordings({"huge.wav": bytes(51_000_000)}, small)


# The widget


def uploaded(*files):
    """What the browser sends for ``(name, content)``."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return tuple(
        {"name": n, "type": "", "size": len(c), "last_modified": now, "content": memoryview(c)}
        for n, c in files
    )


def test_the_widget_separates_what_was_chosen_and_recovers_from_a_bad_file(people, small):
    page = OwnRecording({"small": small})
    assert page.go.disabled and "widget" in repr(page)
    page.upload.value = uploaded(("a.txt", b"hello"))
    assert not page.go.disabled and "a.txt" in page.readout.value
    page.go.click()
    assert "a.txt" in page.readout.value and page.separated is None and not page.players.value
    page.upload.value = uploaded(("a.wav", encoded(people[1][0])), ("b.wav", encoded(people[1][1])))
    page.go.click()
    mean = float(page.separated.improvement.mean())
    assert f"SI-SDRi {mean:.1f} dB" in page.readout.value
    assert page.players.value.count("<audio") == 3
    assert bytes(page.picture.value).startswith(b"\x89PNG") and page.picture.layout.display == ""
    assert "diagnose" in page.report.value
    assert not page.go.disabled


def test_names_are_shown_and_never_run(small):
    page = OwnRecording({"small": small})
    page.upload.value = uploaded(("<img src=x onerror=alert(1)>.wav", b"x"))
    assert "<img" not in page.readout.value
    page.go.click()
    assert "<img" not in page.readout.value


def test_a_network_of_three_sources_is_refused(tiny):
    with pytest.raises(ValueError, match="each of two sources"):
        OwnRecording({"three": tiny(n_src=3)})
