"""What goes wrong with files, in words: one line that says what failed, what is safe, and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lrsweep.vocabulary import RUN_IT, StoreError

ELSEWHERE = "another folder with --results"
ANOTHER = "another file with --output"
"""What to name where a place does not do, for results and for a page of them."""

SAFE = "finished runs are safe"
"""They are: what is stored is stored whole, and nothing else of it is ever written again."""

MOST_OF_A_PATH = 504
"""Bytes of a path that SQLite opens on Unix: with `-journal`, 512."""

PROBE = bytes(1 << 16)
"""What the disk is tried with: larger than what SQLite writes at once, so that what fails there fails here."""


@contextmanager
def explained(path: Path, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Turn what the system or SQLite raises into one line for the user."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(explanation(path, error, elsewhere)) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Like `explained`, around rows that are read: a value that cannot be decoded is damage too."""
    try:
        with explained(path):
            yield
    except ValueError as error:
        raise StoreError(explanation(path, error)) from error


def present(path: Path) -> bool:
    """Whether something is there; raises StoreError where the system does not tell."""
    with explained(path):
        return path.exists()


def explanation(path: Path, error: Exception, elsewhere: str = ELSEWHERE) -> str:
    """One line on an error that a file gave rise to, with a remedy, which may be to name a place `elsewhere`."""
    code = _code(error)
    if code == "SQLITE_CANTOPEN" and len(os.fsencode(os.path.realpath(path))) > MOST_OF_A_PATH:
        code = "ENAMETOOLONG"
    if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK":
        who = "who last wrote it was killed, and who may write it has to run `lrsweep report` once"
        return f"{path} cannot be read yet: {who}; {SAFE}"
    if code in ("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY") and (cause := refusal(path.parent)):
        code, error = _code(cause), cause
    safe = f"{SAFE}; " if elsewhere in (ELSEWHERE, ANOTHER) else ""  # a new sweep file has no runs
    match code:
        case "ENOSPC" | "EDQUOT" | "SQLITE_FULL":
            lack = "the quota is used up" if code == "EDQUOT" else "no space is left there"
            return f"{path} cannot be written: {lack}; {safe}free space and run the same command again"
        case "EFBIG":
            return f"{path} cannot be written: it is larger than a file may be; {safe}raise the limit (ulimit -f)"
        case "EIO" | "SQLITE_IOERR":
            kept = f"{SAFE} as far as it keeps them; " if safe else ""
            said = f"{path}: the disk reports an error ({_reason(error)}); {kept}run the same command again"
            return f"{said}, or copy what is there (with ddrescue) to another disk and name {elsewhere}"
        case "EROFS":
            return f"{path} cannot be written: its disk is read-only; {safe}make it writable, or name {elsewhere}"
        case "EACCES" | "EPERM" | "SQLITE_PERM":
            return f"{path} cannot be opened or written; change its permissions, or name {elsewhere}"
        case "SQLITE_READONLY" | "SQLITE_CANTOPEN":
            said = f"{path} cannot be opened or written ({_reason(error)})"
            return f"{said}; {safe}look at its permissions and its disk, or name {elsewhere}"
        case "EEXIST" | "ENOTDIR" | "ELOOP":
            way = "a file or a dangling link is where a folder must be"
            return f"{in_the_way(path)}: {way}; move or remove that, or name {elsewhere}"
        case "EISDIR":
            return f"{_named(error) or path} is a folder where a file must be; move or remove it, or name {elsewhere}"
        case "ENOENT" if path.parent.exists():
            return f"{path} cannot be written: it was removed or renamed; {safe}run the same command again"
        case "ENOENT":
            return f"{path} cannot be written: {path.parent} does not exist, or no more; make it, or name {elsewhere}"
        case "ENAMETOOLONG":
            whose = "SQLite" if isinstance(error, sqlite3.Error) else "this disk"
            return f"{path}: the name is too long for {whose}; shorten it, or name {elsewhere}"
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return f"{path} is held by another program; close that and run the same command again"
        case "SQLITE_NOTADB" | "SQLITE_CORRUPT":
            return f"{path} is damaged ({error}); {RUN_IT} --recover goes on with what is whole in it"
        case _:
            return f"{path}: {_reason(error)}; mend that, or name {elsewhere}"


def in_the_way(path: Path) -> Path:
    """What is on the way to a folder and is none: the folder itself, or one that it is in."""
    found = (place for place in (path, *path.parents) if os.path.lexists(place) and not place.is_dir())
    return next(found, path)


def _reason(error: Exception) -> str:
    return str((isinstance(error, OSError) and error.strerror) or error)


def _named(error: Exception) -> str | None:
    """The file that an error of the system is about, if it tells."""
    return error.filename if isinstance(error, OSError) and isinstance(error.filename, str) else None


def refusal(folder: Path) -> OSError | None:
    """What the system says to a new file in a folder; None where it lets it be. SQLite keeps that to itself."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            while file.tell() < len(PROBE):
                file.write(PROBE[file.tell() :])
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _code(error: Exception) -> str:
    """The name of an error without SQLite's extensions: SQLITE_READONLY for SQLITE_READONLY_DIRECTORY."""
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "")
    name: str = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")  # none: a row that cannot be decoded
    return "_".join(name.split("_")[:2])
