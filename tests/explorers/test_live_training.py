from dataclasses import replace

import pandas as pd
import pytest
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.diagnosis.healthy_runs import SIZES, HealthyRuns, read_healthy_runs
from dprnn_lab.explorers.live_training import LiveTraining, draw, sentence
from dprnn_lab.training import EpochRecord


def record(step, gain, correlation=0.3, silent=0.0, loss=-4.0):
    examples = pd.DataFrame(
        [
            {"id": f"{kind}-{i}", "kind": kind, "si_sdr": g + 0.5, "si_sdr_in": 0.5, "si_sdri": g}
            for kind, g in (("man-woman", gain - 1), ("man-woman", gain + 1), ("woman-woman", 0.0))
            for i in [int(g * 10)]
        ]
    )
    sounds = {examples.id[0]: (torch.randn(800), torch.randn(2, 800), torch.randn(2, 800) * 40)}
    return EpochRecord(
        step=step, epoch=step // 100, minutes=step / 1000, train_loss=loss, valid_loss=-3.0, grad_norm=12.0,
        learning_rate=1e-3, examples_per_second=40.0, silent_share=silent, correlation=correlation,
        examples=examples, sounds=sounds,
    )  # fmt: skip


def test_the_sentence_has_mean_worst_and_progress():
    text = sentence([record(100, 2.0), record(200, 3.5)])
    assert text.startswith(
        "Step 200, 0.2 min: man-woman mixtures improve by 3.5 dB on average (worst 2.5 dB)."
    )
    assert "Since the last validation: +1.5 dB." in text
    assert "alike" not in text
    assert "silent" not in text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"correlation": 0.95}, "outputs are still alike (correlation 0.95)"),
        ({"silent": 0.25}, "25.0 % of the training sources are silent"),
        ({"loss": float("nan")}, "The loss is not a number"),
    ],
)
def test_the_sentence_says_what_is_wrong(state, words):
    assert words in sentence([record(100, 1.0, **state)])


def test_the_sentence_takes_the_kind_that_there_is():
    assert "woman-woman mixtures improve by 0.0 dB" in sentence([record(100, 1.0)], kind="woman-woman")
    assert "man-woman mixtures improve" in sentence([record(100, 1.0)], kind="any")
    for function in (sentence, draw):
        with pytest.raises(ValueError, match="records is empty"):
            function([])


def test_the_picture_has_the_records_in_it():
    figure = draw([record(100, 2.0), record(200, 3.5)])
    loss, gain, histogram, alike, gradient, speed = figure.axes
    assert loss.lines[0].get_ydata().tolist() == [-4.0, -4.0]
    by_kind = {line.get_label(): list(line.get_ydata()) for line in gain.lines if line.get_linestyle() == "-"}
    assert by_kind == {"man-woman": [2.0, 3.5], "woman-woman": [0.0, 0.0]}
    dotted = [list(line.get_ydata()) for line in gain.lines if line.get_linestyle() == ":"]
    assert dotted == [[2.5, 4.0], [0.5, 0.5]]
    assert sum(patch.get_height() for patch in histogram.patches) == 3
    assert alike.lines[0].get_ydata().tolist() == [0.3, 0.3]
    assert gradient.lines[0].get_ydata().tolist() == [12.0, 12.0]
    assert speed.lines[0].get_ydata().tolist() == [40.0, 40.0]


def test_values_outside_the_histogram_are_counted_at_its_ends():
    figure = draw([record(100, -40.0)])
    assert sum(patch.get_height() for patch in figure.axes[2].patches) == 3


def test_the_view_follows_the_run_and_plays_any_step_again():
    live = LiveTraining(live=True)
    live(record(100, 2.0))
    first = live.picture.value
    assert "Step 100" in live.readout.value
    live(record(200, 3.5))
    assert "Step 200" in live.readout.value
    assert live.picture.value != first
    assert live.shown == 1
    assert (live.earlier.disabled, live.later.disabled) == (False, True)
    latest = live.sounds.value
    assert latest.count("<audio") == 3
    assert "At step 200:" in latest
    assert "man-woman: 2.5 dB" in latest
    live.earlier.click()
    assert "At step 100:" in live.sounds.value
    assert "man-woman: 1.0 dB" in live.sounds.value
    assert (live.earlier.disabled, live.later.disabled) == (True, False)
    live.later.click()
    assert live.sounds.value.startswith("<p>At step 200:")


def test_without_a_notebook_it_prints_a_line(capsys):
    live = LiveTraining()
    assert live.live is False
    live(record(100, 2.0))
    assert capsys.readouterr().out.startswith("step 100  ")
    assert live.picture.value == b""
    assert len(live.records) == 1


def healthy():
    """Three healthy runs: about 1 dB at step 100, 2 dB at step 200."""
    return HealthyRuns("class", pd.DataFrame([
        {"seed": seed, "step": step, "train_loss": -step / 100, "grad_norm": 3.0 + seed, "seconds": step / 10,
         "si_sdri_man-woman": step / 100 + 0.1 * seed}
        for seed in range(3) for step in (100, 200)
    ]))  # fmt: skip


def test_the_band_of_healthy_runs_is_drawn_behind_the_run():
    records = [record(100, 1.0), record(200, 2.0)]
    plain, over = draw(records).axes, draw(records, healthy()).axes
    loss, gain, _, _, gradient, _ = over
    for before, after in zip(plain, over, strict=True):
        assert len(after.collections) - len(before.collections) == (after in (loss, gain, gradient))
    low = gain.collections[0].get_paths()[0].vertices[:, 1]
    assert (low.min(), low.max()) == pytest.approx((1.0, 2.2))


def test_the_sentence_says_where_the_run_lies():
    inside = sentence([record(100, 1.0), record(200, 2.1)], healthy=healthy())
    assert "Healthy runs have 2.0 to 2.2 dB for man-woman by step 200." in inside
    assert "behind" not in inside
    assert "behind them" in sentence([record(100, 0.0), record(200, 0.1)], healthy=healthy())
    assert "behind" not in sentence([record(100, 1.0), record(200, 0.1)], healthy=healthy()), "one bad one"
    assert "Healthy runs" not in sentence([record(10, 0.0)], healthy=healthy())


def test_the_live_view_takes_the_name_of_a_size():
    live = LiveTraining(live=True, healthy="class")
    live(record(100, 0.5))
    assert "Healthy runs have" in live.readout.value
    with pytest.raises(ValueError, match="size is 'medium'"):
        LiveTraining(healthy="medium")


def test_healthy_runs_of_another_network_are_not_shown():
    healthy = read_healthy_runs("class")
    own = dict(DPRNNTasNet(**SIZES["class"]["model"]).config)
    records = [replace(record(step, 0.1), network=own) for step in (100, 200)]
    assert "Healthy runs have" in sentence(records, healthy=healthy)
    assert draw(records, healthy).axes[0].collections
    wide = [replace(r, network=own | {"hid_size": 128}) for r in records]
    text = sentence(wide, healthy=healthy)
    assert "another network (hid_size is 128 and not 64), which learns at another speed: not shown" in text
    assert "Healthy runs have" not in text
    assert not draw(wide, healthy).axes[0].collections
