"""Curves of other toolkits, and runs that went to NaN, whatever their clipping was."""

import json

import pandas as pd
import pytest

from dprnn_lab.diagnosis import diagnose
from dprnn_lab.diagnosis.run_curves import ALIASES, read_run
from dprnn_lab.faults.curves import recorded_curve

STEPS = range(25, 1025, 25)


def write(path, names, broken_from=None, text="nan"):
    rows = [",".join(names)]
    for step in STEPS:
        bad = broken_from is not None and step >= broken_from
        rows.append(",".join([str(step), *([text if bad else f"{1 - step / 300:.3f}"] * (len(names) - 1))]))
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("text", ["nan", "NaN", "-inf", "inf", " nan", "Infinity", "-nan"])
@pytest.mark.parametrize("name", ["train_loss", "loss", "train/loss", "Training Loss", "main-loss"])
def test_nan_is_seen_under_any_name(tmp_path, name, text):
    finding = diagnose(run=write(tmp_path / "metrics.csv", ["step", name], 500, text))["nan-run"]
    assert finding.state == "fail"
    assert finding.evidence["step"] == 500
    assert finding.says.startswith("from step 500 on")
    assert "the run does not say" in finding.says


@pytest.mark.parametrize("clip", [5.0, 0.0])
def test_the_runs_own_clipping_is_said_and_not_blamed(tmp_path, clip):
    write(tmp_path / "metrics.csv", ["step", "train_loss", "grad_norm"], 500)
    (tmp_path / "config.yaml").write_text(f"lr: 0.001\nclip: {clip}\n")
    report = diagnose(run=tmp_path)
    assert report.causes[0].id == "nan-run"
    assert ("clipped at 5" if clip else "were not clipped") in report["nan-run"].says
    assert not report["no-clipping"].bad


def test_the_checkpoint_before_the_step_is_named(tmp_path):
    write(tmp_path / "metrics.csv", ["step", "train_loss"], 500)
    (tmp_path / "checkpoints").mkdir()
    for step in (200, 400, 600):
        (tmp_path / "checkpoints" / f"step={step}.ckpt").write_bytes(b"")
    assert "step=400.ckpt" in diagnose(run=tmp_path)["nan-run"].remedy


def test_a_run_that_says_itself_why_it_ended(tmp_path):
    write(tmp_path / "metrics.csv", ["step", "train_loss"])
    sentence = "step 313: the loss is nan (learning rate 0.001, precision 32-true): resume with a lower rate"
    fault = {
        "what": "loss",
        "step": 313,
        "file": None,
        "sample": None,
        "value": "nan",
        "learning_rate": 0.001,
    }
    ended = {
        "version": 1,
        "state": "not finite",
        "step": 312,
        "steps": 2000,
        "sentence": sentence,
        "fault": fault,
    }
    (tmp_path / "ended.json").write_text(json.dumps(ended))
    (tmp_path / "config.yaml").write_text("clip: 5.0\n")
    finding = diagnose(run=tmp_path)["nan-run"]
    assert finding.state == "fail"
    assert sentence in finding.says
    assert "clipped at 5" in finding.says
    assert (finding.evidence["step"], finding.evidence["what"]) == (313, "loss")
    (tmp_path / "metrics.csv").unlink()  # it ended before its first row
    assert diagnose(run=tmp_path)["nan-run"].state == "fail"
    (tmp_path / "ended.json").write_text(json.dumps(ended | {"state": "finished", "fault": None}))
    write(tmp_path / "metrics.csv", ["step", "train_loss"])
    assert diagnose(run=tmp_path)["nan-run"].state == "ok"


@pytest.mark.parametrize(
    "text", ["[" * 5000, "[1]", "{", '{"state": 3}', '{"state": "not finite", "fault": [1]}']
)
def test_any_ending(tmp_path, text):
    write(tmp_path / "metrics.csv", ["step", "train_loss"])
    (tmp_path / "ended.json").write_text(text)
    assert not diagnose(run=tmp_path).errors


def test_skipped_steps_are_a_note(tmp_path):
    table = recorded_curve("healthy-0").astype(object)
    table.loc[table.index[2], "grad_norm"] = "inf"
    table.to_csv(tmp_path / "metrics.csv", index=False)
    report = diagnose(run=tmp_path / "metrics.csv")
    assert report["nan-run"].state == "note"
    assert report.state == "ok"


def test_a_table_that_stops_logging_its_loss():
    table = recorded_curve("healthy-0").copy()
    table.loc[table.index[-5:], "train_loss"] = float("nan")
    assert diagnose(run=table)["nan-run"].state == "fail"
    assert diagnose(run=recorded_curve("healthy-0"))["nan-run"].state == "ok"


@pytest.mark.parametrize("rows", [4, 40])
def test_a_flat_curve(rows):
    finding = diagnose(run=pd.DataFrame({"step": range(rows), "train_loss": -1.25}))["unhealthy-curve"]
    assert finding.state == "fail"
    assert f"-1.25 in all {rows} rows" in finding.says
    report = diagnose(run=pd.DataFrame({"step": range(9), "train_loss": 2.0}), loss=lambda e, s: 0 * e.sum())
    assert report["unhealthy-curve"].explained_by == "detached-loss"


def test_lightning_without_a_folder_of_ours(tmp_path):
    for version in (0, 1):
        folder = tmp_path / "lightning_logs" / f"version_{version}"
        folder.mkdir(parents=True)
        write(folder / "metrics.csv", ["step", "train_loss_step"])
    run = read_run(tmp_path)
    assert len(run.sessions) == 1
    assert len(run.column("train_loss")) == 2 * len(STEPS)


def test_tensorboards_export(tmp_path):
    path = tmp_path / "run-train-tag-loss.csv"
    path.write_text("Wall time,Step,Value\n" + "".join(f"1,{s},{1 - s / 300}\n" for s in STEPS))
    assert list(read_run(path).column("train_loss").index) == list(STEPS)


def test_a_log_of_speechbrain(tmp_path):
    path = tmp_path / "train_log.txt"
    lines = [
        f"epoch: {i}, lr: 1.50e-04 - train si-snr: {-i}.5 - valid si-snr: {-i + 1}.2" for i in range(1, 6)
    ]
    path.write_text("\n".join(lines) + "\nepoch: 6, lr: 1.50e-04 - train si-snr: nan - valid si-snr: nan\n")
    run = read_run(path)
    assert (run.unit, run.broken_at) == ("epoch", 6)
    assert (
        list(run.column("valid_loss")) == [0.2, -1.2, -2.2, -3.2, -4.2] or len(run.column("valid_loss")) == 5
    )
    finding = diagnose(run=path)["nan-run"]
    assert finding.says.startswith("from epoch 6 on train_loss is NaN")


def test_a_loss_that_is_not_in_db_is_not_compared_with_runs_in_db():
    falling = pd.DataFrame({"step": STEPS, "loss": [0.05 * 0.95**i for i in range(len(STEPS))]})
    report = diagnose(run=falling)
    assert report["unhealthy-curve"].state == "undecided"
    assert "not in dB" in report["unhealthy-curve"].says
    assert report.state == "ok"


def test_our_names_win_over_others():
    table = pd.DataFrame({"step": [1, 2], "epoch": [0, 0], "train_loss": [1.0, 2.0], "loss": [8.0, 9.0]})
    run = read_run(table)
    assert (run.unit, list(run.column("train_loss"))) == ("step", [1.0, 2.0])
    assert all(name in others for name, others in ALIASES.items())
