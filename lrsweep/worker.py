"""How the life of a worker begins: it ends with its parent from the first moment on, and only then imports the rest.

So this module imports next to nothing: NumPy alone takes as long as an orphan may live.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

READY = ""
"""What a worker says first; or else, in words, why it cannot work."""

Serve = Callable[[Connection, int], None]


def begin(pipe: Connection, number: int) -> None:
    """A worker's life, whose substance comes through the pipe: to unpickle that function imports all that it needs."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})  # blocked while it was started
    with contextlib.suppress(EOFError, ConnectionError):  # the parent has no more use for it
        try:
            serve: Serve = pipe.recv()
        except (ImportError, AttributeError, SyntaxError, MemoryError) as error:  # what is installed has changed
            pipe.send(f"{type(error).__name__}: {error}")
            return
        pipe.send(READY)
        serve(pipe, number)


def end_with_parent() -> None:
    """Ends this process as soon as its parent has ended, however that came about.

    The kernel could see to it (PR_SET_PDEATHSIG), but on Linux alone, and it takes the end of the thread that started
    the worker for the end of the parent.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
