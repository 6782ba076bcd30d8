"""What a sweep found: a SQLite database, which is the truth, and the CSV files, which are views of it.

A run is finished if and only if its row is committed. One process writes, and holds the folder's lock while it does;
any number may read meanwhile. The rollback journal rather than WAL, so that network folders work.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lrsweep.store.files import ANSWER, ELIMINATION, remove_leftovers
from lrsweep.store.folder import real, write_file
from lrsweep.store.health import check, sound
from lrsweep.store.hold import Hold
from lrsweep.store.schema import DATABASE, connect, is_new, seal, upgrade
from lrsweep.store.sharing import in_use, patiently
from lrsweep.store.tables import (
    Columns,
    Decided,
    Row,
    by_column,
    csv_text,
    curve_bytes,
    curve_lines,
    curve_of,
    run_columns,
)
from lrsweep.store.trouble import explained, reading
from lrsweep.vocabulary import (
    CRASHED,
    CURVE_COLUMNS,
    DIVERGED,
    FAILED,
    FINISHED,
    NUMERICS,
    STOPPED,
    Array,
    Outcome,
    Say,
    Scalar,
    StoreError,
    json_text,
    silent,
)

if TYPE_CHECKING:
    import pandas as pd

LARGE = 20_000_000
"""Bytes of a database whose views take about a second: they came at 15 to 30 million a second."""

PLANNED = "SELECT run_id, status, reason, settings, metrics FROM planned ORDER BY position"
STALE = "SELECT run_id, status, reason, settings, metrics FROM stale ORDER BY run_id"
CURVE = "SELECT curve FROM runs WHERE run_id = ?"
CURVES = "SELECT run_id, curve FROM planned WHERE status IS NOT NULL ORDER BY position"
DONE = "SELECT run_id, status, reason, metrics FROM runs WHERE numerics = ?"
TIMINGS = "SELECT run_id, timing FROM planned WHERE status IS NOT NULL ORDER BY position"
ADD = """
INSERT OR REPLACE INTO runs (run_id, numerics, status, reason, settings, metrics, timing, curve, checksum)
SELECT *, seal(run_id, numerics, status, reason, settings, metrics, timing, curve) FROM (
    SELECT :run_id AS run_id, :numerics AS numerics, :status AS status, :reason AS reason,
           (SELECT settings FROM plan WHERE run_id = :run_id) AS settings,
           :metrics AS metrics, :timing AS timing, :curve AS curve
)
"""
REWORD = """
UPDATE runs SET reason = :reason, checksum = seal(run_id, numerics, status, :reason, settings, metrics, timing, curve)
WHERE run_id = :run_id
"""

META = "INSERT OR REPLACE INTO meta (key, value, checksum) VALUES (?1, ?2, seal(?1, ?2))"

SPILL = 65536
"""Pages of a transaction, 256 MB, that stay in memory until it is committed.

SQLite's own limit is 2 MB. Beyond it, each row would be written to the file at once, and would wait for a minute, in
silence, where somebody reads.
"""


class NoResultsError(StoreError):
    """A folder in which nothing is stored yet."""


class Store:
    """A results folder. Made by `create` to write it or by `open` to read it, and closed by `with`.

    Every method raises StoreError, with a line for the user, where the disk or the database does not play along.

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> curve = np.zeros((1, len(CURVE_COLUMNS)))
    >>> with TemporaryDirectory() as results, Store.create(Path(results, "demo")) as store:
    ...     store.set_plan([("r1", {"width": 16}), ("r2", {"width": 32})], about={"task": "classification"})
    ...     store.add([Outcome("r2", "finished", "", {"val_loss": 0.1}, curve)])
    ...     store.write_views()
    ...     print(Path(results, "demo", "runs.csv").read_text(), end="")
    run_id,status,reason,width,val_loss
    r2,finished,,32,0.1
    """

    def __init__(
        self,
        folder: Path,
        database: sqlite3.Connection,
        resources: ExitStack,
        hold: Hold | None = None,
        say: Say = silent,
        deadline: float | None = None,
    ) -> None:
        self.folder, self._say, self._deadline = folder, say, deadline
        self._path = folder / DATABASE
        self._database = database
        self._resources = resources
        self._hold = hold

    @classmethod
    def create(cls, folder: Path, hold: Hold | None = None, say: Say = silent, deadline: float | None = None) -> Self:
        """Open a folder to write it, made where it is missing. Raises BusyError while another process writes it.

        With the `hold` that somebody has on the folder, it is theirs to end. `say` is told of a program in the way,
        which is waited for as `patiently` does it.
        """
        path = folder / DATABASE
        with ExitStack() as resources:
            if hold is None:
                hold = resources.enter_context(Hold(folder))
            with explained(folder):
                remove_leftovers(folder)
            with explained(path):
                resources.enter_context(in_use(path))
                database = resources.enter_context(connect(path, "rwc"))

                def bring_up_to_date() -> None:
                    with sound(path):  # without the plan, which `set_plan` compares
                        version = 0 if is_new(database) else check(database, path, plan=False)
                    upgrade(database, version)

                patiently(database, bring_up_to_date, path, say, deadline)
                patiently(database, lambda: database.execute("PRAGMA journal_mode = DELETE"), path, say, deadline)
                database.execute("PRAGMA synchronous = FULL")
                database.execute(f"PRAGMA cache_spill = {SPILL}")
            return cls(folder, database, resources.pop_all(), hold, say, deadline)

    @classmethod
    def open(cls, folder: Path, checked: bool = False) -> Self:
        """Open a folder to read it, whether or not another process writes it; `checked` if it was a moment ago."""
        path = folder / DATABASE
        with ExitStack() as resources, explained(path):
            why = f"nothing is in its {DATABASE}" if path.exists() else f"no {DATABASE} in it"
            none = NoResultsError(f"{folder} holds no results ({why}); `lrsweep run` makes them")
            if not path.exists():
                raise none
            resources.enter_context(in_use(path))
            # Not mode=ro: a reader too must be able to roll back what a killed writer left half done.
            database = resources.enter_context(connect(path, "rw"))
            database.execute("PRAGMA query_only = ON")
            with sound(path):
                if is_new(database):
                    raise none
            if not checked:
                check(database, path, plan=True)
            return cls(folder, database, resources.pop_all())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def set_plan(self, planned: Sequence[tuple[str, Mapping[str, Scalar | None]]], about: Mapping[str, Any]) -> None:
        """Replace the plan: run_ids in order, each with its settings by CSV column; `about` is kept as given (JSON).

        Stored runs that it is without become stale; those of an earlier plan that it has again are done again.
        """
        found = ((at, run_id, NUMERICS, json.dumps(settings)) for at, (run_id, settings) in enumerate(planned))
        rows = [(*row, seal(*row)) for row in found]
        described = json.dumps(about)
        with self._transaction():
            before = self._database.execute("SELECT * FROM plan ORDER BY position").fetchall()
            if (before, self.about()) == (rows, json.loads(described)):
                return
            self._withdraw_answer()
            self._database.execute("DELETE FROM plan")
            self._database.executemany("INSERT INTO plan VALUES (?, ?, ?, ?, ?)", rows)
            self._database.execute(META, ["about", described])

    def about(self) -> dict[str, Any]:
        """What `set_plan` was told of the sweep; empty before the first plan."""
        return dict(self._meta("about") or {})

    def set_decisions(self, rows: Sequence[Decided]) -> None:
        """Replace what elimination decided: a row of elimination.csv each."""
        with self._transaction():
            if json.dumps(rows) != json.dumps(self._meta("decisions") or []):
                self._withdraw_answer()
                self._database.execute(META, ["decisions", json.dumps(rows)])

    def decisions(self) -> pd.DataFrame | None:
        """The content of elimination.csv; None where nothing was decided."""
        rows = self._meta("decisions")
        return _frame(by_column(rows)) if rows else None

    def statuses(self) -> dict[str, str]:
        """run_id → status of every run that the present numerics trained, stale ones too."""
        with explained(self._path):
            return dict(self._database.execute("SELECT run_id, status FROM runs WHERE numerics = ?", [NUMERICS]))

    def others(self) -> int:
        """How many stored runs are by other training code."""
        with explained(self._path):
            [n_runs] = self._database.execute("SELECT count(*) FROM runs WHERE numerics != ?", [NUMERICS]).fetchone()
            return int(n_runs)

    def reasons(self) -> dict[str, str]:
        """run_id → reason of every run that is stopped."""
        with explained(self._path):
            query = "SELECT run_id, reason FROM runs WHERE status = ? AND numerics = ?"
            return dict(self._database.execute(query, [STOPPED, NUMERICS]))

    def curve(self, run_id: str) -> Array:
        """The curve (epochs_done + 1, len(CURVE_COLUMNS)) of a stored run; without rows where there is none."""
        [(_, curve)] = self._curves_of([run_id])
        return curve

    def reword(self, reasons: Mapping[str, str]) -> None:
        """Give stored runs other reasons, by run_id."""
        with self._transaction():
            self._withdraw_answer()
            told = [{"reason": reason, "run_id": run_id} for run_id, reason in reasons.items()]
            self._database.executemany(REWORD, told)

    def forget(self, run_ids: Iterable[str]) -> None:
        """Forget stored runs: they count as new."""
        with self._transaction():
            self._withdraw_answer()
            self._database.executemany("DELETE FROM runs WHERE run_id = ?", [(run_id,) for run_id in run_ids])

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Store runs of the plan, all of them or none; a run that was trained again replaces its row."""
        rows = (  # one after the other: the curves of a stack are many megabytes
            {
                "run_id": outcome.run_id,
                "numerics": NUMERICS,
                "status": outcome.status,
                "reason": outcome.reason,
                "metrics": json.dumps(outcome.metrics),
                "timing": json.dumps(outcome.timing),
                "curve": curve_bytes(outcome.curve),
            }
            for outcome in outcomes
        )
        with self._transaction():
            self._withdraw_answer()
            self._database.executemany(ADD, rows)

    def counts(self) -> dict[str, int]:
        """How many runs of the plan are done and new, and the done ones by status.

        And how many of the stored ones are stale, and how many, stale or not, by other training code.
        """
        with explained(self._path):
            by_status = Counter(dict(self._database.execute("SELECT status, count(*) FROM planned GROUP BY status")))
            [stale] = self._database.execute("SELECT count(*) FROM stale").fetchone()
        new = by_status.pop(None, 0)
        return {"done": by_status.total(), "new": new, "stale": stale, "other_numerics": self.others()} | {
            status: by_status[status] for status in (FINISHED, DIVERGED, STOPPED, FAILED, CRASHED)
        }

    def examples(self) -> int:
        """The training rows that all runs of the plan saw, each as often as it did."""
        with reading(self._path):
            told = self._database.execute("SELECT metrics FROM planned WHERE metrics IS NOT NULL")
            return sum(int(json.loads(metrics).get("examples_seen", 0)) for (metrics,) in told)

    def write_views(self) -> None:
        """Write runs.csv, curves.csv and timings.csv, and elimination.csv if need be, each whole or not at all."""
        self._check_hold()  # before anything is read, for the reason that `_transaction` has
        self._write("runs.csv", csv_text(self._runs(PLANNED)))
        if rows := self._meta("decisions"):
            self._write(ELIMINATION, csv_text(by_column(rows)))
        elif (self.folder / ELIMINATION).is_file():
            with explained(self.folder / ELIMINATION):
                (self.folder / ELIMINATION).unlink()
        self._write("curves.csv", curve_lines(self._curve_columns(), self._curves()))
        self._write("timings.csv", csv_text(self._timings()))

    def is_large(self) -> bool:
        """Whether it takes more than a second to write the views."""
        with explained(self._path):
            return self._path.stat().st_size > LARGE

    def write_answer(self, ranking: Mapping[str, Sequence[Scalar | None]], recommendation: Mapping[str, Any]) -> None:
        """Write ranking.csv, from its columns, and recommendation.json, each of them whole or not at all.

        They, and the page, are there as long as they hold: `add`, and a `set_plan` that changes something, remove them.
        """
        self._write("ranking.csv", csv_text(ranking))
        self._write("recommendation.json", [json_text(recommendation), "\n"])

    def runs(self, *, stale: bool = False) -> pd.DataFrame:
        """The content of runs.csv; or, in the same form, the stale runs with the settings of their own plan."""
        return _frame(self._runs(STALE if stale else PLANNED))

    def runs_of(
        self, planned: Iterable[tuple[str, Mapping[str, Scalar | None]]], instead: Mapping[str, Row]
    ) -> pd.DataFrame:
        """The content that runs.csv would have with another plan; `instead` has other rows for some of its runs.

        A row is status, reason and metrics.
        """
        with reading(self._path):
            found = {run_id: rest for run_id, *rest in self._database.execute(DONE, [NUMERICS])}
        done = {run_id: (status, reason, json.loads(told)) for run_id, (status, reason, told) in found.items()}
        none: Row = (None, None, {})
        rows = ((run_id, settings, instead.get(run_id) or done.get(run_id, none)) for run_id, settings in planned)
        return _frame(run_columns((run_id, *row[:2], settings, row[2]) for run_id, settings, row in rows))

    def curves(self, run_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The content of curves.csv; or its rows of some runs, in the order of these, since all may be gigabytes."""
        import numpy as np
        import pandas as pd

        with self.one_moment():
            each = self._curves() if run_ids is None else self._curves_of(run_ids)
            found = [(run_id, curve) for run_id, curve in each if len(curve)]
            columns = self._curve_columns()
        every = np.concatenate([curve for _, curve in found] or [np.empty((0, len(columns)))])
        # Not copied: a million rows are there only once.
        frame = pd.DataFrame(every[:, 2:], columns=columns[2:], copy=False)
        lengths = [len(curve) for _, curve in found]
        run_id = pd.Series([run_id for run_id, _ in found], dtype=str).repeat(lengths).reset_index(drop=True)
        frame.insert(0, "run_id", run_id)
        for place, column in enumerate(columns[:2]):
            frame.insert(1 + place, column, every[:, place].astype(int))
        return frame

    def timings(self) -> pd.DataFrame:
        """The content of timings.csv."""
        return _frame(self._timings())

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """What is read inside is of one moment, whatever another process writes meanwhile; that process has to wait."""
        if self._database.in_transaction:
            yield
            return
        with explained(self._path):
            self._database.execute("BEGIN")
        try:
            yield
        finally:
            self._database.rollback()

    def _runs(self, query: str) -> Columns:
        with reading(self._path):
            found = self._database.execute(query)
            return run_columns((*named, json.loads(own), json.loads(told or "{}")) for *named, own, told in found)

    def _meta(self, key: str) -> Any:
        with reading(self._path):
            row = self._database.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
            return json.loads(row[0]) if row else None

    def _timings(self) -> Columns:
        with reading(self._path):
            found = self._database.execute(TIMINGS)
            return by_column(({"run_id": run_id} | json.loads(timing) for run_id, timing in found), ["run_id"])

    def _curves(self) -> Iterator[tuple[str, Array]]:
        """run_id and (epochs_done + 1, len(CURVE_COLUMNS)), one by one, since all of them may be gigabytes."""
        with reading(self._path):
            for run_id, curve in self._database.execute(CURVES):
                yield run_id, curve_of(curve)

    def _curves_of(self, run_ids: Iterable[str]) -> Iterator[tuple[str, Array]]:
        with reading(self._path):
            for run_id in run_ids:
                row = self._database.execute(CURVE, [run_id]).fetchone()
                yield run_id, curve_of(row[0] if row else b"")

    def _curve_columns(self) -> list[str]:
        regression = self.about().get("task") == "regression"
        return [column.replace("accuracy", "r2") if regression else column for column in CURVE_COLUMNS]

    def _check_hold(self) -> None:
        if self._hold:
            self._hold.check()

    def _write(self, name: str, content: bytes | Iterable[str]) -> None:
        self._check_hold()
        write_file(self.folder / name, content)

    def _withdraw_answer(self) -> None:
        for path in (real(self.folder / name) for name in ANSWER):  # a link stays, and what it names goes
            if not path.is_dir():  # nobody's answer; who writes the file says so
                path.unlink(missing_ok=True)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing, also if the process is killed or the disk is full."""
        with explained(self._path):
            try:
                self._check_hold()  # else SQLite plays back the journal of what came in the folder's place
                self._wait_for(lambda: self._database.execute("BEGIN IMMEDIATE"))
                self._check_hold()
                yield
                self._wait_for(self._database.commit)
            except BaseException:
                self._database.rollback()
                raise

    def _wait_for(self, act: Callable[[], object]) -> None:
        patiently(self._database, act, self._path, self._say, self._deadline)


def curves_of(folder: Path, run_ids: Sequence[str]) -> pd.DataFrame:
    """The curves of runs; for each call the folder is opened anew, so that a sweep can write it in between."""
    with Store.open(folder, checked=True) as store:
        return store.curves(run_ids)


def _frame(columns: Columns) -> pd.DataFrame:
    import pandas as pd  # here, since it takes half a second that a command without frames need not spend

    return pd.DataFrame(columns, dtype=None if any(columns.values()) else object)
