"""The faults of ``make test-faults``: a few of each kind, and that the table tells what went wrong."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))  # pytest may run without the repository on the path

from tests.injected import fuzz, run, scenarios
from tests.injected.jobs import JOBS, Job, Row, Train
from tests.injected.process import start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills and limits of Linux")


@pytest.mark.slow
def test_a_killed_training_loses_nothing(tmp_path):
    """In the middle of its work; what a whole row does many times."""
    job = Train(tmp_path / "train")
    out = tmp_path / "out"
    running = start(job.command(out))
    scenarios._wait_for_work(job, out, running)
    running.send(9)
    ended = running.end()
    assert (ended.code, ended.survivors) == (-9, [])
    assert job.done(out) and job.halves(out) == []
    assert scenarios._faults_of_the_end(job, start(job.command(out)).end(), out, None) == []


@pytest.mark.parametrize("kind", ["lists", "configurations"])
def test_ten_fuzzed_files_work_or_get_one_error(kind, tmp_path):
    """In this process, without the limit of memory; the whole row has a child with one."""
    originals = fuzz.KINDS[kind][0](tmp_path)
    found = [fuzz.outcome(kind, originals, 1, index) for index in range(10)]
    assert set(found) <= {"works", "error"} and "error" in found


def test_the_table_counts_each_fault(monkeypatch, tmp_path, capsys):
    found = [Row("train: SIGKILL", 20, note="3 runs"), Row("audio fuzzed", 200, ["audio 0 7: hangs"])]
    monkeypatch.setattr(run, "rows", lambda *_: iter(found))
    monkeypatch.setattr(run, "TABLE", tmp_path / "README.md")
    monkeypatch.setattr(sys, "argv", ["run"])
    assert run.main() == 1
    assert "    audio 0 7: hangs\n" in capsys.readouterr().out
    text = (tmp_path / "README.md").read_text()
    assert "| train: SIGKILL | 20 | 0 | 3 runs |" in text
    assert "| audio fuzzed | 200 | 1 | audio 0 7: hangs |" in text
    assert "| **all** | **220** | **1** | |" in text


def test_rows_that_are_injected_again_take_the_place_of_the_old(monkeypatch, tmp_path):
    table = tmp_path / "README.md"
    monkeypatch.setattr(run, "TABLE", table)
    before = [Row("train: SIGKILL", 20, note="3 runs"), Row("audio fuzzed", 200, ["audio 0 7: hangs"])]
    table.write_text(run.render(before, minutes=1, kills=20))
    monkeypatch.setattr(run, "rows", lambda *_: iter([Row("audio fuzzed", 100, note="all work")]))
    monkeypatch.setattr(sys, "argv", ["run", "--only", "fuzz audio", "--update"])
    assert run.main() == 0
    text = table.read_text()
    assert "| train: SIGKILL | 20 | 0 | 3 runs |" in text
    assert "| audio fuzzed | 100 | 0 | all work; injected again, alone |" in text and "hangs" not in text
    assert "| **all** | **120** | **0** | |" in text
    with pytest.raises(ValueError, match="has no row 'sweep: kill'"):
        run.updated(text, [Row("sweep: kill", 1)])


class Careless(Job):
    """A command that does wrong on purpose: what the harness has to notice."""

    name, parts = "careless", "parts"

    def result(self, out):
        return sorted(path.name for path in out.iterdir())

    def halves(self, out):
        return []

    def done(self, out):
        return len(list(out.glob("*")))


def test_faults_are_noticed(tmp_path):
    job = Careless(tmp_path)
    (tmp_path / ".hidden").touch()
    help_ = start(["--help"]).end()
    assert help_.problems() == []
    assert help_.problems(failed=True) == ["exit code 0"]
    wrong = scenarios._faults_of_the_end(job, help_, tmp_path, ["model"])
    assert wrong == ["the result differs from the undisturbed one", "left behind: .hidden"]
    refused = start(["info", tmp_path / "missing.pth"]).end()
    assert refused.problems(failed=True) == []
    assert "exit code 1" in refused.problems()[0]
    running = start(["checklist"])
    running.send(6)
    ended = running.end()
    assert ended.problems(failed=True)[0].startswith("ended by signal")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "SIGTERM", "SIGINT", "limit", "disk", "removed", "second"])
@pytest.mark.parametrize("kind", JOBS, ids=lambda kind: kind.name)
def test_a_few_faults_of_each_kind(tmp_path, kind, fault):
    rows = list(run.rows(tmp_path, kills=2, only=f"{kind.name} {fault}"))
    assert rows or fault == "disk"  # where none can be mounted
    assert [row.problems for row in rows if row.problems] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train tmpdir", *[f"fuzz {kind}" for kind in run.FUZZED]])
def test_a_few_faults_of_the_other_kinds(tmp_path, name):
    (row,) = run.rows(tmp_path, kills=2, only=name)
    assert row.problems == [] and row.times
