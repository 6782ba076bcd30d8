"""Worker processes of our own, one stack at a time each.

Processes, not threads: two threads gave 1.0 to 1.2 times the throughput of one here, two processes 1.9 times. The
standard library's pools lose every pending task when a worker is killed, and leave orphans when the parent is.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from lrsweep import ONE_THREAD
from lrsweep.datasets import MissingError
from lrsweep.execute.training import (
    AGAIN,
    NO_MEMORY,
    Stream,
    left,
    read_again,
    singles,
    train_or_tell,
    unfinished,
)
from lrsweep.vocabulary import CRASHED, Outcome, Say, Stack, UsageError, silent
from lrsweep.worker import READY, begin

FALSE_STARTS = 3
"""So many workers in a row may die before they are ready; then no more of them are started."""

SPARE_FILES = 16
"""Files that stay free for the store and its views when workers take all that the system allows (`ulimit -n`)."""

FROM_OUTSIDE = (signal.SIGTERM, signal.SIGHUP)
"""What a cluster's queue, a closing terminal or a person ends all processes with."""

OWN_SIGNAL = 0.5
"""Seconds in which this process has such a signal too, if all are to end: then no run is guilty of it."""

IN_PROCESS = "train in this process with --workers 0"
REMEDIES: dict[int, str] = {
    signal.SIGKILL: f"it may have run out of memory: {NO_MEMORY}; {AGAIN}",
    signal.SIGTERM: f"something ended it, for want of memory perhaps: {NO_MEMORY}; {AGAIN}",
    **dict.fromkeys(
        (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT),
        f"a fault in NumPy, its BLAS or the machine: {AGAIN}, best with another NumPy",
    ),
}


@dataclass
class Worker:
    """A process and the stack that it has in hand, if any; `lacking` is the data that it had not for the last one."""

    number: int
    process: BaseProcess
    pipe: Connection
    stack: Stack | None = None
    attempt: int = 1
    ready: bool = False
    lacking: str = ""


class Pool:
    """Worker processes that are given one stack at a time; a dead one costs its stack a retry, run by run."""

    def __init__(
        self,
        workers: int,
        deadline: float | None = None,
        meanwhile: Callable[[], object] | None = None,
        say: Say = silent,
    ) -> None:
        self.wanted, self.deadline, self.meanwhile, self.say = workers, deadline, meanwhile, say
        self.context = multiprocessing.get_context("spawn")
        self.workers: list[Worker] = []
        self.false_starts = 0
        self.waiting: deque[tuple[Stack, int]] = deque()

    def train(self, stacks: Sequence[Stack]) -> Stream:
        """Each stack's outcomes as they come, until the deadline; ends the workers if it is left before the end."""
        self.drop()
        waiting = self.waiting = deque((stack, 1) for stack in stacks)
        try:
            yield from self.outcomes()
        finally:
            if self.waiting is waiting:
                self.drop()

    def drop(self) -> None:
        """Ends the workers where they have, or are to have, stacks whose outcomes nobody waits for any more."""
        if self.waiting or any(worker.stack for worker in self.workers):
            self.close()

    def outcomes(self) -> Stream:
        """Each waiting stack's outcomes as they come, until the deadline."""
        while left(self.deadline) != 0:
            self.employ()
            busy = {worker.pipe: worker for worker in self.workers if worker.stack}
            if not busy:
                return
            if self.meanwhile is not None:
                self.meanwhile()
                self.meanwhile = None
            for pipe in wait(list(busy), left(self.deadline)):
                if outcomes := self.hear(busy[pipe]):  # type: ignore[index]
                    yield outcomes

    def employ(self) -> None:
        """Hands the waiting stacks to workers that have none, starting as many as there are stacks and places for."""
        idle = [worker for worker in self.workers if worker.stack is None]
        for worker in [worker for worker in idle if not worker.process.is_alive()]:
            self.release(worker)
            idle.remove(worker)
        with contextlib.suppress(OSError):
            while len(idle) < len(self.waiting) and len(self.workers) < self.wanted:
                idle.append(self.start())
        for worker in idle[: len(self.waiting)]:
            worker.stack, worker.attempt = self.waiting.popleft()
            with contextlib.suppress(ConnectionError):  # a worker that died just now is heard of through its pipe
                worker.pipe.send((worker.stack, worker.attempt))

    def start(self) -> Worker:
        """Starts a worker, with the first number that is free. Raises OSError where the system allows no more."""
        number = min(set(range(1, self.wanted + 1)) - {worker.number for worker in self.workers})
        try:
            with contextlib.ExitStack() as opened:
                ours, theirs = (opened.enter_context(end) for end in self.context.Pipe())
                process = self.context.Process(
                    target=begin, args=(theirs, number), name=f"lrsweep-{number}", daemon=True
                )
                with spare_files(), bare_surroundings():
                    process.start()
                theirs.close()
                opened.pop_all()
        except OSError as error:
            if self.workers:
                raise
            raise UsageError(f"no worker can be started: {error.strerror}; {limit(error)}, or {IN_PROCESS}") from error
        worker = Worker(number, process, ours)
        self.workers.append(worker)
        with contextlib.suppress(ConnectionError):
            ours.send(serve)
        return worker

    def hear(self, worker: Worker) -> list[Outcome]:
        """What a worker says, or its silence, means for its stack: its outcomes, if any. Then there is work for it."""
        try:
            told: str | MissingError | list[Outcome] = worker.pipe.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            outcomes = self.bury(worker)
        else:
            outcomes = self.heed(worker, told)
        self.employ()
        return outcomes

    def heed(self, worker: Worker, told: str | MissingError | list[Outcome]) -> list[Outcome]:
        """What a worker has told: the outcomes of its stack, or that it is ready, cannot be, or lacks data."""
        if isinstance(told, str):
            return self.greet(worker, told)
        if isinstance(told, MissingError):
            self.refill(worker, told)
            return []
        worker.stack, worker.lacking = None, ""
        return told

    def refill(self, worker: Worker, told: MissingError) -> None:
        """A worker lacks its stack's data: that is read again, once, and the stack is handed out again.

        Another worker may get it, so that this one may next lack other data, which went at the same time.
        """
        stack = worker.stack
        if stack is None or worker.lacking == stack.fingerprint:
            raise told
        read_again(stack, self.say)
        self.waiting.appendleft((stack, worker.attempt))
        worker.stack, worker.lacking = None, stack.fingerprint

    def greet(self, worker: Worker, told: str) -> list[Outcome]:
        """A worker is ready for the stack that it has, or says why it cannot be."""
        worker.ready = told == READY
        if worker.ready:
            self.false_starts = 0
            return []
        return self.bury(worker, told)

    def bury(self, worker: Worker, said: str = "") -> list[Outcome]:
        """A worker died: its runs are tried again, one by one, and one that dies alone and again is the guilty one.

        Unless it was not ready for its stack, or this process is ended with it: no run has to do with that.
        """
        self.release(worker)
        stack, code = worker.stack, worker.process.exitcode or 0
        assert stack is not None  # noqa: S101  a worker is listened to while it has one
        if not worker.ready:
            self.waiting.appendleft((stack, worker.attempt))
            self.count_false_start(said or f"it ended by {cause(code)}")
            return []
        if len(stack.runs) > 1 or worker.attempt == 1:
            self.waiting.extendleft((single, worker.attempt + 1) for single in reversed(singles(stack)))
            return []
        if -code in FROM_OUTSIDE:
            time.sleep(OWN_SIGNAL)
        return [unfinished(stack, CRASHED, f"its worker ended by {cause(code)}; {REMEDIES.get(-code, AGAIN)}")]

    def count_false_start(self, why: str) -> None:
        """A worker died before it was ready. Where that is the rule, no more are started: the others go on alone."""
        self.false_starts += 1
        if self.false_starts >= FALSE_STARTS:
            self.wanted = len(self.workers)
            if not self.wanted:
                raise UsageError(f"no worker can be started: {why}; mend that, or {IN_PROCESS}")

    def release(self, worker: Worker) -> None:
        """Closes a worker's pipe, upon which it ends, and waits for it."""
        worker.pipe.close()
        worker.process.join(timeout=5)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join(timeout=5)
        self.workers.remove(worker)

    def close(self) -> None:
        """Ends all workers at once, whatever they are doing, and what is waiting is not trained."""
        self.waiting.clear()
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            self.release(worker)


def cause(code: int) -> str:
    """How a process ended, by its exit code.

    >>> cause(-11), cause(-35), cause(3)
    ('signal SIGSEGV', 'signal 35', 'exit code 3')
    """
    if code >= 0:
        return f"exit code {code}"
    known = -code in {*signal.Signals}
    return f"signal {signal.Signals(-code).name if known else -code}"


def limit(error: OSError) -> str:
    """What lets more processes be started."""
    files = error.errno in (errno.EMFILE, errno.ENFILE)
    return f"raise the limit of {'open files (ulimit -n)' if files else 'processes (ulimit -u) or of memory'}"


@contextlib.contextmanager
def spare_files() -> Iterator[None]:
    """Raises OSError where not so many files could be opened besides."""
    with contextlib.ExitStack() as opened:
        for _ in range(SPARE_FILES):
            opened.enter_context(Path(os.devnull).open("rb", buffering=0))
        yield


@contextlib.contextmanager
def bare_surroundings() -> Iterator[None]:
    """Starts a process that has one BLAS thread, is deaf to Ctrl-C, and does not import the caller's script.

    `spawn` re-imports the main module, which a worker does not need and which would run an unguarded script twice.
    A signal that is blocked here stays blocked in the process, also while it imports, and reaches this one afterwards.
    Ctrl-C, which reaches the whole terminal, stays so for good.
    """
    resource_tracker.ensure_running()  # here, since starting it lets the signal through again
    main, before = sys.modules["__main__"], dict(os.environ)
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *FROM_OUTSIDE})  # half a start would complain
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        os.environ.clear()
        os.environ.update(before)
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)


def serve(pipe: Connection, number: int) -> None:
    """What a worker does: a stack in, its outcomes out, until the pipe closes."""
    while True:
        stack, attempt = pipe.recv()
        try:
            pipe.send(train_or_tell(stack, number, attempt))
        except MissingError as error:
            pipe.send(error)
