"""A results folder as the system sees it: files that are whole or not there, the lock, and what goes wrong in words."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from io import FileIO
from itertools import count
from pathlib import Path

from lrsweep.vocabulary import BusyError, StoreError

ELSEWHERE = "another folder with --results"
"""What to name where a place does not do."""


def write_file(path: Path, content: bytes | Iterable[str], elsewhere: str = ELSEWHERE) -> None:
    """Write a file whole or not at all: a reader, a crash or a full disk finds the old one or the new one.

    Through a symbolic link it is what that names which is written. Raises StoreError, and then leaves the old file in
    place; its remedy is to name a place `elsewhere`. What is there and no plain file (a folder, a pipe, a device) is
    refused, since a new file in its place would destroy it.
    """
    target = real(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    chunks = [content] if isinstance(content, bytes) else map(str.encode, content)
    with explained(path, elsewhere):
        if not replaceable(target):
            raise StoreError(f"{path} is there and no plain file; remove it, or name {elsewhere}")
        try:
            with temporary.open("xb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def real(path: Path) -> Path:
    """Where a path leads through symbolic links, whether or not something is there; a loop of them is left as it is."""
    return Path(os.path.realpath(path))  # Path.resolve raises on a loop


def replaceable(path: Path) -> bool:
    """Whether a file may take this place: there is nothing yet, or a plain file, or a link to such."""
    target = real(path)
    return target.is_file() or not os.path.lexists(target)


def next_backup(folder: Path) -> Path:
    """Where `--fresh` keeps an old folder: the first free `<name>.bak-N`.

    >>> next_backup(Path("results/digits")).name
    'digits.bak-1'
    """
    return next(path for n in count(1) if not (path := folder.with_name(f"{folder.name}.bak-{n}")).exists())


def set_aside(folder: Path) -> Path:
    """Rename a folder to its next backup, and return that. Raises BusyError while a sweep writes it."""
    with explained(folder), lock(folder):
        return folder.rename(next_backup(folder))


def lock(folder: Path) -> FileIO:
    """Take the folder for this process until the file is closed. The kernel frees it however the process ends.

    So it is never stale and nobody has to remove it; what the file says is for people only.
    """
    with ExitStack() as opened:
        file = opened.enter_context((folder / ".lock").open("ab+", buffering=0))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().decode() or "another process"
            raise BusyError(f"{folder} is already being written by {holder}; wait for it or stop it") from error
        file.truncate(0)
        file.write(f"pid {os.getpid()} on host {platform.node()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".encode())
        opened.pop_all()
        return file


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Turn what the system, SQLite or a row that cannot be decoded raises into one line for the user."""
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        raise StoreError(_explanation(path, error, elsewhere)) from error


def _explanation(path: Path, error: Exception, elsewhere: str) -> str:
    match _code(error):
        case "ENOSPC" | "EDQUOT" | "SQLITE_FULL":
            remedy = "what is finished is safe; free space and run the same command again"
            return f"no space left on {path.parent}; {remedy}"
        case "EACCES" | "EPERM" | "EROFS" | "SQLITE_READONLY" | "SQLITE_PERM" | "SQLITE_CANTOPEN":
            return f"{path} cannot be opened or written; change its permissions, or name {elsewhere}"
        case "EEXIST" | "ENOTDIR":
            way = "a file or a dangling link is where a folder must be"
            return f"{path}: {way}; move or remove that, or name {elsewhere}"
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return f"{path} is held by another program; close that and run the same command again"
        case "SQLITE_NOTADB" | "SQLITE_CORRUPT":
            return f"{path} is damaged ({error}); start afresh with --fresh, which keeps the old folder"
        case _:
            reason = error.strerror if isinstance(error, OSError) else error
            return f"{path}: {reason}; mend that, or name {elsewhere}"


def _code(error: Exception) -> str:
    """The name of an error without SQLite's extensions: SQLITE_READONLY for SQLITE_READONLY_DIRECTORY."""
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "")
    name: str = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")  # none: a row that cannot be decoded
    return "_".join(name.split("_")[:2])
