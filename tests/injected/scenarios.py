"""The faults: each function injects one kind into one job, some number of times, and returns a row of the table."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .jobs import Job, Row, Train
from .process import Ended, start

__all__ = ["deleted_folder", "full_disk", "killed", "second_process", "signalled", "small_file_system"]


def undisturbed(job: Job, folder: Path, environment: dict[str, str] | None = None) -> tuple[object, float]:
    """The result of a run that nobody disturbs, and its seconds."""
    ended = start(job.command(folder), environment).end()
    if ended.problems():
        raise RuntimeError(f"{job.name} fails undisturbed: {ended.problems()}")
    return job.result(folder), ended.seconds


def killed(
    job: Job, times: int, seed: int, environment: dict[str, str] | None = None, where: str = ""
) -> Row:
    """SIGKILL at random moments; each time the command is given again, until it ends, then a new run begins."""
    draw = random.Random(seed)
    expected, seconds = undisturbed(job, job.folder / "undisturbed", environment)
    row, turn, out = Row(f"{job.name}: SIGKILL at a random moment{where}"), 0, job.folder / "killed-0"
    finished = 0
    while row.times < times or not finished:
        running = start(job.command(out), environment)
        moment = draw.uniform(0, seconds) if row.times < times else 1e9
        until = time.monotonic() + moment
        while running.running() and time.monotonic() < until:
            time.sleep(0.01)
        if running.running():
            begun = _checkpoint_step(out)
            running.send(signal.SIGKILL)
            ended = running.end()
            row.times += 1
            row.problems += [f"still running: {name}" for name in ended.survivors] + job.halves(out)
            if isinstance(job, Train) and _checkpoint_step(out) < begun:
                row.problems.append(f"the checkpoint of step {begun} is gone")
            continue
        ended = running.end()
        finished += 1
        row.problems += ended.problems()
        if not ended.problems() and job.result(out) != expected:
            row.problems.append("the result differs from the undisturbed one")
        row.problems += _leftovers(out)
        turn += 1
        out = job.folder / f"killed-{turn}"
    row.note = f"{finished} runs brought to their end"
    return row


def signalled(job: Job, name: str, times: int, seed: int) -> Row:
    """SIGTERM or SIGINT at a random moment after the start: ends by itself, not with 0, and can be continued."""
    draw = random.Random(seed)
    expected, seconds = undisturbed(job, job.folder / "undisturbed")
    row = Row(f"{job.name}: {name}")
    for turn in range(times):
        out = job.folder / f"{name}-{turn}"
        running = start(job.command(out))
        time.sleep(draw.uniform(0.5, 0.9) * seconds)
        if not running.running():
            running.end()
            continue
        running.send(getattr(signal, name))
        ended = running.end(timeout=60)
        row.times += 1
        row.problems += [p for p in ended.problems() if not p.startswith("exit code")] + job.halves(out)
        if ended.code == 0 and not _is_complete(job, out, expected):
            row.problems.append("exit code 0, and the work is not done")
        last = start(job.command(out)).end()
        row.problems += last.problems()
        if not last.problems() and not isinstance(job, Train) and job.result(out) != expected:
            row.problems.append("continued, the result differs")
    return row


def full_disk(job: Job, limit_bytes: int) -> Row:
    """No file may grow over a limit (EFBIG, as a full disk gives ENOSPC): one sentence, nothing half-written."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    out = job.folder / "limited"
    ended = start(job.command(out), preexec=limited).end()
    row = Row(f"{job.name}: files limited to {limit_bytes} bytes", 1, ended.problems(failed=True))
    row.problems += job.halves(out) if out.is_dir() else []
    return row


def small_file_system(job: Job, size: str) -> Row | None:
    """A file system of a few blocks; None where it can't be mounted."""
    place = job.folder / "tmpfs"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        return None
    try:
        out = place / "out"
        ended = start(job.command(out)).end()
        row = Row(f"{job.name}: a disk of {size}", 1, ended.problems(failed=True))
        row.problems += job.halves(out) if out.is_dir() else []
    finally:
        subprocess.run(["umount", "-l", place], check=False)
    return row


def deleted_folder(job: Job, seed: int) -> Row:
    """The folder of results is removed while the command works: one sentence, or the work is done anew; no trace."""
    _, seconds = undisturbed(job, job.folder / "undisturbed")
    out, row = job.folder / "removed", Row(f"{job.name}: the folder of results removed", 1)
    running = start(job.command(out))
    time.sleep(random.Random(seed).uniform(0.6, 0.8) * seconds)
    shutil.rmtree(out, ignore_errors=True)
    ended = running.end()
    row.problems += ended.problems(failed=ended.code != 0)
    row.problems += job.halves(out) if out.is_dir() else []
    return row


def second_process(job: Job) -> Row:
    """Two commands at once with one folder: one works, the other says who does."""
    expected, _ = undisturbed(job, job.folder / "undisturbed")
    out = job.folder / "shared"
    both = [start(job.command(out)), start(job.command(out))]
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


def _is_complete(job: Job, out: Path, expected: object) -> bool:
    try:
        return job.result(out) == expected
    except Exception:
        return False


def _checkpoint_step(out: Path) -> int:
    steps = [int(file.stem.removeprefix("step")) for file in (out / "checkpoints").glob("step*.ckpt")]
    return max(steps, default=0)


def _leftovers(out: Path) -> list[str]:
    """Hidden and temporary files of killed attempts that the last one did not remove."""
    names = [str(path.relative_to(out)) for path in out.rglob("*") if path.name.startswith((".", "tmp"))]
    return [f"left behind: {', '.join(sorted(names)[:4])}"] if names else []


Scenario = Callable[..., Row | None]
assert os.name == "posix", "kills and limits are those of Linux and macOS"
