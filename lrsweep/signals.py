"""What a process does when it is told to end: in order at first; at once when told again, or if order takes too long.

Python hears of a signal between two of its own instructions. That may be long after it came (a product of large
matrices, a commit to a slow disk), and the exception that says so may be lost (in a `__del__`). A thread listens too.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # the module `typing` takes longer than all the others
    from types import FrameType
    from typing import NoReturn, Self

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What tells a process to end and lets it choose how. Where one is ignored from the start, as SIGHUP is by `nohup` and
SIGINT by a shell's `&`, it stays so."""

PATIENCE = 1.8
"""Seconds that an orderly end may take: files, workers, all of it."""

SAME = 0.2
"""Seconds within which signals are one request: `timeout`, and a terminal that closes, send two of them."""


class Ended(BaseException):
    """A signal that asks the process to end, by its number; it passes through every `finally`."""


class Ending:
    """While it is entered, a first signal raises Ended, and a second one ends the process, as does PATIENCE.

    `line` is what is said if it ends at once. Does nothing outside of the main thread, where signals are not its own.

    >>> with Ending() as ending:
    ...     signal.raise_signal(signal.SIGTERM)
    Traceback (most recent call last):
    lrsweep.signals.Ended: 15
    >>> ending.number
    15
    """

    def __init__(self, line: str = "") -> None:
        self.line, self.number = line, 0

    def __enter__(self) -> Self:
        self.ours = threading.current_thread() is threading.main_thread()
        if self.ours:
            self.hears, self.told = os.pipe()
            os.set_blocking(self.told, False)
            threading.Thread(target=self.listen, name="signals", daemon=True).start()
            self.hook, sys.unraisablehook = sys.unraisablehook, self.raise_again
            self.before = heeded()
            self.wakeup = signal.set_wakeup_fd(self.told, warn_on_full_buffer=False)
            for number in self.before:
                signal.signal(number, self.ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self.ours:
            for number, handler in self.before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self.wakeup)
            sys.unraisablehook = self.hook
            os.close(self.told)  # upon which the thread ends

    def ask(self, number: int, _: FrameType | None) -> None:
        """What Python does upon a signal: of all but the first the thread takes care."""
        if not self.number:
            self.number = number
            raise Ended(number)

    def raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        """What Python does with an exception that nobody can catch: Ended is raised again soon, where somebody can."""
        if isinstance(lost.exc_value, Ended):
            number, self.number = self.number, 0
            threading.Timer(0.01, _thread.interrupt_main, [signal.Signals(number)]).start()
        else:
            self.hook(lost)

    def listen(self) -> None:
        """Ends the process at a second signal, or where a first one has not ended it in time."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)  # they are the main thread's, whose system calls they end
        number, first = 0, 0.0
        while True:
            left = max(0.0, first + PATIENCE - time.monotonic()) if number else None
            if not select.select([self.hears], [], [], left)[0]:
                end_at_once(number, self.line)
            heard = os.read(self.hears, 64)
            if not heard:
                os.close(self.hears)
                return
            for asked in (each for each in heard if each in ASKING):
                if not number:
                    number, first = asked, time.monotonic()
                elif time.monotonic() > first + SAME:
                    end_at_once(number, self.line)


def heeded() -> dict[int, signal.Handlers]:
    """What is done upon each of the signals in ASKING, but for those that are ignored."""
    handlers = {number: signal.getsignal(number) for number in ASKING}
    return {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}  # type: ignore[misc]


def let_end(line: str = "") -> None:
    """From now on a signal ends the process at once: there is nothing to put in order."""
    for number in heeded():
        signal.signal(number, lambda number, _: end_at_once(number, line))


def end_at_once(number: int, line: str = "") -> NoReturn:
    """Ends the process and its workers, with a line on stderr if somebody reads there."""
    try:
        if "multiprocessing" in sys.modules:
            for child in sys.modules["multiprocessing"].active_children():
                child.kill()
        with suppress(OSError):
            if line and select.select([], [2], [], 0)[1]:  # not on a terminal that was stopped, which would hold us
                os.write(2, f"{line}\n".encode())
    finally:
        os._exit(128 + number)
