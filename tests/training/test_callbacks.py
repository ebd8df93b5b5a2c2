"""Records, interrupts and the moving average of a run."""

import os
import signal
import threading
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixing import mix
from dprnn_lab.training import MixingData, print_line, train
from dprnn_lab.training.callbacks import moving_average

SEXES = {"ada": "f", "bea": "f", "carl": "m"}
PAIR = {"ada": "f", "carl": "m"}
BATCH = 2


@pytest.fixture
def watched(tiny, tmp_path):
    """``watched(max_steps)`` trains on noise and gives the records and the folder."""
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(9000, generator=generator) for _ in range(9)]
    kinds = ("woman-woman", "man-woman", "woman-woman")
    valid = [
        (*mix(noise[3 + 2 * i][:1000], noise[4 + 2 * i][:1000]), SimpleNamespace(id=f"v{i}", kind=kind))
        for i, kind in enumerate(kinds)
    ]

    def start(max_steps, **options):
        torch.manual_seed(3)
        data = MixingData(DynamicMixing(dict(zip(SEXES, noise, strict=False)), SEXES, 400, size=6), valid, 2)
        records = []
        train(
            tiny(n_repeats=1), data, tmp_path / "run", max_steps, warmup=1, ema=0.5,
            callbacks=[records.append], **options,
        )  # fmt: skip
        return records, tmp_path / "run", valid

    return start


def test_a_record_has_every_value_of_the_curve(watched):
    records, run, _ = watched(6)
    assert [(r.step, r.epoch) for r in records] == [(3, 0), (6, 1)]
    last = records[-1]
    assert last.examples.id.tolist() == ["v0", "v1", "v2"]
    assert last.valid_loss == pytest.approx(-last.examples.si_sdr.mean(), abs=1e-4)
    assert list(last.by_kind()) == ["woman-woman", "man-woman"]
    assert last.by_kind("si_sdr")["man-woman"] == pytest.approx(last.examples.si_sdr[1])
    assert last.examples.correlation.mean() == pytest.approx(last.correlation, abs=1e-4)
    assert last.examples_per_second > 0
    assert last.grad_norm > 0
    assert last.silent_share == 0
    assert last.learning_rate == pytest.approx(1e-3)
    curve = pd.read_csv(run / "curves" / "version_0" / "metrics.csv")
    for record in records:
        row = curve[curve.epoch == record.epoch].max()
        for name, value in {
            "train_loss": record.train_loss, "valid_loss": record.valid_loss, "grad_norm": record.grad_norm,
            "output_correlation": record.correlation, "silent_share": record.silent_share,
            "examples_per_second": record.examples_per_second,
            "si_sdr_man-woman": record.by_kind("si_sdr")["man-woman"],
            "si_sdri_woman-woman": record.by_kind()["woman-woman"],
        }.items():  # fmt: skip
            assert row[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name


def test_a_record_has_the_sounds_of_one_mixture_of_each_of_two_kinds(watched):
    records, _, valid = watched(3)
    assert sorted(records[0].sounds) == ["v0", "v1"]
    mixture, sources, estimates = records[0].sounds["v1"]
    assert torch.equal(mixture, valid[1][0])
    assert torch.equal(sources, valid[1][1])
    assert estimates.shape == sources.shape


def test_each_validation_leaves_its_table(watched):
    records, run, _ = watched(6)
    tables = sorted((run / "validation").iterdir())
    assert [t.name for t in tables] == ["step0000003.csv", "step0000006.csv"]
    pd.testing.assert_frame_equal(pd.read_csv(tables[1]), records[1].examples, atol=1e-4, check_dtype=False)


def test_a_resumed_run_removes_the_tables_of_steps_that_it_repeats(watched, tmp_path):
    watched(3)
    folder = tmp_path / "run" / "validation"
    (folder / "step0000099.csv").write_text("of a session that was lost")
    watched(6, resume=tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert sorted(f.name for f in folder.iterdir()) == ["step0000003.csv", "step0000006.csv"]


def test_the_speed_of_an_epoch_that_was_resumed_within_is_that_of_its_rest(watched, tmp_path):
    watched(4)  # an epoch has three steps
    records, _, _ = watched(6, resume=tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert records[-1].step == 6
    # Of four mixtures; counted from the start of the clock it is near 0.
    assert records[-1].examples_per_second > 1


def test_epochs_without_a_validation_make_no_record(watched):
    assert [r.step for r in watched(12, valid_every=2)[0]] == [6, 12]


def test_the_line_of_text_has_the_numbers(watched, capsys):
    record = watched(3)[0][0]
    print_line(record)
    line = capsys.readouterr().out
    assert line.startswith("step 3  ")
    assert f"loss {record.train_loss:.2f} (valid {record.valid_loss:.2f})" in line
    assert f"man-woman {record.by_kind()['man-woman']:.2f}" in line
    assert line.count("\n") == 1


def test_tensorboard_gets_the_curves(watched):
    _, run, _ = watched(3)
    (events,) = (run / "tensorboard" / "version_0").glob("events.out.tfevents.*")
    text = events.read_bytes()
    assert b"train_loss" in text
    assert b"si_sdri_man-woman" in text


# Interrupts


class Interrupted(DynamicMixing):
    """Dynamic mixing that interrupts this process while the given items (counted from 1) are read."""

    interrupt_at: tuple = ()

    def __getitem__(self, index):
        self.read.append((self.epoch, index))
        if len(self.read) in self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


@pytest.fixture
def run(tiny, tmp_path):
    generator = torch.Generator().manual_seed(1)
    voices = {name: torch.randn(900, generator=generator) for name in PAIR}

    def start(name, interrupt_at=(), resume=False):
        torch.manual_seed(3)
        dataset = Interrupted(voices, PAIR, samples=400, size=8, kinds={"man-woman": 1.0})
        dataset.read, dataset.interrupt_at = [], interrupt_at
        last = tmp_path / name / "checkpoints" / "last.ckpt" if resume else None
        model = train(
            tiny(n_repeats=1), MixingData(dataset, [], BATCH), tmp_path / name, 10, warmup=1, ema=0.5,
            resume=last, callbacks=(),
        )  # fmt: skip
        return model, dataset.read

    return start


@pytest.mark.parametrize(
    "item", [3, 7, 8, 9]
)  # in the middle of an epoch, its last step, the first of the next
def test_an_interrupted_run_ends_after_its_step_and_loses_nothing(run, item, capsys):
    whole, whole_read = run("whole")
    _, first = run("parts", (item,))
    assert len(first) == -(-item // BATCH) * BATCH  # the current step was completed
    assert "stopping after this step" in capsys.readouterr().out
    parts, second = run("parts", resume=True)
    assert first + second == whole_read
    for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_a_second_interrupt_aborts(run):
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run("run", (3, 4))


def test_the_signal_handler_is_restored_after_the_run(run):
    before = signal.getsignal(signal.SIGINT)
    run("run", (3,))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_outside_the_main_thread_leaves_signals_alone(run):
    read = []
    thread = threading.Thread(target=lambda: read.extend(run("run")[1]))
    thread.start()
    thread.join()
    assert len(read) == 20


# The moving average


def test_the_average_drops_the_random_start_and_then_has_the_decay_asked_for():
    average, value = moving_average(0.99), torch.zeros(())
    for step in range(20):
        value = average(value, torch.ones(()), torch.tensor(step))
    assert value > 0.999  # a plain average with decay 0.99 would still be at 0.18
    assert average(torch.zeros(()), torch.ones(()), torch.tensor(10_000)).item() == pytest.approx(0.01)
