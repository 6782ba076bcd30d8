"""The files of a results folder: what they are called, whether they can be written, what killed writers leave."""

from __future__ import annotations

import re
import stat
import time
from contextlib import suppress
from pathlib import Path

from lrsweep.store.folder import check_folder
from lrsweep.store.hold import LOCK
from lrsweep.store.ranges import RAMPS, RANGES
from lrsweep.store.schema import DATABASE

PAGE, ELIMINATION = "report.html", "elimination.csv"

ANSWER = ("ranking.csv", "recommendation.json", PAGE)
"""Views of all runs together, which say something wrong as soon as there is one run more."""

OPENED = (DATABASE, f"{DATABASE}-journal", LOCK)
REPLACED = ("runs.csv", "curves.csv", "timings.csv", ELIMINATION, *ANSWER, "spec.yaml", "provenance.json")
"""What a sweep writes: the files that it opens, and those that new ones take the place of."""

OLD = 3600
"""Seconds after which nobody is still writing a file."""

ANYBODYS = (PAGE, RANGES, RAMPS)
"""What is written without holding the folder."""

LEFTOVER = re.compile(rf"\.({'|'.join(map(re.escape, (DATABASE, *REPLACED, *ANYBODYS)))})\.[0-9a-f]{{8}}\.tmp")
"""The names that `temporary` gives, and what they were to become."""


def check_writable(folder: Path) -> None:
    """Raise StoreError where a sweep could not write its results, before anything takes time. Makes nothing."""
    check_folder(folder, OPENED, REPLACED)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left. Only who holds the folder writes views; the rest, anybody: a young one stays."""
    for path in folder.iterdir():
        if leftover := LEFTOVER.fullmatch(path.name):
            with suppress(FileNotFoundError):  # whoever wrote it has put it in its place meanwhile
                found = path.lstat()
                over = leftover[1] not in ANYBODYS or found.st_mtime < time.time() - OLD
                if over and stat.S_ISREG(found.st_mode):
                    path.unlink()
