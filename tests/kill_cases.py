"""Sweeps that are killed with SIGKILL at random times, and what must hold after each kill.

A sweep's process is forked from one that has imported all there is (`python kill_cases.py`), so that a kill costs what
the sweep does and not its imports; its workers are forked too. What is different from a user's command line, a share of
the kills is for: `commands`.
"""

from __future__ import annotations

import ctypes
import functools
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, process, resource_tracker
from pathlib import Path
from statistics import median
from typing import Any, NoReturn, Self

from search_cases import SEARCHES, TEXT, views
from waiting import awaited

from lrsweep import sweep
from lrsweep.search import View, Wave
from lrsweep.vocabulary import PAUSED, Outcome, StoreError

SWEEPS = {
    "plain": ["optimizer=sgd,adam", "learning_rate={log: [1e-2, 1000], per_decade: 1}", "epochs=90"],
    "elimination": [*SEARCHES["both"], "epochs=45"],
    "everything": [*SEARCHES["all"], "epochs=45"],
}
"""What makes sweeps of the searches' sweep file, with so many epochs that training takes as long as all the rest."""

GONE = 0.5
"""Seconds after which nothing of a killed sweep runs any more."""

FOREVER = 600
"""Seconds after which a sweep that is not to be killed is."""

VIEWS, FILE, AFTER = "after the last run, before all views", "in the middle of a view", "after all was there"
"""When a kill came, of those that came late."""

ROWS = "SELECT run_id, numerics, status, reason, settings, metrics, curve FROM runs"

Rows = dict[str, tuple[Any, ...]]
"""What is stored of runs by run_id, in the sweep's folder and in that of its samples, without what took how long."""


def stored(folder: Path) -> Rows:
    """The rows that any reader sees."""
    rows: Rows = {}
    for place in (folder, folder / "sample"):
        if (place / "sweep.db").exists() and (place / "sweep.db").stat().st_size:
            with closing(sqlite3.connect(place / "sweep.db", timeout=60)) as database:
                found = database.execute(ROWS) if has_runs(database) else []
                rows |= {f"{place.name}/{run_id}": tuple(rest) for run_id, *rest in found}
    return rows


def has_runs(database: sqlite3.Connection) -> bool:
    """Whether the database has its tables by now."""
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone())


# The process that sweeps are forked from, by `python kill_cases.py`


class Forked(get_context("fork").Process):  # type: ignore[misc, name-defined]
    """A worker that is forked, and has no files of its parent but those that one that is spawned would have."""

    def run(self) -> None:
        parent = process.parent_process()
        assert parent is not None
        kept = {0, 1, 2, self._args[0].fileno(), parent.sentinel}
        for number in {int(path.name) for path in Path("/dev/fd").iterdir()} - kept:
            with suppress(OSError):
                os.close(number)
        super().run()


class Forking:
    """What `multiprocessing.get_context` gives, as far as a pool needs it."""

    Pipe, Process = staticmethod(get_context("fork").Pipe), Forked


class Acknowledging(View):
    """Notes in a file each run of which a user is told that it ended; a file, since nothing else outlives a kill."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def begin(self, planned: Any, stale: int, missing: int, note: str) -> None:
        pass

    def wave(self, wave: Wave, stacks: Any) -> None:
        self.place = "sample" if wave.sampling else wave.plan.spec.name

    def trained(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.status != PAUSED:
                os.write(self.file, f"{self.place}/{outcome.run_id}\n".encode())


def live(order: dict[str, Any]) -> NoReturn:
    """A sweep's life, in a session of its own."""
    os.setsid()
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(said, number)
    if order["kind"] == "command":
        overrides = [part for override in order["overrides"] for part in ("-o", override)]
        options = ["--workers", "2", "--results", order["results"], *overrides]
        command = [sys.executable, "-m", "lrsweep", "run", order["spec"], *options]
        os.execv(sys.executable, command)  # noqa: S606  as a shell does
    multiprocessing.get_context = lambda _: Forking  # type: ignore[assignment]
    code = 1
    try:
        sweep.run(
            order["spec"],
            results=order["results"],
            overrides=order["overrides"],
            workers={"forked": 2, "here": 0}[order["kind"]],
            view=Acknowledging(order["acknowledged"]),
        )
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def ended(pid: int) -> list[int]:
    """The exit code of a child, if it has ended; orphans that came to this process are collected on the way."""
    with suppress(ChildProcessError):
        while True:
            found, status = os.waitpid(-1, os.WNOHANG)
            if found == pid:
                return [os.waitstatus_to_exitcode(status)]
            if not found:
                return []
    return []


def left_over(session: int) -> bool:
    """Whether a process of a session is there yet."""
    ended(0)
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def lived(order: dict[str, Any]) -> dict[str, Any]:
    """Starts a sweep, kills it after a delay, and tells of both."""
    begin = time.monotonic()
    pid = os.fork() or live(order)
    code, seen = awaited(lambda: ended(pid), order["delay"], 0.002), []
    seconds = time.monotonic() - begin
    if not code:
        if order["look"]:
            seen = sorted(stored(Path(order["folder"])))
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    code = code or awaited(lambda: ended(pid), pause=0.0005)
    awaited(lambda: not left_over(pid), pause=0.002)
    return {"code": code, "seconds": seconds, "gone": time.monotonic() - killed, "seen": seen}


def main() -> None:
    """Takes orders, a line each, and answers with a line each."""
    sweep.get_ready()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come here, not to an init that may be slow
    resource_tracker.ensure_running()
    for line in sys.stdin:
        print(json.dumps(lived(json.loads(line))), flush=True)


# What the tests say to it, and look at


@dataclass
class Tally:
    """What was seen of all kills."""

    phases: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    gone: list[float] = field(default_factory=list)
    finished: int = 0

    def __str__(self) -> str:
        known = " · ".join(f"{phase} {number}" for phase, number in self.phases.most_common())
        late = sum(seconds > GONE for seconds in self.gone)
        gone = f"gone after {median(self.gone):.3f} s, at most {max(self.gone):.3f}; {late} later than {GONE}"
        return f"{self.kills} kills of {dict(self.kinds)}, {self.finished} sweeps came to their end: {known}; {gone}"

    @property
    def kills(self) -> int:
        """How many kills there were."""
        return self.phases.total()

    @property
    def late(self) -> int:
        """How many of them came after the last run was stored."""
        return self.phases[VIEWS] + self.phases[FILE] + self.phases[AFTER]

    @property
    def throughout(self) -> bool:
        """Whether enough of them came before, and enough after that."""
        return min(self.late, self.kills - self.late) > self.kills / 10


@dataclass
class Case:
    """A sweep, what comes of it undisturbed, and where it stands."""

    name: str
    spec: Path
    overrides: list[str]
    views: dict[str, bytes]
    rows: Rows
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    stored: Rows = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its results are."""
        return self.spec.parent / "results" / self.name


def made(name: str, place: Path) -> Case:
    """A case, with its undisturbed sweep trained in this process."""
    spec = place / f"{name}.yaml"
    spec.write_text(TEXT)
    folder = sweep.run(spec, results=place / "undisturbed", overrides=SWEEPS[name], workers=0).folder
    return Case(name, spec, SWEEPS[name], views(folder), stored(folder))


@contextmanager
def aside(case: Case) -> Iterator[None]:
    """Another sweep may take the place of one that is under way."""
    before, case.stored = case.stored, {}
    kept = case.folder.with_name("kept")
    if case.folder.exists():
        case.folder.rename(kept)
    yield
    case.stored = before
    if kept.exists():
        kept.rename(case.folder)


class Killer:
    """Kills sweeps, and checks after each kill."""

    def __init__(self, place: Path, names: Sequence[str], seed: int, commands: float) -> None:
        self.random, self.commands, self.tally = random.Random(seed), commands, Tally()  # noqa: S311
        self.cases = [made(name, place) for name in names]
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.server:
            assert self.server.stdin
            self.server.stdin.close()

    def kill(self, kills: int) -> Tally:
        """So many kills, in turn of each sweep, and more where chance had too many come at one time of its life."""
        while self.tally.kills < kills or not (self.tally.throughout or self.tally.kills >= 4 * kills):
            for case in self.cases:
                kind = "command" if self.random.random() < self.commands else self.random.choice(("forked", "here"))
                self.life(case, kind)
        for case in self.cases:
            self.finish(case)
        return self.tally

    def life(self, case: Case, kind: str) -> None:
        """A sweep is started, or goes on, and is killed, or comes to its end first."""
        whole, rest = self.seconds(case, kind)
        left = 1 - len(case.stored) / len(case.rows)
        delay = self.random.uniform(0, 1.05) * (rest + (whole - rest) * left)
        self.order(case, kind, delay if left or self.random.random() < 0.7 else FOREVER)

    def seconds(self, case: Case, kind: str) -> tuple[float, float]:
        """How long a sweep takes as a whole, and where there is nothing left to train."""
        if kind == "command":
            return tuple(seconds + self.start for seconds in self.seconds(case, "forked"))  # type: ignore[return-value]
        if kind not in case.seconds:
            with aside(case):
                lives = [self.order(case, kind, keep=keep) for keep in (True, False)]
            case.seconds[kind] = lives[0]["seconds"], lives[1]["seconds"]
        return case.seconds[kind]

    @functools.cached_property
    def start(self) -> float:
        """How much longer a command takes, and workers that are not forked."""
        case = self.cases[0]
        with aside(case):
            return float(self.order(case, "command")["seconds"] - self.seconds(case, "forked")[0])

    def finish(self, case: Case) -> None:
        """The same command finishes the sweep."""
        self.order(case, "forked")

    def order(self, case: Case, kind: str, delay: float = FOREVER, keep: bool = False) -> dict[str, Any]:
        """A life, and what must hold after it."""
        acknowledged, said = (case.spec.with_suffix(suffix) for suffix in (".acknowledged", ".said"))
        acknowledged.write_text("")
        ask = {"kind": kind, "spec": str(case.spec), "overrides": case.overrides, "delay": delay, "said": str(said)}
        ask |= {"results": str(case.folder.parent), "folder": str(case.folder), "acknowledged": str(acknowledged)}
        ask["look"] = self.random.random() < 0.3  # not always: who looks waits for the transaction that is under way
        assert self.server.stdin
        assert self.server.stdout
        print(json.dumps(ask), file=self.server.stdin, flush=True)
        told: dict[str, Any] = json.loads(self.server.stdout.readline())
        assert told["code"] in ([0], [-signal.SIGKILL]), said.read_text()
        assert told["gone"] < 30, "a worker outlived its parent"
        check_answer(case, phase := phase_of(case))
        check_rows(case, {*acknowledged.read_text().split()}, {*told["seen"]})
        if told["code"] == [0]:
            check_end(case)
            self.tally.finished += 1
            if not keep:
                shutil.rmtree(case.folder)
                case.stored = {}
        else:
            self.tally.phases[phase] += 1
            self.tally.kinds[kind] += 1
            self.tally.gone.append(told["gone"])
        return told


def phase_of(case: Case) -> str:
    """When a kill came, by what it left."""
    folder, rows = case.folder, stored(case.folder)
    if not (folder / "sweep.db").exists():
        return "before there was a database"
    if not (folder / "spec.yaml").exists():
        return "before there was a plan"
    if not rows:
        return "before the first run was stored"
    if len(rows) < len(case.rows):
        return "between runs"
    if list(folder.rglob(".*.tmp")):
        return FILE
    return AFTER if views(folder) == case.views else VIEWS


def check_rows(case: Case, acknowledged: set[str], seen: set[str]) -> None:
    """Nothing is lost that was stored or told, nothing is trained twice, and all has the undisturbed content."""
    now = stored(case.folder)
    assert now.keys() >= case.stored.keys() | acknowledged | seen
    assert not acknowledged & case.stored.keys(), "trained again"
    assert all(case.rows[run_id] == row for run_id, row in now.items())
    case.stored = now


def check_answer(case: Case, phase: str) -> None:
    """`report` answers, or says in a line why it cannot; an answer in a file is of all runs, and files are whole."""
    for name in ("ranking.csv", "recommendation.json"):
        assert not (case.folder / name).exists() or (case.folder / name).read_bytes() == case.views[name], phase
    for path in case.folder.rglob("*.csv"):
        assert path.read_bytes().endswith(b"\n"), (path, phase)
    with suppress(StoreError):
        sweep.report(case.folder, results=case.folder.parent)
        return
    assert not stored(case.folder), f"{phase}: runs are stored, and the report is refused"


def check_end(case: Case) -> None:
    """What a sweep that came to its end leaves is what an undisturbed one leaves."""
    assert views(case.folder) == case.views
    assert stored(case.folder) == case.rows
    assert not [path for path in case.folder.rglob("*") if path.name.endswith((".tmp", "-journal"))]


if __name__ == "__main__":
    main()
