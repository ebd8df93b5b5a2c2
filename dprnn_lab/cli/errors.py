"""How a command ends: one handler around all of them turns every error into a sentence and an exit code.

An error that a user can cause is one sentence on stderr with exit code 1 (2 for ``diagnose``, whose 1 means warnings);
``--debug`` shows the traceback too. Any other error is a bug, and the sentence says so. SIGINT and SIGTERM end a
command with 130 and 143 after it has cleaned up; a closed pipe (``| head``) ends it without a message.
"""

import linecache
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from ..error_texts import explained, printable
from .spelling import as_options, options_of

__all__ = ["Commands", "StopError", "Terminated", "describe", "in_own_words", "say", "stop", "trace"]

PACKAGE = __name__.partition(".")[0]
# Exceptions of the command line itself, such as an unknown option: Typer shows them.
USAGE: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
EXIT_CODES = {"diagnose": 2}  # of an error, where it is not 1
_running: list[Any] = []  # the context of the command that runs
OWN_SIGNALS = ("train",)  # commands that handle signals themselves
CLOSED_PIPE = 128 + 13  # as a shell reports a program that SIGPIPE ended


class StopError(Exception):
    """Ends a command with a message and an exit code; ``cause`` is the exception behind it, if any."""

    def __init__(self, message: str, code: int | None, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.code, self.cause = code, cause


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: what cleans up after Ctrl-C does so here too."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def stop(error: BaseException | str, code: int | None = None) -> NoReturn:
    """End the command with the error as one sentence; ``code`` None for the command's usual one."""
    if isinstance(error, BaseException):
        raise StopError(describe(error), code, error) from error
    raise StopError(error, code)


def say(text: str, err: bool = False) -> None:
    """Print, with control characters and undecodable bytes of file names escaped.

    ``err``: to stderr, a sentence in the words of the running command.
    """
    typer.echo(printable(in_own_words(text) if err else text, lines=True), err=err)


def in_own_words(text: str) -> str:
    """A message with the options of the running command in place of the arguments of Python."""
    if not _running:
        return text
    context = _running[-1]
    return as_options(
        text, options_of(context.command.get_command(context, context.invoked_subcommand or ""))
    )


def trace(error: BaseException) -> None:
    """With ``--debug``, print the traceback of an error."""
    if _running and _running[-1].params.get("debug"):
        traceback.print_exception(error, file=sys.stderr)


class Commands(TyperGroup):
    """The group of all commands, with the handler around them and ``--debug`` before or after a command's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = args[: args.index("--")] if "--" in args else args
        if "--debug" in own:
            args = ["--debug", *(a for a in own if a != "--debug"), *args[len(own) :]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):  # a terminal that can't show a character gets its code
            with suppress(AttributeError, ValueError, OSError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        _running.append(ctx)
        try:
            return self._guarded(ctx)
        finally:
            _running.pop()

    def _guarded(self, ctx: Any) -> Any:
        try:
            with _signals(ctx), _warnings_as_sentences():
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except (typer.Exit, typer.Abort, USAGE):
            raise
        except BrokenPipeError:
            _discard_output()
            raise typer.Exit(CLOSED_PIPE) from None
        except KeyboardInterrupt as error:
            notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
            _show(error, f"{'stopped' if isinstance(error, Terminated) else 'interrupted'}{notes}")
            raise typer.Exit(getattr(error, "code", 130)) from None
        except StopError as error:
            _show(error.cause or error, str(error))
            raise typer.Exit(_code(ctx) if error.code is None else error.code) from None
        except Exception as error:
            _show(error, describe(error))
            raise typer.Exit(_code(ctx)) from None


def _code(ctx: Any) -> int:
    return EXIT_CODES.get(ctx.invoked_subcommand, 1)


def _show(error: BaseException, text: str) -> None:
    """The sentence on stderr; with ``--debug`` the traceback before it."""
    try:
        trace(error)
        say(f"dprnn-lab: {_one_line(text)}", err=True)
        sys.stdout.flush()
    except OSError:
        _discard_output()


def _one_line(text: str) -> str:
    """Line breaks become spaces, except before indented lines: a list below a sentence."""
    first, *rest = text.strip().split("\n")
    for line in rest:
        first += f"\n{line.rstrip()}" if line.startswith("  ") else f" {line.strip()}"
    return first.strip()


def describe(error: BaseException) -> str:
    """One sentence for an exception, with the notes that were added to it."""
    text = str(error).strip()
    if isinstance(error, RecursionError):
        return "something in the input is nested too deeply to be read: check the file that was given"
    if isinstance(error, UnicodeError):
        return f"text can't be read or written ({text}): convert the file to UTF-8, or rename it"
    if isinstance(error, ImportError):
        missing = getattr(error, "name", None)
        return text if _is_ours(error) or not missing else f"{text}: install the package {missing}"
    if isinstance(error, (OSError, MemoryError)) or _no_memory(error):
        return explained(error)
    if isinstance(error, (ValueError, TypeError, RuntimeError)) and _is_ours(error):
        return explained(error)
    said = " ".join(f"{type(error).__name__}: {text}".rstrip(": ").split())
    notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    return f"unexpected {said}; this looks like a bug in dprnn-lab: the same command with --debug shows where{notes}"


def _no_memory(error: BaseException) -> bool:
    """Whether PyTorch could not allocate a tensor."""
    said = ("not enough memory", "out of memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in said)


def _is_ours(error: BaseException) -> bool:
    """Whether this package raised the exception on purpose: its own class, or a ``raise`` in its own code."""
    if type(error).__module__.partition(".")[0] == PACKAGE:
        return True
    if type(error.__cause__).__name__ == "_RemoteTraceback":  # from a worker process
        return True
    last = None
    for last in traceback.walk_tb(error.__traceback__):  # noqa: B007
        pass
    if last is None:
        return False
    frame, line = last
    if str(frame.f_globals.get("__name__", "")).partition(".")[0] != PACKAGE:
        return False
    return linecache.getline(frame.f_code.co_filename, line).lstrip().startswith("raise")


def _discard_output() -> None:
    """Point closed or full outputs at the null device, so that the interpreter's last flush says nothing."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _signals(ctx: Any) -> Iterator[None]:
    """SIGTERM and SIGHUP raise :class:`Terminated`, so that commands end as after Ctrl-C."""

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # once: a second one must not stop the cleaning up
        raise Terminated(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if _first_command(ctx) in OWN_SIGNALS or threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, terminate)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _first_command(ctx: Any) -> str:
    """The command's name, which the context knows only later."""
    rest = [*getattr(ctx, "_protected_args", []), *ctx.args]
    return rest[0] if rest else ""


@contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Warnings of this package, which are plain UserWarnings, in one line without a place in the code."""
    usual = warnings.showwarning

    def show(message: Any, category: Any, *place: Any, **more: Any) -> None:
        ours = category.__module__.partition(".")[0] == PACKAGE
        if category is UserWarning or (ours and issubclass(category, UserWarning)):
            say(f"dprnn-lab: {_one_line(str(message))}", err=True)
        else:
            usual(message, category, *place, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual
