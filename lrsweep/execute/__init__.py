"""Stacks in, a stream of outcomes out: in this process, or in workers of our own. One contract for both.

Runs that pause take all that they need to go on with them, so that any worker may have them next.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

from lrsweep.execute.training import Stream, data_for, one_blas_thread, singles, train_here
from lrsweep.execute.workers import Pool
from lrsweep.vocabulary import Stack

__all__ = ["Stream", "crew", "data_for", "execute", "one_blas_thread", "singles"]


def execute(
    stacks: Sequence[Stack],
    workers: int,
    deadline: float | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Stream:
    """Trains the stacks and yields each one's outcomes as they come, in any order: one go of a `crew`.

    Closing the stream ends the workers at once.
    """
    with crew(workers, deadline, meanwhile) as go:
        yield from go(stacks)


@contextlib.contextmanager
def crew(
    workers: int, deadline: float | None = None, meanwhile: Callable[[], object] | None = None
) -> Iterator[Callable[[Sequence[Stack]], Stream]]:
    """What trains stacks in several goes, one after the other; `workers` 0 means in this process.

    Workers are started when there are stacks for them, which takes some 0.3 s, and live until the crew is left. They
    leave this process idle: once they have their first stacks, it does what is to be done `meanwhile`.
    Whatever happens to a run is told by its outcome. Leaving the crew ends the workers at once, and so does closing a
    stream before its end, or asking for another; the next ones are new. So does the deadline, after which nothing is
    trained: a time of `time.perf_counter`, which in this process is looked at between stacks.
    """
    if workers == 0:
        with one_blas_thread():
            yield functools.partial(train_here, deadline)
    else:
        with contextlib.closing(Pool(workers, deadline, meanwhile)) as pool:
            yield pool.train
