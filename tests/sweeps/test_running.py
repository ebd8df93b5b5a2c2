"""Sweeps: every combination runs, a stop loses nothing, errors are reported, two workers give what one gives."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import papermill
import pytest

from dprnn_lab.evaluation.statistics import student_mean
from dprnn_lab.files import InUseError, locked
from dprnn_lab.sweeps import plan, sweep, write_report
from dprnn_lab.sweeps.running import read_report


def started(notebook):
    """Number of runs that have started so far."""
    file = notebook.parent / "started.txt"
    return len(file.read_text()) if file.is_file() else 0


def is_running(notebook):
    """Whether a kernel of a held run lives."""
    fcntl = pytest.importorskip("fcntl", reason="file locks of POSIX")
    with open(notebook.parent / "running.lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


SWEEP = """
import json, signal, sys, psutil
from dprnn_lab.sweeps import sweep
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
notebook, grid, out = json.loads(sys.argv[1])
try:
    sweep(notebook, grid, out, progress=False)
except KeyboardInterrupt:
    print("interrupted,", len(psutil.Process().children(recursive=True)), "children")
"""


def start_sweep(notebook, grid, out):
    """A sweep in a process of its own, when its second run has started."""
    request = json.dumps([str(notebook), grid, str(out)])
    child = subprocess.Popen([sys.executable, "-c", SWEEP, request], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: started(notebook) == 2 or child.poll() is not None)
    assert child.poll() is None
    return child


def without_time(table):
    return table.drop(columns="seconds")


@pytest.fixture(scope="module")
def finished(make_notebook, tmp_path_factory):
    """Two workers, two seeds: size 1 ends well, size 3 divides by zero."""
    folder = tmp_path_factory.mktemp("sweep")
    notebook = make_notebook(folder / "lesson" / "tiny.ipynb")
    grid = {"size": [1, 3], "die": [False]}
    return notebook, grid, folder / "out", sweep(notebook, grid, folder / "out", 2, 2, progress=False)


def test_all_combinations_run_and_report(finished):
    notebook, _, out, table = finished
    assert table[["size", "seed"]].values.tolist() == [[s, k] for s in (1, 3) for k in (0, 1)]
    assert table["status"].tolist() == ["ok", "ok", "failed", "failed"]
    assert table["score"][:2].tolist() == [9.5, 10.5]
    assert set(table["threads"][:2]) == {1}
    assert (table["seconds"] > 0).all()
    for row in table.itertuples():
        text = (out / row.notebook).read_text()
        assert f"size = {row.size}" in text  # papermill's cell of injected values
    pd.testing.assert_frame_equal(
        pd.read_csv(out / "results.csv").fillna({"error": ""}), table, check_dtype=False
    )
    assert started(notebook) == 4
    assert {path.suffix for path in (out / "runs").iterdir()} == {
        ".json"
    }  # logs and reports are cleared away


def test_a_failed_run_is_reported_with_cell_message_and_notebook(finished):
    _, _, out, table = finished
    row = table.iloc[2]
    assert row["cell"] == 5  # parameters, injected, import, start, divide
    assert row["error"] == "ZeroDivisionError: division by zero"
    record = json.loads((out / "runs" / "size=3,seed=0.json").read_text())
    assert record["source"].startswith("# Divide by the size")
    assert "ZeroDivisionError" in (out / row["notebook"]).read_text()


def test_a_second_call_makes_the_failed_runs_only(finished):
    notebook, grid, out, table = finished
    before = started(notebook)
    left = [out / ".results-0123abcd.csv", out / "runs" / ".size=1,seed=0-0123abcd.json"]
    for file in left:  # what a kill in the middle of writing leaves
        file.touch()
    again = sweep(notebook, grid, out, workers=2, seeds=2, progress=False)
    assert not any(file.exists() for file in left)
    assert started(notebook) == before + 2
    pd.testing.assert_frame_equal(without_time(again), without_time(table))


def test_other_settings_in_the_folder(finished):
    notebook, grid, out, _ = finished
    before = (out / "results.csv").read_bytes()
    with pytest.raises(ValueError, match="holds a sweep with another grid: choose another folder"):
        sweep(notebook, grid | {"size": [9]}, out, seeds=2, progress=False)
    text = notebook.read_text()
    try:
        notebook.write_text(text.replace("10 * size", "20 * size"))
        with pytest.raises(ValueError, match="another notebook"):
            sweep(notebook, grid, out, seeds=2, progress=False)
    finally:
        notebook.write_text(text)
    assert (out / "results.csv").read_bytes() == before


def test_one_worker_gives_what_two_give(finished, tmp_path):
    notebook, _, _, table = finished
    one = sweep(notebook, {"size": [1], "die": [False]}, tmp_path / "one", seeds=2, progress=False)
    rows = table[table["size"] == 1].reset_index(drop=True)
    columns = ["size", "seed", "status", "score"]
    pd.testing.assert_frame_equal(one[columns], rows[columns])


def test_a_kernel_that_dies_ends_its_run_and_names_the_cell(notebook, tmp_path):
    table = sweep(notebook, {"die": [True]}, tmp_path / "out", progress=False)
    assert table["status"].tolist() == ["failed"]
    assert "the kernel died" in table["error"][0]
    record = json.loads(next((tmp_path / "out" / "runs").glob("*.json")).read_text())
    assert record["source"].startswith("# Divide")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0", "wrote nothing to its parameter 'report'"),
        ("Path(report).write_text('{')", "the report is not JSON"),
        ("Path(report).write_text('[1]')", "the report is a list"),
        ("Path(report).write_text('{\"size\": 1}')", "another column of the table: rename it"),
        ("Path(report).write_text('{\"curve\": [1]}')", "the report's 'curve' is a list"),
    ],
)
def test_a_report_that_is_not_a_row_fails_the_run(notebook, line, message):
    file = notebook.parent / "x.report"
    exec(line, {"Path": Path, "report": file})
    with pytest.raises(ValueError, match=message):
        read_report(file, plan(notebook, {"size": [1]})[0])


def test_a_notebook_without_report_is_timed(make_notebook, tmp_path):
    notebook = make_notebook(tmp_path / "lesson" / "silent.ipynb", reports=False)
    table = sweep(notebook, {}, tmp_path / "out", progress=False)
    assert table["status"].tolist() == ["ok"]
    assert list(table) == ["seed", "status", "seconds", "cell", "error", "notebook"]


def test_a_killed_sweep_leaves_no_process_and_continues(notebook, tmp_path):
    out, grid = tmp_path / "out", {"size": [1, 2, 4], "held": [2]}
    child = start_sweep(notebook, grid, out)
    child.kill()  # during the second run
    child.communicate()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("runs/*.json")}
    assert len(kept) == 1
    wait_until(lambda: not is_running(notebook))
    (notebook.parent / "go.txt").touch()
    assert not list(out.glob("runs/*.report"))
    table = sweep(notebook, grid, out, workers=2, progress=False)
    assert table["status"].tolist() == ["ok"] * 3
    assert started(notebook) == 2 + 2
    assert all(path.stat().st_mtime_ns == changed for path, changed in kept.items())


def test_an_interrupt_ends_the_current_runs_and_keeps_the_finished(notebook, tmp_path):
    out = tmp_path / "out"
    child = start_sweep(notebook, {"size": [1, 2, 4], "held": [2]}, out)
    child.send_signal(signal.SIGINT)
    assert child.communicate()[0] == "interrupted, 0 children\n"
    assert pd.read_csv(out / "results.csv")["size"].tolist() == [1]
    wait_until(lambda: not is_running(notebook))


# What must not happen


def test_a_folder_that_is_removed_meanwhile_stays_removed(notebook, tmp_path):
    out = tmp_path / "out"

    def remove():
        wait_until(lambda: started(notebook) == 2)
        shutil.rmtree(out)
        (notebook.parent / "go.txt").touch()

    remover = threading.Thread(target=remove)
    remover.start()
    with pytest.raises(
        FileNotFoundError, match="was removed or renamed while a sweep wrote to it: nothing more"
    ):
        sweep(notebook, {"size": [1, 2], "held": [2]}, out, progress=False)
    remover.join()
    assert not out.exists()


def test_a_full_disk_under_a_run_is_no_failure_of_its_notebook(notebook, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(papermill, "execute_notebook", full)
    with pytest.raises(OSError, match="No space left on device, at the notebook of a run"):
        sweep(notebook, {"size": [1, 2]}, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_second_sweep_in_the_folder_is_refused(notebook, tmp_path):
    out = tmp_path / "out"
    with locked(out, "a sweep"), pytest.raises(InUseError, match="in use by a sweep"):
        sweep(notebook, {"size": [1]}, out, progress=False)
    assert not list(out.rglob("*.json"))


@pytest.mark.parametrize("made", [False, True])
def test_a_sweep_that_fails_before_its_first_run_leaves_nothing_behind(notebook, tmp_path, made, monkeypatch):
    out = tmp_path / "new" / "out"
    if made:
        out.mkdir(parents=True)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dprnn_lab.sweeps.executing.tempfile.TemporaryDirectory", full)
    with pytest.raises(OSError, match="No space left"):
        sweep(notebook, {"size": [1]}, out, progress=False)
    assert (tmp_path / "new").exists() == made
    assert not made or not list(out.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"workers": 10**6}, "workers is 1000000"),
        ({"seeds": -1}, "seeds is -1: give their number"),
        ({"seeds": 10**12}, "seeds has 1,000,000,000,000 values"),
        ({"grid": {"size": list(range(200)), "held": list(range(200))}}, "the sweep has 40,000 runs"),
    ],
)
def test_absurd_numbers_are_refused_before_anything_is_made(notebook, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        sweep(notebook, options.pop("grid", {}), tmp_path / "out", progress=False, **options)
    assert not (tmp_path / "out").exists()


def test_a_record_that_is_damaged_is_made_again(finished):
    notebook, grid, out, table = finished
    (record,) = [
        path for path in (out / "runs").glob("*.json") if "size=1" in path.name and "seed=0" in path.name
    ]
    whole = record.read_text()
    record.write_text(whole[:20])
    before = started(notebook)
    again = sweep(notebook, grid, out, workers=2, seeds=2, progress=False)
    assert started(notebook) == before + 3  # this one, and the two that fail
    pd.testing.assert_frame_equal(without_time(again), without_time(table))


@pytest.mark.slow
def test_sigterm_ends_the_command_and_its_runs(notebook, tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "dprnn_lab.cli",
        "sweep",
        notebook,
        "--grid",
        "size=[1, 2]",
        "--grid",
        "held=2",
    ]
    child = subprocess.Popen([*command, "--seeds", "1", "--out", out], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: started(notebook) == 2 or child.poll() is not None)
    child.send_signal(signal.SIGTERM)
    text = child.communicate()[1]
    assert child.returncode == 143
    assert "the same command continues from here" in text
    assert "Traceback" not in text
    wait_until(lambda: not is_running(notebook))
    assert pd.read_csv(out / "results.csv")["size"].tolist() == [1]
    assert {path.suffix for path in (out / "runs").iterdir()} == {".json"}


# The report


def test_names_in_a_report_are_text_and_no_markup(tmp_path):
    name = "size=<b>|`x`\x1b[31m"
    (tmp_path / "settings.json").write_text(json.dumps({"grid": {"size": [3], "seed": [0]}}))
    (tmp_path / "runs").mkdir()
    record = {"cell": 1, "source": "`a` | <i>", "error": "ValueError: <script>|\x1b[31m"}
    (tmp_path / "runs" / f"{name}.json").write_text(json.dumps(record))
    row = {
        "size": 3,
        "seed": 0,
        "status": "failed",
        "seconds": 1.0,
        "notebook": f"notebooks/{name}.ipynb",
    } | record
    markdown, page = (p.read_text() for p in write_report(tmp_path, pd.DataFrame([row]), title="<u> | t"))
    for text in (markdown, page):
        assert "\x1b" not in text
        assert "<script" not in text and "<b>" not in text and "<u>" not in text
    assert r"\|" in markdown
    assert "`` `a` | <i> ``" in markdown


def test_the_report(finished):
    _, _, out, table = finished
    markdown, page = (path.read_text() for path in write_report(out, table, title="Sizes & seeds"))
    mean = student_mean([9.5, 10.5])
    assert f"| 1 | 2 | 0 | 10.00 | {mean.low:.2f} | {mean.high:.2f} |" in markdown
    assert "| 3 | 0 | 2 | – |" in markdown
    assert "2 of 4 runs finished, 2 failed" in markdown
    assert "The same in all runs: die=False" in markdown
    for text in (markdown, page):
        assert "ZeroDivisionError: division by zero" in text
        assert "cell [5]" in text.replace("\\", "")  # escaped in Markdown
        assert "# Divide by the size" in text
        assert text.count("size%3D3%2Cseed%3D0.ipynb") == 2  # among the failed, and in the list of all
    assert "Sizes &amp; seeds" in page
    assert page.count("data:image/png;base64,") == 1  # one varied parameter
    links = re.findall(r"href='([^']+)'", page)
    assert len(links) == 2 + 4
    for link in links:
        assert (out / link.replace("%3D", "=").replace("%2C", ",")).is_file()
    assert (out / "size.png").is_file()
    with pytest.raises(ValueError, match="metric is 'sdr': the runs report score"):
        write_report(out, table, metric="sdr")


def test_if_all_runs_failed_the_report_lists_the_failures(notebook, tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"grid": {"size": [3, 4], "seed": [0]}}))
    (tmp_path / "runs").mkdir()
    rows = []
    for size in (3, 4):
        record = {"cell": None, "source": "", "error": "ended by signal 9"}
        (tmp_path / "runs" / f"size={size}.json").write_text(json.dumps(record))
        rows.append({"size": size, "seed": 0, "status": "failed", "seconds": 1.0} | record)
        rows[-1]["notebook"] = f"notebooks/size={size}.ipynb"
    markdown, _ = write_report(tmp_path, pd.DataFrame(rows), metric="score")
    assert markdown.read_text().count("no cell: ended by signal 9") == 2
    assert "0 of 2 runs finished, 2 failed" in markdown.read_text()
