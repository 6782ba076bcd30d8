"""Stacks in, a stream of outcomes out: in this process, in workers of our own, or on a cluster. One contract for all.

Runs that pause take all that they need to go on with them, so that any worker may have them next.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lrsweep.execute.training import Stream, data_for, one_blas_thread, singles, train_here
from lrsweep.execute.workers import Pool
from lrsweep.vocabulary import Say, Stack, silent

__all__ = ["Crew", "Stream", "crew", "data_for", "execute", "one_blas_thread", "singles"]


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


@dataclass(frozen=True)
class Crew:
    """What trains stacks: called with them, it does so. `size` is how many processes or threads train (0: this one)."""

    train: Callable[[Sequence[Stack]], Stream]
    size: Callable[[], int]

    def __call__(self, stacks: Sequence[Stack]) -> Stream:
        """Trains the stacks and yields each one's outcomes as they come, in any order."""
        return self.train(stacks)


@contextlib.contextmanager
def crew(
    workers: int,
    deadline: float | None = None,
    meanwhile: Callable[[], object] | None = None,
    cluster: str | None = None,
    say: Say = silent,
) -> Iterator[Crew]:
    """What trains stacks in several goes, one after the other; `workers` 0 means in this process.

    `cluster` is the address of a Dask scheduler, whose workers then train, and `workers` means nothing. What a person
    should know of them, that there are none yet for example, goes to `say`.

    Workers are started when there are stacks for them, which takes some 0.3 s, and live until the crew is left. They
    leave this process idle: once they have their first stacks, it does what is to be done `meanwhile`.
    Whatever happens to a run is told by its outcome. Leaving the crew ends the workers at once, and so does closing a
    stream before its end, or asking for another; the next ones are new. So does the deadline, after which nothing is
    trained: a time of `time.perf_counter`, which in this process is looked at between stacks.
    """
    if cluster is not None:
        from lrsweep.execute.cluster import Cluster
        from lrsweep.execute.connection import connected

        with connected(cluster, say) as client, contextlib.closing(Cluster(client, deadline, meanwhile, say)) as there:
            yield Crew(there.train, there.size)
    elif workers == 0:
        with one_blas_thread():
            yield Crew(functools.partial(train_here, deadline, say), lambda: workers)
    else:
        with contextlib.closing(Pool(workers, deadline, meanwhile, say)) as pool:
            yield Crew(pool.train, lambda: workers)
