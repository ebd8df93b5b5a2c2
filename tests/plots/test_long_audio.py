from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dprnn_lab.plots import long_audio

TALK = SimpleNamespace(
    speakers=("carlo", "allison"), mixture=torch.zeros(80000),
    turns=[SimpleNamespace(speaker=0, start=0, stop=40000), SimpleNamespace(speaker=1, start=32000, stop=80000)],
)  # fmt: skip


def test_the_last_point_is_apart_from_the_fit():
    (axes,) = long_audio.memory_line([1, 2, 4], [3.0, 5.0, 9.0], a=1.0, b=2.0).axes
    line, fitted, last = axes.lines
    assert list(line.get_ydata()) == [1, 9]
    assert list(fitted.get_xdata()) == [1, 2]
    assert list(last.get_xdata()) == [4]


def test_a_jump_breaks_a_signal_where_it_is():
    signal = torch.randn(1, 1000, generator=torch.Generator().manual_seed(0)) / 100
    signal[:, 500:] += 1
    at, elsewhere = long_audio.break_strength(signal, [500, 700])[0].tolist()
    assert at > 1000
    assert elsewhere < 10


def test_breaks_have_a_row_each_and_the_worst_seam_both_errors():
    (axes,) = long_audio.seam_breaks({"hard": torch.tensor([1.0, 20.0]), "fade": torch.tensor([1.0])}).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["hard", "fade"]
    assert axes.get_xscale() == "log"
    hard = torch.arange(1000.0)
    (axes,) = long_audio.worst_seam(hard, -hard, seam=500, around=10).axes
    assert list(axes.lines[0].get_ydata()) == list(range(490, 510))
    assert axes.lines[0].get_xdata()[10] == 0


def test_turns_are_drawn_in_seconds_and_overlaps_grey():
    (axes,) = long_audio.turns_and_overlaps(TALK, [(0, 48000), (40000, 80000)]).axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches[:2]]
    assert bars == [(0, 5), (4, 6)]
    assert axes.get_xlim() == (0, 10)
    assert len(axes.patches) == 3  # one overlap


@pytest.mark.parametrize("gain", [1.0, -0.5])
def test_the_true_order_ignores_gain_and_polarity(gain):
    sources = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    assert long_audio.true_order(gain * sources.flip(0), sources) == (1, 0)
    assert long_audio.true_order(gain * sources, sources) == (0, 1)


def test_the_true_order_is_judged_where_both_speak():
    sources = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    sources[1, :3000] = 0
    outputs = sources.clone()
    outputs[:, :3000] = 10 * sources[:, :3000].flip(0)  # the lone voice is loud in the other output
    assert long_audio.true_order(outputs, sources) == (0, 1)


def test_frames_mark_the_true_continuation():
    evidence = {3: np.eye(2), 5: np.zeros((2, 2))}
    figure = long_audio.overlap_matrices(evidence, {3: [0, 1], 5: [1, 0]}, ["both talk", "a pause"])
    assert [axes.get_title() for axes in figure.axes] == ["seam 3: both talk", "seam 5: a pause"]
    places = [[tuple(np.round(patch.get_xy()).astype(int)) for patch in axes.patches] for axes in figure.axes]
    assert places == [[(0, 0), (1, 1)], [(1, 0), (0, 1)]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["+1.00", "+0.00", "+0.00", "+1.00"]


def test_profiles_of_one_frame_are_left_out():
    frames = [torch.randn(5, 13), torch.randn(1, 13)]
    truth = {4: (0, 1), 5: (1, 0)}
    (axes,) = long_audio.profile_lines({4: frames, 5: frames}, truth, TALK.speakers).axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["window 4, output 1 (carlo)", "window 5, output 1 (allison)"]
    assert axes.get_title() == "profiles on both sides of seam 4"


def test_profiles_are_drawn_about_their_mean_in_standard_deviations():
    """On the scale of the coefficients the first one would hide all others."""
    low, high = torch.randn(2000, 13) - 1, torch.randn(2000, 13) + 1
    frames = [torch.cat((100 * f[:, :1], f[:, 1:]), 1) for f in (low, high)]
    (axes,) = long_audio.profile_lines({0: frames}, [(0, 1)], TALK.speakers).axes
    first, second = (line.get_ydata() for line in axes.lines[:2])
    assert first == pytest.approx(
        [-(0.5**0.5)] * 13, abs=0.1
    )  # 1 under the mean, of a standard deviation of √2
    assert second == pytest.approx([0.5**0.5] * 13, abs=0.1)


def test_a_seam_after_which_the_order_changes_wrongly_is_orange():
    truth = [(0, 1)] * 4
    tracked = {
        "overlap": SimpleNamespace(orders=[(0, 1), (1, 0), (1, 0), (1, 0)], margins=[0.1, 1.0, 1.0]),
        "profiles": SimpleNamespace(orders=truth, margins=[5.0, 50.0, 90.0]),
    }
    figure = long_audio.seam_margins(tracked, truth, both=[True, True, True, False])
    colours = [plt.matplotlib.colors.to_hex(bar.get_facecolor()) for bar in figure.axes[0].patches]
    assert colours == [long_audio.ORANGE.lower(), long_audio.BLUE.lower(), "#bbbbbb"]
    assert figure.axes[0].get_title() == "overlap: 1 of 3 windows swapped"
    assert figure.axes[1].get_title() == "profiles: 0 of 3 windows swapped"
    assert figure.axes[1].get_yscale() == "symlog"


def test_a_line_of_swaps_has_all_counts():
    swaps = SimpleNamespace(count=2, seconds=5.0, of_seconds=37.5, lone_seconds=11.0, of_lone_seconds=33.0)
    assert long_audio.swap_line("overlap", swaps) == (
        "overlap   2 passages swapped,  5.0 of 37.5 s with both voices; "
        "lone voices in the other's output for 11.0 of 33.0 s"
    )
