"""What happens at a worker of a Dask cluster: it tells what it is, keeps data, trains a stack.

A Dask worker may have several threads, and each of them trains a stack of its own.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np

from lrsweep import __version__, datasets
from lrsweep.engine.model import stacking_is_exact
from lrsweep.engine.train import train
from lrsweep.execute.training import one_blas_thread, remembered, singles, train_or_tell
from lrsweep.vocabulary import NUMERICS, Data, Outcome, RawData, Stack

exact_here = functools.cache(stacking_is_exact)


class Unwanted(BaseException):
    """Nobody waits any more for what is being trained; no run fails of it."""


def inventory() -> dict[str, str]:
    """What must be the same at both ends, so that it does not matter where a run is trained."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"lrsweep": __version__, "lrsweep's numerics": str(NUMERICS), "Python": python, "NumPy": np.__version__}


def executing(dask_worker: Any) -> set[str]:
    """The names of the tasks that a worker has begun and not ended."""
    return {*map(str, dask_worker.active_keys)}


class OneBlasThread:
    """Holds BLAS to one thread as long as any thread of this process trains, and then lets it be what it was.

    A BLAS has one number for the whole process, or one for each thread. Of the first kind is OpenBLAS, and there
    threadpoolctl does what the first thread asks for, and in silence nothing for the others. So a thread that does
    nothing else sets it and restores it, and each that trains asks for itself as well.
    """

    def __init__(self) -> None:
        self.turn, self.training, self.keeper = threading.Lock(), 0, ThreadPoolExecutor(1, "lrsweep-blas")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """As long as this thread trains."""
        with self.turn:
            if not self.training:
                self.limit = one_blas_thread()
                self.keeper.submit(self.limit.__enter__).result()
            self.training += 1
        try:
            with one_blas_thread():
                check_blas()
                yield
                check_blas()  # another thread of the process may have set it meanwhile
        finally:
            with self.turn:
                self.training -= 1
                if not self.training:
                    self.keeper.submit(self.limit.__exit__, None, None, None).result()


def check_blas() -> None:
    """Raises RuntimeError where BLAS has more than one thread all the same."""
    from threadpoolctl import threadpool_info

    if any(pool["num_threads"] > 1 for pool in threadpool_info() if pool["user_api"] == "blas"):
        raise RuntimeError("BLAS does not stay at one thread; start the worker with OPENBLAS_NUM_THREADS=1")


_blas = OneBlasThread()


class Delivered:
    """A dataset at a worker, and the last few that were prepared of it.

    Dask holds it for the parent, as the result of a task: it is gone as soon as the parent is, however that ended.
    """

    def __init__(self, raw: RawData) -> None:
        self.raw, self.turn = raw, threading.Lock()
        self.prepared: dict[object, Data] = {}

    def __reduce__(self) -> tuple[type[Delivered], tuple[RawData]]:
        return Delivered, (self.raw,)  # Dask writes to disk what it has no memory for

    def data_for(self, stack: Stack) -> Data:
        """The data of a stack's runs. Threads that want it at once wait for the one that prepares it."""
        run = stack.runs[0]
        with self.turn:
            return remembered(self.prepared, datasets.data_key(run), lambda: datasets.prepare(self.raw, run))


def arrived(delivered: Delivered) -> None:
    """Is done once the data is there, and brings nothing back."""


def train_there(stack: Stack, delivered: Delivered, worker: str, attempt: int) -> list[Outcome]:
    """Trains a stack as a task of Dask, as long as it is wanted.

    Where this machine's matrix product gives other bits in a stack, its runs are trained one by one.
    """
    watch = watcher()
    how = functools.partial(train_delivered, delivered, watch)
    with _blas.held():
        parts = [stack] if exact_here() else singles(stack)
        return [*chain.from_iterable(train_or_tell(part, worker, attempt, how) for part in parts)]


def train_delivered(delivered: Delivered, watch: Callable[[], None], stack: Stack) -> list[Outcome]:
    """Trains a stack on the data that was delivered."""
    return train(stack, delivered.data_for(stack), watch)


def watcher() -> Callable[[], None]:
    """What raises Unwanted once Dask has cancelled this thread's task, as it does when the parent leaves or dies.

    Dask does not end a task that runs: without this, a worker would be busy for as long as the stack takes.
    """
    from distributed import Status, get_worker

    worker = get_worker()
    key, tasks = worker.get_current_task(), worker.state.tasks
    at_work = (Status.running, Status.paused, Status.closing_gracefully)

    def watch() -> None:
        task = tasks.get(key)
        if task is None or task.state != "executing" or worker.status not in at_work:
            raise Unwanted

    return watch
