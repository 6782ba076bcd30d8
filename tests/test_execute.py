"""Stacks in, outcomes out: the same in this process and in workers, and whatever happens to a worker is told."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_cases import RUN

from lrsweep import datasets, execute
from lrsweep.vocabulary import CRASHED, FAILED, FINISHED, Outcome, Run, Source, Stack

IRIS = Source("name", "iris")
GUILTY = 666
"""The seed of a run that takes its worker down."""

SABOTAGE = f"""
import os, signal
import lrsweep.execute
train = lrsweep.execute.train
def sabotaged(stack, data):
    if any(run.seed == {GUILTY} for run in stack.runs):
        os.kill(os.getpid(), signal.SIGKILL)
    return train(stack, data)
lrsweep.execute.train = sabotaged
"""


def stack_of(*seeds: int, epochs: int = 2) -> Stack:
    """A stack on iris, a run for each seed; ids tell the seed."""
    runs = tuple(replace(RUN, dataset=IRIS, seed=seed, epochs=epochs, precision="float32") for seed in seeds)
    return Stack(runs, tuple(f"r{seed}" for seed in seeds), datasets.load(IRIS).fingerprint)


def trained(stacks: list[Stack], workers: int) -> dict[str, Outcome]:
    """All outcomes by run_id."""
    return {outcome.run_id: outcome for outcomes in execute.execute(stacks, workers) for outcome in outcomes}


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
    real = execute.train

    def faulty(stack: Stack, data: object) -> list[Outcome]:
        if any(run.seed == GUILTY for run in stack.runs):
            raise FloatingPointError("made to fail")
        return real(stack, data)  # type: ignore[arg-type]

    monkeypatch.setattr(execute, "train", faulty)
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
    pool = execute.Pool([stack_of(0)], workers=1)
    ours, theirs = pool.context.Pipe()
    dead = pool.context.Process(target=print)
    dead.start()
    dead.join()
    worker = execute.Worker(1, dead, ours, stack_of(0), attempt=2)
    pool.waiting.clear()
    pool.workers.append(worker)
    os.write(theirs.fileno(), (1000).to_bytes(4) + b"the beginning")
    theirs.close()
    [[outcome]] = pool.hear(worker)
    assert outcome.status == CRASHED


def test_closing_the_stream_ends_the_workers() -> None:
    stream: Iterator[list[Outcome]] = execute.execute([stack_of(0), stack_of(1, epochs=100_000)], workers=2)
    next(stream)
    assert workers_alive()
    stream.close()  # type: ignore[attr-defined]
    assert not workers_alive()


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """No orphan is left half a second after the parent was killed."""
    script = tmp_path / "parent.py"
    script.write_text(
        f"import multiprocessing, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_execute import stack_of\n"
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
        parent.kill()
    deadline = time.monotonic() + 0.5
    while any(alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(alive(pid) for pid in children)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but that nobody has collected does not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    if Path("/proc/self").exists():
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


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
