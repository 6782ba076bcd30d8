"""A results folder as the system sees it: whether it can be written, files that are whole or not there."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

from lrsweep.store.trouble import ELSEWHERE, explained
from lrsweep.vocabulary import StoreError, UsageError


def check_folder(
    folder: Path, opened: Iterable[str] = (), replaced: Iterable[str] = (), elsewhere: str = ELSEWHERE
) -> None:
    """Raise StoreError where a results folder could not be written, before anything takes time. Makes nothing.

    `opened` are names of files in it that are written in place, `replaced` of those that new files take the place of.
    What only trying can tell, as that the disk is full, is told when the folder is opened.
    """
    place = check_place(folder, elsewhere)
    with explained(folder, elsewhere):
        if not os.access(place, os.W_OK | os.X_OK):
            raise _error(errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES)
    for path in (folder / name for name in (*opened, *replaced)):
        check_replaceable(path, elsewhere)
    for path in (folder / name for name in opened):
        with explained(path, elsewhere):
            if path.exists() and not os.access(path, os.R_OK | os.W_OK):
                raise _error(errno.EACCES)


def check_place(folder: Path, elsewhere: str = ELSEWHERE) -> Path:
    """What there is of a folder's path. Raises StoreError where no folder can be there, whoever asks."""
    if "\0" in str(folder):
        raise StoreError(f"{str(folder)!r} holds the character NUL, which no folder's name can; name {elsewhere}")
    with explained(folder, elsewhere):
        place = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        if not place.is_dir():
            raise _error(errno.ENOTDIR)
        if any(len(os.fsencode(name)) > os.pathconf(place, "PC_NAME_MAX") for name in folder.parts):
            raise _error(errno.ENAMETOOLONG)
    return place


def check_replaceable(path: Path, elsewhere: str = ELSEWHERE) -> None:
    """Raise StoreError where something is that a file must not replace: a folder, a pipe, a device, a loop of links."""
    with explained(path, elsewhere):
        if not replaceable(path):
            raise StoreError(f"{path} is there and no plain file; remove it, or name {elsewhere}")


def write_file(path: Path, content: bytes | Iterable[str], elsewhere: str = ELSEWHERE) -> None:
    """Write a file whole or not at all: a reader, a crash or a full disk finds the old one or the new one.

    Through a symbolic link it is what that names which is written. Raises StoreError, and then leaves the old file in
    place; its remedy is to name a place `elsewhere`. What is there and no plain file (a folder, a pipe, a device) is
    refused, since a new file in its place would destroy it.
    """
    target = real(path)
    new = temporary(target)
    chunks = [content] if isinstance(content, bytes) else map(str.encode, content)
    with explained(path, elsewhere):
        check_replaceable(path, elsewhere)
        try:
            with new.open("xb") as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            put_in_place(new, target)
        except BaseException:
            with suppress(OSError):  # which would hide what went wrong
                new.unlink(missing_ok=True)
            raise


def write_new(path: Path, text: str, elsewhere: str) -> None:
    """Write a file that must not be there yet, whole or not at all. Raises UsageError, and StoreError of the disk."""
    check_new(path, elsewhere)
    try:
        write_file(path, text.encode(), elsewhere)
    except StoreError:  # also where it is there but may not last: the same command shall find its place free
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def check_new(path: Path, elsewhere: str) -> None:
    """Raise UsageError where no new file can be, StoreError where it could not be written, before it takes time."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; name another file, or remove it first")
    check_folder(path.parent, elsewhere=elsewhere)
    if not path.parent.is_dir():
        lack = f"{path.parent} does not exist; make that folder"
        raise UsageError(f"{path} cannot be written: {lack}, or name {elsewhere}")


def real(path: Path) -> Path:
    """Where a path leads through symbolic links, whether or not something is there; a loop of them is left as it is."""
    return Path(os.path.realpath(path))  # Path.resolve raises on a loop


def replaceable(path: Path) -> bool:
    """Whether a file may take this place: there is nothing yet, or a plain file, or a link to such."""
    target = real(path)
    return target.is_file() or not os.path.lexists(target)


def next_backup(folder: Path) -> Path:
    """Where an old folder is kept: at the first free `<name>.bak-N`, on the same disk, whatever links lead there.

    >>> next_backup(Path("results/digits")).name
    'digits.bak-1'
    """
    place = real(folder) if folder.is_symlink() else folder
    return next(path for n in count(1) if not os.path.lexists(path := place.with_name(f"{place.name}.bak-{n}")))


def is_backup(folder: Path) -> bool:
    """Whether a folder has the name of a backup.

    >>> is_backup(Path("results/digits.bak-1")), is_backup(Path("results/digits"))
    (True, False)
    """
    return bool(re.search(r"\.bak-[0-9]+$", folder.name))


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def temporary(path: Path) -> Path:
    """A name for what is to take a file's place, on the same disk."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def put_in_place(new: Path, path: Path) -> None:
    """Rename a file to take another's place, so that it lasts through a loss of power."""
    new.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
