"""The conductor: plan, search and train, into the store, out as an answer."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrsweep.execute import crew, data_for, one_blas_thread
from lrsweep.plan import Plan, Preview, check_disk, check_memory, estimate, make_plan, make_stacks
from lrsweep.provenance import is_noted, provenance
from lrsweep.result import Result
from lrsweep.search import Known, Search, View, Wave, Work, sampled
from lrsweep.spec import Spec, load_spec
from lrsweep.store import (
    BESIDE,
    DATABASE,
    RANGES,
    SAMPLE,
    DamagedError,
    Hold,
    NoResultsError,
    Store,
    check_folder,
    check_place,
    check_writable,
    curves_of,
    is_backup,
    mend,
    present,
    read_ranges,
    write_file,
)
from lrsweep.vocabulary import MAX_RUNS, RUN_IT, Say, StoreError, UsageError, silent

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer


def plan(
    path: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    workers: int | None = None,
    max_runs: int = MAX_RUNS,
    say: Say = silent,
) -> Preview:
    """What `run` would do. Trains a few steps of each shape to estimate, and writes nothing but the data's cache."""
    planned = make_plan(load_spec(Path(path), overrides, max_runs))
    folder = Path(results) / planned.spec.name
    check_place(folder)
    with ExitStack() as opened:
        known, sample = Known(at_one_moment(folder, opened)), Known(samples_at_one_moment(folder, opened, say))
        search = Search(planned, known, sample, max_runs)
        first, statuses = next(search.waves()), search.statuses()
    count = cores() if workers is None else workers
    stacks = make_stacks([one for one in first.plan.runs if one.run_id not in statuses], count)
    check_memory(planned.runs, count)
    check_disk(stacks, folder)
    with one_blas_thread():
        seconds = estimate(stacks, count, data_for)
    return Preview(first.plan, folder, statuses, stacks, seconds, count, first.sampling, known.others)


def at_one_moment(folder: Path, opened: ExitStack) -> Store | None:
    """A results folder, if it is there, as it is at one moment while a sweep may write it; `opened` ends that."""
    if not present(folder / DATABASE):
        return None
    try:
        store = opened.enter_context(Store.open(folder))
    except NoResultsError:  # killed before it had its tables
        return None
    opened.enter_context(store.one_moment())
    return store


def samples_at_one_moment(folder: Path, opened: ExitStack, say: Say) -> Store | None:
    """The folder of the samples in the same way; as if it were not there, with a line, where it is damaged."""
    try:
        return at_one_moment(folder / SAMPLE, opened)
    except DamagedError as damage:
        say(f"{damage}; planned as if it were not there")
        return None


def run(
    path: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    workers: int | None = None,
    cluster: str | None = None,
    fresh: bool = False,
    recover: bool = False,
    retry_failed: bool = False,
    fail_fast: bool = False,
    max_runs: int = MAX_RUNS,
    time_limit: float | None = None,
    view: View | None = None,
    hold: Hold | None = None,
) -> Result:
    """Trains the runs that the results folder lacks, and answers from all of them.

    `cluster` is the address of a Dask scheduler: its workers train, and there are no `workers` of this machine.
    With `recover`, damaged databases of the folder are first replaced by new ones with all runs that are whole.
    `view` is told of what happens; `hold` is one that the caller has on the folder already. At the `time_limit`, in
    seconds, what is training is ended and not stored; in this process it ends with its stack. Raises the errors of
    `vocabulary`; whatever ends it, finished runs are kept and the files are written.
    """
    start = time.perf_counter()
    if fresh and recover:
        raise UsageError("--recover goes on with what a damaged folder has, --fresh starts anew; leave one of them out")
    if cluster is not None and workers is not None:
        raise UsageError("--workers are processes of this machine, and --cluster has workers of its own; give only one")
    spec = load_spec(Path(path), overrides, max_runs)
    folder = Path(results) / spec.name
    check_folder(folder.parent) if fresh else check_writable(folder)
    count = cores() if workers is None else workers
    say = view.say if view else silent
    deadline = None if time_limit is None else start + time_limit
    with ExitStack() as employed:
        hands = employed.enter_context(crew(count, deadline, get_ready, cluster, say))
        with (
            taken(spec, folder, fresh, recover, hold, say, deadline) as (planned, store),
            searching(planned, store, retry_failed, max_runs, say, deadline) as search,
        ):
            if cluster is None:
                check_memory(planned.runs, count)

            def prepare(wave: Wave) -> None:
                write_file(folder / "spec.yaml", planned.spec.source)
                if wave.runs or not is_noted(folder / "provenance.json"):  # else it tells of those who trained
                    size = hands.size() if wave.runs else 0
                    write_file(folder / "provenance.json", provenance(planned, size, cluster))

            work = Work(search, hands, view, fail_fast, prepare)
            work.go()
            employed.close()  # the answer may have the workers' memory
            found = read_answer(store, say)
            store.write_answer(found.ranking_columns(), found.file())
            return Result(found, folder, work.trained, time.perf_counter() - start)


@contextmanager
def taken(
    spec: Spec, folder: Path, fresh: bool, recover: bool, hold: Hold | None, say: Say, deadline: float | None
) -> Iterator[tuple[Plan, Store]]:
    """The plan, and the folder to write, held before the data is loaded: a second sweep is told so at once."""
    with nullcontext(hold) if hold and hold.folder == folder else Hold(folder) as held:
        planned = make_plan(spec)
        lost = said_of_views_alone(folder)
        if fresh and (lost or (present(folder / DATABASE) and (folder / DATABASE).stat().st_size)):
            say(f"the old folder is kept as {held.set_aside()}")
        for line in (*(mend(folder) if recover else ()), *([lost] if lost and not fresh else ())):
            say(line)
        with Store.create(folder, held, say, deadline) as store:
            yield planned, store


def said_of_views_alone(folder: Path) -> str:
    """A line where a results folder has what is written from a database, and no database; else nothing."""
    alone = (folder / BESIDE).is_file() and not present(folder / DATABASE)
    return f"no {DATABASE} beside {folder / BESIDE}: all runs are trained anew" if alone else ""


@contextmanager
def searching(
    planned: Plan, store: Store, retry_failed: bool, max_runs: int, say: Say, deadline: float | None
) -> Iterator[Search]:
    """The search of a plan, with the folder of its samples opened if it needs one."""
    with ExitStack() as opened:
        samples: Store | None = None
        if sampled(asdict(planned.spec.elimination)):
            samples = opened.enter_context(Store.create(store.folder / SAMPLE, say=say, deadline=deadline))

        def search_from(retry: bool) -> Search:
            return Search(planned, Known(store, retry), Known(samples, retry) if samples else None, max_runs)

        search = search_from(retry_failed)
        if retry_failed:  # what failed made the course that is stored: its additions are not stale until it is mended
            search.plan = next(search_from(False).waves()).plan
        yield search


def report(
    sweep: str | Path | None = None, *, results: str | Path = "results", stale: bool = False, say: Say = silent
) -> Answer:
    """The answer again, from the results alone; `sweep` is a name, a folder or a sweep file, None the newest sweep.

    With `stale`, it also holds the runs that the sweep file is without. Writes nothing.
    """
    with Store.open(find_folder(sweep, Path(results))) as store:
        return read_answer(store, say, stale)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_ready() -> None:
    """Imports what the answer will need, which takes a quarter of a second."""
    import lrsweep.analysis.answer  # noqa: F401


def read_answer(store: Store, say: Say, stale: bool = False) -> Answer:
    """The answer from what is stored."""
    from lrsweep.analysis.answer import answer

    with store.one_moment():
        runs, timings, about, counts = store.runs(), store.timings(), store.about(), store.counts()
        aside = store.runs(stale=True) if stale and counts["stale"] else None
        decisions = store.decisions()
    if not about:
        raise StoreError(f"{store.folder} holds no plan yet; {RUN_IT} makes one")
    more = (decisions, *read_ranges(store.folder), examples_of_samples(store.folder, about, say))
    read_curves = functools.partial(curves_of, store.folder)
    return answer(runs, read_curves, timings, about, counts, aside, str(store.folder), *more)


def examples_of_samples(folder: Path, about: Mapping[str, Any], say: Say) -> int | None:
    """The examples that the runs of the sample's folder saw; 0 where the sweep looks at no samples by now.

    None, with a line, where that folder is damaged: the answer does not depend on it.
    """
    if not sampled(about.get("elimination")) or not (folder / SAMPLE / DATABASE).exists():
        return 0
    try:
        with Store.open(folder / SAMPLE) as store:
            return store.examples()
    except DamagedError as damage:
        say(f"{damage}; what the sweep took in all cannot be told")
        return None


def find_folder(sweep: str | Path | None, results: Path) -> Path:
    """The results folder that a name, a folder or a sweep file means; None means the newest."""
    found = [path for path in results.glob(f"*/{DATABASE}") if not is_backup(path.parent)]
    if sweep is None and found:
        return max(found, key=lambda path: path.stat().st_mtime).parent
    if sweep is None:
        for place in results.glob("*"):
            present(place / DATABASE)  # raises where it cannot be seen whether there is one
        raise StoreError(f"{results} holds no sweep yet; {RUN_IT} makes one")
    path = Path(sweep)
    if present(path / DATABASE):
        return path
    if path.is_file():
        return results / load_spec(path).name
    if present(results / path / DATABASE):
        return results / path
    if present(results / path / RANGES):
        raise StoreError(
            f"{results / path} has only a range test, {RANGES}; {RUN_IT} makes the results that are reported"
        )
    if (results / path / BESIDE).is_file():
        raise StoreError(f"{results / path} has lost its {DATABASE}; {RUN_IT} trains its runs anew")
    known = sorted(path.parent.name for path in found)
    hint = f"it holds {', '.join(known)}" if known else f"{RUN_IT} makes one"
    raise StoreError(f"{results} holds no sweep {str(sweep)!r}; {hint}")
