"""How the database is laid out: its tables, the checksum that every row has, and how an older format becomes this one.

A new database is made in the oldest format and upgraded, as an old one is: so both are alike to the letter, which
`layout` lets anybody check.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from functools import cache
from pathlib import Path

from lrsweep.vocabulary import FORMAT, StoreError

DATABASE = "sweep.db"

SAMPLE = "sample"
"""The folder, inside a sweep's, of the runs on samples that decide which of its rates go."""

APPLICATION = int.from_bytes(b"lrsw")
"""Marks the file as ours (`PRAGMA application_id`); the layout's number, FORMAT, is in `PRAGMA user_version`."""

# `runs` copies its settings from the plan, so that a run can still be shown when a later plan is without it.
# `run_status` answers what is done without touching the pages that hold the curves.
# Both views match `numerics` too: a row that other training code left behind counts as stale, never as done.
FIRST = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE plan (
    position INTEGER PRIMARY KEY,
    run_id   TEXT NOT NULL UNIQUE,
    numerics INTEGER NOT NULL,
    settings TEXT NOT NULL  -- JSON
);
CREATE TABLE runs (
    run_id   TEXT PRIMARY KEY,
    numerics INTEGER NOT NULL,
    status   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    settings TEXT NOT NULL, -- JSON
    metrics  TEXT NOT NULL, -- JSON, with NaN and Infinity
    timing   TEXT NOT NULL, -- JSON
    curve    BLOB NOT NULL  -- float64, little-endian, rows of CURVE_COLUMNS
);
CREATE INDEX run_status ON runs (run_id, numerics, status);
CREATE VIEW planned AS
    SELECT position, run_id, plan.settings, status, reason, metrics, timing, curve
    FROM plan LEFT JOIN runs USING (run_id, numerics);
CREATE VIEW stale AS
    SELECT * FROM runs WHERE (run_id, numerics) NOT IN (SELECT run_id, numerics FROM plan);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = 1;
"""  # noqa: S608 -- the number is ours

ROWS = {
    "meta": ("key", "value"),
    "plan": ("position", "run_id", "numerics", "settings"),
    "runs": ("run_id", "numerics", "status", "reason", "settings", "metrics", "timing", "curve"),
}
"""The columns of each table, in the order in which their checksum, the last one, is taken."""

KINDS = {"position": int, "numerics": int, "checksum": int, "curve": bytes}
"""What a column holds; the others, text."""

# A row without a checksum is a damaged row: whoever writes one has to say `seal`. The number of the format is kept a
# second time, with a checksum, so that a header of the file that is damaged can be told from another program's.
SECOND = "".join(
    f"""
ALTER TABLE {table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE {table} SET checksum = seal({", ".join(columns)});
"""  # noqa: S608 -- the names are ours
    for table, columns in ROWS.items()
)
SECOND += """
INSERT INTO meta (key, value, checksum) VALUES ('format', '2', seal('format', '2'));
PRAGMA user_version = 2;
"""

UPGRADES = {0: FIRST, 1: SECOND}
"""What makes the next format of one; 0 is a database with nothing in it."""


def seal(*values: str | bytes | bytearray | int | None) -> int | None:
    """The checksum of a row: CRC-32 of its values, each after its length, so that none can pass for another's part.

    It finds every change within 32 bits that lie together, and all but one in four thousand million of the others.
    None where a value is missing, for which a row is refused.

    >>> seal("r1", 2) == seal("r", 12)
    False
    """
    if None in values:
        return None
    parts = [value if isinstance(value, (bytes, bytearray)) else str(value).encode() for value in values]
    lengths = b"%d " * len(parts) % (*map(len, parts),)
    return zlib.crc32(b"".join((lengths, *parts)))


def connect(path: Path, mode: str) -> closing[sqlite3.Connection]:
    """A connection that knows `seal`, to be closed by `with`."""
    # A minute, since a reader may hold the file for as long as it takes to read every curve from a slow disk.
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=60)
    database.create_function("seal", -1, seal, deterministic=True)
    return closing(database)


def upgrade(database: sqlite3.Connection, version: int) -> None:
    """Make this format of an older one, all of it or nothing, whatever ends the process."""
    steps = "".join(UPGRADES[older] for older in range(version, FORMAT))
    try:
        database.executescript(f"BEGIN IMMEDIATE;{steps}COMMIT;")
    except BaseException:
        database.rollback()
        raise


def is_new(database: sqlite3.Connection) -> bool:
    """Whether a database has nothing in it: it was killed before it had its tables. One that lost them is marked."""
    marks = [database.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("application_id", "user_version")]
    return not any(marks) and not database.execute("SELECT 1 FROM sqlite_master").fetchone()


def layout(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    """What tables, views and indices a database has, without the spaces, in which SQLite's versions may differ."""
    found = database.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name")
    return [(*named, "".join(sql.split())) for *named, sql in found]


@cache
def layout_of(version: int) -> list[tuple[str, ...]]:
    """The layout of a format."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.create_function("seal", -1, seal)
        database.executescript("".join(UPGRADES[older] for older in range(version)))
        return layout(database)


def format_of(database: sqlite3.Connection, path: Path) -> int:
    """The number of a database's format. Raises StoreError where it is none of ours, or of a newer lrsweep.

    Raises ValueError where its header does not say what the database itself does.
    """
    [application] = database.execute("PRAGMA application_id").fetchone()
    [version] = database.execute("PRAGMA user_version").fetchone()
    told = format_within(database)
    if told is not None and (told, APPLICATION) == (version, application):
        return told
    if told is not None:
        raise ValueError("its header is not as it was written")
    if application != APPLICATION:
        raise StoreError(f"{path} is not a database of lrsweep; name another folder with --results")
    if version > FORMAT:
        newer = f"{path} was written by a newer lrsweep (format {version}; this one reads up to {FORMAT})"
        raise StoreError(f"{newer}; upgrade lrsweep, or name another folder with --results")
    if version != 1:
        raise ValueError("what it tells of its format is not as it was written")
    return 1


MOST_STEPS = 10**7
"""SQLite's steps after which asking is given up: a table takes a few, and only a view in its place that many."""


def format_within(database: sqlite3.Connection) -> int | None:
    """The format that a database's own table tells, if its checksum stands and this lrsweep knows it."""
    database.set_progress_handler(lambda: True, MOST_STEPS)
    try:
        rows = database.execute("SELECT value, checksum FROM meta WHERE key = 'format'").fetchall()
    except sqlite3.Error:  # format 1, another program's, or damaged
        return None
    finally:
        database.set_progress_handler(None, 0)
    known = {(str(number), seal("format", str(number))): number for number in range(2, FORMAT + 1)}
    return known.get(rows[0]) if rows else None
