"""On a Dask cluster: the files of a local sweep, whatever becomes of workers, scheduler and the sweep itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execute_cases import GUILTY, csv_rows, flat, stack_of, stack_on
from search_cases import SEARCHES, TEXT, table, views
from threadpoolctl import threadpool_limits
from waiting import wait_until

from lrsweep import datasets, execute, sweep
from lrsweep.execute import cluster as ours
from lrsweep.execute import connection, delivery, remote
from lrsweep.execute.cluster import Cluster, Errand, Worker
from lrsweep.execute.connection import connected
from lrsweep.execute.remote import Delivered, inventory
from lrsweep.search import View
from lrsweep.vocabulary import CRASHED, FINISHED, DataError, LrsweepError, Outcome, Source, Stack, UsageError

distributed = pytest.importorskip("distributed")
dask_config = pytest.importorskip("dask.config")

SLUGGISH = 777
"""The seed of a run that comes to no end, the first time that it is trained."""

ENDLESS = ["learning_rate=0.01,0.1", f"seeds=[0, 1, 2, {SLUGGISH}]"]
"""16 runs, in 4 stacks where two workers train."""

PATIENCE = 300
"""Seconds that a loaded machine may take for what takes one or two; the tests look every few hundredths."""

SABOTAGE = f"""
import os, signal, time
from pathlib import Path
import lrsweep.execute.remote as remote
train = remote.train
def sabotaged(stack, data, watch):
    seeds = [run.seed for run in stack.runs]
    if {GUILTY} in seeds:
        os.kill(os.getpid(), signal.SIGKILL)
    if {SLUGGISH} in seeds and not (met := Path(__file__).with_name("met")).exists():
        met.with_name("new").write_text(str(os.getpid()))
        met.with_name("new").rename(met)
        time.sleep(600)
    return train(stack, data, watch)
remote.train = sabotaged
"""
"""The process that a sluggish run has first writes its id."""

SECOND = """
import time
import lrsweep.execute.remote as remote
train, trained = remote.train, []
def sabotaged(stack, data, watch):
    trained.append(stack)
    if len(trained) > 1:
        time.sleep(600)
    return train(stack, data, watch)
remote.train = sabotaged
"""
"""A worker that comes to an end with its first stack alone."""

GATE = """
import time
from pathlib import Path
import lrsweep.execute.remote as remote
train, here = remote.train, Path(__file__).parent
def gated(stack, data, watch):
    here.joinpath("met").touch()
    while not here.joinpath("go").exists():
        watch()
        time.sleep(0.02)
    return train(stack, data, watch)
remote.train = gated
"""
"""A worker whose stacks go on when they are let."""

WITHOUT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "lrsweep":
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Absent())
"""
"""The start of a Python that has no lrsweep."""


ORPHANED = ["--idle-timeout", "300"]
"""A scheduler ends by itself where the tests were killed, and its workers with it."""


class Processes:
    """A scheduler and workers in processes of their own, on this machine alone."""

    def __init__(self, folder: Path, address: str = "tcp://127.0.0.1:0", **environment: str) -> None:
        self.folder, self.environment, self.started = folder, environment, list[subprocess.Popen[bytes]]()
        self.file = folder / "scheduler.json"
        host, _, port = address.rpartition(":")
        self.start("scheduler", "--host", host, "--port", port, "--scheduler-file", str(self.file), *ORPHANED)
        self.address: str = wait_for(self.told)

    def told(self) -> str | None:
        """The scheduler's address, once it has written it down."""
        with contextlib.suppress(OSError, ValueError):
            address: str = json.loads(self.file.read_text())["address"]
            return address
        return None

    def start(self, what: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a `scheduler` or a `worker`; its log is a file of the folder."""
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *arguments]
        surroundings = {**os.environ, **self.environment, **environment}
        with (self.folder / f"{what}-{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=surroundings, start_new_session=True)
        self.started.append(process)
        return self.started[-1]

    def work(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Starts workers."""
        where = ["--local-directory", str(self.folder), "--host", self.address.rpartition(":")[0]]
        return self.start("worker", self.address, *where, *arguments, **environment)

    def end(self) -> None:
        """Ends all of it at once, workers with their nannies."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(happens: Callable[[], Any]) -> Any:
    """What becomes true, and must, in the patience of these tests."""
    return wait_until(happens, PATIENCE)


@contextlib.contextmanager
def processes(folder: Path, **options: str) -> Iterator[Processes]:
    """A cluster as long as it is needed."""
    made = Processes(folder, **options)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A scheduler and two workers, in which a run with the guilty seed kills its process; their nanny starts others."""
    folder = tmp_path_factory.mktemp("dask")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SABOTAGE)
    with processes(folder) as made:
        cache = folder / "no-cache"  # a worker on another machine has not the parent's
        made.work("--nworkers", "2", "--nthreads", "1", PYTHONPATH=str(folder / "site"), LRSWEEP_CACHE=str(cache))
        yield made
        assert not cache.exists()


@pytest.fixture
def address(dask: Processes) -> Iterator[str]:
    """Its address, once both workers are there, and nothing of anybody; after the test there must be nothing left."""
    with distributed.Client(dask.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield dask.address
        wait_for(lambda: not left_behind(client))


def left_behind(client: Any) -> list[str]:
    """What there is in a cluster: tasks at the scheduler, data and datasets at the workers, and busy threads."""

    def of_worker(dask_worker: Any) -> list[str]:
        gc.collect()
        datasets = [type(one).__name__ for one in gc.get_objects() if type(one).__name__ == "Delivered"]
        return [*map(str, dask_worker.data), *map(str, dask_worker.active_threads.values()), *datasets]

    tasks = client.run_on_scheduler(lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks])
    return [*tasks, *(name for names in client.run(of_worker, on_error="ignore").values() for name in names)]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A sweep of 44 runs on iris, some of which diverge."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def run(spec: Path, folder: str = "results", **options: Any) -> sweep.Result:
    """The sweep, beside its file."""
    return sweep.run(spec, results=spec.parent / folder, **options)


class Looking(View):
    """Does something at the first outcomes, and remembers what is said."""

    def __init__(self, then: Callable[[list[Outcome]], object]) -> None:
        self.then, self.count, self.told = then, 0, list[str]()

    def trained(self, outcomes: list[Outcome]) -> None:
        self.count += 1
        if self.count == 1:
            self.then(outcomes)

    def say(self, line: str) -> None:
        self.told.append(line)


def workers_pids(address: str) -> dict[str, int]:
    """The process ids of the workers by their addresses."""
    with distributed.Client(address, set_as_default=False) as client:
        found: dict[str, int] = client.run(os.getpid)
        return found


# The same bytes.


def test_files_are_those_of_a_local_sweep(spec: Path, address: str) -> None:
    there = run(spec, "there", cluster=address)
    assert views(there.folder) == views(run(spec, "here", workers=0).folder)
    timings = table(there.folder / "timings.csv")
    assert {row["worker"] for row in timings} == {*workers_pids(address)}
    assert {row["attempt"] for row in timings} == {"1"}
    provenance = json.loads((there.folder / "provenance.json").read_text())
    assert (provenance["cluster"], provenance["workers"]) == (address, 2)


def test_files_of_a_sweep_that_searches_are_those_of_a_local_one(spec: Path, address: str) -> None:
    """Screening, halving with runs that pause and go on at another worker, rates that are added."""
    there = run(spec, "there", cluster=address, overrides=SEARCHES["all"])
    assert views(there.folder) == views(run(spec, "here", workers=0, overrides=SEARCHES["all"]).folder)


def test_threads_of_one_worker_train_side_by_side(spec: Path, tmp_path: Path) -> None:
    with processes(tmp_path) as made:
        made.work(
            "--nthreads", "3", "--no-nanny", OPENBLAS_NUM_THREADS="2", DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED="no"
        )
        there = run(spec, "there", cluster=made.address)
        assert json.loads((there.folder / "provenance.json").read_text())["workers"] == 3
    assert views(there.folder) == views(run(spec, "here", workers=0).folder)


def test_a_worker_whose_stacks_are_not_exact_trains_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, stack, real = list[int](), stack_of(0, 1, 2), remote.train

    def train(part: Stack, *rest: Any) -> list[Outcome]:
        sizes.append(len(part.runs))
        return real(part, *rest)

    monkeypatch.setattr(remote, "train", train)
    monkeypatch.setattr(remote, "watcher", lambda: lambda: None)
    monkeypatch.setattr(remote, "exact_here", lambda: False)
    raw = datasets.cached(stack.fingerprint)
    outcomes = remote.train_there(stack, Delivered(raw), "tcp://there", 1)
    assert sizes == [1, 1, 1]
    assert [(outcome.run_id, outcome.timing["attempt"]) for outcome in outcomes] == [("r0", 1), ("r1", 1), ("r2", 1)]


TWO_THREADS = """
import threading
from threadpoolctl import threadpool_info
from lrsweep.execute import remote

def told():
    print(*{pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}, flush=True)

def second():
    with blas.held():
        second_is_in.set()
        first_is_done.wait()
        told()

told()
blas, first_is_done, second_is_in = remote.OneBlasThread(), threading.Event(), threading.Event()
thread = threading.Thread(target=second)
with blas.held():
    told()
    thread.start()
    second_is_in.wait()
first_is_done.set()
thread.join()
told()
"""


def test_blas_has_one_thread_until_the_last_of_several_threads_is_done() -> None:
    surroundings = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", TWO_THREADS]
    told = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=PATIENCE, check=True)
    if told.stdout.split() == ["1"] * 4:
        pytest.skip("BLAS has one thread of its own accord, as where there is one processor")
    assert told.stdout.split() == ["2", "1", "1", "2"]


def test_a_worker_whose_blas_does_not_stay_at_one_thread_trains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another thread of it holds BLAS at more."""
    monkeypatch.setattr(remote, "one_blas_thread", contextlib.nullcontext)
    monkeypatch.setattr(remote, "watcher", lambda: None)
    with threadpool_limits(2, user_api="blas"), pytest.raises(RuntimeError, match="OPENBLAS_NUM_THREADS=1"):
        remote.train_there(stack_of(0), None, "tcp://there", 1)


def test_what_was_trained_while_blas_had_more_threads_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "one_blas_thread", contextlib.nullcontext)
    held = remote.OneBlasThread().held()
    with contextlib.ExitStack() as meanwhile, pytest.raises(RuntimeError, match="OPENBLAS_NUM_THREADS=1"), held:
        meanwhile.enter_context(threadpool_limits(2, user_api="blas"))


# Workers that die.


def test_a_worker_killed_in_the_middle_costs_a_retry(spec: Path, dask: Processes, address: str) -> None:
    """With four stacks, of which it has one in hand that has begun, and perhaps one that waits."""
    met = dask.folder / "site" / "met"
    met.unlink(missing_ok=True)
    view = Looking(lambda _: os.kill(int(wait_for(lambda: met.exists() and met.read_text())), signal.SIGKILL))
    there = run(spec, "there", cluster=address, view=view, overrides=ENDLESS)
    attempts = {row["attempt"] for row in table(there.folder / "timings.csv")}
    assert attempts == {"1", "2"}
    [line] = view.told
    assert "is gone; runs that it had in hand are tried again: " in line
    assert views(there.folder) == views(run(spec, "here", workers=2, overrides=ENDLESS).folder)


def test_only_the_guilty_run_is_crashed(spec: Path, address: str) -> None:
    there = run(spec, "there", cluster=address, overrides=[f"seeds=[0, {GUILTY}, 1]", "width=4", "learning_rate=0.1"])
    rows = {row["seed"]: row for row in table(there.folder / "runs.csv")}
    assert {seed: row["status"] for seed, row in rows.items()} == {"0": FINISHED, str(GUILTY): CRASHED, "1": FINISHED}
    assert rows[str(GUILTY)]["reason"] == ours.GUILTY
    assert there.exit_code == 1
    here = run(spec, "here", workers=0, overrides=["seeds=[0, 1]", "width=4", "learning_rate=0.1"])
    assert [row for row in rows.values() if row["status"] == FINISHED] == table(here.folder / "runs.csv")


def worker_with(threads: int, *attempts: int) -> Worker:
    """A worker with single runs in hand that are at these attempts."""
    errands = [Errand(stack_of(seed), attempt, f"task {seed}") for seed, attempt in enumerate(attempts)]
    return Worker("tcp://there", threads, {Future(): errand for errand in errands})


@pytest.mark.parametrize(
    ("threads", "attempts", "attempt", "room"),
    [
        (1, [], 1, True),
        (1, [1], 1, True),  # one is trained, one waits
        (1, [1, 1], 1, False),
        (1, [1], 2, False),  # who was there when a worker died is trained alone
        (1, [2], 1, False),
        (2, [2, 1], 1, False),  # no queue behind it
        (2, [2], 2, True),
        (2, [1], 3, False),  # who was there twice has the worker to itself
        (2, [3], 1, False),
        (2, [], 3, True),
    ],
)
def test_a_worker_has_room_for(threads: int, attempts: list[int], attempt: int, room: bool) -> None:
    worker = worker_with(threads, *attempts)
    assert worker.has_room(Errand(stack_of(9), attempt)) is room
    assert not replace(worker, paused=True).has_room(Errand(stack_of(9), attempt))


class Client:
    """Stands in for Dask's, with nobody there."""

    def __init__(self) -> None:
        self.scheduler = self
        self.address, self.status = "tcp://nowhere:1", "running"

    def run_on_scheduler(self, _: object) -> None: ...
    def subscribe_topic(self, *_: object) -> None: ...
    def nthreads(self) -> dict[str, int]:
        return {}

    def ncores_running(self) -> dict[str, int]:
        return {}

    def sync(self, ask: Callable[[], Any]) -> Any:
        return ask()


def buried(
    worker: Worker, *, retired: bool = False, say: Callable[[str], object] = lambda _: None
) -> tuple[list[Outcome], list[tuple[tuple[str, ...], int]]]:
    """What comes of a worker's death: outcomes, and what is to be done next, as ids and attempts."""
    cluster = Cluster(Client(), None, None, say)
    cluster.workers[worker.address] = worker
    if retired:
        cluster.note(worker.address, (0.0, {"action": "remove-worker", "expected": True}))
    outcomes = cluster.bury(worker)
    return outcomes, [(errand.stack.ids, errand.attempt) for errand in cluster.waiting]


def test_all_that_a_dead_worker_had_in_hand_is_tried_run_by_run() -> None:
    worker = worker_with(2, 1, 2)
    worker.hands[Future()] = Errand(stack_of(5, 6), 1, "task")
    assert buried(worker) == ([], [(("r0",), 2), (("r1",), 3), (("r5",), 2), (("r6",), 2)])


def test_what_had_not_reached_a_dead_worker_counts_no_attempt() -> None:
    worker = worker_with(2, 2)
    worker.hands[Future()] = Errand(stack_of(5, 6))
    [outcome], waiting = buried(worker)
    assert (outcome.run_id, outcome.status) == ("r0", CRASHED)
    assert waiting == [(("r5", "r6"), 1)]


def test_a_worker_that_dies_of_the_guilty_run_has_a_line() -> None:
    told = list[str]()
    [outcome], waiting = buried(worker_with(1, 2), say=told.append)
    assert (outcome.status, outcome.reason, waiting) == (CRASHED, ours.GUILTY, [])
    assert told == ["worker tcp://there is gone; the run that it trained is crashed: r0"]
    assert "--retry-failed" in outcome.reason


def test_a_worker_that_leaves_in_order_makes_nobody_guilty() -> None:
    assert buried(worker_with(1, 2), retired=True) == ([], [(("r0",), 2)])


@pytest.mark.parametrize(
    "goes_on",
    [
        pytest.param(lambda cluster: cluster.note("tcp://there", (0.0, {"status": "running"})), id="not retired"),
        pytest.param(lambda cluster: cluster.follow("tcp://there"), id="another at its address"),
    ],
)
def test_who_was_to_leave_and_goes_on_may_be_guilty_again(goes_on: Callable[[Cluster], None]) -> None:
    cluster, worker = Cluster(Client(), None, None, lambda _: None), worker_with(1, 2)
    cluster.workers[worker.address] = worker
    cluster.note(worker.address, (0.0, {"status": "closing_gracefully"}))
    goes_on(cluster)
    assert [outcome.status for outcome in cluster.bury(worker)] == [CRASHED]


def test_a_worker_that_is_leaving_is_not_told_of_as_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()
    cluster, worker = Cluster(Client(), None, None, told.append), worker_with(1, 1)
    cluster.workers[worker.address], cluster.due = worker, 0.0
    cluster.note(worker.address, (0.0, {"status": "closing_gracefully"}))
    monkeypatch.setattr(cluster.client, "nthreads", lambda: {worker.address: 1})
    cluster.look_round()
    assert (told, worker.paused, len(worker.hands)) == ([], False, 1)


def test_a_scheduler_tells_who_leaves_in_order(dask: Processes, address: str) -> None:
    """In the words that are looked for, which Dask promises nowhere."""
    there = workers_pids(address)
    third = dask.work("--nthreads", "1", "--no-nanny")
    [leaving] = wait_for(lambda: workers_pids(address).keys() - there.keys())
    with connected(address) as client, contextlib.closing(Cluster(client, None, None, lambda _: None)) as crew:
        client.retire_workers([leaving])
        wait_for(lambda: crew.retired == {leaving})
    third.wait(PATIENCE)


@contextlib.contextmanager
def gated(dask: Processes, folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A third worker, its address and process; it begins each stack, and goes on where the folder has a file `go`."""
    (folder / "sitecustomize.py").write_text(GATE)
    with distributed.Client(dask.address, set_as_default=False) as client:
        there = {*client.nthreads()}
        process = dask.work("--nthreads", "1", *arguments, PYTHONPATH=str(folder))
        try:
            [third] = wait_for(lambda: client.nthreads().keys() - there)
            yield third, process
        finally:
            process.terminate()
            process.wait(PATIENCE)
            wait_for(lambda: third not in client.nthreads())


def test_a_worker_that_is_ended_in_order_makes_nobody_guilty(dask: Processes, address: str, tmp_path: Path) -> None:
    """By SIGTERM, as a batch system, a container's end or a preemption does; its nanny tells of it."""
    told = list[str]()

    def end() -> None:
        wait_for((tmp_path / "met").exists)
        process.terminate()

    with gated(dask, tmp_path) as (third, process), connected(address) as client:
        threading.Thread(target=end).start()
        with contextlib.closing(Cluster(client, None, None, told.append)) as crew:
            outcomes = flat(crew.train([stack_of(seed) for seed in range(6)]))
    assert {(outcome.status, outcome.timing["attempt"]) for outcome in outcomes.values()} == {(FINISHED, 1)}
    [line] = told
    assert line.startswith(f"worker {third} is gone; runs that it had in hand are tried again: ")


# Data.


def test_data_is_sent_once_to_each_worker(address: str) -> None:
    """One has it from the parent, the other from the first; stacks bring none with them."""

    def received(dask_worker: Any) -> int:
        return sum(key.startswith("RawData") for log in dask_worker.transfer_incoming_log for key in log["keys"])

    with connected(address) as client:
        before = client.run(received)
        crew = Cluster(client, None, None, lambda _: None)
        sent = counted(client, "scatter")
        stacks = [stack_of(seed) for seed in range(12)]
        outcomes = flat(crew.train(stacks)) | flat(crew.train(stacks))
        assert len({outcome.timing["worker"] for outcome in outcomes.values()}) == 2
        assert sum(type(data).__name__ == "RawData" for data in sent) == 1
        assert sum(client.run(received).values()) - sum(before.values()) == 1
        assert {len(worker.data) for worker in crew.workers.values()} == {1}


def counted(client: Any, method: str) -> list[Any]:
    """What a client's method is called with from now on."""
    calls, real = list[Any](), getattr(client, method)

    def call(first: Any, *rest: Any, **options: Any) -> Any:
        calls.append(first)
        return real(first, *rest, **options)

    setattr(client, method, call)
    return calls


def test_a_delivery_that_fails_is_one_failure_for_all_that_wait_for_it_and_is_tried_anew() -> None:
    """The threads of a worker, eight of them perhaps, wait for one dataset, whose only holder has just died."""
    known: delivery.Arriving = {}
    tried = []

    async def bring() -> None:
        tried.append(len(known))
        raise OSError("gone")

    async def wanted(times: int) -> list[BaseException | None]:
        waiting = [delivery.once(known, "data", bring) for _ in range(times)]
        return await asyncio.gather(*waiting, return_exceptions=True)

    async def twice() -> tuple[int, int]:
        return len({*map(id, await wanted(8))}), len({*map(id, await wanted(8))})

    assert asyncio.run(twice()) == (1, 1)
    assert (len(tried), known) == (2, {})


def test_data_that_is_lost_with_its_worker_is_sent_again(address: str) -> None:
    with connected(address) as client:
        crew = Cluster(client, None, None, lambda _: None)
        flat(crew.train([stack_of(0)]))
        [raw] = [one.result() for one in crew.delivery.uploaded.values()]
        [holder] = client.who_has([raw])[raw.key]
        os.kill(client.run(os.getpid, workers=[holder])[holder], signal.SIGKILL)
        wait_for(lambda: len(client.nthreads()) < 2 or holder not in client.nthreads())
        assert {one.status for one in flat(crew.train([stack_of(1), stack_of(2)])).values()} == {FINISHED}


def test_data_that_leaves_the_cache_is_read_again_or_missed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "data.csv"
    source.write_text(csv_rows(0))
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "cache"))
    stacks = [stack_on(Source("file", str(source), "y"), seed) for seed in range(2)]
    shutil.rmtree(tmp_path / "cache")
    told = list[str]()
    with connected(address) as client, contextlib.closing(Cluster(client, None, None, told.append)) as crew:
        assert {outcome.status for outcome in flat(crew.train(stacks)).values()} == {FINISHED}
    assert told == [f"the cache has lost data; reading {source} again"]
    shutil.rmtree(tmp_path / "cache")
    source.unlink()
    lost = pytest.raises(DataError, match=r"the cache has lost data, and .*data.csv: .*; finished runs are kept")
    with lost, connected(address) as client:
        flat(Cluster(client, None, None, lambda _: None).train(stacks))


def test_nobody_waits_at_the_end_for_data_that_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the deadline: the source may take minutes, or for ever."""
    stack, begun, goes_on = stack_of(0), list[threading.Thread](), threading.Event()

    def missing(_: str) -> None:
        raise datasets.MissingError("lost")

    def read_again(*_: object) -> None:
        begun.append(threading.current_thread())
        goes_on.wait(2)

    async def until_the_deadline() -> None:
        await asyncio.wait_for(delivery.Delivery(Client(), lambda _: None).upload("tcp://there", stack), 0.1)

    monkeypatch.setattr(datasets, "cached", missing)
    monkeypatch.setattr(delivery, "read_again", read_again)
    with pytest.raises(TimeoutError):
        asyncio.run(until_the_deadline())
    [reading] = begun
    assert reading.is_alive()
    assert reading.daemon
    goes_on.set()
    reading.join()


def test_what_dask_writes_to_disk_for_lack_of_memory_comes_back_as_data() -> None:
    import pickle

    stack = stack_of(0)
    delivered = Delivered(datasets.cached(stack.fingerprint))
    data = delivered.data_for(stack)
    again = pickle.loads(pickle.dumps(delivered))  # noqa: S301  our own
    assert np.array_equal(again.data_for(stack).x_train, data.x_train)
    assert delivered.data_for(stack) is data


# What is left behind: nothing; the fixture looks after every test.


def test_a_stream_that_is_left_leaves_nothing_for_the_next(address: str) -> None:
    with execute.crew(1, cluster=address) as go:
        for _ in go([stack_of(0), stack_of(1, epochs=1_000_000), stack_of(2)]):
            break
        assert flat(go([stack_of(3), stack_of(4)])).keys() == {"r3", "r4"}


def test_the_deadline_ends_what_is_trained(address: str) -> None:
    with connected(address) as client, contextlib.closing(Cluster(client, None, None, lambda _: None)) as crew:
        assert flat(crew.train([stack_of(0)])).keys() == {"r0"}
        stacks = [stack_of(1, epochs=1_000_000)]
        threading.Thread(target=lambda: setattr(crew, "deadline", wait_for(lambda: begun(crew)))).start()
        assert not flat(crew.train(stacks))


def begun(crew: Cluster) -> float | None:
    """Now, if a worker trains."""
    return time.perf_counter() if training(crew.address) else None


@contextlib.contextmanager
def started(spec: Path, address: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A sweep, started in a process of its own, which is gone afterwards."""
    results = str(spec.parent / "results")
    command = [
        sys.executable,
        "-m",
        "lrsweep",
        "run",
        str(spec),
        "--results",
        results,
        "--cluster",
        address,
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def training(address: str) -> bool:
    """Whether a worker trains a stack."""

    def keys(dask_worker: Any) -> list[str]:
        return [str(key) for key in dask_worker.active_threads.values()]

    with distributed.Client(address, set_as_default=False) as client:
        return "train_there" in str(client.run(keys))


def stored(spec: Path) -> bool:
    """Whether a run is stored."""
    with contextlib.suppress(LrsweepError), sweep.Store.open(spec.parent / "results" / "small") as store:
        return bool(store.statuses())
    return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_sweep_that_is_ended_leaves_nothing_in_the_cluster(spec: Path, address: str, number: int, code: int) -> None:
    with started(spec, address, "-o", "epochs=30000") as process:
        wait_for(lambda: training(address) or process.poll() is not None)
        process.send_signal(number)
        start = time.monotonic()
        said = process.communicate(timeout=PATIENCE)[1]
        assert time.monotonic() - start < 30  # 0.5 s where nothing else runs; the runs would take minutes
    assert process.returncode == code, said
    assert number == signal.SIGKILL or "finished runs are kept; the same command goes on" in said


# Who may take part.


def test_a_worker_with_another_numpy_is_refused(spec: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = np.__version__
    monkeypatch.setattr(np, "__version__", "2.0.1")
    wanted = rf"worker tcp://\S+ has NumPy {theirs}, and this machine 2.0.1; install the same"
    with pytest.raises(UsageError, match=wanted):
        run(spec, cluster=address)
    assert not (spec.parent / "results" / "small" / "sweep.db").exists()


@pytest.mark.parametrize("what", inventory())
def test_a_mismatch_says_what_is_there_and_what_is_wanted(what: str) -> None:
    own = inventory()
    assert ours.mismatch(own) == ""
    assert ours.mismatch(own | {what: "0"}) == f"has {what} 0, and this machine {own[what]}"


def test_a_worker_without_lrsweep_is_refused_or_left_out(address: str, dask: Processes, tmp_path: Path) -> None:
    """Refused where the sweep begins, left out where it comes later."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    told = list[str]()
    with execute.crew(1, cluster=address, say=told.append) as go:
        flat(go([stack_of(0)]))
        bare = dask.work("--nthreads", "1", "--no-nanny", PYTHONPATH=str(tmp_path))
        try:
            wait_for(lambda: flat(go([stack_of(1), stack_of(2)])) and told)
            [line] = told
            assert line.startswith("left out: worker tcp://")
            assert "cannot load lrsweep (ModuleNotFoundError" in line
            with pytest.raises(UsageError, match="cannot load lrsweep"), execute.crew(1, cluster=address):
                pass
        finally:
            bare.terminate()
            bare.wait(PATIENCE)


def test_a_scheduler_without_lrsweep_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object, __: object) -> None:
        raise ModuleNotFoundError("No module named 'lrsweep'")

    monkeypatch.setattr(Client, "run_on_scheduler", fails)
    with pytest.raises(UsageError, match="the scheduler tcp://nowhere:1 cannot load lrsweep"):
        Cluster(Client(), None, None, lambda _: None)


# Who is frozen.


def test_a_frozen_worker_holds_up_nobody(
    dask: Processes, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And takes part as soon as it goes on."""
    monkeypatch.setattr(ours, "ANSWER_SECONDS", 0.5)
    told, there, wait = list[str](), workers_pids(address), ours.wait

    def wait_once_the_others_answered(futures: Iterable[Future[Any]], *limits: Any) -> Any:
        """Half a second is for the frozen one, since the others may need more on a loaded machine."""
        wait_for(lambda: sum(not future.done() for future in futures) <= 1)
        return wait(futures, *limits)

    third = dask.work("--nthreads", "1", "--no-nanny")
    try:
        [frozen] = wait_for(lambda: workers_pids(address).keys() - there.keys())
        monkeypatch.setattr(ours, "wait", wait_once_the_others_answered)
        third.send_signal(signal.SIGSTOP)
        with connected(address) as client, contextlib.closing(Cluster(client, None, None, told.append)) as crew:
            assert told == [f"worker {frozen} does not answer; it takes part as soon as it does"]
            monkeypatch.setattr(ours, "wait", wait)
            assert crew.size() == 2
            assert flat(crew.train([stack_of(seed) for seed in range(4)])).keys() == {"r0", "r1", "r2", "r3"}
            third.send_signal(signal.SIGCONT)
            wait_for(lambda: crew.look_round() or crew.size() == 3)
    finally:
        third.kill()
        with distributed.Client(address, set_as_default=False) as client:
            wait_for(lambda: frozen not in client.nthreads())


def test_a_paused_worker_gives_back_what_it_has_not_begun(dask: Processes, address: str, tmp_path: Path) -> None:
    """And takes part as soon as it goes on. Without a limit of its memory Dask does not end the pause itself."""
    told = list[str]()

    def pause_it() -> None:
        wait_for((tmp_path / "met").exists)
        pause(client, third)
        wait_for(lambda: told)
        (tmp_path / "go").touch()

    with gated(dask, tmp_path, "--no-nanny", "--memory-limit", "0") as (third, _), connected(address) as client:
        end = time.perf_counter() + PATIENCE
        with contextlib.closing(Cluster(client, end, None, told.append)) as crew:
            threading.Thread(target=pause_it).start()
            outcomes = flat(crew.train([stack_of(seed) for seed in range(6)]))
            pause(client, third, "running")
            wait_for(lambda: crew.look_round() or not crew.workers[third].paused)
    assert told == [f"worker {third} is paused, its memory being nearly full; it gets stacks when it goes on"]
    assert [outcome.timing["worker"] for outcome in outcomes.values()].count(third) == 1
    assert {(outcome.status, outcome.timing["attempt"]) for outcome in outcomes.values()} == {(FINISHED, 1)}
    assert len(outcomes) == 6


def test_what_a_paused_worker_has_ended_stays_with_it() -> None:
    """Though it has not been heard of yet."""
    worker = worker_with(2, 1, 1)
    cluster = Cluster(Client(), None, None, lambda _: None)
    ended, _ = worker.hands
    ended.set_result([])
    cluster.take_back(worker, set())
    assert [*worker.hands] == [ended]
    assert [(errand.stack.ids, errand.task) for errand in cluster.waiting] == [(("r1",), "")]


@pytest.fixture
def slow() -> tuple[Cluster, Worker, list[Future[Any]]]:
    """A cluster with a worker that has two stacks in hand, and the answers that it owes."""
    cluster, worker, owed = Cluster(Client(), None, None, lambda _: None), worker_with(2, 1, 1), list[Future[Any]]()

    def start(work: Coroutine[Any, Any, Any]) -> Future[Any]:
        work.close()
        owed.append(Future())
        return owed[-1]

    cluster.start = start  # type: ignore[method-assign]
    cluster.workers[worker.address] = worker
    return cluster, worker, owed


def test_nobody_waits_for_a_paused_worker_that_is_slow_to_answer(
    slow: tuple[Cluster, Worker, list[Future[Any]]],
) -> None:
    """One that swaps gets no more at once, and gives back what it has not begun as soon as it has told."""
    cluster, worker, owed = slow
    for _ in range(2):
        cluster.relieve(worker, paused=True)
        assert (worker.paused, len(worker.hands), len(owed)) == (True, 2, 1)
    owed[0].set_result(OSError("no answer"))
    for _ in range(2):
        cluster.relieve(worker, paused=True)
    owed[1].set_result({"task 0"})
    for _ in range(2):
        cluster.relieve(worker, paused=True)
        assert [errand.task for errand in worker.hands.values()] == ["task 0"]
        assert [errand.stack.ids for errand in cluster.waiting] == [("r1",)]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda cluster, worker: cluster.relieve(worker, paused=False), id="goes on"),
        pytest.param(lambda cluster, worker: cluster.bury(worker), id="is gone"),
        pytest.param(lambda cluster, _: cluster.close(), id="nobody is there"),
    ],
)
def test_what_a_paused_worker_was_asked_is_forgotten_when_it(
    slow: tuple[Cluster, Worker, list[Future[Any]]], end: Callable[[Cluster, Worker], None]
) -> None:
    cluster, worker, owed = slow
    cluster.relieve(worker, paused=True)
    cluster.client.status = "closed"
    end(cluster, worker)
    assert owed[0].cancelled()
    assert worker.begun is None


def pause(client: Any, address: str, status: str = "paused") -> None:
    """Has a worker begin nothing more, as its memory limit does."""

    def set_status(dask_worker: Any) -> None:
        dask_worker.status = distributed.Status[status]

    client.run(set_status, workers=[address])


def test_workers_that_are_all_paused_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()
    monkeypatch.setattr(ours, "ABSENCE_SECONDS", 0)
    cluster = Cluster(Client(), time.perf_counter() + 0.5, None, told.append)
    cluster.workers["tcp://there"] = replace(worker_with(1), paused=True)
    cluster.due = time.monotonic() + PATIENCE
    assert not flat(cluster.train([stack_of(0)]))
    assert told == ["tcp://nowhere:1 has no worker that is not paused; waiting for one"]


def test_a_frozen_scheduler_ends_the_sweep(
    spec: Path, dask: Processes, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a stack is in hand that is never done, so that there is something left to wait for."""
    monkeypatch.setattr(ours, "SILENCE_SECONDS", 1)
    limits, within, met = list[float | None](), ours.within, dask.folder / "site" / "met"
    met.unlink(missing_ok=True)

    def limited(seconds: float | None, ask: Callable[[], Any]) -> Any:
        limits.append(seconds)
        return within(seconds, ask)

    def freeze(_: list[Outcome]) -> None:
        wait_for(met.exists)
        dask.started[0].send_signal(signal.SIGSTOP)

    monkeypatch.setattr(ours, "within", limited)
    try:
        with pytest.raises(LrsweepError, match="does not answer; finished runs are kept; the same command goes on"):
            run(spec, cluster=address, view=Looking(freeze), overrides=ENDLESS)
    finally:
        dask.started[0].send_signal(signal.SIGCONT)
        os.kill(int(met.read_text()), signal.SIGKILL)
    assert limits[-1] == 1  # what was waited for at last; how long that takes is the machine's affair


class Frozen(Client):
    """Says nothing any more."""

    def nthreads(self) -> dict[str, int]:
        time.sleep(PATIENCE)
        return {}


def test_a_time_limit_holds_while_the_scheduler_is_frozen() -> None:
    cluster = Cluster(Frozen(), time.perf_counter() + 0.2, None, lambda _: None)
    assert not flat(cluster.train([stack_of(0)]))


def test_a_frozen_scheduler_is_heard_of_without_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "SILENCE_SECONDS", 0.2)
    with pytest.raises(LrsweepError, match="the scheduler tcp://nowhere:1 does not answer"):
        Cluster(Frozen(), None, None, lambda _: None)
    monkeypatch.setattr(Client, "run_on_scheduler", lambda *_: time.sleep(PATIENCE))
    with pytest.raises(LrsweepError, match="the scheduler tcp://nowhere:1 does not answer"):
        Cluster(Client(), None, None, lambda _: None)


# A scheduler that is not there, has no workers, or goes.


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for no scheduler for long."""
    for name in ("ANSWER_SECONDS", "START_SECONDS", "SPARE_SECONDS"):
        monkeypatch.setattr(connection, name, 0.4)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("tcp://127.0.0.1:1", "start (a scheduler|one) with `dask scheduler`, or mend the address"),
        ("carrier-pigeon://here:1", "is no address; write it like tcp://host:8786"),
        ("tcp://here", "is no address; write it like tcp://host:8786"),
        ("tcp://:8786", "is no address; write it like tcp://host:8786"),
        ("tcp://here:65536", "is no address; write it like tcp://host:8786"),
        ("tcp://here:8786/", "is no address; write it like tcp://host:8786"),
        ("here", "is no address; write it like tcp://host:8786"),
        ("", "is no address; write it like tcp://host:8786"),
    ],
)
def test_an_address_without_a_scheduler_is_one_line(spec: Path, wrong: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        run(spec, cluster=wrong)
    assert "\n" not in str(caught.value)
    assert not (spec.parent / "results" / "small" / "sweep.db").exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("tcp://127.0.0.1", "is no address; write it like tcp://host:8786"),
        ("tls://127.0.0.1:1", "has no TLS settings; set distributed.comm.tls.ca-file, .client.cert and .client.key"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_once(spec: Path, wrong: str, told: str) -> None:
    """Without a line that tells of waiting: seconds would depend on the machine's load."""
    command = [sys.executable, "-m", "lrsweep", "run", str(spec), "--cluster", wrong]
    ended = subprocess.run(command, cwd=spec.parent, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert told in line


def test_tls_settings_that_cannot_be_used_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {"ca-file": str(tmp_path / "ca.pem"), "client.cert": str(tmp_path / "cert.pem")}
    settings = {f"distributed.comm.tls.{name}": path for name, path in files.items()}
    wanted = "the TLS settings cannot be used .*No such file"
    with dask_config.set(settings), pytest.raises(UsageError, match=wanted):
        connection.check_address("tls://127.0.0.1:1")


@pytest.mark.usefixtures("hasty")
def test_a_port_that_says_nothing_is_left_in_time() -> None:
    """As a frozen scheduler's, whose system still takes connections."""
    told = list[str]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(UsageError, match="no scheduler answers there; start one with `dask scheduler`"),
            connected(address, told.append),
        ):
            pass
    assert told == [f"no scheduler answers at {address} yet; waiting 0.4 s more for one"]


def test_a_scheduler_may_be_started_at_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the latest where a line tells that none answers yet."""
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(connection, "START_SECONDS", PATIENCE)
    address, told, made = f"tcp://127.0.0.1:{free_port()}", list[str](), list[Processes]()
    starting = threading.Thread(target=lambda: made.append(Processes(tmp_path, address)))

    def say(line: str) -> None:
        told.append(line)
        starting.start()

    try:
        with connected(address, say) as client:
            assert client.status == "running"
    finally:
        starting.join()
        made[0].end()
    assert told == [f"no scheduler answers at {address} yet; waiting {PATIENCE} s more for one"]


def free_port() -> int:
    """A port that nobody has, of those that the system gives to nobody who does not ask for this very one."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    for port in range(int(given.read_text().split()[0]) - 1 if given.exists() else 49_151, 1024, -1):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


def test_a_port_where_something_else_answers_is_one_line(spec: Path) -> None:
    """As Dask's dashboard does, one port further."""

    def answer() -> None:
        with contextlib.suppress(OSError):  # until it is closed
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request" + bytes(99))

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "lrsweep", "run", str(spec), "--cluster", address]
        ended = subprocess.run(command, cwd=spec.parent, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    *before, line = ended.stderr.splitlines()
    assert "what answers there is no scheduler" in line
    assert all("yet; waiting" in one for one in before)  # where the machine is slower than the answer may be


def caused(error: BaseException, *causes: BaseException) -> BaseException:
    """An error as Dask raises it, with what it came of."""
    first = error
    for cause in causes:
        error.__cause__ = error = cause  # from left to right
    return first


@pytest.mark.parametrize(
    ("scheme", "causes", "told"),
    [
        ("tcp", [ConnectionRefusedError(111, "Connection refused")], "nothing listens there; start a scheduler"),
        ("tcp", [socket.gaierror(-2, "Name or service not known")], "the host here is not found (Name or service not"),
        ("tcp", [TimeoutError(), asyncio.CancelledError()], "no scheduler answers there; start one with"),
        ("tcp", [OSError(113, "No route to host")], "it cannot be reached (No route to host); mend the address or the"),
        ("tcp", [ConnectionResetError(104, "reset")], "what listens there hangs up; mend the address: tls:// where it"),
        ("tls", [ConnectionResetError(104, "reset")], "what listens there hangs up; mend the address, or Dask's TLS"),
        ("tls", [ssl.SSLError(1, "wrong")], "TLS fails there (wrong); mend the address, or Dask's TLS settings"),
        ("tcp", [ValueError("magic")], "what answers there is no scheduler (ValueError); mend the address"),
    ],
)
def test_why_no_scheduler_is_reached(scheme: str, causes: list[BaseException], told: str) -> None:
    """By the cause that Dask wraps, and hides where it tells of a timeout."""
    error = caused(OSError("Timed out trying to connect"), *causes)
    assert connection.why_unreached(error, f"{scheme}://here:8786").startswith(told)


def test_a_cluster_and_workers_are_one_too_many(spec: Path) -> None:
    with pytest.raises(UsageError, match="give only one"):
        run(spec, cluster="tcp://127.0.0.1:1", workers=2)


def test_without_dask_the_extra_is_named(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'lrsweep\[dask\]', or '\.\[dask\]' in a clone"):
        run(spec, cluster="tcp://127.0.0.1:1")


def absent(patience: float, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said while there is no worker for half a second, where a line comes after so many."""
    told = list[str]()
    monkeypatch.setattr(ours, "ABSENCE_SECONDS", patience)
    Cluster(Client(), time.perf_counter() + 0.5, None, told.append).await_worker()
    return told


def test_workers_that_are_missed_for_a_moment_are_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    assert absent(PATIENCE, monkeypatch) == []
    assert absent(0, monkeypatch) == ["tcp://nowhere:1 has no worker; waiting for one"]


def test_workers_may_come_late_and_the_scheduler_may_go(spec: Path, tmp_path: Path) -> None:
    """Nothing is trained while there are no workers; what is trained before the scheduler goes is kept."""
    (tmp_path / "sitecustomize.py").write_text(SECOND)
    few = ["learning_rate=0.01,0.1"]  # 8 runs
    with processes(tmp_path) as made:
        assert run(spec, cluster=made.address, time_limit=1).trained == 0
        with started(spec, made.address, *(word for override in few for word in ("-o", override))) as process:
            assert process.stderr is not None
            said = [process.stderr.readline()]
            assert said == [f"{made.address} has no worker; waiting for one\n"]
            made.work("--nthreads", "1", "--no-nanny", PYTHONPATH=str(tmp_path))
            wait_for(lambda: stored(spec) or process.poll() is not None)
            made.started[0].kill()
            said += process.communicate(timeout=PATIENCE)[1].splitlines()
        assert process.returncode == 1
        lost = f"lrsweep: the scheduler {made.address} is gone; finished runs are kept; the same command goes on"
        assert said[1:] == ["small  8 runs: 0 done, 8 to train", lost]  # and nothing of what Dask has to say
    rest = run(spec, workers=0, overrides=few)
    assert 0 < rest.trained < 8
    assert views(rest.folder) == views(run(spec, "here", workers=2, overrides=few).folder)


# TLS.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Dask's settings for an `own` certificate, and for one of `another` authority that the cluster does not know."""
    folder = tmp_path_factory.mktemp("tls")
    return {name: settings_of(folder / name) for name in ("own", "another")}


def settings_of(folder: Path) -> dict[str, str]:
    """A certificate that signs itself, as environment variables of Dask."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lrsweep test")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    folder.mkdir()
    kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *kind))
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    places = {"CA_FILE": "cert.pem"}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        places |= {f"{role}__CERT": "cert.pem", f"{role}__KEY": "key.pem"}
    return {f"DASK_DISTRIBUTED__COMM__TLS__{key}": str(folder / name) for key, name in places.items()}


def test_tls_with_dasks_own_settings(spec: Path, tmp_path: Path, certificates: dict[str, dict[str, str]]) -> None:
    with processes(tmp_path, address="tls://127.0.0.1:0", **certificates["own"]) as made:
        made.work("--nthreads", "1", "--no-nanny")
        assert made.address.startswith("tls://")
        with pytest.raises(UsageError, match="hangs up; mend the address: tls:// where it speaks TLS"):
            run(spec, cluster=made.address.replace("tls", "tcp"))
        for name, code, told in [
            ("another", 2, "its certificate is not accepted (self-signed certificate); mend Dask's TLS settings"),
            ("own", 0, "Next: "),
        ]:
            with pytest.MonkeyPatch.context() as patch:
                for key, value in certificates[name].items():
                    patch.setenv(key, value)
                with started(spec, made.address) as process:
                    said = process.communicate(timeout=PATIENCE)[1]
            assert (process.returncode, told in said) == (code, True), said
    assert views(spec.parent / "results" / "small") == views(run(spec, "here", workers=0).folder)
