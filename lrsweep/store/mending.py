"""How a sweep goes on with a damaged database: a new one takes its place, with all runs that are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from lrsweep.store.files import ANYBODYS, REPLACED
from lrsweep.store.folder import next_backup, put_in_place, real, temporary
from lrsweep.store.health import DamagedError, check, check_file, is_of_samples, sound, written_as
from lrsweep.store.salvage import whole_runs
from lrsweep.store.schema import DATABASE, ROWS, SAMPLE, connect, is_new, upgrade
from lrsweep.store.trouble import explained
from lrsweep.vocabulary import DIVERGED, FINISHED

ENDED = (FINISHED, DIVERGED)
"""What a run is for good; of two rows of a run, the one that is not so is the older one."""

INSERT = f"""
INSERT OR IGNORE INTO runs ({", ".join(ROWS["runs"])}, checksum) VALUES ({", ".join("?" * (len(ROWS["runs"]) + 1))})
"""  # noqa: S608 -- the names are ours

STATUS = ROWS["runs"].index("status")

SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite appends to a database's name for the files that go with it."""


def mend(folder: Path) -> list[str]:
    """Put whole databases in place of damaged ones in a sweep's folder and its sample's, with all runs that are whole.

    Whoever calls it holds the folder. The damaged one is kept as its next backup. Returns lines that say what was done.
    What ends the process on the way leaves a database as it was, or recovered; between the two it may lack its journal,
    which the backup has. Raises StoreError where nothing in the folder is whole.
    """
    with explained(folder):
        found = [path for path in (folder / DATABASE, folder / SAMPLE / DATABASE) if path.exists()]
        faults = {path: fault for path in found if (fault := fault_of(path))}
        if not faults:
            return [f"nothing in {folder} is damaged"]
        made = {path: temporary(real(path)) for path in faults}
        try:
            recovered = [keep_whole_runs(path, new) for path, new in made.items()]
            if not any(recovered) and len(faults) == len(found):
                raise faults[found[0]]
            backup = back_up(folder, whole={real(path) for path in found if path not in faults})
            for path, new in made.items():
                for suffix in SIDE_FILES:  # first: SQLite would put their pages into the new file
                    beside(path, suffix).unlink(missing_ok=True)
                put_in_place(new, real(path))
        finally:
            for new in made.values():
                new.unlink(missing_ok=True)
    told = [f"{path}: {n:,} runs recovered" for path, n in zip(faults, recovered, strict=True)]
    return [*told, f"the damaged folder is kept as {backup}"]


def fault_of(path: Path) -> DamagedError | None:
    """What is wrong with a damaged database; raises StoreError where something else is, or it is better left alone."""
    try:
        check_file(path)
        with explained(path), connect(path, "rw") as database, sound(path):
            if not is_new(database):
                check(database, path, plan=True)
    except DamagedError as fault:
        if written_as(path) == 1 and not is_of_samples(path):
            raise
        return fault
    return None


def beside(path: Path, suffix: str) -> Path:
    """A journal of a database, which lies where links lead to, as SQLite has it."""
    return real(path).with_name(f"{real(path).name}{suffix}")


def keep_whole_runs(path: Path, new: Path) -> int:
    """Make a new database with the runs of a damaged one that are whole, and return how many these are."""
    with connect(new, "rwc") as database:
        database.execute("PRAGMA journal_mode = MEMORY")  # who finds it half done removes it
        upgrade(database, 0)
        with database:
            for ended in (True, False):
                rows = (row for row in whole_runs(path) if (row[STATUS] in ENDED) is ended)
                database.executemany(INSERT, rows)
        [n_runs] = database.execute("SELECT count(*) FROM runs").fetchone()
        return int(n_runs)


def back_up(folder: Path, whole: Collection[Path]) -> Path:
    """Keep what lrsweep wrote into a folder as its next backup, all of it or nothing, and return that.

    A damaged database only gets another name, which takes no room, since a new file takes its place. A `whole` one is
    copied: it goes on being written in its place, and its backup must not.
    """
    backup = next_backup(folder)
    making = backup.with_name(f".{backup.name}")
    if os.path.lexists(making):  # who made it was killed
        shutil.rmtree(making)
    try:
        for place in (Path(), Path(SAMPLE)):
            back_up_files(folder / place, making / place, whole)
        put_in_place(making, backup)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return backup


def back_up_files(folder: Path, kept: Path, whole: Collection[Path]) -> None:
    """Keep the databases and views of one folder in another, which is made; a link is kept as what it leads to."""
    if not folder.is_dir():
        return
    kept.mkdir()
    for suffix in ("", *SIDE_FILES):
        path = beside(folder / DATABASE, suffix)
        if path.is_file():
            (shutil.copy2 if path in whole else link_or_copy)(path, kept / f"{DATABASE}{suffix}")
    for name in (*REPLACED, *ANYBODYS):
        path = real(folder / name)
        with suppress(PermissionError):  # somebody else's, and no truth
            if path.is_file():
                link_or_copy(path, kept / name)


def link_or_copy(path: Path, target: Path) -> None:
    """Keep a file under another name as well."""
    with suppress(OSError):  # not every disk can
        return target.hardlink_to(path)
    shutil.copy2(path, target)
    return None
