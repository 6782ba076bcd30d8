"""A database that others have open at the same time: other programs, or this process itself."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lrsweep.store.folder import real
from lrsweep.store.health import check_file
from lrsweep.vocabulary import Say

_open: Counter[Path] = Counter()
"""How often this process has each database open."""

_opening = threading.Lock()

PATIENCE = 60
"""Seconds after which it is told that another program is waited for."""

TRY_SECONDS = 1
"""What SQLite itself may wait for at a time, since it heeds no signal meanwhile."""

PAUSE = 0.1
"""Seconds between two tries: where a program has the database open as a WAL, SQLite does not wait at all."""


def patiently(
    database: sqlite3.Connection, act: Callable[[], object], path: Path, say: Say, deadline: float | None = None
) -> None:
    """Do what another program may be in the way of, that reads or writes a database: once it is not any more.

    That may take long, or the program be suspended: what was trained is worth waiting for. Only where the `deadline`,
    by `time.perf_counter`, is over, SQLite's error is raised after PATIENCE.
    """
    begun, told = time.perf_counter(), False
    [before] = database.execute("PRAGMA busy_timeout").fetchone()
    database.execute(f"PRAGMA busy_timeout = {1000 * TRY_SECONDS:.0f}")
    try:
        while True:
            try:
                act()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # what is above tells more of it
                    raise
                now = time.perf_counter()
                if now > begun + PATIENCE and deadline is not None and now > deadline:
                    raise
            if now > begun + PATIENCE and not told:
                say(f"{path} is held by another program; waiting until that ends")
                told = True
            time.sleep(PAUSE)
    finally:
        database.execute(f"PRAGMA busy_timeout = {before}")


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Around a connection to a database: its file is looked at first, unless this process has it open already.

    For who closes a file, even one that was only read, loses all locks that the process has on it: SQLite's too.
    """
    place = real(path)
    with _opening:
        if not _open[place] and path.exists():
            check_file(path)
        _open[place] += 1
    try:
        yield
    finally:
        with _opening:
            _open[place] -= 1
