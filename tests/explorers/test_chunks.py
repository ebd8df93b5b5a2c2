"""The chunk explorer of notebook 02: arithmetic by hand, pictures, controls, and measured cost."""

import re

import numpy as np
import pytest
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.evaluation.forward_cost import ForwardCost, forward_work, measure_forward, peak_of_events
from dprnn_lab.explorers import chunks
from dprnn_lab.explorers.chunk_plan import describe, draw_plan, frame_indices, longest_path, plan_chunks
from dprnn_lab.explorers.chunks import ChunkExplorer
from dprnn_lab.model.dual_path import segment

CONFIG = DPRNNTasNet(
    n_repeats=2, bn_chan=12, hid_size=8, n_filters=10, kernel_size=16, stride=8, chunk_size=40
).config


@pytest.fixture
def explorer():
    return ChunkExplorer(torch.randn(16000), CONFIG)


# ---------------------------------------------------------------- arithmetic


def test_the_plan_of_ten_frames_by_hand():
    # 44 samples: frames start at 0, 4, ..., 36. Padded by 4 at each end: chunks start at 0, 2, ..., 14.
    plan = plan_chunks(44, 8000, kernel_size=8, stride=4, chunk_size=4, hop_size=2)
    assert (plan.frames, plan.chunks, plan.longest, plan.coverage) == (10, 8, 8, (2, 2))
    assert plan.padding == pytest.approx(12 / 32)  # 8 chunks of 4 cells hold each of the 10 frames twice
    assert plan.chunk_seconds == pytest.approx(20 / 8000)
    assert plan.hop_seconds == pytest.approx(8 / 8000)
    assert plan.best == 4


@pytest.mark.parametrize(
    ("frames", "chunk", "hop"), [(10, 4, 2), (10, 4, 1), (11, 5, 3), (3, 8, 8), (1, 2, 1)]
)
def test_frame_indices_are_where_segment_puts_the_frames(frames, chunk, hop):
    numbered = torch.arange(1.0, frames + 1).view(1, frames, 1)
    cells = segment(numbered, chunk, hop)[0, :, :, 0].numpy().astype(int) - 1
    np.testing.assert_array_equal(frame_indices(frames, chunk, hop), cells)


def test_an_uneven_hop_is_described():
    plan = plan_chunks(8000, 8000, 16, 8, chunk_size=5, hop_size=2)
    assert plan.coverage == (2, 3)
    assert "uneven gain" in describe(plan, 64)


@pytest.mark.parametrize("frames", [300, 1999, 31999])
def test_no_chunk_size_has_a_much_shorter_path_than_the_root(frames):
    best = min(longest_path(frames, k) for k in range(2, 600, 2))
    assert longest_path(frames, plan_chunks(frames * 8 + 8, 8000, 16, 8, 4, 2).best) <= 1.1 * best + 2


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 8000, 16, 8, 4, 2), "samples is 0"),
        ((8000, 8000, 16, 8, 0, 1), "chunk_size is 0"),
        ((8000, 8000, 16, 8, 4, 5), "hop_size is 5, larger than chunk_size 4"),
        ((8000, 8000, 16, 17, 4, 2), "stride is 17, larger than kernel_size 16"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        plan_chunks(*sizes)


@pytest.mark.parametrize(("chunk", "hop"), [(2, 1), (2, 2), (64, 32), (512, 3), (7, 3)])
def test_every_plan_can_be_drawn(chunk, hop):
    plan = plan_chunks(2000, 8000, 16, 8, chunk, hop)
    figure = draw_plan(plan, torch.zeros(2000), 64)
    assert len(figure.axes) == 3
    figure.canvas.draw()


# ---------------------------------------------------------------- cost


def test_peak_of_events():
    assert peak_of_events([]) == 0
    assert peak_of_events([10, 20, -10, 15, -35]) == 35


def test_a_measured_pass_holds_at_least_its_largest_tensors():
    samples = 8000
    double = {**CONFIG, "hop_size": 10}
    half_overlap, again, quarter = measure_forward([CONFIG, CONFIG, double], samples)
    assert again.peak_bytes == half_overlap.peak_bytes  # to the byte
    plan = plan_chunks(samples, 8000, 16, 8, 40, 20)
    cells = 4 * plan.chunks * plan.chunk_size  # bytes of one feature
    # The RNN's output of both directions, and its input, are there at one time; a copy or two may be as well.
    least = cells * (2 * CONFIG["hid_size"] + CONFIG["bn_chan"])
    assert least < half_overlap.peak_bytes < 6 * least
    assert 1.6 < quarter.peak_bytes / half_overlap.peak_bytes < 2.2  # twice the chunks
    assert half_overlap.seconds > 0
    assert half_overlap.runs >= 1


def test_work_grows_with_blocks_and_overlap():
    work = forward_work(CONFIG, 8000)
    assert forward_work({**CONFIG, "n_repeats": 4}, 8000) == 2 * work
    assert 1.9 < forward_work({**CONFIG, "hop_size": 10}, 8000) / work < 2.1


def test_what_costs_too_much_is_refused_before_it_runs():
    with pytest.raises(ValueError, match=r"billion multiply-adds, the limit is .* shorter duration"):
        measure_forward([CONFIG], 8000, limit=1e6)
    with pytest.raises(ValueError, match="samples is 0"):
        measure_forward([CONFIG], 0)


def test_a_failed_child_process_is_an_error():
    with pytest.raises(RuntimeError, match="n_src is 0"):
        measure_forward([{**CONFIG, "n_src": 0}], 800)


# ---------------------------------------------------------------- widget


def test_the_explorer_starts_at_the_models_sizes(explorer):
    assert (explorer.chunk.value, explorer.hop.value) == (40, 20)
    assert (explorer.kernel.value, explorer.stride.value) == (16, 8)
    assert explorer.plan.samples == 16000
    assert "L = 1999 frames" in explorer.readout.value
    assert "chunk-readout" in explorer.readout._dom_classes


def test_a_slider_changes_readout_and_picture(explorer):
    text, picture = explorer.readout.value, explorer.picture.value
    explorer.chunk.value = 64
    assert explorer.chunk_box.value == 64
    assert explorer.hop.value == 32
    assert "[C, K, F] = [65, 64, 12]" in explorer.readout.value
    assert (explorer.readout.value, explorer.picture.value) != (text, picture)
    assert bytes(explorer.picture.value).startswith(b"\x89PNG")


def test_the_boxes_move_the_sliders(explorer):
    explorer.duration_box.value = 1.0
    assert explorer.plan.samples == 8000
    explorer.half_overlap.value = False
    explorer.hop_box.value = 7
    assert explorer.plan.hop_size == 7


def test_hop_never_exceeds_the_chunk(explorer):
    explorer.half_overlap.value = False
    explorer.hop.value = 40
    explorer.chunk.value = 10
    assert explorer.hop.value == explorer.hop.max == explorer.plan.hop_size == 10
    explorer.hop.value = 30
    assert explorer.hop.value == 10
    explorer.half_overlap.value = True
    assert explorer.hop.value == 5
    assert explorer.hop.disabled


def test_every_kernel_offers_strides_without_gaps(explorer):
    for kernel in (2, 64):
        explorer.kernel.value = kernel
        assert explorer.stride.value == kernel // 2
        assert max(explorer.stride.options) == kernel
        for stride in explorer.stride.options:
            explorer.stride.value = stride
            assert (explorer.plan.kernel_size, explorer.plan.stride) == (kernel, stride)


def test_each_change_draws_once(explorer, monkeypatch):
    drawn = []
    draw = chunks.draw_plan
    monkeypatch.setattr(chunks, "draw_plan", lambda *args: drawn.append(args[0]) or draw(*args))
    explorer.chunk.value = 80
    explorer.kernel.value = 64
    explorer.chunk.value = 20
    explorer.half_overlap.value = False
    explorer.chunk.value = 6
    assert [(p.chunk_size, p.hop_size, p.kernel_size, p.stride) for p in drawn] == [
        (80, 40, 16, 8),
        (80, 40, 64, 32),
        (20, 10, 64, 32),
        (20, 10, 64, 32),
        (6, 6, 64, 32),
    ]


def test_measure_says_time_and_memory_and_keeps_a_table(explorer, monkeypatch):
    seen = []

    def measured(configs, samples):
        seen.append((configs[0]["chunk_size"], configs[0]["hop_size"], samples))
        return [ForwardCost(0.0421, 5, 11_000_000)]

    monkeypatch.setattr(chunks, "measure_forward", measured)
    explorer.measure.click()
    explorer.chunk.value = 20
    explorer.measure.click()
    assert seen == [(40, 20, 16000), (20, 10, 16000)]
    assert "42.1 ms and 11 MB (median of 5 runs" in explorer.measured.value
    assert len(re.findall("<tr>", explorer.measured.value)) == 3
    for _ in range(9):
        explorer.measure.click()
    assert len(re.findall("<tr>", explorer.measured.value)) == chunks.TABLE_ROWS + 1
    assert not explorer.measure.disabled


def test_measure_runs_a_real_pass(explorer):
    explorer.duration.value = 0.5
    explorer.measure.click()
    assert re.search(
        r"Measured</b>: K = 40, P = 20 on 0\.5 s takes \S+ ms and \S+ MB", explorer.measured.value
    )


def test_measure_refuses_in_a_sentence(explorer, monkeypatch):
    def refuse(configs, samples):
        raise ValueError("too <much>")

    def fail(configs, samples):
        raise RuntimeError("ended with code 9")

    monkeypatch.setattr(chunks, "measure_forward", refuse)
    explorer.measure.click()
    assert "Not measured</b>: too &lt;much&gt;." in explorer.measured.value
    monkeypatch.setattr(chunks, "measure_forward", fail)
    explorer.measure.click()
    assert "failed</b>: ended with code 9." in explorer.measured.value


def test_the_finest_kernel_over_a_long_recording_is_refused():
    big = ChunkExplorer(torch.zeros(64000), DPRNNTasNet(n_repeats=3, bn_chan=64, hid_size=64).config)
    big.duration.value = 8.0
    big.kernel.value = 2
    big.stride.value = 1
    big.measure.click()
    assert "Not measured" in big.measured.value
    assert "shorter duration" in big.measured.value


@pytest.mark.parametrize("shape", [(2, 16000), (100,)])
def test_a_waveform_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match=r"give one recording \[T\]"):
        ChunkExplorer(torch.zeros(shape), CONFIG)
