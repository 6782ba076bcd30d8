"""How a command ends: an error as one line and an exit code, a signal in order, a reader's leaving in silence."""

from __future__ import annotations

import errno
import functools
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from lrsweep.live import tell
from lrsweep.vocabulary import LrsweepError, SpecError, StoreError

P = ParamSpec("P")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What is wrong where no more can be written."""


class Ended(BaseException):
    """A signal that asks the process to end; it passes through every `finally`."""


STOPPED = {"run": "stopped: finished runs are kept; the same command goes on"}
"""What a command says when it is told to end; the others keep nothing."""


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Turns errors into one line and an exit code, and signals into an orderly end."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            try:
                function(*args, **kwargs)
            finally:
                if sys.stdout:  # none where it was closed
                    sys.stdout.flush()  # here, where what is wrong with it can still be told
        except LrsweepError as error:
            if kwargs.get("debug"):
                raise
            tell(explained(error))
            raise typer.Exit(error.exit_code) from None
        except (KeyboardInterrupt, Ended) as cause:
            number = int(cause.args[0]) if cause.args else signal.SIGINT
            tell(STOPPED.get(function.__name__, "stopped"))
            raise typer.Exit(128 + number) from None
        except (typer.Exit, typer.Abort):
            raise
        except (BrokenPipeError, SystemExit):  # rich turns the one into the other
            raise typer.Exit(128 + signal.SIGPIPE) from None  # as of any program whose reader has left
        except Exception as error:
            if kwargs.get("debug"):
                raise
            if isinstance(error, OSError) and error.errno in NO_ROOM and not error.filename:  # a stream has no name
                tell(f"lrsweep: what is printed cannot be written: {error.strerror}; make room, or print elsewhere")
                raise typer.Exit(StoreError.exit_code) from None
            tell(f"lrsweep: {type(error).__name__}: {error}; --debug shows where")
            raise typer.Exit(1) from None

    return wrapper


def explained(error: LrsweepError) -> str:
    """What a user is told of an error."""
    if isinstance(error, SpecError):
        from lrsweep.yaml_reader import draw

        return draw(error)
    return f"lrsweep: {error}"


def end_orderly(*_: object) -> None:
    """Lets SIGTERM and SIGHUP end the process like Ctrl-C: finished runs are kept, files written, workers ended."""

    def end(number: int, _: object) -> NoReturn:
        raise Ended(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
