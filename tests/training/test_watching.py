from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixing import mix
from dprnn_lab.training import MixingData, print_line, train

SEXES = {"ada": "f", "bea": "f", "carl": "m"}


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
            listeners=[records.append], **options,
        )  # fmt: skip
        return records, tmp_path / "run", valid

    return start


def test_a_record_says_all_that_a_class_looks_at(watched):
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


def test_a_record_has_one_mixture_of_each_of_two_kinds_to_hear(watched):
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


def test_a_resumed_run_takes_away_the_tables_of_steps_that_it_makes_again(watched, tmp_path):
    watched(3)
    folder = tmp_path / "run" / "validation"
    (folder / "step0000099.csv").write_text("of a sitting that was lost")
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
