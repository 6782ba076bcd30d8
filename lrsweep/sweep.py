"""The conductor: plan, minus what is finished, through execute, into the store, out as an answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from lrsweep.engine.model import stacking_is_exact
from lrsweep.execute import data_for, execute, one_blas_thread, singles
from lrsweep.plan import Plan, Preview, estimate, make_plan, make_stacks
from lrsweep.provenance import about, provenance
from lrsweep.result import Result
from lrsweep.spec import load_spec
from lrsweep.store import DATABASE, Store, set_aside, write_file
from lrsweep.vocabulary import MAX_RUNS, RETRIED, Outcome, Stack, StoreError

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer

Watch = Callable[[list[Outcome]], None]
"""What is called with the outcomes of each stack."""

INEXACT = "this machine's matrix product gives other bits in a stack: runs are trained one by one, which takes longer"


def plan(
    path: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    workers: int | None = None,
    max_runs: int = MAX_RUNS,
) -> Preview:
    """What `run` would do. Trains a few steps of each shape to estimate, and writes nothing but the data's cache."""
    planned = make_plan(load_spec(Path(path), overrides, max_runs))
    folder = Path(results) / planned.spec.name
    statuses: dict[str, str] = {}
    if (folder / DATABASE).exists():
        with Store.open(folder) as store:
            statuses = store.statuses()
    count = cores() if workers is None else workers
    stacks = make_stacks([one for one in planned.runs if one.run_id not in statuses], count)
    with one_blas_thread():
        return Preview(planned, folder, statuses, stacks, estimate(stacks, count, data_for), count)


def run(
    path: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    workers: int | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    fail_fast: bool = False,
    max_runs: int = MAX_RUNS,
    time_limit: float | None = None,
    begin: Callable[[Plan, int, list[Stack], str], Watch] | None = None,
) -> Result:
    """Trains the runs that the results folder lacks, and answers from all of them.

    `begin` is told the plan, the number of stale runs, the stacks and a note; it returns what to call with outcomes.
    At the `time_limit`, in seconds, what is training is ended and not stored; in this process it ends with its stack.
    Raises the errors of `vocabulary`; whatever ends it, finished runs are kept and the files are written.
    """
    start = time.perf_counter()
    planned = make_plan(load_spec(Path(path), overrides, max_runs))
    folder = Path(results) / planned.spec.name
    count = cores() if workers is None else workers
    if fresh and (folder / DATABASE).exists():
        set_aside(folder)
    with Store.create(folder) as store:
        statuses = store.statuses()
        wanted = [one for one in planned.runs if missing(statuses.get(one.run_id), retry_failed)]
        stacks, note = make_stacks(wanted, count), ""
        if stacks and not stacking_is_exact():
            stacks, note = [single for stack in stacks for single in singles(stack)], INEXACT
        store.set_plan(planned.columns(), about(planned))
        write_file(folder / "spec.yaml", planned.spec.source)
        if stacks or not (folder / "provenance.json").exists():  # else it tells of those who trained
            write_file(folder / "provenance.json", provenance(planned, count))
        stale = len(statuses.keys() - {one.run_id for one in planned.runs})
        watch = begin(planned, stale, stacks, note) if begin else None
        deadline = None if time_limit is None else start + time_limit
        trained = train_all(store, stacks, count, watch, fail_fast, deadline)
        found = read_answer(store)
        store.write_answer(found.ranking_columns(), found.file())
        return Result(found, folder, trained, time.perf_counter() - start)


def report(sweep: str | Path | None = None, *, results: str | Path = "results", stale: bool = False) -> Answer:
    """The answer again, from the results alone; `sweep` is a name, a folder or a sweep file, None the newest sweep.

    With `stale`, it also holds the runs that the sweep file is without. Writes nothing.
    """
    with Store.open(find_folder(sweep, Path(results))) as store:
        return read_answer(store, stale)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing(status: str | None, retry_failed: bool) -> bool:
    """Whether a run with this status is to be trained."""
    return status is None or (retry_failed and status in RETRIED)


def train_all(
    store: Store, stacks: list[Stack], workers: int, watch: Watch | None, fail_fast: bool, deadline: float | None
) -> int:
    """Trains the stacks into the store, and counts the runs. Views are written at the end, whatever ends it."""
    trained, views = 0, Views(store)
    try:
        with closing(execute(stacks, workers, deadline, get_ready)) as stream:
            for outcomes in stream:
                store.add(outcomes)
                trained += len(outcomes)
                if watch:
                    watch(outcomes)
                views.refresh()
                if fail_fast and any(outcome.status in RETRIED for outcome in outcomes):
                    break
    finally:
        store.write_views()
    return trained


def get_ready() -> None:
    """Imports what the answer will need, which takes a quarter of a second."""
    import lrsweep.analysis.answer  # noqa: F401


class Views:
    """Keeps the CSV files near the truth while a sweep runs, in no more than a twentieth of its time."""

    def __init__(self, store: Store) -> None:
        self.store, self.due = store, time.monotonic() + 5

    def refresh(self) -> None:
        """Writes the files, if that is due."""
        start = time.monotonic()
        if start >= self.due:
            self.store.write_views()
            end = time.monotonic()
            self.due = end + max(5, 20 * (end - start))


def read_answer(store: Store, stale: bool = False) -> Answer:
    """The answer from what is stored."""
    from lrsweep.analysis.answer import answer

    with store.one_moment():
        frames, about, counts = (store.runs(), store.curves(), store.timings()), store.about(), store.counts()
        aside = store.runs(stale=True) if stale and counts["stale"] else None
    return answer(*frames, about, counts, aside, str(store.folder))


def find_folder(sweep: str | Path | None, results: Path) -> Path:
    """The results folder that a name, a folder or a sweep file means; None means the newest."""
    if sweep is None:
        found = sorted(results.glob(f"*/{DATABASE}"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise StoreError(f"{results} holds no sweep yet; lrsweep run SPEC makes one")
        return found[-1].parent
    path = Path(sweep)
    if (path / DATABASE).exists():
        return path
    if path.is_file():
        return results / load_spec(path).name
    if (results / path / DATABASE).exists():
        return results / path
    known = sorted(path.parent.name for path in results.glob(f"*/{DATABASE}"))
    hint = f"there are {', '.join(known)}" if known else "lrsweep run SPEC makes one"
    raise StoreError(f"{results} holds no sweep {str(sweep)!r}; {hint}")
