"""Whether a database is whole, and what can still be had of one that is not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lrsweep.store.folder import check_replaceable
from lrsweep.store.salvage import header_of, whole_runs
from lrsweep.store.schema import (
    APPLICATION,
    DATABASE,
    KINDS,
    MOST_STEPS,
    ROWS,
    SAMPLE,
    connect,
    format_of,
    is_new,
    layout,
    layout_of,
    seal,
)
from lrsweep.store.trouble import explained
from lrsweep.vocabulary import CURVE_COLUMNS, RUN_IT, StoreError

GONE_WRONG = (
    *("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_FORMAT"),
    "SQLITE_IOERR_CORRUPTFS",  # a page that the disk cannot read
)
"""SQLite's names for what a damaged file gives rise to; its others are of the disk, or of other programs."""

JOURNALS = ((1, 1), (2, 2))
"""What bytes 18 and 19 of a database say of its journal: a rollback journal, as we have it, or a tool's WAL."""


DAMAGE = {
    "meta": "what it tells of the sweep is not as it was stored",
    "plan": "its plan is not as it was stored",
    "runs": "a run in it is not as it was stored",
}
"""How a row of each table that fails its check is told."""

JSON = ("settings", "metrics", "timing", "value")
"""Columns that are JSON."""

BESIDE = "runs.csv"
"""A view that is never there before the database has something in it."""

MOST_CITED = 80
"""Letters of what SQLite says."""

ANEW = f"{RUN_IT} --fresh starts anew, and keeps the old folder as NAME.bak-N"
REMEDY = f"{RUN_IT} --recover keeps these, trains the others again, and leaves the damaged folder as NAME.bak-N"
AGAIN = f"{RUN_IT} --recover trains its runs again, keeps the rest, and leaves the damaged folder as NAME.bak-N"
NO_CHECKSUMS = "format 1 has no checksums that would tell which of its runs are whole"


class DamagedError(StoreError):
    """A database that is not as it was written."""


def check(database: sqlite3.Connection, path: Path, plan: bool) -> int:
    """Check a whole database, and return the number of its format. Raises StoreError.

    SQLite checks how its pages hang together and that indices say what the tables do, the checksums that each row is as
    it was stored, the layout that the views ask what they should. Without `plan`, the rows of the plan are left out.
    """
    with sound(path):
        database.execute("BEGIN")  # of one moment, though another process may write
        try:
            version = format_of(database, path)
            if layout(database) != layout_of(version):
                raise ValueError("its tables are not as they were made")
            [said] = database.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise ValueError(said.splitlines()[-1])
            for table in ROWS:
                if plan or table != "plan":
                    check_rows(database, table, version)
        finally:
            database.rollback()
    return version


def check_file(path: Path) -> None:
    """Raise StoreError where SQLite would be led astray before it can be asked anything, or wait for ever."""
    check_replaceable(path)
    header, n_bytes = header_of(path), path.stat().st_size
    if n_bytes and not header:
        raise DamagedError(what_is_left(path, "the disk cannot read its first page"))
    if not n_bytes and path.with_name(BESIDE).is_file():
        raise DamagedError(what_is_left(path, f"it is empty, and {BESIDE} beside it is not"))
    if header[68:72] == APPLICATION.to_bytes(4) and (*header[18:20],) not in JOURNALS:
        raise DamagedError(what_is_left(path, "its header is not as it was written"))


def refuse_newer(folder: Path) -> None:
    """Raise StoreError where a newer lrsweep wrote a folder, for those who need nothing of what is stored there."""
    path = folder / DATABASE
    if path.is_file():
        with suppress(DamagedError), explained(path), connect(path, "rw") as database, sound(path):
            if not is_new(database):
                format_of(database, path)


def check_rows(database: sqlite3.Connection, table: str, version: int) -> None:
    """Raise ValueError where a row is not as it was stored; in format 1, which has no checksums, where it cannot be."""
    columns = ROWS[table] if version == 1 else (*ROWS[table], "checksum")
    kinds = tuple(KINDS.get(column, bytearray) for column in columns)
    before, database.text_factory = database.text_factory, bytearray  # so that text is told from bytes, and not decoded
    try:
        for row in database.execute(f"SELECT {', '.join(columns)} FROM {table}"):  # noqa: S608 -- the names are ours
            whole = plausible(columns, row) if version == 1 else seal(*row[:-1]) == row[-1]
            if not whole or tuple(map(type, row)) != kinds:
                raise ValueError(DAMAGE[table])
    finally:
        database.text_factory = before


def plausible(columns: Sequence[str], row: Sequence[Any]) -> bool:
    """Whether a row can be read. Raises ValueError, or says no."""
    for column, value in zip(columns, row, strict=True):
        if isinstance(value, bytearray):
            text = value.decode()
            if column in JSON:
                json.loads(text)
    return "curve" not in columns or len(row[-1]) % (8 * len(CURVE_COLUMNS)) == 0


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Turn what a damaged database gives rise to into a DamagedError that says what can still be had of it."""
    try:
        yield
    except (sqlite3.Error, ValueError) as error:
        if not getattr(error, "sqlite_errorname", "SQLITE_ERROR").startswith(GONE_WRONG):
            raise
        raise DamagedError(what_is_left(path, in_a_line(str(error)))) from error


def in_a_line(text: str) -> str:
    """What SQLite says, without what it cites of a damaged file.

    >>> in_a_line("no such column: \x1b[31m\\nred" + 99 * "!")
    'no such column: ?[31m red!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!…'
    """
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return line if len(line) <= MOST_CITED else f"{line[: MOST_CITED - 1]}…"


def what_is_left(path: Path, damage: str) -> str:
    """What is wrong with a database, how many of its runs are whole, and how to go on with these."""
    said = f"{path} is damaged ({damage})"
    if written_as(path) == 1:
        return f"{said}; {NO_CHECKSUMS}; {AGAIN if is_of_samples(path) else ANEW}"
    n_whole = len({run_id for run_id, *_ in whole_runs(path)})
    if not n_whole:
        way = AGAIN if is_of_samples(path) or has_whole_samples(path) else ANEW
        return f"{said}; no run in it can be read as it was stored; {way}"
    total = max(n_whole, count(path, "runs INDEXED BY run_status"), count(path, "runs NOT INDEXED"))
    planned = count(path, "plan")
    more = f", of {planned:,} in its plan" if planned > total else "" if planned else ", and more may be lost"
    return f"{said}; {n_whole:,} of the {total:,} runs that can be counted in it are whole{more}; {REMEDY}"


def is_of_samples(path: Path) -> bool:
    """Whether a database is of samples, beside the sweep's own: without it the sweep has lost little."""
    return path.parent.name == SAMPLE and (path.parent.parent / DATABASE).is_file()


def has_whole_samples(path: Path) -> bool:
    """Whether there is a run that is whole in the database of a sweep's samples."""
    samples = path.parent / SAMPLE / DATABASE
    return samples.is_file() and any(True for _ in whole_runs(samples))


def written_as(path: Path) -> int:
    """The format that a file's header tells."""
    return int.from_bytes(header_of(path)[60:64])


def count(path: Path, table: str) -> int:
    """How many rows a table, or an index of it, says that there are; 0 if it cannot be read. Leaves nothing behind."""
    with suppress(sqlite3.Error), connect(path, "ro&immutable=1") as database:
        database.set_progress_handler(lambda: True, MOST_STEPS)
        database.execute("PRAGMA writable_schema = ON")  # by which SQLite reads what is left of a file that is cut off
        [n_rows] = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 -- the words are ours
        return int(n_rows)
    return 0
