"""The same network at another sample rate."""

import pytest
import torch

from dprnn_lab import load_model
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation import evaluate
from dprnn_lab.model.growing import at_sample_rate


@pytest.mark.parametrize(("rate", "loss"), [(16000, 0.3), (12000, 0.3), (4000, 2.0)])
def test_the_bundled_model_separates_at_another_rate(rate, loss):
    """As well as at 8 kHz, unlike the unchanged model; at 4 kHz half of the band is lost."""
    model = load_model("six-voices/small")  # it separates these voices best
    here = evaluate(model, FixedMixtures("valid", kind="man-woman", limit=4))["si_sdri"].mean()
    mixtures = FixedMixtures("valid", kind="man-woman", limit=4, sample_rate=rate)
    table = evaluate({"moved": at_sample_rate(model, rate), "as it is": model}, mixtures)
    there = table.groupby("system")["si_sdri"].mean()
    assert abs(there["moved"] - here) < loss
    assert there["as it is"] < here - 3


def test_sizes_follow_the_rate_and_the_separator_stays(tiny):
    model = tiny(kernel_size=16, stride=8)
    moved = at_sample_rate(model, 12000)
    assert (moved.config["kernel_size"], moved.config["stride"], moved.sample_rate) == (24, 12, 12000)
    old, new = model.state_dict(), moved.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old if not name.endswith("coder.filters"))
    frames = model.encoder(torch.zeros(1, 8000)).shape[-1]
    assert moved.encoder(torch.zeros(1, 12000)).shape[-1] == frames


def test_what_cannot_be_moved(tiny):
    with pytest.raises(ValueError, match=r"kernel_size 16 at 8000 Hz is 22\.05 samples"):
        at_sample_rate(tiny(kernel_size=16, stride=8), 11025)
    with pytest.raises(ValueError, match="'stft': only learned filters"):
        at_sample_rate(tiny(fb_name="stft", n_filters=16), 16000)
