"""Stacks in, a stream of outcomes out: in this process, or in workers of our own. One contract for both.

Processes, not threads: two threads gave 1.0 to 1.2 times the throughput of one here, two processes 1.9 times. The
standard library's pools lose every pending task when a worker is killed, and leave orphans when the parent is.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import numpy as np

from lrsweep import ONE_THREAD, datasets
from lrsweep.engine.train import train
from lrsweep.vocabulary import CRASHED, CURVE_COLUMNS, FAILED, Data, Outcome, Stack

_loaded: dict[object, Data] = {}
"""Prepared data by what decides it, no more than KEPT at a time."""

KEPT = 4


def execute(
    stacks: Sequence[Stack],
    workers: int,
    deadline: float | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Generator[list[Outcome], None, None]:
    """Trains the stacks and yields each one's outcomes as they come, in any order; `workers` 0 means in this process.

    Workers leave this process idle: once they have their first stacks, it does what is to be done `meanwhile`.
    Whatever happens to a run is told by its outcome. Closing the stream ends the workers at once, and so does the
    deadline, a time of `time.perf_counter`; in this process it is looked at between stacks.
    """
    if workers == 0:
        with one_blas_thread():
            for stack in stacks:
                if left(deadline) == 0:
                    return
                yield train_or_tell(stack, 0)
    else:
        with contextlib.closing(Pool(stacks, workers)) as pool:
            yield from pool.outcomes(deadline, meanwhile)


def left(deadline: float | None) -> float | None:
    """Seconds until a deadline, not below 0; None where there is none."""
    return None if deadline is None else max(0.0, deadline - time.perf_counter())


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Holds BLAS to one thread where NumPy is already imported: more change bits and cost up to 20 times the time."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def data_for(stack: Stack) -> Data:
    """The data of a stack's runs, from the cache that the parent filled; the last few are kept."""
    run = stack.runs[0]
    key = (stack.fingerprint, datasets.data_key(run))
    if key not in _loaded:
        while len(_loaded) >= KEPT:
            del _loaded[next(iter(_loaded))]
        _loaded[key] = datasets.prepare(datasets.cached(stack.fingerprint), run)
    return _loaded[key]


def train_or_tell(stack: Stack, worker: int, attempt: int = 1) -> list[Outcome]:
    """Trains a stack. Where that raises, its runs are tried one by one, so that only the guilty ones fail."""
    started = datetime.now(UTC)
    try:
        outcomes = train(stack, data_for(stack))
    except Exception as error:
        if len(stack.runs) > 1:
            return [result for single in singles(stack) for result in train_or_tell(single, worker, attempt + 1)]
        outcomes = [unfinished(stack, FAILED, f"{type(error).__name__}: {error}")]
    ended = datetime.now(UTC)
    about = {"worker": worker, "attempt": attempt, "started": started.isoformat(), "ended": ended.isoformat()}
    return [replace(result, timing={"seconds": 0.0, **result.timing, **about}) for result in outcomes]


def singles(stack: Stack) -> list[Stack]:
    """The same runs, each in a stack of its own."""
    return [replace(stack, runs=(run,), ids=(run_id,)) for run, run_id in zip(stack.runs, stack.ids, strict=True)]


def unfinished(stack: Stack, status: str, reason: str) -> Outcome:
    """The outcome of a stack's only run, when there are no numbers to tell."""
    return Outcome(stack.ids[0], status, reason, {}, np.empty((0, len(CURVE_COLUMNS))))


@dataclass
class Worker:
    """A process and the stack that it has in hand."""

    number: int
    process: BaseProcess
    pipe: Connection
    stack: Stack | None = None
    attempt: int = 1


class Pool:
    """Worker processes that are given one stack at a time; a dead one costs its stack a retry, run by run."""

    def __init__(self, stacks: Sequence[Stack], workers: int) -> None:
        self.waiting = deque((stack, 1) for stack in stacks)
        self.context = multiprocessing.get_context("spawn")
        self.workers: list[Worker] = []
        self.wanted = workers

    def outcomes(
        self, deadline: float | None, meanwhile: Callable[[], object] | None = None
    ) -> Iterator[list[Outcome]]:
        """Each stack's outcomes as they come, until the deadline."""
        for number in range(1, min(self.wanted, len(self.waiting)) + 1):
            self.start(number)
        if meanwhile is not None:
            meanwhile()
        while self.workers:
            pipes = {worker.pipe: worker for worker in self.workers}
            ready = wait(list(pipes), left(deadline))
            if not ready:
                return
            for pipe in ready:
                yield from self.hear(pipes[pipe])  # type: ignore[index]

    def start(self, number: int) -> None:
        """Starts a worker and gives it a stack."""
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=serve, args=(theirs, number), name=f"lrsweep-{number}", daemon=True)
        with bare_surroundings():
            process.start()
        theirs.close()
        worker = Worker(number, process, ours)
        self.workers.append(worker)
        self.feed(worker)

    def feed(self, worker: Worker) -> None:
        """Hands over the next stack, or lets the worker go where there is none."""
        if self.waiting:
            worker.stack, worker.attempt = self.waiting.popleft()
            with contextlib.suppress(BrokenPipeError):  # a worker that died just now is heard of through its pipe
                worker.pipe.send((worker.stack, worker.attempt))
        else:
            self.release(worker)

    def hear(self, worker: Worker) -> Iterator[list[Outcome]]:
        """A worker's outcomes; or, where it died, what that means for its stack."""
        try:
            outcomes = worker.pipe.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            yield from self.bury(worker)
        else:
            self.feed(worker)
            yield outcomes

    def bury(self, worker: Worker) -> Iterator[list[Outcome]]:
        """A worker died: its runs are tried again, one by one, and one that dies alone and again is the guilty one."""
        self.release(worker)
        stack = worker.stack
        assert stack is not None  # noqa: S101  a worker is fed before it is listened to
        if len(stack.runs) > 1 or worker.attempt == 1:
            self.waiting.extendleft((single, worker.attempt + 1) for single in reversed(singles(stack)))
        else:
            code = worker.process.exitcode or 0
            cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            hint = "; it may have run out of memory: lower width or batch_size" if code == -signal.SIGKILL else ""
            yield [unfinished(stack, CRASHED, f"its worker ended by {cause}{hint}")]
        if self.waiting:
            self.start(worker.number)

    def release(self, worker: Worker) -> None:
        """Closes a worker's pipe, upon which it ends, and waits for it."""
        worker.pipe.close()
        worker.process.join(timeout=5)
        self.workers.remove(worker)

    def close(self) -> None:
        """Ends all workers at once, whatever they are doing."""
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            self.release(worker)


@contextlib.contextmanager
def bare_surroundings() -> Iterator[None]:
    """Starts a process that has one BLAS thread and does not import the caller's script.

    `spawn` re-imports the main module, which a worker does not need and which would run an unguarded script twice.
    """
    main, before = sys.modules["__main__"], dict(os.environ)
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        os.environ.clear()
        os.environ.update(before)


def serve(pipe: Connection, number: int) -> None:
    """A worker's life: a stack in, its outcomes out, until the pipe closes or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            stack, attempt = pipe.recv()
            pipe.send(train_or_tell(stack, number, attempt))


def end_with_parent() -> None:
    """Ends this process as soon as its parent has ended, however that came about."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
