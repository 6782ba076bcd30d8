"""Who may write a results folder: one process at a time, which the kernel sees to."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Self

from lrsweep.store.folder import next_backup, real
from lrsweep.store.trouble import SAFE, explained
from lrsweep.vocabulary import BusyError, StoreError

LOCK = ".lock"

MOMENT = 0.02
"""Seconds in which who took a lock has told who it is."""


class Hold:
    """A results folder, made where it is missing, that this process alone writes until the hold is closed by `with`.

    However the process ends, the kernel frees the folder: a hold is never stale, and nobody has to remove the file.
    Raises BusyError while another process has it. A folder that it made and that holds nothing by its end goes again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._take()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._tidy()
        finally:
            self._file.close()

    def _take(self) -> None:
        with explained(self.folder):
            missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
            self._file = lock(self.folder)
            self._made, self._known = missing, self.folder.stat()

    def set_aside(self) -> Path:
        """Rename the folder to its next backup, return that, and hold a new one in its place.

        A link to it stays, and leads to the new one: it may be there for another disk to be used. Where there can be no
        new one, the old one gets its name back.
        """
        with explained(self.folder), self._file:
            place = real(self.folder) if self.folder.is_symlink() else self.folder
            kept = place.rename(next_backup(self.folder))
            try:
                if self.folder.is_symlink():
                    place.mkdir(exist_ok=True)
                self._take()
            except BusyError:  # the new one is another's, who came first
                raise
            except BaseException:
                with suppress(OSError):
                    (place / LOCK).unlink(missing_ok=True)
                    kept.rename(place)
                raise
        return kept

    def check(self) -> None:
        """Raise StoreError where the folder has another name by now: what came in its place is not to be written.

        A lock that somebody removed is taken again, unless another process took it.
        """
        with explained(self.folder):
            if not is_at(self._known, self.folder):
                gone = f"{self.folder} was renamed or removed while it was written; {SAFE} where it is now"
                raise StoreError(f"{gone}: give it its name back and run the same command again")
            if is_lock_of(self._file, self.folder):
                return
            if (self.folder / LOCK).exists():
                taken = f"{self.folder} was taken by another process, since its {LOCK} was removed"
                raise BusyError(f"{taken}; wait for it or stop it, and run the same command again")
            lost, self._file = self._file, lock(self.folder)
            lost.close()

    def _tidy(self) -> None:
        with suppress(OSError):  # another process may have put something there, or taken it away
            own = not self._file.closed and is_lock_of(self._file, self.folder)
            if own and self._made and [path.name for path in self.folder.iterdir()] == [LOCK]:
                (self.folder / LOCK).unlink()
                for path in self._made:
                    path.rmdir()


def lock(folder: Path) -> FileIO:
    """Take a folder, made where it is missing, until the file is closed; what the file says is for people only."""
    for tries_left in reversed(range(100)):
        try:
            if file := _lock_once(folder):
                return file
        except (FileNotFoundError, FileExistsError):  # another process takes the folder away meanwhile
            if not tries_left:
                raise
    raise BusyError(f"{folder} is renamed all the time by other processes; wait for them or stop them")


def _lock_once(folder: Path) -> FileIO | None:
    """The lock; None where the folder was renamed in between, so that it is of another folder than is there by now."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        file = opened.enter_context((folder / LOCK).open("ab+", buffering=0))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{folder} is already being written by {holder(file)}; wait for it or stop it") from error
        if not is_lock_of(file, folder):
            return None
        since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        file.truncate(0)
        file.write(f"pid {os.getpid()} on host {platform.node()} since {since}".encode())
        opened.pop_all()
        return file


def is_lock_of(file: FileIO, folder: Path) -> bool:
    """Whether a lock is of the folder that is there by now: its own may have been renamed, and another one be there."""
    return is_at(os.fstat(file.fileno()), folder / LOCK)


def is_at(known: os.stat_result, path: Path) -> bool:
    """Whether a file or folder still has its name."""
    try:
        return os.path.samestat(known, path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def holder(file: FileIO) -> str:
    """Who has a lock: who took it a moment ago gets the time to say so."""
    for _ in range(10):
        time.sleep(MOMENT)
        file.seek(0)
        if said := file.read().decode(errors="replace"):
            return said
    return "another process"
