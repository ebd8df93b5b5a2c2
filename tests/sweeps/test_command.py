"""``dprnn-lab sweep``."""

import pytest
from typer.testing import CliRunner

from dprnn_lab import cli


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
