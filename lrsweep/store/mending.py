"""How a sweep goes on with a damaged database: a new one takes its place, with all runs that are whole."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from lrsweep.store.folder import next_backup, put_in_place
from lrsweep.store.health import ANEW, DamagedError, check, check_file, sound, written_as
from lrsweep.store.salvage import whole_runs
from lrsweep.store.schema import DATABASE, ROWS, SAMPLE, connect, is_new, upgrade
from lrsweep.store.trouble import explained
from lrsweep.vocabulary import DIVERGED, FINISHED

ENDED = (FINISHED, DIVERGED)
"""What a run is for good; of two rows of a run, the one that is not so is the older one."""

KEEP = f"""
INSERT OR IGNORE INTO runs ({", ".join(ROWS["runs"])}, checksum) VALUES ({", ".join("?" * (len(ROWS["runs"]) + 1))})
"""  # noqa: S608 -- the names are ours

STATUS = ROWS["runs"].index("status")


def mend(folder: Path) -> list[str]:
    """Put whole databases in place of damaged ones in a sweep's folder and its sample's, with all runs that are whole.

    Whoever calls it holds the folder. The damaged one is kept as its next backup. Returns lines that say what was done.
    What ends the process on the way leaves a database as it was, or recovered; between the two it may lack its journal,
    which the backup has. Raises StoreError where nothing can be recovered.
    """
    with explained(folder):
        found = [folder / DATABASE, folder / SAMPLE / DATABASE]
        damaged = [path for path in found if path.exists() and is_damaged(path)]
        if not damaged:
            return [f"nothing in {folder} is damaged"]
        made = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp") for path in damaged}
        try:
            kept = [keep_whole_runs(path, new) for path, new in made.items()]
            if not any(kept):
                raise DamagedError(f"{damaged[0]} is damaged, and no run in it can be read as it was stored; {ANEW}")
            backup = next_backup(folder)
            shutil.copytree(folder, backup, symlinks=True, ignore=ignored, copy_function=link_or_copy)
            for path, new in made.items():
                for journal in ("journal", "wal", "shm"):  # first: SQLite would put their pages into the new file
                    path.with_name(f"{path.name}-{journal}").unlink(missing_ok=True)
                put_in_place(new, path)
        finally:
            for new in made.values():
                new.unlink(missing_ok=True)
    told = [f"{path}: {n:,} runs recovered" for path, n in zip(damaged, kept, strict=True)]
    return [*told, f"the damaged folder is kept as {backup}"]


def is_damaged(path: Path) -> bool:
    """Whether a database is damaged; raises StoreError where something else is wrong with it."""
    try:
        check_file(path)
        with explained(path), connect(path, "rw") as database, sound(path):
            if not is_new(database):
                check(database, path, plan=True)
    except DamagedError:
        if written_as(path) == 1:
            raise
        return True
    return False


def keep_whole_runs(path: Path, new: Path) -> int:
    """Make a new database with the runs of a damaged one that are whole, and return how many these are."""
    with connect(new, "rwc") as database:
        database.execute("PRAGMA journal_mode = MEMORY")  # who finds it half done removes it
        upgrade(database, 0)
        with database:
            for ended in (True, False):
                rows = (row for row in whole_runs(path) if (row[STATUS] in ENDED) is ended)
                database.executemany(KEEP, rows)
        [n_runs] = database.execute("SELECT count(*) FROM runs").fetchone()
        return int(n_runs)


def ignored(_: str, names: list[str]) -> list[str]:
    """The files of a folder that its backup is without."""
    return [name for name in names if name == ".lock" or name.endswith(".tmp")]


def link_or_copy(source: str, target: str) -> None:
    """Keep a file under another name as well, which takes no room where a new one then takes its place.

    A database is copied: one that is whole goes on being written in its place, and its backup must not.
    """
    if Path(source).name != DATABASE:
        with suppress(OSError):  # not every disk can
            return os.link(source, target, follow_symlinks=False)
    shutil.copy2(source, target, follow_symlinks=False)
    return None
