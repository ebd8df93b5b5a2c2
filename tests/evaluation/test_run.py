"""Evaluations on disk: complete, resumed, in parallel, and their report."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torchaudio.models import conv_tasnet_base

from dprnn_lab import save_model
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation import evaluate, evaluate_to, open_mixtures, run, write_report
from dprnn_lab.evaluation.report import markdown_report
from dprnn_lab.evaluation.systems import fingerprint, make_system, name_of

SYSTEMS = {"mixture": "mixture", "irm": "irm"}


@pytest.fixture
def few():
    return FixedMixtures("test", limit=2)


def without_time(table):
    return table.drop(columns="rtf")


def test_the_folder_holds_the_table(few, tmp_path):
    table = evaluate_to(tmp_path / "out", SYSTEMS, few, progress=False)
    expected = evaluate({name: make_system(name) for name in SYSTEMS}, few).sort_values(
        "system", kind="stable", ascending=False, ignore_index=True
    )
    pd.testing.assert_frame_equal(without_time(table), without_time(expected))
    written = pd.read_csv(tmp_path / "out" / "scores.csv")
    pd.testing.assert_frame_equal(without_time(written), without_time(table.round(4)))
    assert not list((tmp_path / "out").glob(".*"))


def test_parquet_holds_all_digits(few, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install dprnn-lab[parquet]")
    table = evaluate_to(tmp_path, SYSTEMS, few, progress=False, parquet=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), table, check_dtype=False)


def test_parquet_without_pyarrow_is_refused_before_anything_is_computed(few, tmp_path, monkeypatch):
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install \"dprnn-lab\[parquet\]\""):
        evaluate_to(tmp_path / "out", SYSTEMS, few, progress=False, parquet=True)
    assert not (tmp_path / "out").exists()


def test_rows_on_disk_are_not_computed_again(few, tmp_path, monkeypatch):
    computed = []
    real = run.score_item

    def counted(system, item, *others):
        computed.append(item[2].id)
        if len(computed) == 4:
            raise KeyboardInterrupt
        return real(system, item, *others)

    monkeypatch.setattr(run, "score_item", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate_to(tmp_path, SYSTEMS, few, progress=False)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"system": "mixture", "id"')  # the row that a kill cut off
    table = evaluate_to(tmp_path, SYSTEMS, few, progress=False)
    assert len(table) == 2 * len(few) == 12
    assert len(computed) == 13  # the fourth twice
    again = evaluate_to(tmp_path, SYSTEMS, few, progress=False)
    assert len(computed) == 13
    pd.testing.assert_frame_equal(again, table)


def test_the_scores_of_the_mixture_are_computed_once_for_all_systems(few, tmp_path, monkeypatch):
    seen = []
    real = run.mixture_scores

    def counted(item, metrics):
        seen.append(item[2].id)
        return real(item, metrics)

    monkeypatch.setattr(run, "mixture_scores", counted)
    table = evaluate_to(tmp_path, SYSTEMS, few, progress=False)
    assert seen == [spec.id for spec in few.specs]
    assert table["system"].tolist() == ["mixture"] * 6 + ["irm"] * 6


def test_a_killed_process_loses_nothing_that_it_wrote(tmp_path):
    code = (
        "from dprnn_lab.evaluation import evaluate_to; from dprnn_lab.datasets.mixing import FixedMixtures;"
        f"evaluate_to({str(tmp_path)!r}, {{'ibm': 'ibm'}}, FixedMixtures('test'), progress=False)"
    )
    file = tmp_path / "rows.jsonl"
    child = subprocess.Popen([sys.executable, "-c", code])
    while child.poll() is None and not (file.is_file() and file.read_text().count("\n") >= 3):
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert 3 <= len(kept) < 120
    table = evaluate_to(tmp_path, {"ibm": "ibm"}, FixedMixtures("test"), progress=False)
    assert len(table) == 120
    assert table.to_dict("records")[: len(kept)] == kept


def test_processes_give_what_one_gives(few, tmp_path):
    one = evaluate_to(tmp_path / "one", SYSTEMS, few, progress=False)
    two = evaluate_to(tmp_path / "two", SYSTEMS, few, workers=2, progress=False)
    pd.testing.assert_frame_equal(without_time(one), without_time(two), atol=1e-3)


def test_another_evaluations_folder_is_left_alone(few, tmp_path, tiny):
    file = save_model(tiny(), tmp_path / "model.safetensors")
    evaluate_to(tmp_path / "out", {"model": str(file)}, few, progress=False)
    before = (tmp_path / "out" / "scores.csv").read_bytes()
    with pytest.raises(ValueError, match="other mixtures"):
        others = FixedMixtures("test", limit=2)
        others.specs[0] = replace(others.specs[0], level_db=1.0)  # the same ids, another mixture
        evaluate_to(tmp_path / "out", {"model": str(file)}, others, progress=False)
    torch.manual_seed(1)
    save_model(tiny(), file)  # the same name, other weights
    with pytest.raises(ValueError, match="an evaluation with other systems: choose another folder"):
        evaluate_to(tmp_path / "out", {"model": str(file)}, few, progress=False)
    with pytest.raises(ValueError, match="other systems and metrics"):
        evaluate_to(tmp_path / "out", {"model": str(file)}, few, ["bss"], progress=False)
    assert (tmp_path / "out" / "scores.csv").read_bytes() == before


def test_mixtures_open_by_name_list_and_folder(tmp_path):
    assert len(open_mixtures("valid")) == 48
    with pytest.raises(FileNotFoundError, match="no mixture list"):
        open_mixtures("dev")


def test_a_conv_tasnet_of_torchaudio_is_a_system(tmp_path):
    model = conv_tasnet_base(num_sources=2).eval()
    torch.save(model.state_dict(), tmp_path / "conv.pth")
    spec = f"conv-tasnet:{tmp_path / 'conv.pth'}"
    mixture = torch.randn(4000)
    with torch.no_grad():
        estimates = make_system(spec)(mixture, None, None)
        assert torch.equal(estimates, model(mixture[None, None])[0])
    assert name_of(spec) == "conv"
    assert fingerprint(spec).startswith("conv ")


def test_files_that_are_not_a_conv_tasnet(tmp_path, tiny):
    torch.save(tiny().state_dict(), tmp_path / "ours.pth")
    (tmp_path / "page.pth").write_text("<html>")
    for name in ("ours.pth", "page.pth"):
        with pytest.raises(ValueError, match=f"{name} is not a state dict of torchaudio"):
            make_system(f"conv-tasnet:{tmp_path / name}")
    with pytest.raises(ValueError, match="no such file"):
        make_system("conv-tasnet:none.pth")


def test_a_p_value_too_small_to_print_is_not_zero():
    ids = [f"m{i}" for i in range(12)]
    low, high = (pd.DataFrame({"system": n, "id": ids, "kind": "k", "si_sdr": v, "si_sdri": v, "correlation": 0.0})
                 for n, v in (("a", 1.0), ("b", 0.5)))  # fmt: skip
    assert "| 12 | 0 | < 0.001 |" in markdown_report(pd.concat([low, high]))


def test_the_report_has_tables_comparison_worst_cases_and_players(few, tmp_path, tiny):
    file = save_model(tiny(), tmp_path / "mine.safetensors")
    systems = {"mine": str(file), "mixture": "mixture"}
    table = evaluate_to(tmp_path, systems, few, progress=False)
    markdown, page = (path.read_text() for path in write_report(tmp_path, table, systems, few, players=2))
    for heading in ("SI-SDR improvement", "Is mine better than mixture?", "Worst mixtures of mine", "Cost"):
        assert heading in markdown
        assert heading in page
    mean = table[(table.system == "mine") & (table.kind == "man-woman")].si_sdri.mean()
    assert f"| mine | man-woman | 2 | {mean:.2f} |" in markdown
    assert page.count("<audio") == 2 * 5  # mixture, two sources, two outputs
    assert "data:image/png;base64," in page
    assert not re.search(r"(?:src|href)=['\"](?!data:)", page)  # needs nothing beside itself
    lowest = table[table.system == "mine"].si_sdri.min()
    assert f"{lowest:.2f}" in markdown.split("Worst mixtures")[1]


@pytest.mark.slow
def test_the_report_plays_the_outputs_of_several_networks_together(few, tmp_path, tiny):
    systems = {
        name: str(save_model(tiny(), tmp_path / f"{name}.safetensors"))
        for name in ("one", "two", "three", "four")
    }
    table = evaluate_to(tmp_path, systems, few, progress=False)
    page = write_report(tmp_path, table, systems, few, players=1)[1].read_text()
    names = re.findall(r"<audio controls aria-label='([^']*)'", page)
    outputs = [f"{name}: output {i}" for name in ("one", "two", "three") for i in (1, 2)]
    assert names == ["mixture", "source 1", "source 2", *outputs]


def test_a_report_of_one_system_compares_nothing(few):
    table = evaluate({"irm": make_system("irm")}, few)
    assert "better than" not in markdown_report(table)
