"""Sweeps that search: what their files are, and how they are run and broken off in the tests."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrsweep import sweep
from lrsweep.store import Store

TEXT = """\
dataset: iris
width: [4, 8]
optimizer: sgd
learning_rate: {log: [1e-2, 1000], per_decade: 2}
batch_size: 16
epochs: 9
seeds: 2
"""

NARROW = "learning_rate={log: [0.01, 0.1], per_decade: 2}"
"""A grid with the best rate beyond it."""

SEARCHES = {
    "screen": ["elimination={screen: {subset: 0.5, epochs: 2}}"],
    "epochs": ["elimination={halving: {factor: 3, min: 1, guard: 1}}"],
    "subset": ["elimination={halving: {factor: 3, resource: subset, min: 0.2, guard: 1}}"],
    "both": ["elimination={screen: {subset: 0.5, epochs: 2}, halving: {factor: 3, min: 1, guard: 1}}"],
    "extend": ["extend=true", NARROW],
    "refine": ["refine={decades: 0.1, max_rates: 2}"],
    "all": [
        "elimination={screen: {subset: 0.5, epochs: 2}, halving: {factor: 3, min: 1, guard: 0}}",
        "extend=true",
        "refine={decades: 0.1, max_rates: 2}",
        "learning_rate={log: [0.01, 1], per_decade: 3}",
    ],
}

VIEWS = ("runs.csv", "curves.csv", "elimination.csv", "ranking.csv", "recommendation.json")


class Broken(BaseException):
    """What ends a sweep in the middle."""


def views(folder: Path) -> dict[str, bytes]:
    """The files that must not depend on how a sweep was executed, those of its samples too."""
    places = [folder / name for name in VIEWS] + [folder / "sample" / name for name in VIEWS[:2]]
    return {str(path.relative_to(folder)): path.read_bytes() for path in places if path.exists()}


def samples_of(folder: Path) -> dict[str, bytes]:
    """Those of its samples alone."""
    return {name: content for name, content in views(folder).items() if name.startswith("sample")}


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rows_by_id(folder: Path, name: str) -> dict[str, list[dict[str, str]]]:
    """The rows of a file of results for each run."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in table(folder / name):
        found.setdefault(row["run_id"], []).append(row)
    return found


def course(folder: Path, other: Path | None = None) -> tuple[object, ...]:
    """Every decision, and the runs that finished; of them only those that did elsewhere, as some may be from before."""
    own, elsewhere = (rows_by_id(one, "runs.csv") for one in (folder, other or folder))
    finished = [run_id for run_id, (row,) in elsewhere.items() if row["status"] == "finished"]
    return (folder / "elimination.csv").read_bytes(), [own[run_id] for run_id in finished]


def run(spec: Path, folder: str = "results", **options: object) -> sweep.Result:
    """The sweep, run in this process beside its file."""
    return sweep.run(spec, results=spec.parent / folder, **{"workers": 0, **options})  # type: ignore[arg-type]


@contextlib.contextmanager
def broken_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Ends whatever writes to a database for the so-manieth time, before it does; yields the count so far."""
    real, count = Store._transaction, [0]

    def counted(store: Store) -> contextlib.AbstractContextManager[None]:
        count[0] += 1
        if count[0] == number:
            raise Broken
        return real(store)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "_transaction", counted)
        yield count
