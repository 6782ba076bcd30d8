"""Worker processes of our own, one stack at a time each.

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
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from lrsweep import ONE_THREAD
from lrsweep.execute.training import Stream, left, singles, train_or_tell, unfinished
from lrsweep.vocabulary import CRASHED, Outcome, Stack


@dataclass
class Worker:
    """A process and the stack that it has in hand, if any."""

    number: int
    process: BaseProcess
    pipe: Connection
    stack: Stack | None = None
    attempt: int = 1


class Pool:
    """Worker processes that are given one stack at a time; a dead one costs its stack a retry, run by run."""

    def __init__(
        self, workers: int, deadline: float | None = None, meanwhile: Callable[[], object] | None = None
    ) -> None:
        self.wanted, self.deadline, self.meanwhile = workers, deadline, meanwhile
        self.context = multiprocessing.get_context("spawn")
        self.workers: list[Worker] = []
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
        while len(idle) < len(self.waiting) and len(self.workers) < self.wanted:
            idle.append(self.start())
        for worker in idle[: len(self.waiting)]:
            worker.stack, worker.attempt = self.waiting.popleft()
            with contextlib.suppress(ConnectionError):  # a worker that died just now is heard of through its pipe
                worker.pipe.send((worker.stack, worker.attempt))

    def start(self) -> Worker:
        """Starts a worker, with the first number that is free."""
        number = min(set(range(1, self.wanted + 1)) - {worker.number for worker in self.workers})
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=serve, args=(theirs, number), name=f"lrsweep-{number}", daemon=True)
        with bare_surroundings():
            process.start()
        theirs.close()
        worker = Worker(number, process, ours)
        self.workers.append(worker)
        return worker

    def hear(self, worker: Worker) -> list[Outcome]:
        """A worker's outcomes; or, where it died, what that means for its stack. Then it has something new to do."""
        try:
            outcomes: list[Outcome] = worker.pipe.recv()
            worker.stack = None
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            outcomes = self.bury(worker)
        self.employ()
        return outcomes

    def bury(self, worker: Worker) -> list[Outcome]:
        """A worker died: its runs are tried again, one by one, and one that dies alone and again is the guilty one."""
        self.release(worker)
        stack = worker.stack
        assert stack is not None  # noqa: S101  a worker is listened to while it has one
        if len(stack.runs) > 1 or worker.attempt == 1:
            self.waiting.extendleft((single, worker.attempt + 1) for single in reversed(singles(stack)))
            return []
        code = worker.process.exitcode or 0
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        hint = "; it may have run out of memory: lower width or batch_size" if code == -signal.SIGKILL else ""
        return [unfinished(stack, CRASHED, f"its worker ended by {cause}{hint}")]

    def release(self, worker: Worker) -> None:
        """Closes a worker's pipe, upon which it ends, and waits for it."""
        worker.pipe.close()
        worker.process.join(timeout=5)
        self.workers.remove(worker)

    def close(self) -> None:
        """Ends all workers at once, whatever they are doing, and what is waiting is not trained."""
        self.waiting.clear()
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            self.release(worker)


@contextlib.contextmanager
def bare_surroundings() -> Iterator[None]:
    """Starts a process that has one BLAS thread, is deaf to Ctrl-C, and does not import the caller's script.

    `spawn` re-imports the main module, which a worker does not need and which would run an unguarded script twice.
    A signal that is blocked here stays blocked in the process, also while it imports, and reaches this one afterwards.
    """
    main, before = sys.modules["__main__"], dict(os.environ)
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it reaches the whole terminal
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
    """A worker's life: a stack in, its outcomes out, until the pipe closes or the parent is gone."""
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
