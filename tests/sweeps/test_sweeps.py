"""Sweeps: every combination runs, a stop loses nothing, errors are reported, two workers give what one gives."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from typer.testing import CliRunner

from dprnn_lab import cli
from dprnn_lab.evaluation.statistics import student_mean
from dprnn_lab.files import data_folder
from dprnn_lab.sweeps import compare_runs, plan, summarise_runs, sweep, write_report

# A notebook without PyTorch: a sum, the number of threads, and two ways to fail. A run with a size of at least `held`
# waits for the file go.txt, and holds a lock as long as its kernel lives.
CELLS = (
    "import json, os, time\nfrom pathlib import Path",
    "# Record the start\n"
    "if size >= held:\n"
    "    import fcntl\n"
    "    lock = open('running.lock', 'a')\n"
    "    fcntl.flock(lock, fcntl.LOCK_SH)\n"
    "with open('started.txt', 'a') as file:\n    file.write('.')\n"
    "while size >= held and not Path('go.txt').exists():\n    time.sleep(0.01)",
    "# Divide by the size\nscore = 10 * size + seed + 1 / (size - 3)\nif die:\n    os._exit(3)",
    "threads = int(os.environ['OMP_NUM_THREADS'])\n"
    "if report:\n    Path(report).write_text(json.dumps({'score': score, 'threads': threads}))",
)


@pytest.fixture
def notebook(tmp_path):
    return make_notebook(tmp_path / "lesson" / "tiny.ipynb", "report = ''  # where the result goes")


def make_notebook(path, *more):
    path.parent.mkdir(exist_ok=True)
    code = nbformat.v4.new_code_cell
    parameters = "\n".join(("seed = 0", "size = 1", "held = 99", "die = False", *more))
    cells = [
        code(parameters, metadata={"tags": ["parameters"]}),
        *(code(c) for c in CELLS[: None if more else -1]),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


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


# The plan


def test_every_combination_in_order_with_a_name_of_its_own(notebook):
    runs = plan(notebook, {"size": [1, 2], "die": [False, True], "held": [9]}, seeds=2)
    assert len(runs) == len({run.name for run in runs}) == 8
    assert runs[1].parameters == {"size": 1, "die": False, "held": 9, "seed": 1}
    assert runs[1].name == "size=1,die=False,seed=1"
    assert [run.parameters["seed"] for run in plan(notebook, {}, seeds=[7, 3])] == [7, 3]


def test_names_are_made_safe_for_files_and_stay_different(notebook):
    values = ["a/b", "a?b", "x" * 300]
    names = [run.name for run in plan(notebook, {"held": values})]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"[\w.,=+-]{1,120}", name) for name in names)


@pytest.mark.parametrize(
    ("grid", "seeds", "message"),
    [
        ({"sise": [1]}, 1, r"tiny.ipynb has no parameter 'sise': did you mean 'size'\?"),
        ({"zzz": [1]}, 1, "choose from seed, size, held, die, report"),
        ({"size": []}, 1, "size has no values"),
        ({"size": 3}, 1, r"size is 3: give a list of values, such as \[8, 32, 128\]"),
        ({"size": "12"}, 1, "give a list of values"),
        ({"size": [1, 2, 1]}, 1, "size has 1 twice"),
        ({"size": [[1]]}, 1, r"size has the value \[1\]"),
        ({"held": [float("nan")]}, 1, "held has the value nan"),
        ({"seed": [1]}, 1, "give the seeds separately"),
        ({"report": ["x"]}, 1, "the sweep itself sets it"),
        ({"size": [1]}, 0, "seeds has no values"),
    ],
)
def test_invalid_grids_are_refused_before_anything_runs(notebook, tmp_path, grid, seeds, message):
    with pytest.raises(ValueError, match=message):
        sweep(notebook, grid, tmp_path / "out", seeds=seeds, progress=False)
    assert not (tmp_path / "out").exists()


def test_true_and_1_are_two_values(notebook):
    assert len(plan(notebook, {"die": [True, 1]})) == 2


def test_files_that_are_not_a_notebook_with_parameters(notebook, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.ipynb: no such notebook"):
        plan(tmp_path / "none.ipynb", {})
    (tmp_path / "page.ipynb").write_text("<html>")
    with pytest.raises(ValueError, match=r"page.ipynb is not a notebook"):
        plan(tmp_path / "page.ipynb", {})
    book = nbformat.read(notebook, 4)
    book.cells[0].metadata.tags = []
    nbformat.write(book, notebook)
    with pytest.raises(ValueError, match="tag the cell that sets them with 'parameters'"):
        plan(notebook, {})


def test_no_workers(notebook, tmp_path):
    with pytest.raises(ValueError, match="workers is 0"):
        sweep(notebook, {}, tmp_path / "out", workers=0)


# The runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two workers, two seeds: size 1 ends well, size 3 divides by zero."""
    folder = tmp_path_factory.mktemp("sweep")
    notebook = make_notebook(folder / "lesson" / "tiny.ipynb", "report = ''  # where the result goes")
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
    again = sweep(notebook, grid, out, workers=2, seeds=2, progress=False)
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
    from dprnn_lab.sweeps.running import read_report

    file = notebook.parent / "x.report"
    exec(line, {"Path": Path, "report": file})
    with pytest.raises(ValueError, match=message):
        read_report(file, plan(notebook, {"size": [1]})[0])


def test_a_notebook_without_report_is_timed(tmp_path):
    notebook = make_notebook(tmp_path / "lesson" / "silent.ipynb")
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


# The report


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
        assert "cell [5]" in text
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


def make_table():
    rows = [
        {"size": size, "kind": kind, "seed": seed, "status": "ok", "score": score + seed + (kind == "b")}
        for size, score in ((1, 3.0), (2, 5.0))
        for kind in ("a", "b")
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows)


def test_runs_are_summarised_over_their_seeds():
    table = make_table()
    table.loc[0, "status"] = "failed"
    summary = summarise_runs(table, ["size", "kind"], "score")
    assert summary[["size", "kind"]].values.tolist() == [[1, "a"], [1, "b"], [2, "a"], [2, "b"]]
    assert summary[["runs", "failed"]].values.tolist() == [[2, 1], [3, 0], [3, 0], [3, 0]]
    assert summary["mean"].tolist() == [4.5, 5.0, 6.0, 7.0]
    assert summary["low"][1] == pytest.approx(student_mean([4, 5, 6]).low)
    with pytest.raises(ValueError, match="no column 'colour'"):
        summarise_runs(table, "colour", "score")


def test_two_settings_are_compared_seed_by_seed():
    table = make_table()
    some = table[table["kind"] == "a"].copy()
    some["score"] += [0, 0, 0, 0.1, 0.0, -0.1]
    difference = compare_runs(some, "size", 1, 2, "score")
    expected = student_mean([2.1, 2.0, 1.9])
    assert (difference.mean, difference.low) == pytest.approx((expected.mean, expected.low))
    some.loc[0, "status"] = "failed"
    assert compare_runs(some, "size", 1, 2, "score").mean == pytest.approx(1.95)
    with pytest.raises(ValueError, match="has a seed twice: other parameters vary"):
        compare_runs(table, "size", 1, 2, "score")
    with pytest.raises(ValueError, match="no finished run has size=3"):
        compare_runs(some, "size", 1, 3, "score")
    some.loc[some["size"] == 2, "seed"] += 10
    with pytest.raises(ValueError, match="no seed in common"):
        compare_runs(some, "size", 1, 2, "score")


def test_students_interval():
    assert student_mean([4.0, 5.0, 6.0]).high == pytest.approx(5 + 4.302653 / 3**0.5)
    alone = student_mean([4.0, float("nan")])
    assert alone.mean == 4
    assert alone.low != alone.low
    with pytest.raises(ValueError, match="no values"):
        student_mean([])
    with pytest.raises(ValueError, match="confidence is 95"):
        student_mean([1, 2], 95)


# The command


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments], env={"COLUMNS": "1000", "TERM": "dumb"})


def test_the_command_runs_reports_and_exits_with_1_after_a_failure(notebook, tmp_path):
    out = tmp_path / "out"
    result = run("sweep", notebook, "--grid", "size=[2,3]", "--grid", "held=99", "--seeds", 1, "--workers", 2,
                 "--out", out)  # fmt: skip
    assert result.exit_code == 1
    assert "failed in cell [5]: ZeroDivisionError: division by zero" in result.output
    assert "size=3,seed=0.ipynb" in result.output
    assert "1 of 2 runs; results.csv, report.md, report.html" in result.output
    assert "Sweep of tiny.ipynb" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (["sise=[1]"], "did you mean 'size'?"),
        (["size=[1,2"], "is not a Python list"),
        (["die=[true,false]"], "is not a Python list"),
        (["size=1", "size=2"], "size is in the grid twice"),
    ],
)
def test_the_command_reports_errors_in_one_line(notebook, tmp_path, grid, message):
    options = [part for text in grid for part in ("--grid", text)]
    result = run("sweep", notebook, *options, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.splitlines()) == 1


def test_the_readme_has_the_differences_of_the_recorded_experiments():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    names = ("chunk", "pit", "pit-trained", "size-steps", "size-time")
    recorded = {n: pd.read_csv(data_folder() / "curves" / "experiments" / f"{n}.csv") for n in names}
    orders = dict(list(recorded["pit"].groupby("order")))
    pairs = dict(list(recorded["pit-trained"].groupby("pairs")))
    for label, runs, parameter, before, after in [
        ("PIT left out, speakers in random order", orders["random"], "pit", True, False),
        ("PIT left out, the man always first", orders["sorted"], "pit", True, False),
        ("small goes on for 100 steps without PIT, man-woman", pairs["man-woman"], "pit", True, False),
        ("the same, woman-woman", pairs["woman-woman"], "pit", True, False),
        ("chunks of 2 frames", recorded["chunk"], "chunk_size", 22, 2),
        ("chunks of 250 frames", recorded["chunk"], "chunk_size", 22, 250),
        *(
            (
                f"{size} hidden units in place of 64, equal {way}",
                recorded[f"size-{way}"],
                "hid_size",
                64,
                size,
            )
            for size in (16, 128)
            for way in ("steps", "time")
        ),
    ]:
        row = re.search(rf"^\| {label}[^|]*\|([^|]*)\|", readme, re.MULTILINE)[1]
        found = compare_runs(runs, parameter, before, after, "si_sdri")
        written = [float(number) for number in re.findall(r"[-+]?\d+\.\d+", row)]
        assert written == pytest.approx([found.mean, found.low, found.high], abs=0.0051), label
