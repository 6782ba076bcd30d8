"""Sweeps whose folders are damaged in the tests: what they are, and what of them must come back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lrsweep import sweep
from lrsweep.store import DATABASE
from lrsweep.store.schema import connect

SPEC = """\
dataset: wine
width: 2
optimizer: [sgd, adam]
learning_rate: [0.0001, 0.1, 1, 1e30]
epochs: 4
seeds: 2
elimination: {screen: {subset: 0.5, epochs: 2, seeds: 1}, halving: {factor: 2, min: 1, guard: 0}}
"""
BEFORE = ["learning_rate=[0.3, 1e20]", "elimination=null", "optimizer=sgd"]
"""What is trained first, and in full: it is stale then, and some of it diverged."""

SAME = ("runs.csv", "curves.csv", "elimination.csv", "ranking.csv", "recommendation.json")
SAMPLES = ("sample/runs.csv", "sample/curves.csv")
"""Views that do not depend on how a sweep was executed."""

QUERIES = (
    "SELECT * FROM meta ORDER BY key",
    "SELECT * FROM plan ORDER BY position",
    "SELECT * FROM runs ORDER BY run_id",
    "SELECT * FROM planned ORDER BY position",
    "SELECT * FROM stale ORDER BY run_id",
    "SELECT run_id, status FROM runs INDEXED BY run_status ORDER BY run_id",
)
"""All that a database says, by its tables, views and index."""


def make(place: Path) -> Path:
    """A sweep in a folder of its own, with runs of most statuses, stale ones and a sample; returns its sweep file."""
    spec = place / "small.yaml"
    spec.write_text(SPEC)
    sweep.run(spec, results=place, workers=0, overrides=BEFORE)
    sweep.run(spec, results=place, workers=0)
    return spec


def copy(spec: Path, place: Path) -> Path:
    """The same sweep elsewhere; returns its sweep file."""
    shutil.copytree(spec.parent, place, dirs_exist_ok=True)
    return place / spec.name


def views(folder: Path) -> dict[str, bytes]:
    """The views that must come back as they were."""
    return {name: (folder / name).read_bytes() for name in (*SAME, *SAMPLES)}


def content(path: Path) -> list[list[Any]]:
    """All that a database says."""
    with connect(path, "rw") as database:
        return [database.execute(query).fetchall() for query in QUERIES]


def database(spec: Path) -> Path:
    """A sweep's database."""
    return spec.parent / "small" / DATABASE
