"""Sweeps and evaluations on executors: threads, processes, and a real Dask cluster of which a worker is killed."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress

import pandas as pd
import psutil
import pytest
from typer.testing import CliRunner

import dprnn_lab
from dprnn_lab import cli, save_model
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation import evaluate_to, schedulers
from dprnn_lab.evaluation.executors import LOST, results_as_they_end
from dprnn_lab.evaluation.schedulers import check_scheduler, open_scheduler
from dprnn_lab.sweeps import sweep

COLUMNS = ["size", "seed", "status", "score", "threads"]


def started(notebook):
    """Number of runs that have started so far."""
    file = notebook.parent / "started.txt"
    return len(file.read_text()) if file.is_file() else 0


def wait_until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def expected(sizes, seeds):
    """The rows of the notebook, computed here."""
    rows = [
        (size, seed, "ok", 10 * size + seed + 1 / (size - 3), 1) for size in sizes for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes on the loopback, each with one thread."""
    distributed = pytest.importorskip("distributed", reason='pip install "dprnn-lab[cluster]"')
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
        silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster


# Executors of the standard library


def test_threads_and_processes_give_the_rows_and_stay_open(notebook, tmp_path):
    folder, environment = os.getcwd(), dict(os.environ)
    with ThreadPoolExecutor(2) as threads:
        table = sweep(notebook, {"size": [1, 2]}, tmp_path / "threads", progress=False, executor=threads)
        assert threads.submit(int, "7").result() == 7
    pd.testing.assert_frame_equal(table[COLUMNS], expected([1, 2], 1))
    assert (os.getcwd(), dict(os.environ)) == (folder, environment)
    with ProcessPoolExecutor(1) as processes:
        table = sweep(notebook, {"size": [1, 3]}, tmp_path / "processes", progress=False, executor=processes)
    assert table["status"].tolist() == ["ok", "failed"]
    assert table["error"][1] == "ZeroDivisionError: division by zero"
    assert {path.name for path in (tmp_path / "processes").iterdir()} == {
        "notebooks", "results.csv", "runs", "settings.json"
    }  # fmt: skip


def test_a_run_needs_no_folder_of_the_notebook(notebook, tmp_path):
    """As on another machine: the run's values are enough."""
    from dataclasses import replace

    from dprnn_lab.sweeps.executing import Task, execute

    parameters = {"size": 2, "seed": 1}
    task = Task("a", notebook.read_text(), str(notebook.parent), parameters, True, "s")
    outcome = execute(replace(task, folder=str(tmp_path / "elsewhere")))
    assert outcome.failure is None
    assert b'"score": 20.0' in outcome.report
    assert started(notebook) == 0  # started.txt lies in the run's own folder, which is gone
    assert b"size = 2" in outcome.notebook


class Submitted:
    """A job of an executor that is none of concurrent.futures, such as submitit's."""

    def __init__(self, function, arguments):
        self.polls, self.call = 0, lambda: function(*arguments)

    def done(self):
        self.polls += 1
        return self.polls > 2

    def result(self):
        return self.call()


class Queue:
    def submit(self, function, *arguments):
        return Submitted(function, arguments)


class Counting:
    """Counts the calls that wait at a time, and answers them in the order of their submission."""

    def __init__(self):
        self.waiting, self.most = [], 0

    def submit(self, function, *arguments):
        self.waiting.append((Future(), function, arguments))
        self.most = max(self.most, len(self.waiting))
        threading.Timer(0.01, self.answer).start()
        return self.waiting[-1][0]

    def answer(self):
        future, function, arguments = self.waiting.pop(0)
        if future.set_running_or_notify_cancel():
            future.set_result(function(*arguments))


def test_calls_are_made_in_a_window_and_jobs_of_other_kinds_are_polled():
    calls = [(n,) for n in range(40)]
    assert sorted(got for _, got in results_as_they_end(Queue(), abs, calls, 3, 3)) == list(range(40))
    executor = Counting()
    assert len(list(results_as_they_end(executor, abs, iter(calls), 2, 5))) == 40
    assert executor.most == 5


def test_what_can_happen_to_an_executor_is_one_sentence(notebook, tmp_path):
    spawn = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    with ProcessPoolExecutor(1, spawn) as pool, pytest.raises(ChildProcessError, match="ended by itself"):
        list(results_as_they_end(pool, os._exit, [(1,)], 1, 1))
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(ConnectionError, match="the executor was shut down: make a new one"):
        sweep(notebook, {}, tmp_path / "out", progress=False, executor=closed)
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="install dprnn-lab there"):
        list(results_as_they_end(pool, __import__, [("no_such_module",)], 1, 1))
    for wrong in (4, ThreadPoolExecutor):
        with pytest.raises(TypeError, match="give an executor, such as"):
            sweep(notebook, {}, tmp_path / "out", progress=False, executor=wrong)
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ValueError, match="workers is 2 and there is an executor"),
    ):
        sweep(notebook, {}, tmp_path / "out", 2, progress=False, executor=pool)
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ValueError, match="workers is 2 and there is an executor"),
    ):
        evaluate_to(tmp_path / "out", {"irm": "irm"}, FixedMixtures("test"), workers=2, executor=pool)
    assert not (tmp_path / "out").exists()


class Lossy:
    """An executor whose worker is lost each time that it computes the call with 2, as Dask reports it."""

    def submit(self, function, *arguments):
        future = Future()
        if arguments == (2,):
            future.set_exception(type("KilledWorker", (Exception,), {})("call"))
        else:
            future.set_result(function(*arguments))
        return future


def test_a_call_that_ends_every_worker_ends_no_other():
    results = {call[0]: got for call, got in results_as_they_end(Lossy(), abs, [(1,), (2,), (3,)], 3, 3)}
    assert results == {1: 1, 2: LOST, 3: 3}


# Addresses


@pytest.mark.parametrize(
    "address", ["", "host:8786", "http://h:1", "tcp://h", "tcp://h:0", "tcp://h:99999", "tcp://:1", "local", "local:x",
                "local:-1", "local:²", "tcp://a b:1"],
)  # fmt: skip
def test_bad_addresses_are_refused(address):
    with pytest.raises(
        ValueError, match=r"scheduler is '.*': give tcp://HOST:PORT of a running Dask scheduler"
    ):
        check_scheduler(address)


def test_absurd_numbers_of_local_workers_are_refused():
    for count in (0, 10**6):
        with pytest.raises(ValueError, match=rf"scheduler is 'local:{count}': give local:N .* from 1 to 256"):
            check_scheduler(f"local:{count}")
    check_scheduler("tcp://[::1]:8786")
    check_scheduler("local:4")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(schedulers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'not installed: pip install "dprnn-lab\[cluster\]"'):
        check_scheduler("local:2")


def test_the_commands_refuse_a_bad_scheduler_in_one_line(notebook, tmp_path, monkeypatch):
    monkeypatch.setattr(schedulers, "CONNECT_SECONDS", 1)
    out = str(tmp_path / "out")
    run = ["sweep", str(notebook), "--out", out]
    score = ["evaluate", "--baseline", "irm", "--data", "test"]
    for command, message in [
        ([*run, "--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ([*run, "--scheduler", "host"], "--scheduler is 'host': give tcp://HOST:PORT"),
        ([*run, "--scheduler", "local:2", "--workers", "2"], "leave --workers out"),
        ([*score, "--scheduler", "local:2"], "--scheduler needs --out"),
        ([*score, "--scheduler", "host", "--out", out], "--scheduler is 'host': give tcp://HOST:PORT"),
    ]:
        result = CliRunner().invoke(cli.app, command, env={"COLUMNS": "1000", "TERM": "dumb"})
        assert result.exit_code == 1
        assert message in result.output
        assert len(result.output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# A cluster


def sweep_with_a_kill(notebook, out, cluster, sizes, seeds, held):
    """The table of a sweep on a cluster, one of whose two workers is killed in the middle of a run."""
    found = []
    grid = {"size": sizes, "held": [held]}
    with open_scheduler(cluster.scheduler_address) as executor:
        thread = threading.Thread(
            target=lambda: found.append(
                sweep(notebook, grid, out, seeds=seeds, executor=executor, progress=False)
            )
        )
        thread.start()
        free = sum(size < held for size in sizes) * seeds
        wait_until(lambda: started(notebook) == free + 2)  # both workers hold a run
        before = len(list((out / "runs").glob("*.json")))
        victim = next(iter(executor._client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        (notebook.parent / "go.txt").touch()
        thread.join(300)
    assert before == free  # results are on disk as they end
    return found[0]


def test_a_killed_worker_loses_nothing_and_models_travel_as_values(
    notebook, tmp_path, cluster, tiny, monkeypatch
):
    table = sweep_with_a_kill(notebook, tmp_path / "sweep", cluster, [1, 4], 2, held=4)
    pd.testing.assert_frame_equal(table[COLUMNS], expected([1, 4], 2))
    assert started(notebook) == 4 + 1  # the lost one was made again

    few = FixedMixtures("test", limit=1)
    systems = {"model": str(save_model(tiny(), tmp_path / "model.safetensors")), "irm": "irm"}
    here = evaluate_to(tmp_path / "here", systems, few, progress=False)
    with open_scheduler(cluster.scheduler_address) as executor:
        there = evaluate_to(tmp_path / "there", systems, few, progress=False, executor=executor)
    columns = [name for name in here if name != "rtf"]
    pd.testing.assert_frame_equal(here[columns], there[columns], atol=1e-3)
    assert pd.read_csv(tmp_path / "there" / "scores.csv")["id"].tolist() == here["id"].tolist()

    monkeypatch.setattr(dprnn_lab, "__version__", "0.0")
    with pytest.raises(ValueError, match=r"has dprnn-lab \S+ and this process 0.0: install the same"):
        open_scheduler(cluster.scheduler_address).__enter__()


def test_threads_give_the_rows_of_an_evaluation_in_sequence(tmp_path):
    few, systems = FixedMixtures("test", limit=2), {"mixture": "mixture", "irm": "irm"}
    here = evaluate_to(tmp_path / "here", systems, few, progress=False)
    with ThreadPoolExecutor(2) as pool:
        there = evaluate_to(tmp_path / "there", systems, few, progress=False, executor=pool)
    columns = [name for name in here if name != "rtf"]
    pd.testing.assert_frame_equal(here[columns], there[columns])


@pytest.mark.slow
def test_a_sweep_of_24_runs_with_a_killed_worker_equals_the_local_one(
    notebook, make_notebook, tmp_path, cluster
):
    sizes = [1, 2, 4, 5, 6, 7, 8, 9]
    table = sweep_with_a_kill(notebook, tmp_path / "cluster", cluster, sizes, 3, held=5)
    local = make_notebook(tmp_path / "local" / "tiny.ipynb")
    alone = sweep(local, {"size": sizes}, tmp_path / "alone", 2, 3, progress=False)
    assert len(table) == 24
    pd.testing.assert_frame_equal(table[COLUMNS], alone[COLUMNS])
    assert started(notebook) == 24 + 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_of_a_local_cluster_outlives_the_command(notebook, tmp_path, number):
    command = [sys.executable, "-m", "dprnn_lab.cli", "sweep", notebook, "--grid", "size=[1, 2]", "--grid", "held=2",
               "--seeds", "1", "--scheduler", "local:2", "--out", tmp_path / "out"]  # fmt: skip
    child = subprocess.Popen(
        [str(part) for part in command], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        wait_until(lambda: len(list(tmp_path.glob("out/runs/*.json"))) == 1 or child.poll() is not None)
        wait_until(lambda: started(notebook) == 2)
        family = psutil.Process(child.pid).children(recursive=True)
        assert len(family) >= 3
        child.send_signal(number)
        text = child.communicate()[1]
        assert child.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[number]
        if number != signal.SIGKILL:
            assert "the same command continues from here" in text
            assert "Traceback" not in text
        wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), 20)
    finally:
        child.kill()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, "what answers at .* is no Dask scheduler"),
        (b"", "no Dask scheduler answers at .* within 1 s"),
    ],
    ids=["another service", "silence"],
)
def test_a_port_where_something_else_listens_ends_with_a_sentence(answer, message, monkeypatch, recwarn):
    pytest.importorskip("distributed")
    monkeypatch.setattr("dprnn_lab.evaluation.schedulers.CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError):
                connection, _ = server.accept()
                connection.sendall(answer)
                held.append(connection)  # open, and silent from here on

        held: list = []
        threading.Thread(target=serve, daemon=True).start()
        begun = time.monotonic()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=message), open_scheduler(address):
            pass
        assert time.monotonic() - begun < 20
