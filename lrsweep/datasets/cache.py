"""The cache of data as it was read.

<fingerprint>/{x.npy, y.npy, meta.json}
sources/<pointer>                         holds the fingerprint of what a source gave
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from lrsweep.datasets.readers import idx_files, read
from lrsweep.datasets.tables import checked, fingerprint_of, short_hash
from lrsweep.vocabulary import DataError, RawData, Source, StoreError

CACHE_FORMAT = 3
"""Raised when the same source is to be read differently, so that older cache entries are left aside."""


class MissingError(DataError):
    """What was cached is not there any more, which is no fault of the run that wants it."""


def load(source: Source, task: str | None = None) -> RawData:
    """The data of `source`, from the cache or else read, checked and cached; `task` overrides what the target suggests.

    Raises DataError where it cannot be read or no model can be trained on it, and StoreError where it cannot be cached.
    """
    try:
        pointer = cache_folder() / "sources" / pointer_name(source, task)
        with suppress(OSError, ValueError, DataError):  # absent or damaged: read it again
            return verified(pointer.read_text("utf-8"))
        raw = checked(*read(source), task)
        store(raw, pointer)
        return cached(raw.fingerprint)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def verified(fingerprint: str) -> RawData:
    """What is cached under a fingerprint, if that still is its own. Raises DataError where it is not.

    55 MB take 0.05 s with the processor's own SHA-256; workers trust what their parent has found right.
    """
    raw = cached(fingerprint)
    if fingerprint_of(raw.x, raw.y, raw.task, raw.classes) != fingerprint:
        raise DataError(f"{cache_folder() / fingerprint} is not what was cached")
    return raw


def cached(fingerprint: str) -> RawData:
    """The data that an earlier `load` cached, memory-mapped and read-only. Raises MissingError where it is gone."""
    try:
        folder = cache_folder() / fingerprint
    except (DataError, StoreError) as error:
        raise MissingError(str(error)) from error
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        x, y = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in "xy")
        return RawData(x, y, meta["task"], tuple(meta["classes"]), fingerprint)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise MemoryError(error.strerror) from error
        raise MissingError(
            f"{folder} is missing or damaged ({error}); "
            "run the sweep again, on several machines with LRSWEEP_CACHE set to a folder that all of them see"
        ) from error


def cache_folder() -> Path:
    """The cache's folder, made if need be: the user's, or a temporary one where there is none that can be written.

    Raises DataError where LRSWEEP_CACHE names a folder that cannot be: machines that are told to share one must.
    """
    if wanted := os.environ.get("LRSWEEP_CACHE"):
        try:
            Path(wanted).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, PermissionError) as error:
            raise DataError(f"LRSWEEP_CACHE={wanted} cannot be used ({error.strerror}); name a folder") from error
        except OSError as error:
            raise unwritable(Path(wanted), error) from error
        return Path(wanted)
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "lrsweep")
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = Path("/tmp")  # noqa: S108  for what is told where no folder for temporary files can be written
    try:
        folder = Path(tempfile.gettempdir(), f"lrsweep-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise DataError(f"{folder} belongs to someone else; set LRSWEEP_CACHE to a folder of your own")
    return folder


def pointer_name(source: Source, task: str | None) -> str:
    """Names what `load` gives: it rests on a file's content or scikit-learn's version, not on a path."""
    from importlib.metadata import version  # 28 ms that workers can do without

    if source.kind == "name":
        content = [source.location, version("scikit-learn")]
    elif source.kind == "idx":
        content = [digest(path) for path in idx_files(Path(source.location))]
    else:
        content = [Path(source.location).suffix, digest(Path(source.location))]
    return short_hash(json.dumps([CACHE_FORMAT, source.kind, content, source.target, task]).encode())


def digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for, a device never ends
            raise DataError("is no regular file; name one")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{error.strerror}; name a file that can be read") from error


def store(raw: RawData, pointer: Path) -> None:
    """Caches `raw`. A file's content follows from its name, so two processes at once replace equal by equal."""
    folder = cache_folder() / raw.fingerprint
    try:
        for name, values in (("x.npy", raw.x), ("y.npy", raw.y)):
            with replacing(folder / name) as file:
                np.save(file, values, allow_pickle=False)
        with replacing(folder / "meta.json") as file:
            file.write(json.dumps({"task": raw.task, "classes": raw.classes}).encode())
        with replacing(pointer) as file:
            file.write(raw.fingerprint.encode())
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError) -> StoreError:
    """What is told of a disk on which data cannot be cached."""
    reason = error.strerror or error  # NumPy tells how much it wrote, not why no more
    remedy = "free space there, or set LRSWEEP_CACHE to a folder on another disk"
    return StoreError(f"the cache of data, {folder}, cannot be written ({reason}); finished runs are safe; {remedy}")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` once it is complete: nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with scratch.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        with suppress(OSError):  # which would hide what went wrong
            scratch.unlink(missing_ok=True)
