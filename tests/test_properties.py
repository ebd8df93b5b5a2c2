"""Properties that hold for every valid size, rate and configuration; hypothesis draws the examples, always the same."""

import itertools
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dprnn_lab import DPRNNTasNet
from dprnn_lab.audio import AudioError, read_audio, resample, to_mono
from dprnn_lab.checkpoint.asteroid import from_asteroid, to_asteroid
from dprnn_lab.model import dual_path
from dprnn_lab.separation.audio_stream import AudioStream
from dprnn_lab.separation.windows import overlap_add, windows_for

RATES = (6000, 8000, 8100, 11025, 12000, 16000, 22050, 44100, 48000)  # Hz


def bounded(examples):
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Chunks


@bounded(80)
@given(
    frames=st.integers(0, 60),
    features=st.integers(1, 3),
    chunk_size=st.integers(1, 20),
    hop_size=st.integers(1, 20),
)
@example(frames=11, features=2, chunk_size=7, hop_size=3)  # 2 or 3 chunks per frame
def test_overlap_add_sums_each_frame_over_the_chunks_that_hold_it(frames, features, chunk_size, hop_size):
    assume(hop_size <= chunk_size)
    x = noise(2, frames, features)
    chunks = dual_path.segment(x, chunk_size, hop_size)
    assert chunks.shape == (2, dual_path.chunk_count(frames, chunk_size, hop_size), chunk_size, features)
    places = range(
        chunk_size, chunk_size + frames
    )  # in the padded sequence, where chunk i starts at i * hop_size
    times = torch.tensor([p // hop_size - (p - chunk_size) // hop_size for p in places])
    assert all(int(t) in (chunk_size // hop_size, -(-chunk_size // hop_size)) for t in times)
    back = dual_path.overlap_add(chunks, frames, hop_size)
    torch.testing.assert_close(back, x * times.reshape(1, -1, 1), atol=1e-5, rtol=1e-5)


# Windows


@st.composite
def plans(draw):
    rate = draw(st.integers(4, 50))  # Hz: short windows, so that an example takes a millisecond
    samples, window = draw(st.integers(1, 600)), draw(st.one_of(st.none(), st.floats(1, 8)))
    return samples, window, windows_for(SimpleNamespace(sample_rate=rate), samples, window)


@bounded(150)
@given(plans())
def test_windows_cover_all_samples_and_overlap_by_a_quarter(case):
    samples, window, plan = case
    assert plan[0][0] == 0
    assert plan[-1][1] == samples
    lengths = {stop - start for start, stop in plan}
    assert len(lengths) == 1
    assert window is not None or len(plan) == 1
    for (begin, end), (start, _) in itertools.pairwise(plan):
        assert begin < start <= end - lengths.copy().pop() // 4


@bounded(100)
@given(plans(), st.integers(1, 3), st.integers(0, 1000))
def test_windows_of_a_signal_in_any_order_are_joined_to_the_signal(case, sources, seed):
    samples, _, plan = case
    signal = noise(sources, samples, seed=seed)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(sources).tolist() for _ in plan]
    parts = [signal[np.argsort(order), start:stop] for (start, stop), order in zip(plan, orders, strict=True)]
    joined = torch.cat(list(overlap_add(parts, plan, orders)), dim=1)
    torch.testing.assert_close(joined, signal, atol=1e-6, rtol=1e-6)


@bounded(100)
@given(plans(), st.integers(0, 1000))
def test_the_cross_fade_stays_between_the_windows(case, seed):
    samples, _, plan = case
    parts = [noise(1, stop - start, seed=seed + k) for k, (start, stop) in enumerate(plan)]
    low, high = torch.full((samples,), torch.inf), torch.full((samples,), -torch.inf)
    for part, (start, stop) in zip(parts, plan, strict=True):
        low[start:stop] = torch.minimum(low[start:stop], part[0])
        high[start:stop] = torch.maximum(high[start:stop], part[0])
    joined = torch.cat(list(overlap_add(parts, plan, [(0,)] * len(plan))), dim=1)[0]
    assert joined.shape == (samples,)
    assert (joined >= low - 1e-6).all()
    assert (joined <= high + 1e-6).all()


@bounded(50)
@given(st.floats(max_value=1, exclude_max=True) | st.sampled_from([float("nan"), float("inf")]))
def test_windows_under_a_second_are_refused(window):
    with pytest.raises(AudioError, match="give 1 second or more"):
        windows_for(SimpleNamespace(sample_rate=8000), 100, window)


# Files in parts


@st.composite
def recordings(draw):
    """Rate, frames, channels and mono mode of a file, the rate wanted, and some parts of it as fractions."""
    rate, wanted = draw(st.sampled_from(RATES)), draw(st.sampled_from((8000, 16000)))
    channels = draw(st.integers(1, 2))
    mode = draw(st.sampled_from(("mean", "left", "right"))) if channels > 1 else None
    parts = draw(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
    return rate, wanted, draw(st.integers(1, 4000)), channels, mode, parts


@bounded(80)
@given(recordings())
def test_any_part_of_a_file_equals_that_part_of_the_whole(case):
    rate, wanted, frames, channels, mode, parts = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        soundfile.write(path, noise(frames, channels).numpy() / 8, rate, subtype="FLOAT")
        samples = read_audio(path)[0]
        whole = resample(to_mono(samples, mode) if mode else samples[0], rate, wanted)
        stream = AudioStream(path, wanted, mono=mode, resample=True)
        assert stream.samples == len(whole)
        for part in parts:
            start, stop = sorted(round(x * len(whole)) for x in part)
            torch.testing.assert_close(stream.read(start, stop), whole[start:stop], atol=1e-6, rtol=0)


# Asteroid's names


@bounded(40)
@given(
    st.fixed_dictionaries({
        "n_src": st.integers(1, 3),
        "norm_type": st.sampled_from(("gLN", "cLN", "fgLN", "bN")),
        "mask_act": st.sampled_from(("sigmoid", "relu", "softmax", "prelu")),
        "rnn_type": st.sampled_from(("LSTM", "GRU", "RNN")),
        "bidirectional": st.booleans(),
        "num_layers": st.integers(1, 2),
        "use_mulcat": st.booleans(),
        "n_repeats": st.integers(1, 3),
        "encoder_activation": st.sampled_from((None, "relu", "prelu")),
        "fb_name": st.sampled_from(("free", "stft", "analytic_free", "param_sinc")),
    })
)  # fmt: skip
def test_weights_survive_the_conversion_to_asteroid_and_back(options):
    ours = DPRNNTasNet(bn_chan=6, hid_size=4, chunk_size=10, n_filters=16, **options).state_dict()
    theirs = to_asteroid(ours)
    back = from_asteroid(theirs)
    assert len(theirs) == len(ours)
    assert back.keys() == ours.keys()
    assert all(back[name].shape == ours[name].shape and torch.equal(back[name], ours[name]) for name in ours)
