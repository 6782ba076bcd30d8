"""The runs that can still be read from a damaged database: page by page from its file, without SQLite.

SQLite reads a table from its root down, so that one damaged page hides all that lies below it, and a damaged first
page everything. Here every page that looks like one of rows is read for itself, and a row counts if its checksum
stands: it tells a row of `runs` that is as it was stored from all else. (The file format: sqlite.org/fileformat.html.)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from lrsweep.store.schema import KINDS, ROWS, seal

Value = int | bytes | None

RUNS = (*ROWS["runs"], "checksum")
TEXTS = [at for at, column in enumerate(RUNS) if column not in KINDS]
NUMBERS = [at for at, column in enumerate(RUNS) if KINDS.get(column) is int]

HEADER_BYTES = 100

ROWS_PAGE = 13
"""The first byte of a page with rows of a table."""

SIZES = (1, 2, 3, 4, 6, 8)
"""Bytes of the whole numbers of the kinds 1 to 6."""

MOST_FOLLOWED = 8
"""Times the file's size that may be read on pages where records overflow to. A whole database has each of them once; of
one that was made to mislead, chains of pages may be as many as its bytes."""

Run = tuple[str | int | bytes, ...]
"""A row of `runs`, its checksum included."""


def whole_runs(path: Path) -> Iterator[Run]:
    """Every row of `runs` in a database's file that is as it was stored, in no order.

    An older row of a run may be among them, if it lies in a page that is free by now.
    """
    with path.open("rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        for page_bytes, usable in page_sizes(read(file.fileno(), HEADER_BYTES, 0)):
            pages = Pages(file.fileno(), n_bytes, page_bytes, usable)
            for number in range(1, n_bytes // page_bytes + 1):
                yield from filter(None, map(run, pages.records(number)))


def header_of(path: Path) -> bytes:
    """What a database's file begins with; less of it where that is not there."""
    with path.open("rb") as file:
        return read(file.fileno(), HEADER_BYTES, 0)


def read(file: int, length: int, at: int) -> bytes:
    """Bytes of a file; none where the disk cannot read them: what lies there is not whole."""
    try:
        return os.pread(file, length, at)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def page_sizes(header: bytes) -> set[tuple[int, int]]:
    """What the pages' size may be, and how much of a page is used: as the header has it, and as SQLite does it."""
    size = int.from_bytes(header[16:18]) if len(header) == HEADER_BYTES else 0
    size = 65536 if size == 1 else size
    sane = size >= 512 and size & (size - 1) == 0 and header[20] <= 32
    return {(4096, 4096)} | ({(size, size - header[20])} if sane else set())


def run(record: list[Value]) -> Run | None:
    """A record as a row of `runs`, if it is one that is as it was stored."""
    if len(record) != len(RUNS) or seal(*record[:-1]) != record[-1]:
        return None
    if not all(isinstance(record[at], int if at in NUMBERS else bytes) for at in range(len(RUNS))):
        return None
    try:
        return tuple(value.decode() if at in TEXTS else value for at, value in enumerate(record))  # type: ignore[union-attr,misc]
    except UnicodeDecodeError:  # with a checksum that stands: made to mislead
        return None


class Pages:
    """A database's file, as pages of one size. Nothing in it is trusted: what lies outside of the file is not there."""

    def __init__(self, file: int, n_bytes: int, page_bytes: int, usable: int) -> None:
        self.file, self.n_bytes, self.page_bytes, self.usable = file, n_bytes, page_bytes, usable
        self.left = MOST_FOLLOWED * n_bytes

    def page(self, number: int) -> bytes:
        """A page by its number, which counts from 1; empty where there is none, or the disk cannot read it."""
        return read(self.file, self.page_bytes, (number - 1) * self.page_bytes) if number > 0 else b""

    def records(self, number: int) -> Iterator[list[Value]]:
        """The records of a page, if it is one of rows."""
        page = self.page(number)
        start = 100 if number == 1 else 0
        if len(page) < self.page_bytes or page[start] != ROWS_PAGE:
            return
        n_cells = int.from_bytes(page[start + 3 : start + 5])
        for at in range(start + 8, min(start + 8 + 2 * n_cells, self.usable - 1), 2):
            try:
                yield values(self.payload(page, int.from_bytes(page[at : at + 2])))
            except (IndexError, ValueError):  # no record, or not one that is whole
                continue

    def payload(self, page: bytes, at: int) -> bytes:
        """The bytes of the record that a cell of a page has, on that page and on those where it overflows to."""
        length, at = varint(page, at)
        _, at = varint(page, at)  # the row's number
        if length > self.n_bytes:
            raise ValueError("longer than the file")
        local = self.local_bytes(length)
        parts = [page[at : at + local]]
        if len(kinds(parts[0])[0]) != len(RUNS):
            raise ValueError("no row of runs")
        left, following = length - local, int.from_bytes(page[at + local : at + local + 4])
        while left > 0:
            overflow = self.page(following) if self.left > 0 else b""
            part = overflow[4 : min(self.usable, 4 + left)]
            self.left -= len(part)
            if not part:
                raise ValueError("goes on outside of the file, or in circles")
            parts.append(part)
            left, following = left - len(part), int.from_bytes(overflow[:4])
        return b"".join(parts)

    def local_bytes(self, length: int) -> int:
        """How many bytes of a record of this length lie on its own page."""
        most, least = self.usable - 35, (self.usable - 12) * 32 // 255 - 23
        if length <= most:
            return length
        local = least + (length - least) % (self.usable - 4)
        return local if local <= most else least


def varint(page: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    number = 0
    for i in range(8):
        byte = page[at + i]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at + i + 1
    return number << 8 | page[at + 8], at + 9


def kinds(payload: bytes) -> tuple[list[int], int]:
    """The kinds of a record's values, as its head tells them, and where the first value begins."""
    end, at = varint(payload, 0)
    found: list[int] = []
    while at < end and len(found) <= len(RUNS):
        kind, at = varint(payload, at)
        found.append(kind)
    return found, end


def values(payload: bytes) -> list[Value]:
    """The values of a record. Raises ValueError or IndexError where it is none of ours."""
    told, at = kinds(payload)
    found: list[Value] = []
    for kind in told:
        length = SIZES[kind - 1] if 0 < kind < 7 else 0 if kind in (0, 8, 9) else (kind - 12) // 2
        if length < 0 or at + length > len(payload):
            raise ValueError("shorter than it says")
        content = payload[at : at + length]
        whole = {0: None, 8: 0, 9: 1}.get(kind, int.from_bytes(content, signed=True)) if kind < 12 else content
        found.append(whole)
        at += length
    return found
