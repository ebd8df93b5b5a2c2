"""Nothing of an evaluation is lost or counted twice: kills, second processes, doubled rows, workers, bad files."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile

from dprnn_lab import save_model
from dprnn_lab.datasets.disk_mixtures import DiskMixtures
from dprnn_lab.evaluation import evaluate, evaluate_to, write_report
from dprnn_lab.evaluation.processes import map_in_processes
from dprnn_lab.evaluation.run import check_fits, open_mixtures
from dprnn_lab.evaluation.systems import make_system
from dprnn_lab.files import InUseError, locked

SYSTEMS = {"mixture": "mixture", "irm": "irm"}


@pytest.fixture
def folder(tmp_path):
    """Twelve mixtures of noise on disk."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for name in ("mix", "s1", "s2"):
        (root / name).mkdir(parents=True)
    for i in range(12):
        sources = 0.1 * rng.standard_normal((2, 4000))
        for name, samples in (("mix", sources.sum(0)), ("s1", sources[0]), ("s2", sources[1])):
            soundfile.write(root / name / f"u{i}.wav", samples, 8000)
    return root


@pytest.fixture
def mixtures(folder):
    return DiskMixtures(folder)


def without_time(table):
    return table.drop(columns="rtf")


def run(out, mixtures, **options):
    return evaluate_to(out, SYSTEMS, mixtures, progress=False, **options)


# Rows


def test_doubled_and_foreign_rows_are_dropped_and_said(mixtures, tmp_path):
    out = tmp_path / "out"
    expected = run(out, mixtures)
    lines = (out / "rows.jsonl").read_text().splitlines()
    foreign = json.dumps(json.loads(lines[0]) | {"id": "of another list"})
    kept = [*lines[:10], *lines[:3], foreign, "{torn" + lines[4], "[]", "null"]
    (out / "rows.jsonl").write_text("\n".join(kept) + "\n" + lines[10][:30])  # the last one half-written
    with pytest.warns(UserWarning, match="dropped 3 rows that were there twice and 4 lines that are no rows"):
        table = run(out, mixtures)
    pd.testing.assert_frame_equal(without_time(table), without_time(expected))
    assert len((out / "rows.jsonl").read_text().splitlines()) == 24
    assert len(pd.read_csv(out / "scores.csv")) == 24


def test_two_mixtures_of_one_id_are_refused(mixtures, tmp_path):
    mixtures.specs[3] = mixtures.specs[2]
    with pytest.raises(ValueError, match="two mixtures have the id 'u10'"):
        run(tmp_path / "out", mixtures)
    assert not (tmp_path / "out").exists()


def test_temporary_files_of_a_killed_evaluation_are_removed(mixtures, tmp_path):
    """A kill in the middle of writing scores.csv leaves one; a user's own hidden files stay."""
    out = tmp_path / "out"
    out.mkdir()
    for name in (".scores-0123abcd.csv", ".settings-00000000.json", ".mine.csv", ".notes-0123abcd.txt"):
        (out / name).touch()
    run(out, mixtures)
    assert sorted(p.name for p in out.glob(".*")) == [".mine.csv", ".notes-0123abcd.txt"]


# Second processes


def test_a_second_evaluation_in_the_folder_is_refused(mixtures, tmp_path):
    out = tmp_path / "out"
    with locked(out, "an evaluation"):
        with pytest.raises(InUseError, match="is in use by an evaluation"):
            run(out, mixtures)
        assert not (out / "rows.jsonl").exists()
    assert len(run(out, mixtures)) == 24


# Failures


def test_a_failure_before_the_first_row_leaves_nothing_behind(mixtures, tmp_path):
    for made in (False, True):
        out = tmp_path / "new" / "out"
        if made:
            out.mkdir(parents=True)
        with pytest.raises(ValueError, match="no such file"):
            evaluate_to(out, {"x": "conv-tasnet:none.pth"}, mixtures, progress=False)
        assert out.exists() == made
        assert (tmp_path / "new").exists() == made


def test_a_failure_after_some_rows_says_where_they_are(mixtures, tmp_path):
    mixtures.specs[5].sources[0].unlink()
    with pytest.raises((ValueError, OSError)) as caught:
        run(tmp_path / "out", mixtures)
    notes = " ".join(caught.value.__notes__)
    assert f"the 10 rows so far are kept in {tmp_path / 'out'}" in notes
    assert len((tmp_path / "out" / "rows.jsonl").read_text().splitlines()) == 10


# Bad files


def test_bad_files_are_an_error_that_names_the_option_or_are_left_out_and_counted(folder, tmp_path):
    (folder / "s1" / "u3.wav").write_bytes(b"no audio")
    samples, _ = soundfile.read(folder / "s2" / "u7.wav")
    samples[100] = np.nan
    soundfile.write(folder / "s2" / "u7.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises((ValueError, OSError)) as caught:
        run(tmp_path / "strict", open_mixtures(folder))
    assert "skip_bad" in " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    mixtures = open_mixtures(folder, skip_bad=True)
    table = run(tmp_path / "out", mixtures, skip_bad=True)
    assert len(table) == 20
    left_out = table.attrs["left_out"]
    assert len(left_out) == 2
    assert "u3" in left_out[0][0] and "u7" in left_out[1][0]
    assert [entry["reason"] for entry in json.loads((tmp_path / "out" / "left_out.json").read_text())] == [
        reason for _, reason in left_out
    ]
    markdown = write_report(tmp_path / "out", table, SYSTEMS, mixtures, players=0)[0].read_text()
    assert "## Left out" in markdown and "u7" in markdown
    whole = evaluate(make_system("irm"), mixtures, skip_bad=True)
    assert (len(whole), len(whole.attrs["left_out"])) == (10, 2)


# Models that do not fit


def test_a_model_of_another_number_of_outputs_is_named(mixtures, tiny, tmp_path):
    with pytest.raises(ValueError, match=r"three has 3 outputs \(n_src=3\) and the mixtures have 2 sources"):
        check_fits({"three": tiny(n_src=3)}, mixtures)
    file = save_model(tiny(n_src=3), tmp_path / "three.safetensors")
    with pytest.raises(ValueError, match="n_src=3"):
        evaluate_to(tmp_path / "out", {"three": str(file)}, mixtures, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [-1, 10**6, True, 1.5])
def test_an_absurd_number_of_workers_is_named(mixtures, tmp_path, workers):
    with pytest.raises(ValueError, match="workers is"):
        run(tmp_path / "out", mixtures, workers=workers)
    assert not (tmp_path / "out").exists()


# Processes

EVALUATE = """
import sys
from dprnn_lab.evaluation import evaluate_to
from dprnn_lab.datasets.disk_mixtures import DiskMixtures
if __name__ == "__main__":
    evaluate_to(sys.argv[1], {"model": sys.argv[2]}, DiskMixtures(sys.argv[3]), workers=2, progress=False)
"""


def wait_until(condition, seconds=180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_no_worker_survives_and_the_rows_are_used_again(folder, tiny, tmp_path, number):
    model = str(save_model(tiny(bn_chan=24, hid_size=32, n_repeats=6), tmp_path / "model.safetensors"))
    for path in folder.rglob("*.wav"):  # longer, so that there is time
        samples, _ = soundfile.read(path)
        soundfile.write(path, np.tile(samples, 20), 8000)
    out, rows = tmp_path / "out", tmp_path / "out" / "rows.jsonl"
    script = tmp_path / "script.py"
    script.write_text(EVALUATE)
    if number == signal.SIGKILL:
        command = [sys.executable, script, out, model, folder]
    else:
        command = [sys.executable, "-m", "dprnn_lab.cli", "evaluate", "--model", model, "--data", folder, "--out", out,
                   "--workers", "2"]  # fmt: skip
    child = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: (rows.exists() and rows.read_bytes().count(b"\n") >= 2) or child.poll() is not None)
    assert child.poll() is None
    family = psutil.Process(child.pid).children(recursive=True)
    assert len(family) >= 2
    child.send_signal(number)
    text = child.communicate()[1]
    assert child.returncode == (-9 if number == signal.SIGKILL else 143)
    wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), 20)
    if number == signal.SIGTERM:
        assert "Traceback" not in text
        assert f"rows so far are kept in {out}" in text
    kept = rows.read_text().splitlines()
    assert 2 <= len(kept) < 12
    table = evaluate_to(out, {"model": model}, DiskMixtures(folder), progress=False)
    assert len(table) == 12
    assert rows.read_text().splitlines()[: len(kept) - 1] == kept[:-1]


def test_a_worker_that_dies_is_one_sentence():
    with pytest.raises(ChildProcessError, match="a worker process ended by itself"):
        list(map_in_processes(os._exit, [1, 2], 1, int))
