"""The faults: each function injects one kind into one job, some number of times, and returns a row of the table."""

import os
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from .jobs import Job, Row, Train
from .process import Ended, Started, start

__all__ = ["deleted_folder", "file_limit", "killed", "second_process", "signalled", "small_file_system"]

LONGEST_SECONDS = 900  # of a command on a busy machine
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_undisturbed: dict[
    str, tuple[object, float]
] = {}  # by the job's name: its result is the same wherever it runs


def undisturbed(job: Job) -> tuple[object, float]:
    """The result of a run that nobody disturbs, and its seconds; computed once for each kind of job."""
    with _locks[job.name]:
        if job.name not in _undisturbed:
            out = job.folder / "undisturbed"
            ended = start(job.command(out)).end(timeout=LONGEST_SECONDS)
            problems = ended.problems() + _leftovers(out)
            if problems:
                raise RuntimeError(f"{job.name} fails undisturbed: {problems}")
            _undisturbed[job.name] = job.result(out), ended.seconds
        return _undisturbed[job.name]


def killed(
    job: Job, times: int, seed: int, environment: dict[str, str] | None = None, where: str = ""
) -> Row:
    """SIGKILL at random moments; each time the command is given again, until it ends, then a new run begins.

    Every second kill waits until the work has begun, so that not all of them hit the imports.
    """
    draw = random.Random(seed)
    expected, seconds = undisturbed(job)
    row, out = Row(f"{job.name}: SIGKILL at a random moment{where}"), job.folder / "killed-0"
    finished = in_work = 0
    while row.times < times or not finished:
        before, running = job.done(out), start(job.command(out), environment)
        if row.times < times:
            if row.times % 2:
                _wait_for_work(job, out, running, before)
                _wait(running, draw.uniform(0, seconds / 3))
            else:
                _wait(running, draw.uniform(0, seconds))
        else:
            running.process.wait(LONGEST_SECONDS)
        if running.running():
            begun, done = _checkpoint_step(out), job.done(out)
            running.send(signal.SIGKILL)
            ended = running.end()
            if ended.code != -signal.SIGKILL:  # it ended by itself in this very moment
                continue
            row.times += 1
            in_work += done > 0
            row.problems += [f"still running: {name}" for name in ended.survivors] + job.halves(out)
            if isinstance(job, Train) and _checkpoint_step(out) < begun:
                row.problems.append(f"the checkpoint of step {begun} is gone")
            if not isinstance(job, Train) and job.done(out) < done and not _is_complete(job, out, expected):
                row.problems.append(f"{done} parts were done, {job.done(out)} are left")
            continue
        ended = running.end()
        finished += 1
        row.problems += _faults_of_the_end(job, ended, out, expected)
        out = job.folder / f"killed-{finished}"
    row.note = (
        f"{in_work} with part of the work done; {finished} runs brought to their end, with the same result"
    )
    if row.problems:
        row.note = row.note.removesuffix(", with the same result")
    return row


def signalled(job: Job, name: str, times: int, seed: int) -> Row:
    """SIGTERM or SIGINT in the middle of the work: ends by itself, not with 0, and can be continued."""
    draw, number = random.Random(seed), getattr(signal, name)
    expected, seconds = undisturbed(job)
    row, turn = Row(f"{job.name}: {name}"), 0
    while row.times < times and turn < 4 * times:
        turn += 1
        out = job.folder / f"{name}-{turn}"
        running = start(job.command(out))
        _wait_for_work(job, out, running)
        _wait(running, draw.uniform(0, seconds / 4))
        if not running.running():
            running.end()
            continue
        running.send(number)
        ended = running.end(timeout=60)
        if ended.code == 0 and _is_complete(job, out, expected):
            continue  # it had just ended
        row.times += 1
        row.problems += [p for p in ended.problems() if not p.startswith("exit code")] + job.halves(out)
        if ended.code != 128 + number:
            row.problems.append(f"exit code {ended.code}, not {128 + number}: {ended.errors.strip()[-200:]}")
        last = start(job.command(out)).end()
        # A training that is interrupted ends its epoch early and validates: the rest then differs.
        row.problems += _faults_of_the_end(job, last, out, None if isinstance(job, Train) else expected)
    row.note = f"exit code {128 + number}, continued each time" if not row.problems else ""
    if row.times < times:
        row.problems.append(f"injected {row.times} times only")
    return row


def file_limit(job: Job, limit_bytes: int) -> Row:
    """No file may grow over a limit (EFBIG, as a full disk gives ENOSPC); without it, the command goes on."""

    out, row = job.folder / "limited", Row(f"{job.name}: no file over {limit_bytes:,} bytes", 1)

    def limited() -> Started:
        running = start(job.command(out))
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        return running  # Python ignores SIGXFSZ, and so do the processes that it starts

    _fails_then_continues(job, out, row, limited, lambda: None)
    return row


def small_file_system(job: Job, size: str) -> Row | None:
    """A file system that gets full in the middle, and is enlarged later; None where none can be mounted."""
    place = job.folder / "tmpfs"
    place.mkdir()
    row = Row(f"{job.name}: a full disk ({size}B)", 1)
    if _mount(place, size):
        return None
    try:
        out = place / "out"
        enlarged = lambda: _mount(place, "256m", "remount,")  # noqa: E731
        _fails_then_continues(job, out, row, lambda: start(job.command(out)), enlarged)
    finally:
        subprocess.run(["umount", "-l", place], check=False)
    return row


def deleted_folder(job: Job, seed: int) -> Row:
    """The folder of results is removed while the command works: one sentence, or all is done anew; nothing half."""
    expected, seconds = undisturbed(job)
    out, row = job.folder / "removed", Row(f"{job.name}: the folder of results removed", 1)
    running = start(job.command(out))
    _wait_for_work(job, out, running)
    _wait(running, random.Random(seed).uniform(0, seconds / 10))
    if not running.running():
        row.problems.append("it had ended before")
    for _ in range(5):  # again where a file was made in the same moment
        shutil.rmtree(out, ignore_errors=True)
    ended = running.end()
    row.problems += ended.problems(failed=ended.code != 0)
    if ended.code == 0 and not _is_complete(job, out, expected):
        row.problems.append("exit code 0, and the work is not done")
    if ended.code != 0 and out.is_dir():
        left = [str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()]
        row.problems += [f"written into the removed folder: {left[:4]}"] if left else []
    return row


def second_process(job: Job) -> Row:
    """Two commands at once with one folder: one works, the other says who does."""
    expected, _ = undisturbed(job)
    out = job.folder / "shared"
    first = start(job.command(out))
    while not out.exists() and first.running():
        time.sleep(0.01)
    both = [first, start(job.command(out))]
    ends: list[Ended] = [running.end() for running in both]
    ends.sort(key=lambda ended: ended.code != 0)
    row = Row(
        f"{job.name}: two processes on one folder", 1, ends[0].problems() + ends[1].problems(failed=True)
    )
    if not row.problems and "in use" not in ends[1].errors:
        row.problems.append(f"the second says: {ends[1].errors.strip()[-200:]}")
    if not ends[0].problems() and job.result(out) != expected:
        row.problems.append("the result differs from that of one process")
    return row


def _fails_then_continues(
    job: Job, out: Path, row: Row, limited: Callable[[], Started], lift: Callable[[], object]
) -> None:
    """The command fails under a limit with one sentence, and without it brings the work to its end."""
    expected, _ = undisturbed(job)
    ended = limited().end()
    row.problems += ended.problems(failed=True) + job.halves(out)
    done = job.done(out)
    if not done:
        row.problems += _leftovers(out)
    lift()
    row.problems += _faults_of_the_end(job, start(job.command(out)).end(), out, expected)
    row.note = f"failed after {done} {job.parts}"


def _faults_of_the_end(job: Job, ended: Ended, out: Path, expected: object | None) -> list[str]:
    """What is wrong with a run that should be at its end; ``expected`` None: another result is right, too."""
    found = ended.problems()
    if not found:
        try:
            if job.result(out) != expected and expected is not None:
                found.append("the result differs from the undisturbed one")
        except Exception as error:
            found.append(f"exit code 0, and no result: {error}"[:200])
    return found + job.halves(out) + _leftovers(out)


def _is_complete(job: Job, out: Path, expected: object) -> bool:
    try:
        return job.result(out) == expected
    except Exception:
        return False


def _wait(running: Started, seconds: float) -> None:
    until = time.monotonic() + seconds
    while running.running() and time.monotonic() < until:
        time.sleep(0.01)


def _wait_for_work(job: Job, out: Path, running: Started, before: int = 0) -> None:
    """Until more is done than ``before``."""
    while running.running() and job.done(out) <= before:
        time.sleep(0.02)


def _mount(place: Path, size: str, options: str = "") -> int:
    command = ["mount", "-t", "tmpfs", "-o", f"{options}size={size}", "none", place]
    return subprocess.run(command, capture_output=True, check=False).returncode


def _checkpoint_step(out: Path) -> int:
    steps = [int(file.stem.removeprefix("step")) for file in (out / "checkpoints").glob("step*.ckpt")]
    return max(steps, default=0)


def _leftovers(out: Path) -> list[str]:
    """Hidden and temporary files of killed attempts that the last one did not remove."""
    names = [str(path.relative_to(out)) for path in out.rglob("*") if path.name.startswith((".", "tmp"))]
    return [f"left behind: {', '.join(sorted(names)[:4])}"] if names else []


assert os.name == "posix", "kills and limits are those of Linux and macOS"
