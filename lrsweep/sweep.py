"""The conductor: plan, minus what is finished, through execute, into the store, out as an answer."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep import datasets
from lrsweep.engine.model import stacking_is_exact
from lrsweep.execute import data_for, execute, one_blas_thread, singles
from lrsweep.plan import Estimate, Plan, estimate, make_plan, make_stacks
from lrsweep.spec import load_spec
from lrsweep.store import DATABASE, Store, set_aside, write_file
from lrsweep.vocabulary import CRASHED, FAILED, FORMAT, NUMERICS, RETRIED, Outcome, Stack, StoreError

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer

MAX_RUNS = 10_000
Watch = Callable[[list[Outcome]], None]


@dataclass(frozen=True)
class Preview:
    """What a sweep would do: its plan, what is stored of it already, and what the rest would take."""

    plan: Plan
    folder: Path
    statuses: dict[str, str]
    stacks: list[Stack]
    estimate: Estimate
    workers: int

    def counts(self) -> dict[str, int]:
        """Runs that are done, new, stale and failed."""
        planned = [one.run_id for one in self.plan.runs]
        done = [run_id for run_id in planned if run_id in self.statuses]
        failed = sum(self.statuses[run_id] in RETRIED for run_id in done)
        stale = len(self.statuses) - len(done)
        return {"done": len(done), "new": len(planned) - len(done), "stale": stale, "failed": failed}

    def document(self, list_runs: bool = False) -> dict[str, Any]:
        """The same, as plain values; with every run where `list_runs`."""
        axes, spec = self.plan.axes(), self.plan.spec
        product = math.prod(len(values) for values in axes.values())
        document = {
            "schema_version": 1,
            "path": str(spec.path),
            "name": spec.name,
            "folder": str(self.folder),
            "axes": axes,
            "runs": len(self.plan.runs),
            "product": " × ".join(str(len(v)) for v in axes.values()) if product == len(self.plan.runs) else None,
            "duplicates": self.plan.duplicates,
            "counts": self.counts(),
            "stacks": len(self.stacks),
            "largest_stack": max((len(stack.runs) for stack in self.stacks), default=0),
            "seconds": self.estimate.seconds,
            "workers": self.workers,
            "shapes_timed": self.estimate.shapes,
            "disk_bytes": self.estimate.disk_bytes,
        }
        if list_runs:
            rows = self.plan.columns()
            document["runs_list"] = [(run_id, self.statuses.get(run_id, "new"), row) for run_id, row in rows]
        return document


@dataclass(frozen=True)
class Result:
    """What a sweep found: the answer, the folder that holds it, and what this execution did."""

    answer: Answer
    folder: Path
    trained: int
    seconds: float

    @property
    def exit_code(self) -> int:
        """0, or 1 where runs failed."""
        return int(self.answer.counts[FAILED] + self.answer.counts[CRASHED] > 0)


def plan(
    path: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    workers: int | None = None,
    max_runs: int = MAX_RUNS,
) -> Preview:
    """What `run` would do. Trains three steps of each shape for the estimate, and writes nothing."""
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
    begin: Callable[[Plan, int, list[Stack]], Watch] | None = None,
) -> Result:
    """Trains the runs that the results folder lacks, and answers from all of them.

    `begin` is told the plan, the number of stale runs and the stacks; it returns what to call with outcomes.
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
        stacks = make_stacks(wanted, count)
        if not stacking_is_exact():
            stacks = [single for stack in stacks for single in singles(stack)]
        store.set_plan(planned.columns(), about(planned))
        write_file(folder / "spec.yaml", planned.spec.source)
        write_file(folder / "provenance.json", provenance(planned, count))
        stale = len(statuses.keys() - {one.run_id for one in planned.runs})
        watch = begin(planned, stale, stacks) if begin else None
        trained = train_all(store, stacks, count, watch, fail_fast, start + time_limit if time_limit else None)
        return Result(read_answer(store), folder, trained, time.perf_counter() - start)


def report(sweep: str | Path | None = None, *, results: str | Path = "results") -> Answer:
    """The answer again, from the results alone; `sweep` is a name, a folder or a sweep file, None the newest sweep."""
    with Store.open(find_folder(sweep, Path(results))) as store:
        return read_answer(store)


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
        with closing(execute(stacks, workers)) as stream:
            for outcomes in stream:
                store.add(outcomes)
                trained += len(outcomes)
                if watch:
                    watch(outcomes)
                views.refresh()
                if fail_fast and any(outcome.status in RETRIED for outcome in outcomes):
                    break
                if deadline and time.perf_counter() > deadline:
                    break
    finally:
        store.write_views()
    return trained


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


def read_answer(store: Store) -> Answer:
    """The answer from what is stored."""
    from lrsweep.analysis.answer import answer

    frames = store.runs(), store.curves()
    return answer(*frames, store.about(), store.counts(), store.runs(stale=True), str(store.folder))


def about(planned: Plan) -> dict[str, Any]:
    """What the analysis needs to know of a sweep beside its runs."""
    spec, sources = planned.spec, {}
    for one in planned.runs:
        label = str(one.run.dataset)
        if label not in sources:
            whole = datasets.split_sizes(len(one.data.y), replace(one.run, subset=1.0))[0]
            shape = {"n_rows": len(one.data.y), "n_train": whole, "n_features": int(one.data.x[0].size)}
            sources[label] = shape | {"task": one.data.task, "n_classes": len(one.data.classes)}
    tasks = {source["task"] for source in sources.values()}
    rows = planned.columns()
    return {
        "name": spec.name,
        "description": spec.description,
        "objective": spec.objective,
        "select": spec.select,
        "task": tasks.pop() if len(tasks) == 1 else "mixed",
        "axes": planned.axes(),
        "settings": [key for key in rows[0][1] if key not in ("learning_rate", "seed")],
        "datasets": sources,
        "spec_path": str(spec.path),
    }


def provenance(planned: Plan, workers: int) -> bytes:
    """What these numbers came from: versions, machine, data, arguments. JSON."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    packages = ("lrsweep", "numpy", "pandas", "scikit-learn")
    document = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
        "format": FORMAT,
        "numerics": NUMERICS,
        "blas": {key: blas.get(key) for key in ("name", "version", "openblas configuration") if key in blas},
        "platform": platform.platform(),
        "cpu": cpu(),
        "workers": workers,
        "git_commit": git_commit(planned.spec.path.parent),
        "data": {str(one.run.dataset): one.data.fingerprint for one in planned.runs},
        "overrides": list(planned.spec.overrides),
        "arguments": sys.argv[1:],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def cpu() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def git_commit(folder: Path) -> str | None:
    """The commit of the sweep file's folder, with `-dirty` where files differ from it; None outside a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  fixed words, no shell
    return told.stdout.strip() or None


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
        return results / load_spec(path, max_runs=sys.maxsize).name
    if (results / path / DATABASE).exists():
        return results / path
    known = sorted(path.parent.name for path in results.glob(f"*/{DATABASE}"))
    hint = f"there are {', '.join(known)}" if known else "lrsweep run SPEC makes one"
    raise StoreError(f"{results} holds no sweep {str(sweep)!r}; {hint}")
