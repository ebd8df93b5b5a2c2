"""The checks of single exercises agree with the package and with PyTorch; their inputs are as described."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from exercises import CANT_CHECK, RIGHT, WRONG, nb02, nb03, nb05, nb06, nb08, nb09, nb10, nb12
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import BatchSampler, DistributedSampler

from dprnn_lab import DPRNNTasNet, load_model
from dprnn_lab.checkpoint.names import rename
from dprnn_lab.evaluation import bootstrap_mean, compare
from dprnn_lab.evaluation.statistics import student_mean
from dprnn_lab.model.dual_path import chunk_count, overlap_add, segment
from dprnn_lab.separation.speaker_tracking import track_speakers
from dprnn_lab.separation.windows import overlap_add as join_windows
from dprnn_lab.separation.windows import plan_windows
from dprnn_lab.training import SeparationModule
from dprnn_lab.training.callbacks import moving_average

# 02


def test_the_solutions_segment_and_join_as_the_package_does():
    x = torch.randn(2, 17, 3)
    assert torch.equal(nb02.cut_chunks.right(x, 6, 4), segment(x, 6, 4))
    chunks = torch.randn(2, chunk_count(17, 6, 2), 6, 3)
    torch.testing.assert_close(nb02.join_chunks.right(chunks, 17, 2), overlap_add(chunks, 17, 2))


# 03


def test_a_share_that_is_no_single_number_cannot_be_checked():
    assert nb03.share_failed.judge(torch.zeros(2)).outcome == CANT_CHECK


@pytest.mark.parametrize("matrix", nb03.MATRICES[:2])
def test_the_wrong_ideas_about_pit_differ_clearly_on_the_matrices_of_the_check(matrix):
    known = nb03.pit_loss.known.items()
    values = [float(wrong(matrix)) for name, wrong in known if name != "two orders only"]
    values.append(float(nb03.pit_loss.right(matrix)))
    assert all(abs(a - b) > 0.05 for a, b in itertools.combinations(values, 2)), values


# 05


def test_a_division_by_zero_that_no_zero_argument_explains_is_an_error_of_the_answer():
    assert nb05.rate.judge(lambda step, lr, warmup, cooldown, max_steps: lr / step).outcome == CANT_CHECK


def test_the_learning_rate_of_the_package_is_right():
    def package(step, lr, warmup, cooldown, max_steps):
        model = DPRNNTasNet(
            n_filters=4, kernel_size=4, stride=2, bn_chan=4, hid_size=4, chunk_size=4, n_repeats=1
        )
        module = SeparationModule(model, lr, warmup, cooldown, max_steps)
        return lr * module.learning_rate_factor(step)

    assert nb05.rate.judge(package).outcome == RIGHT


def test_only_a_counter_that_pytorch_refuses_is_taken_for_an_averaged_counter():
    def answer(averaged, current, decay):
        return {name: averaged[name].view(-1, 1000) for name in current}

    assert nb05.average.judge(answer).outcome == CANT_CHECK


def test_the_packages_average_of_a_long_run_is_the_same():
    averaged, current = nb05.weights(counters=False)
    for decay in (0.9, 0.75):
        mean = moving_average(decay)
        wanted = nb05.average.right(averaged, current, decay)
        for name, x in current.items():
            torch.testing.assert_close(mean(averaged[name], x, torch.tensor(10_000)), wanted[name])


def test_pytorch_too_copies_counters():
    def network(start):
        network = torch.nn.BatchNorm1d(3)
        network.num_batches_tracked.fill_(start)
        torch.nn.init.constant_(network.weight, float(start))
        return network

    kept = AveragedModel(network(100), avg_fn=lambda a, c, n: 0.9 * a + 0.1 * c)
    kept.update_parameters(network(100))
    kept.update_parameters(network(117))
    averaged = nb05.average.right(network(100).state_dict(), network(117).state_dict(), 0.9)
    for name, x in kept.module.state_dict().items():
        torch.testing.assert_close(x, averaged[name])


def test_an_answer_that_no_mistake_explains_is_shown_the_simplest_run():
    verdict = nb05.stop.judge(lambda losses, patience: (0, None))
    run = "for the losses [-1.0, -3.0, -5.0, -7.0] and a patience of 2 you return (0, None), expected (3, None)."
    assert run in verdict.hint


def lightning(losses, patience, check_finite=False):
    """Where Lightning's EarlyStopping ends a run."""
    callback = EarlyStopping("loss", patience=patience, check_finite=check_finite, verbose=False)
    callback._check_on_train_epoch_end = False
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn=TrainerFn.FITTING), sanity_checking=False, fast_dev_run=False,
        should_stop=False, current_epoch=0,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
    )  # fmt: skip
    for i, loss in enumerate(losses):
        trainer.callback_metrics = {"loss": torch.tensor(loss)}
        callback.on_validation_end(trainer, None)
        if trainer.should_stop:
            return i + 1
    return None


def test_lightning_ends_the_runs_where_the_exercise_does():
    for losses, patience in nb05.HISTORIES:
        assert lightning(losses, patience) == nb05.stop.right(list(losses), patience)[1]
        ends_at_nan = nb05.stop.known["NaN ends the run"]
        assert lightning(losses, patience, check_finite=True) == ends_at_nan(losses, patience)[1]


def test_the_shares_together_are_the_larger_batch_of_one_process():
    share = nb05.share.right
    for items, world_size, batch in nb05.EPOCHS:
        for step in range(items):
            ranks = [share(items, rank, world_size, batch, step) for rank in range(world_size)]
            together = [i for indices in ranks for i in indices]
            assert sorted(together) == share(items, 0, 1, batch * world_size, step)
            assert len({len(indices) for indices in ranks}) == 1


def test_the_sampler_that_pads_makes_the_mistake_of_that_name():
    for items, world_size, batch in nb05.EPOCHS:
        for rank in range(world_size):
            ranks = DistributedSampler(range(items), world_size, rank, shuffle=False, drop_last=False)
            batches = list(BatchSampler(ranks, batch, drop_last=True))
            padded = nb05.share.known["padded"]
            found = [padded(items, rank, world_size, batch, step) for step in range(len(batches) + 1)]
            assert found == [*batches, []]


# 06


def test_the_package_strips_as_required(tmp_path):
    state = DPRNNTasNet(n_repeats=1, hid_size=4).state_dict()
    named = rename(tmp_path / "x.pth", {f"model.{k}": v for k, v in state.items()})
    assert named.prefix == "model." and named.tensors.keys() == state.keys()


def test_the_recordings_are_of_the_rates_they_were_made_for():
    found = [nb06.true_rate.right(nb06.recording(*band), band[1]) for band in nb06.BANDS]
    assert found == [8000, 8000, 11025, 16000, 48000, 8000, 16000]


def test_nearly_all_energy_of_the_faint_recording_lies_under_4_khz():
    samples = nb06.recording(*nb06.BANDS[-1])
    energy = torch.fft.rfft(samples).abs().square()
    assert energy[: len(energy) // 2].sum() > 0.999 * energy.sum()  # 0 to 4 kHz of 8


# 08


def test_the_interval_is_that_of_the_package():
    one = bootstrap_mean(nb08.SKEWED)
    error = nb08.SKEWED.std() / len(nb08.SKEWED) ** 0.5
    assert nb08.calls(nb08.interval.right).mean(0) == pytest.approx([one.low, one.high], abs=0.1 * error)


def test_the_wrong_intervals_differ_from_the_right_one_and_each_other_on_the_values_of_the_check():
    error = nb08.SKEWED.std() / len(nb08.SKEWED) ** 0.5
    one = bootstrap_mean(nb08.SKEWED)
    intervals = [np.array([one.low, one.high]), *nb08.known_intervals().values()]
    for a, b in itertools.combinations(intervals, 2):
        assert np.abs(a - b).max() > 0.24 * error  # twice the tolerance of the check


def test_paired_and_sign_test_agree_with_compare():
    first, second = nb08.tables()
    row = compare(first.assign(kind="k"), second.assign(kind="k")).iloc[-1]
    mean, _ = nb08.paired.right(first, second)
    assert row["difference"] == pytest.approx(mean)
    difference = second.set_index("id")["si_sdri"] - first.set_index("id")["si_sdri"]
    assert (row["better"], row["worse"], row["p"]) == pytest.approx(
        nb08.sign_test.right(difference.to_numpy())
    )


def test_the_leak_has_the_required_size():
    target, other = torch.randn(2, 5000, generator=torch.Generator().manual_seed(0))
    gain = nb08.leak.right(target, 3 * other, 7.0)
    found = 10 * torch.log10(target.square().sum() / (gain * 3 * other).square().sum())
    assert float(found) == pytest.approx(7, abs=1e-4)


def test_a_table_without_the_column_cannot_be_checked():
    assert nb08.paired.judge(lambda a, b: (a["sdr"].mean(), 0.0)).outcome == CANT_CHECK


def test_the_inputs_of_a_check_are_copies():
    def overwrites(first, second):
        first["si_sdri"] = 0.0
        return 0.0, 0.0

    before = pd.concat(nb08.tables())
    assert nb08.paired.judge(overwrites).outcome == WRONG
    pd.testing.assert_frame_equal(pd.concat(nb08.tables()), before)
    kept = nb08.SKEWED.copy()
    assert nb08.interval.judge(lambda v, rng: (v.sort(), v.mean())[1:] * 2).outcome == WRONG
    assert np.array_equal(nb08.SKEWED, kept)


# 09


def test_the_package_plans_as_many_windows():
    for samples, window, overlap in nb09.LENGTHS:
        if overlap == window // 4:
            assert len(plan_windows(samples, window)) == nb09.window_count.right(samples, window, overlap)


def test_the_fade_of_the_package_is_right():
    def package(first, second, overlap):
        """The package's own fade, over an overlap that is a quarter of the windows."""
        a, b = (x.shape[1] for x in (first, second))
        window = 4 * overlap
        first_window = torch.nn.functional.pad(first, (window - a, 0)).float()
        second_window = torch.nn.functional.pad(second, (0, window - b)).float()
        plan = [(0, window), (window - overlap, 2 * window - overlap)]
        blocks = join_windows([first_window, second_window], plan, [range(len(first))] * 2)
        return torch.cat(list(blocks), 1)[:, window - a : window - overlap + b].double()

    assert nb09.join.judge(package).outcome == RIGHT


def test_the_packages_overlap_method_finds_the_same_orders():
    for previous, following, overlap in nb09.seams():
        a, b = previous.shape[1], following.shape[1]
        plan = [(0, a), (a - overlap, a - overlap + b)]
        orders = track_speakers([previous, following], plan, 8000, "overlap").orders
        assert list(orders[1]) == list(nb09.seam_order.right(previous, following, overlap))


# 10


def test_the_student_interval_of_the_package_is_right():
    def package(runs, base):
        level = 1 - 0.05 / (len(runs) - 1)
        found = {}
        for name in runs.keys() - {base}:
            one = student_mean(
                [runs[name][s] - runs[base][s] for s in runs[base].keys() & runs[name].keys()], level
            )
            verdict = "higher" if one.low > 0 else "lower" if one.high < 0 else "not told apart"
            found[name] = verdict, one.low, one.high
        return found

    assert nb10.verdicts.judge(package).outcome == RIGHT
    assert all(math.isfinite(low) for _, low, _ in package(nb10.SETTINGS, "base").values())


def test_a_change_is_higher_only_until_the_comparisons_are_counted():
    careless = nb10.verdicts.known["comparisons not counted"](nb10.SETTINGS, "base")
    careful = nb10.verdicts.right(nb10.SETTINGS, "base")
    assert careless["deep"][0] == "higher"
    assert careful["deep"][0] == "not told apart"


# 12


def parts_of_the_student():
    """Every part that the notebook assembles, the solutions built upon each other as there."""
    path = nb12.path_rnn.use(...)
    block = nb12.block.use(..., PathRNN=path)
    pieces = {
        "segment": nb12.segmentation.use(...),
        "overlap_add": nb12.joining.use(...),
        "estimate_masks": nb12.mask_values.use(...),
    }
    return nb12.encoder.use(...), nb12.separator.use(..., Block=block, **pieces), nb12.decoder.use(...)


def test_the_parts_assembled_with_the_bundled_weights_give_the_packages_numbers():
    bundled = load_model("small").requires_grad_(False)
    c = bundled.config
    encode, separator, decode = parts_of_the_student()
    mine = separator(c["n_filters"], c["bn_chan"], c["hid_size"], c["chunk_size"], c["n_repeats"], c["n_src"])
    mine.load_state_dict(bundled.separator.state_dict())
    mixture = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        frames = encode(mixture, bundled.encoder.filters, c["stride"])
        masked = mine(frames) * frames.unsqueeze(1)
        estimates = decode(masked.flatten(0, 1), bundled.decoder.filters, c["stride"])
        wanted = bundled(mixture)[0, :, : estimates.shape[-1]]
    assert float((estimates - wanted).abs().max()) < 1e-5


def test_a_students_part_is_what_the_solutions_above_it_are_built_of():
    made = []

    class Counted(nb12.path_rnn.right):
        def __init__(self, features, hidden):
            super().__init__(features, hidden)
            made.append(self)

    nb12.block.use(..., PathRNN=nb12.path_rnn.use(Counted))(4, 3)
    assert len(made) > 2  # by the check, and by the block


@pytest.mark.parametrize(("chunk_size", "blocks"), [(4, 1), (4, 3), (6, 1)])
def test_the_causal_blocks_look_ahead_by_the_rest_of_a_chunk(chunk_size, blocks):
    model = DPRNNTasNet(
        n_filters=4, kernel_size=4, stride=2, bn_chan=4, hid_size=4, chunk_size=chunk_size, n_repeats=blocks,
        norm_type="cLN", bidirectional=False,
    )  # fmt: skip
    model.separator.blocks = torch.nn.ModuleList(nb12.causal_block.right(4, 4) for _ in range(blocks))
    assert nb12.look_ahead.right(model.double(), 60) == (chunk_size - 1) * 2 + 4 - 1


def test_the_gradient_by_hand_does_not_see_the_level():
    estimate, target = torch.randn(2, 3, 50, dtype=torch.float64)
    gradient = nb12.ratio_gradient.right(estimate, target)
    assert float((gradient * estimate).sum(-1).abs().max()) < 1e-9
