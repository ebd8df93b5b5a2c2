"""The PIT explorer: the path and its losses against answers worked out by hand, and the widget itself."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from dprnn_lab.explorers.permutation_path import judge_estimates, morph, order_name, stage, trace_path
from dprnn_lab.explorers.permutations import PITExplorer, draw_path, draw_state
from dprnn_lab.loss import PITLossWrapper, multisrc_neg_sisdr, pairwise_neg_sisdr


@pytest.fixture
def tones() -> torch.Tensor:
    """Two tones of equal level, orthogonal over each half of the 0.5 s: [2, 4000]."""
    time = torch.arange(4000) / 8000
    return 0.1 * torch.stack((torch.sin(2 * torch.pi * 200 * time), torch.sin(2 * torch.pi * 360 * time)))


@pytest.fixture
def explorer(tones) -> PITExplorer:
    return PITExplorer({"tones": tones, "swapped tones": tones.flip(0)})


# ---------------------------------------------------------------- the path


def test_the_ends_and_the_middle_of_the_path(tones):
    assert torch.equal(morph(tones, 0), tones)
    assert torch.equal(morph(tones, 1), tones.flip(0))
    assert torch.equal(morph(tones, 2), tones.mean(0).expand(2, -1))
    half = morph(tones, 0.5)
    assert torch.equal(half[:, :2000], tones.flip(0)[:, :2000])
    assert torch.equal(half[:, 2000:], tones[:, 2000:])
    assert torch.allclose(morph(tones, 1.5), (tones.flip(0) + tones.mean(0)) / 2)


def test_noise_has_the_level_asked_for_and_follows_the_seed(tones):
    noise = morph(tones, 0, noise_db=-10, seed=3) - tones
    level = 10 * torch.log10(noise.square().mean(-1) / tones.square().mean(-1))
    assert torch.allclose(level, torch.tensor(-10.0), atol=0.3)
    assert torch.equal(morph(tones, 0, -10, 3), morph(tones, 0, -10, 3))
    assert not torch.equal(morph(tones, 0, -10, 3), morph(tones, 0, -10, 4))


@pytest.mark.parametrize("position", [-0.1, 2.1, math.nan])
def test_a_position_off_the_path_is_an_error(tones, position):
    with pytest.raises(ValueError, match=r"position is .*: it runs from 0"):
        morph(tones, position)


@pytest.mark.parametrize("shape", [(3, 100), (100,), (1, 2, 100)])
def test_the_path_wants_two_sources(shape):
    with pytest.raises(ValueError, match="sources have shape"):
        morph(torch.zeros(shape), 0)


# ---------------------------------------------------------------- the losses


def test_orthogonal_tones_at_the_known_points(tones):
    collapsed = judge_estimates(morph(tones, 2), tones)
    assert torch.allclose(
        collapsed.matrix, torch.zeros(2, 2), atol=0.01
    )  # as much of one voice as of the other
    assert collapsed.correlation == pytest.approx(1)
    # Half of each voice in each output: the projection keeps 1/4 of the energy, 3/4 is error.
    half = judge_estimates(morph(tones, 0.5), tones)
    assert torch.allclose(half.matrix, torch.tensor(10 * math.log10(3)), atol=0.05)
    assert abs(half.correlation) < 0.01
    swapped = judge_estimates(morph(tones, 1, noise_db=-20), tones)
    assert swapped.orders[swapped.chosen] == (1, 0)
    assert swapped.pit == pytest.approx(-20, abs=0.3)
    assert swapped.fixed > 20


def test_the_numbers_are_those_of_the_loss_module(tones):
    estimates = morph(tones, 1.3, noise_db=-15)
    state = judge_estimates(estimates, tones)
    assert state.pit == pytest.approx(
        float(PITLossWrapper(pairwise_neg_sisdr)(estimates[None], tones[None])), abs=1e-4
    )
    assert state.fixed == pytest.approx(float(multisrc_neg_sisdr(estimates[None], tones[None])), abs=1e-4)
    assert state.average == pytest.approx(float(state.matrix.mean()), abs=1e-4)


def test_three_sources_in_a_cycle():
    sources = torch.randn(3, 2000, generator=torch.Generator().manual_seed(0))
    state = judge_estimates(sources[[1, 2, 0]], sources)
    assert len(state.orders) == 6
    assert state.orders[state.chosen] == (2, 0, 1)  # target 0 is matched by estimate 2


@pytest.mark.parametrize(("first", "second"), [((2, 9), (2, 8)), ((1, 9), (1, 9)), ((1, 2, 9), (1, 2, 9))])
def test_shapes_that_cannot_be_judged(first, second):
    with pytest.raises(ValueError, match="estimates have shape"):
        judge_estimates(torch.ones(first), torch.ones(second))


def test_silent_estimates_give_numbers():
    state = judge_estimates(torch.zeros(2, 100), torch.randn(2, 100))
    assert state.pit == 80
    assert state.correlation == 0


def test_along_the_path_pit_is_never_above_the_others(tones):
    positions = [0, 0.25, 0.5, 0.75, 1, 1.5, 2]
    states = trace_path(tones, positions, noise_db=-20)
    assert all(s.pit <= min(s.fixed, s.average) for s in states)
    assert states[0].pit == pytest.approx(states[4].pit, abs=0.5)  # right or swapped: PIT doesn't mind
    assert max(states, key=lambda s: s.pit) is states[2]
    assert states[6].average < states[0].average  # without PIT the collapse beats the right answer


@pytest.mark.parametrize(
    ("position", "words"),
    [(0, "right order"), (0.5, "2.00 s"), (1, "start to end"), (1.25, "25 %"), (2, "collapsed")],
)
def test_stages_in_words(position, words):
    assert words in stage(position, seconds=4)


def test_order_in_words():
    assert order_name((2, 0, 1)) == "estimates 3, 1, 2"


# ---------------------------------------------------------------- pictures and widget


def test_the_pictures_say_what_the_state_says(tones):
    estimates = morph(tones, 1, -20)
    state = judge_estimates(estimates, tones)
    figure = draw_state(state, estimates, tones)
    texts = [t.get_text() for axes in figure.axes for t in (*axes.texts, *axes.get_yticklabels())]
    assert f"{float(state.matrix[0, 1]):.1f}" in texts
    assert "estimates 2, 1\n= PIT" in texts
    twin = draw_path([0, 1, 2], trace_path(tones, [0, 1, 2], -20))
    assert [line.get_label() for line in twin.axes[0].lines[:3]] == [
        "fixed order",
        "mean over both orders",
        "PIT",
    ]
    plt.close("all")


def test_too_few_samples_to_draw(tones):
    short = tones[:, :100]
    with pytest.raises(ValueError, match="too few to draw"):
        draw_state(judge_estimates(short, short), short, short)
    plt.close("all")


def test_the_widget_follows_its_controls(explorer):
    assert "pit-readout" in explorer.readout._dom_classes
    assert "right order" in explorer.readout.value
    assert "<b>estimates 1, 2</b>" in explorer.readout.value
    before = explorer.picture.value
    explorer.position.value = 1.0
    assert "<b>estimates 2, 1</b>" in explorer.readout.value
    assert explorer.picture.value != before
    assert explorer.state.pit == pytest.approx(-20, abs=0.3)
    explorer.noise.value = 0
    assert explorer.state.pit == pytest.approx(0, abs=0.3)
    explorer.position.value = 2.0
    assert "collapsed" in explorer.readout.value
    explorer.position.value = 0.25
    assert "0.12 s" in explorer.readout.value  # a quarter of 0.5 s


def test_another_mixture(explorer):
    first = explorer.estimates
    explorer.mixture.value = "swapped tones"
    assert not torch.equal(explorer.estimates, first)
    assert explorer.state.orders[explorer.state.chosen] == (0, 1)


def test_the_number_box_moves_the_slider(explorer):
    row = explorer.children[0].children[1]
    box, slider = row.children
    assert box.description == "position" and slider is explorer.position
    box.value = 1.0
    assert explorer.position.value == 1.0
    assert "swapped" in explorer.readout.value


def test_players_come_on_the_button_and_go_with_the_next_move(explorer):
    assert "<audio" not in explorer.players.value
    explorer.listen.click()
    assert explorer.players.value.count("<audio") == 2
    explorer.position.value = 0.5
    assert "<audio" not in explorer.players.value


def test_no_figure_stays_open(explorer):
    explorer.position.value = 0.75
    assert not plt.get_fignums()


def test_no_mixtures_is_an_error():
    with pytest.raises(ValueError, match="mixtures is empty"):
        PITExplorer({})
