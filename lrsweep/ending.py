"""How a command ends: an error as one line and an exit code, a signal in order, a reader's leaving in silence."""

from __future__ import annotations

import errno
import functools
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import typer

from lrsweep.following import cluster_options, same_again
from lrsweep.live import tell
from lrsweep.signals import Ended, Ending
from lrsweep.vocabulary import RUN_IT, LrsweepError, SpecError, StoreError, plain

P = ParamSpec("P")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What is wrong where no more can be written."""

DISK = (*NO_ROOM, errno.EROFS, errno.EACCES, errno.EPERM)
"""What is wrong where a file of ours cannot be written."""

LEFT = 128 + signal.SIGPIPE
"""The exit code of any program whose reader has left."""

KEEPS = "stopped: finished runs are kept; the same command goes on"
KEEPS_NOTHING = "stopped; the same command starts anew"
"""What a command says when it is told to end: `run`, and the others."""


def orderly(function: Callable[P, None]) -> Callable[P, None]:
    """Turns errors into one line and an exit code, and signals into an orderly end."""
    stopped = KEEPS if function.__name__ == "run" else KEEPS_NOTHING

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        with Ending(stopped) as ending:
            try:
                try:
                    function(*args, **kwargs)
                finally:
                    if sys.stdout:  # none where it was closed
                        sys.stdout.flush()  # here, where what is wrong with it can still be told
            except (typer.Exit, typer.Abort):
                raise
            except BaseException as error:
                number = ending.number or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0)
                if not number and kwargs.get("debug") and not isinstance(error, BrokenPipeError | SystemExit):
                    raise
                ending.line = ""
                code = stop(number, error, stopped) if number else tell_of(error, kwargs)
                drop_unwritten()
                raise typer.Exit(code) from None

    return wrapper


def stop(number: int, error: BaseException, line: str) -> int:
    """Tells how to go on after a signal, and returns the exit code.

    The `error` may be any: C code that is interrupted while it imports or calls back raises what it likes.
    """
    for note in getattr(error, "__notes__", ()) if isinstance(error, Ended | KeyboardInterrupt) else ():
        tell(f"lrsweep: {plain(note)}")
    tell(line)
    return 128 + number


def tell_of(error: BaseException, given: Mapping[str, Any] | None = None) -> int:
    """Tells what went wrong in one line, and returns the exit code; `given` are the command's arguments."""
    match error:
        case LrsweepError():
            tell(line_of(error, given or {}))
            return error.exit_code
        case BrokenPipeError() | SystemExit():  # rich turns the one into the other
            return LEFT
        case OSError() if error.errno in NO_ROOM and not error.filename:  # a stream has no name
            tell(f"lrsweep: what is printed cannot be written: {error.strerror}; make room, or print elsewhere")
            return StoreError.exit_code
        case FileNotFoundError() if not error.filename:  # as `getcwd` raises it
            tell("lrsweep: the current folder does not exist any more; change to one that does")
            return StoreError.exit_code
        case OSError() if error.errno in DISK and isinstance(error.filename, str):
            from lrsweep.store.trouble import explanation

            tell(f"lrsweep: {plain(explanation(Path(error.filename), error))}")
            return StoreError.exit_code
        case _:
            tell(f"lrsweep: {type(error).__name__}: {plain(str(error))}; --debug shows where")
            return 1


@contextmanager
def printing() -> Iterator[None]:
    """Around the whole command line: no reader, no room and no sign for a letter end in an exit code of ours."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = line_by_line(sys.stderr)
    try:
        try:
            yield
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except SystemExit as ended:
        if isinstance(left := ended.__context__, BrokenPipeError):  # what Typer makes of it, where it prints itself
            raise SystemExit(getattr(left.__context__, "exit_code", LEFT)) from None
        raise
    except OSError as error:
        asked = getattr(error.__context__, "exit_code", None)  # a mistake in the usage that cannot be told
        raise SystemExit(asked or tell_of(error)) from None
    except Ended as late:  # while what went wrong was told
        raise SystemExit(128 + int(late.args[0])) from None
    finally:
        drop_unwritten()


def line_by_line(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """The stream, each line at once: what cannot be written is lost, and not tried again when a worker starts."""
    raw = io.FileIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors=stream.errors, line_buffering=True)


def drop_unwritten() -> None:
    """Drops what could not be written to stdout. At its end Python would try again, complain, and exit with 120."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def line_of(error: LrsweepError, given: Mapping[str, Any]) -> str:
    """What a user is told of an error; a remedy that runs the sweep names its file, where a command was given it."""
    if isinstance(error, SpecError):
        from lrsweep.yaml_reader import draw

        return draw(error)
    line = f"lrsweep: {plain(str(error))}"
    if "spec" not in given:
        return line
    again = same_again(
        given["spec"],
        given["override"] or (),
        given.get("results", Path("results")),
        options=cluster_options(given.get("cluster")),
        max_runs=given["max_runs"],
    )
    return line.replace(RUN_IT, again)
