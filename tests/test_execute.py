"""Stacks in, outcomes out: the same in this process and in workers, and whatever happens to a worker is told."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
import pytest
from execute_cases import GUILTY, alive, csv_rows, flat, stack_of, stack_on, trained
from waiting import wait_until

from lrsweep import execute
from lrsweep.execute import training
from lrsweep.execute.workers import Pool, Worker, bare_surroundings
from lrsweep.vocabulary import CRASHED, FAILED, FINISHED, PAUSED, DataError, Outcome, Run, Source, Stack

SABOTAGE = f"""
import os, signal
import lrsweep.execute.training
train = lrsweep.execute.training.train
def sabotaged(stack, data):
    if stack.until is None and any(run.seed == {GUILTY} for run in stack.runs):
        os.kill(os.getpid(), signal.SIGKILL)
    return train(stack, data)
lrsweep.execute.training.train = sabotaged
"""


def workers_alive() -> list[int]:
    """The process ids of this process's workers."""
    return [process.pid for process in multiprocessing.active_children() if process.pid]


@pytest.fixture
def sabotage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in which a run with the guilty seed kills its process."""
    (tmp_path / "sitecustomize.py").write_text(SABOTAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_workers_give_the_bits_of_this_process() -> None:
    stacks = [stack_of(0, 1), stack_of(2), stack_of(3)]
    here, there = trained(stacks, workers=0), trained(stacks, workers=2)
    assert here.keys() == there.keys()
    for run_id, outcome in here.items():
        assert outcome.metrics == there[run_id].metrics
        assert np.array_equal(outcome.curve, there[run_id].curve, equal_nan=True)


def test_the_timing_names_worker_and_attempt() -> None:
    [outcome] = trained([stack_of(0)], workers=1).values()
    assert (outcome.timing["worker"], outcome.timing["attempt"]) == (1, 1)
    assert outcome.timing["started"] < outcome.timing["ended"]


def test_an_exception_fails_only_the_guilty_run(monkeypatch: pytest.MonkeyPatch) -> None:
    real = training.train

    def faulty(stack: Stack, data: object) -> list[Outcome]:
        if any(run.seed == GUILTY for run in stack.runs):
            raise FloatingPointError("made to fail")
        return real(stack, data)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "train", faulty)
    outcomes = trained([stack_of(0, GUILTY, 1)], workers=0)
    assert {run_id: outcome.status for run_id, outcome in outcomes.items()} == {
        "r0": FINISHED,
        f"r{GUILTY}": FAILED,
        "r1": FINISHED,
    }
    assert outcomes[f"r{GUILTY}"].reason == "FloatingPointError: made to fail"


@pytest.mark.usefixtures("sabotage")
def test_a_dead_worker_crashes_only_the_guilty_run() -> None:
    outcomes = trained([stack_of(0, GUILTY, 1), stack_of(2)], workers=2)
    statuses = {run_id: outcome.status for run_id, outcome in outcomes.items()}
    assert statuses == {"r0": FINISHED, f"r{GUILTY}": CRASHED, "r1": FINISHED, "r2": FINISHED}
    assert "SIGKILL" in outcomes[f"r{GUILTY}"].reason
    assert outcomes["r0"].timing["attempt"] == 2


def test_a_worker_killed_from_outside_costs_a_retry() -> None:
    stacks = [stack_of(seed, epochs=300) for seed in range(6)]
    outcomes = {}
    for n, results in enumerate(execute.execute(stacks, workers=2)):
        outcomes |= {outcome.run_id: outcome for outcome in results}
        if n == 0:
            os.kill(workers_alive()[0], signal.SIGTERM)
    assert {run_id: outcome.status for run_id, outcome in outcomes.items()} == {f"r{s}": FINISHED for s in range(6)}


def test_a_worker_that_dies_in_the_middle_of_a_message_is_a_dead_worker() -> None:
    pool = Pool(workers=1)
    ours, theirs = pool.context.Pipe()
    dead = pool.context.Process(target=print)
    dead.start()
    dead.join()
    worker = Worker(1, dead, ours, stack_of(0), attempt=2, ready=True)
    pool.workers.append(worker)
    os.write(theirs.fileno(), (1000).to_bytes(4) + b"the beginning")
    theirs.close()
    [outcome] = pool.hear(worker)
    assert outcome.status == CRASHED


def test_closing_the_stream_ends_the_workers() -> None:
    stream: Iterator[list[Outcome]] = execute.execute([stack_of(0), stack_of(1, epochs=100_000)], workers=2)
    next(stream)
    assert workers_alive()
    stream.close()  # type: ignore[attr-defined]
    assert not workers_alive()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of a stack that would take minutes. test_kills.py holds the half second, over many parents."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        f"import multiprocessing, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from execute_cases import stack_of\n"
        "from lrsweep.execute import execute\n"
        "stream = execute([stack_of(0), stack_of(1, epochs=1_000_000)], 2)\n"
        "next(stream)\n"
        "print(*(process.pid for process in multiprocessing.active_children()), flush=True)\n"
        "next(stream)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert children
        parent.send_signal(number)
    wait_until(lambda: not any(alive(pid) for pid in children), 30)


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    """Workers do not import the caller's script, which `spawn` would."""
    (tmp_path / "sweep.yaml").write_text("{dataset: iris, learning_rate: [0.1, 0.01], epochs: 1, seeds: 1}")
    script = tmp_path / "script.py"
    script.write_text("import lrsweep\nprint('ran')\nlrsweep.run('sweep.yaml', workers=1)\n")
    told = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == "ran\n"


def test_data_is_prepared_once_for_runs_that_share_it() -> None:
    other: Run = replace(stack_of(0).runs[0], learning_rate=0.5, width=3)
    stack = stack_of(0)
    assert execute.data_for(stack) is execute.data_for(replace(stack, runs=(other,)))


# --- Data that goes away.


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of one test, from which this process has nothing prepared."""
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(training, "_loaded", {})
    return tmp_path / "cache"


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_data_that_leaves_the_cache_is_read_again(cache: Path, workers: int) -> None:
    """As where a cleaner of caches is at work at night; it costs no run an attempt, and may come to a worker twice."""
    stacks = [*(stack_of(seed) for seed in range(3)), stack_on(Source("name", "wine"), 3)]
    shutil.rmtree(cache)
    told = list[str]()
    with execute.crew(workers, say=told.append) as go:
        outcomes = flat(go(stacks))
    assert {(outcome.status, outcome.timing["attempt"]) for outcome in outcomes.values()} == {(FINISHED, 1)}
    assert len(outcomes) == 4
    assert {*told} == {f"the cache has lost data; reading {name} again" for name in ("iris", "wine")}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("shift", "told"), [(None, r".*data.csv: .*"), (1, r".*data.csv gives other data by now")])
def test_data_that_its_source_gives_no_more_is_no_runs_failure(
    cache: Path, tmp_path: Path, workers: int, shift: int | None, told: str
) -> None:
    path = tmp_path / "data.csv"
    path.write_text(csv_rows(0))
    stack = stack_on(Source("file", str(path), "y"), 0, 1)
    shutil.rmtree(cache)
    path.unlink() if shift is None else path.write_text(csv_rows(shift))
    with pytest.raises(DataError, match=f"the cache has lost data, and {told}; finished runs are kept"):
        trained([stack], workers)
    assert not workers_alive()


# --- Several goes of one crew.


def resumed(stack: Stack, outcomes: Mapping[str, Outcome]) -> Stack:
    """A stack that goes on to the end from where its runs paused."""
    pauses = tuple(outcomes[run_id].pause for run_id in stack.ids)
    return replace(stack, until=None, pauses=pauses)


def test_workers_are_started_when_there_is_work_and_live_on() -> None:
    with execute.crew(2) as go:
        assert not workers_alive()
        flat(go([stack_of(0)]))
        first = workers_alive()
        flat(go([stack_of(1), stack_of(2), stack_of(3)]))
        second = workers_alive()
        flat(go([stack_of(4), stack_of(5)]))
        assert sorted(workers_alive()) == sorted(second)
    assert len(first) == 1
    assert len(second) == 2
    assert {*first} < {*second}
    assert not workers_alive()


@pytest.mark.parametrize("workers", [0, 2])
def test_runs_that_pause_between_two_goes_have_the_bits_of_one_go(workers: int) -> None:
    """Their pauses, larger than what a pipe holds, go to the worker that is free."""
    runs = [replace(stack_of(seed, epochs=5).runs[0], width=2000) for seed in range(4)]
    whole = replace(stack_of(0, 1, 2, 3), runs=tuple(runs))
    parts = [replace(whole, runs=whole.runs[i::2], ids=whole.ids[i::2], until=2) for i in range(2)]
    with execute.crew(workers) as go:
        first = flat(go(parts))
        assert {outcome.status for outcome in first.values()} == {PAUSED}
        second = flat(go([resumed(whole, first)]))
    for run_id, through in trained([whole], workers=0).items():
        assert second[run_id].metrics == through.metrics
        assert np.array_equal(second[run_id].curve, through.curve, equal_nan=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_that_is_left_before_its_end_leaves_nothing_for_the_next(workers: int) -> None:
    with execute.crew(workers) as go:
        for _ in go([stack_of(0), stack_of(1, epochs=100_000 if workers else 2), stack_of(2)]):
            break
        assert not workers_alive()
        assert flat(go([stack_of(3), stack_of(4)])).keys() == {"r3", "r4"}


def test_a_stream_that_is_forgotten_leaves_nothing_for_the_next_either() -> None:
    with execute.crew(2) as go:
        forgotten = go([stack_of(0), stack_of(1, epochs=100_000), stack_of(2)])
        next(forgotten)
        stream = go([stack_of(3), stack_of(4, epochs=300)])
        outcomes = next(stream)
        forgotten.close()
        assert {outcome.run_id for outcome in outcomes} | flat(stream).keys() == {"r3", "r4"}


def test_a_worker_that_dies_between_two_goes_costs_nothing() -> None:
    with execute.crew(2) as go:
        flat(go([stack_of(0), stack_of(1)]))
        killed, spared = workers_alive()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in workers_alive())  # its threads may outlive what the kernel shows as ended
        outcomes = flat(go([stack_of(2, 3), stack_of(4)]))
        assert spared in workers_alive()
    assert {outcome.timing["attempt"] for outcome in outcomes.values()} == {1}
    assert {outcome.status for outcome in outcomes.values()} == {FINISHED}


def assert_only_the_guilty_one_is_lost(outcomes: Mapping[str, Outcome], status: str, through: Stack) -> None:
    """The others have the bits of one go, and it has its curve up to where it paused."""
    fine = {run_id: outcome for run_id, outcome in outcomes.items() if outcome.status == FINISHED}
    assert outcomes.keys() - fine.keys() == {f"r{GUILTY}"}
    assert (outcomes[f"r{GUILTY}"].status, outcomes[f"r{GUILTY}"].metrics) == (status, {})
    expected = flat(map(train_here, execute.singles(through)))
    for run_id, outcome in outcomes.items():
        n_rows = len(outcome.curve)
        assert n_rows == (through.runs[0].epochs + 1 if run_id in fine else 3)
        assert np.array_equal(outcome.curve, expected[run_id].curve[:n_rows], equal_nan=True)


train_here = functools.partial(training.train_or_tell, worker=0)


@pytest.mark.usefixtures("sabotage")
def test_a_dead_workers_runs_are_tried_again_from_their_pauses() -> None:
    through = stack_of(0, GUILTY, 1, epochs=4)
    with execute.crew(1) as go:
        first = flat(go([replace(through, until=2)]))
        outcomes = flat(go([resumed(through, first)]))
    assert_only_the_guilty_one_is_lost(outcomes, CRASHED, through)
    assert outcomes["r0"].timing["attempt"] == 2


def test_runs_of_a_stack_that_fails_are_tried_one_by_one_from_their_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    through, real = stack_of(0, GUILTY, 1, epochs=4), training.train

    def faulty(stack: Stack, data: object) -> list[Outcome]:
        if any(run.seed == GUILTY for run in stack.runs):
            raise FloatingPointError("made to fail")
        return real(stack, data)  # type: ignore[arg-type]

    first = flat([train_here(replace(through, until=2))])
    with monkeypatch.context() as patched, execute.crew(0) as go:
        patched.setattr(training, "train", faulty)
        outcomes = flat(go([resumed(through, first)]))
    assert_only_the_guilty_one_is_lost(outcomes, FAILED, through)


def test_the_first_go_leaves_time_for_something_else_once() -> None:
    done: list[int] = []
    with execute.crew(1, meanwhile=lambda: done.append(len(workers_alive()))) as go:
        flat(go([stack_of(0)]))
        flat(go([stack_of(1)]))
    assert done == [1]


@pytest.mark.parametrize("workers", [0, 1])
def test_after_the_deadline_nothing_is_trained(workers: int) -> None:
    with execute.crew(workers, deadline=time.perf_counter()) as go:
        assert not flat(go([stack_of(0)]))
        assert not workers_alive()


def test_the_deadline_ends_workers_in_the_middle_of_a_stack() -> None:
    with contextlib.closing(Pool(1)) as pool:
        assert flat(pool.train([stack_of(0)])).keys() == {"r0"}
        pool.deadline = time.perf_counter() + 0.1
        assert not flat(pool.train([stack_of(1, epochs=1_000_000)]))
        assert not workers_alive()


def test_ctrl_c_reaches_no_worker_that_is_still_starting() -> None:
    """Not the first one either, for which Python starts a process of its own besides, and lets signals through."""
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0.1,))
    with bare_surroundings():
        process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 0
