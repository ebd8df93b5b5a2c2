"""Run untrusted code in a process of its own: an endless loop, an exit or a crash ends only that process.

The process is a fork of the kernel (on Linux), so it has the student's functions without any of them being saved, and
nothing that it changes comes back. Elsewhere the code runs in the kernel itself, and nbgrader's limit for a cell is
the only one.
"""

import builtins
import contextlib
import faulthandler
import io
import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Outcome", "run_isolated"]

MEMORY_BYTES = 4 * 2**30  # that the code may use on top of what the kernel has
PRINTED_CHARACTERS = 1500  # kept of what the code prints


class Outcome(NamedTuple):
    """What a function returned (JSON), or why it returned nothing; and what it printed."""

    value: Any = None
    failure: str = ""
    printed: str = ""


class _Beginning(io.TextIOBase):
    """A text stream that keeps its beginning only."""

    def __init__(self) -> None:
        self.kept, self.dropped = "", 0

    def write(self, text: str) -> int:
        room = PRINTED_CHARACTERS - len(self.kept)
        self.kept += text[:room] if room > 0 else ""
        self.dropped += max(0, len(text) - max(room, 0))
        return len(text)

    def text(self) -> str:
        return self.kept + (f"\n... and {self.dropped} more characters" if self.dropped else "")


def _no_input(*_: object) -> str:
    raise RuntimeError("graded code gets no input() from a keyboard: take what you need as an argument")


def run_isolated(function: Callable[[], Any], seconds: float = 30.0) -> Outcome:
    """Call a function and return what it returned, whatever else it does.

    Args:
        function: without arguments; what it returns must be JSON.
        seconds: wall-clock limit, after which the process is killed.
    """
    if sys.platform != "linux":
        return _called(function)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 and later warn that the kernel has threads
        child = os.fork()
    if child == 0:
        os.close(reading)
        _child(function, writing)
    os.close(writing)
    try:
        content = _read(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)  # whatever it started, too
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if content is None:
        return Outcome(failure=f"no answer within {seconds:g} seconds: look for a loop that never ends")
    try:
        return Outcome(**json.loads(content))
    except (ValueError, TypeError):
        return Outcome(failure=f"the code ended its Python process ({_ending(status)})")


def _read(pipe: int, deadline: float) -> bytes | None:
    """All bytes until the other end closes; None when the time is over."""
    content = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0]:
            break
        piece = os.read(pipe, 65536)
        if not piece:
            return content
        content += piece
    return None


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"signal {number}, {signal.strsignal(number)}"
    return f"exit code {os.WEXITSTATUS(status)}"


def _child(function: Callable[[], Any], writing: int) -> None:
    """Never returns: the fork must not go on as a second kernel."""
    code = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        faulthandler.disable()  # it would write to where the kernel's errors go
        _limit_memory()
        builtins.input = _no_input
        content = json.dumps(_called(function)._asdict()).encode()
        while content:
            content = content[os.write(writing, content) :]
        code = 0
    finally:
        os._exit(code)


def _limit_memory() -> None:
    import resource  # Unix only

    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    with contextlib.suppress(ValueError, OSError):  # a lower limit may be set already
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)


def _called(function: Callable[[], Any]) -> Outcome:
    printed = _Beginning()
    value, failure = None, ""
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            value = function()
        except SystemExit as error:
            failure = (
                f"the code called sys.exit({'' if error.code is None else repr(error.code)}): return instead"
            )
        except BaseException as error:  # a student's code may raise anything
            failure = f"the code raised {type(error).__name__}: {error}"
    return Outcome(value, failure, printed.text())
