"""Training a stack in this process, and telling whatever happens to its runs by their outcomes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lrsweep import datasets
from lrsweep.engine.train import train
from lrsweep.vocabulary import CURVE_COLUMNS, FAILED, Data, DataError, Outcome, Pause, RawData, Say, Stack

_loaded: dict[object, Data] = {}
"""Prepared data by what decides it, no more than KEPT at a time."""

KEPT = 4

LONGEST_WAIT = 1e6
"""Seconds; the system counts some 2 million."""

NO_MEMORY = "lower width, batch_size or --workers"
"""What to do where memory does not suffice."""

AGAIN = "--retry-failed tries it again"

Stream = Generator[list[Outcome], None, None]
"""Each stack's outcomes as they come, in any order."""

How = Callable[[Stack], list[Outcome]]
"""What trains a stack, and raises where that fails."""


def train_here(deadline: float | None, say: Say, stacks: Sequence[Stack]) -> Stream:
    """Trains the stacks in this process."""
    for stack in stacks:
        if left(deadline) == 0:
            return
        try:
            outcomes = train_or_tell(stack, 0)
        except datasets.MissingError:
            read_again(stack, say)
            outcomes = train_or_tell(stack, 0)
        yield outcomes


def left(deadline: float | None) -> float | None:
    """Seconds until a deadline, not below 0 and no more than can be waited for at a time; None where there is none."""
    return None if deadline is None else min(LONGEST_WAIT, max(0.0, deadline - time.perf_counter()))


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Holds BLAS to one thread where NumPy is already imported: more change bits and cost up to 20 times the time."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def data_for(stack: Stack) -> Data:
    """The data of a stack's runs, from the cache that the parent filled; the last few are kept. Raises MissingError."""
    run = stack.runs[0]
    key = (stack.fingerprint, datasets.data_key(run))
    return remembered(_loaded, key, lambda: datasets.prepare(datasets.cached(stack.fingerprint), run))


def read_again(stack: Stack, say: Say) -> RawData:
    """The data of a stack's runs, cached anew from its source. Raises DataError where that gives it no more."""
    run = stack.runs[0]
    say(f"the cache has lost data; reading {run.dataset} again")
    try:
        raw = datasets.load(run.dataset, run.task)
    except DataError as error:
        raise DataError(
            f"the cache has lost data, and {error}; finished runs are kept; the same command goes on"
        ) from error
    if raw.fingerprint != stack.fingerprint:
        raise DataError(
            f"the cache has lost data, and {run.dataset} gives other data by now; finished runs are kept; put it back, "
            "or have the same command train on what it is now"
        )
    return raw


def remembered(known: dict[object, Data], key: object, make: Callable[[], Data]) -> Data:
    """What is known under a key, made if need be; no more than KEPT at a time are known."""
    if key not in known:
        make_room(known)
        known[key] = make()
    return known[key]


def make_room(known: dict[Any, Any]) -> None:
    """Forgets the oldest, so that with one more no more than KEPT are known."""
    while len(known) >= KEPT:
        del known[next(iter(known))]


def train_cached(stack: Stack) -> list[Outcome]:
    """Trains a stack on the data that the parent cached."""
    return train(stack, data_for(stack))


def train_or_tell(stack: Stack, worker: int | str, attempt: int = 1, how: How = train_cached) -> list[Outcome]:
    """Trains a stack. Where that raises, its runs are tried one by one, so that only the guilty ones fail."""
    started = datetime.now(UTC)
    outcomes, why = attempted(stack, how)
    if why and len(stack.runs) > 1:
        return [result for single in singles(stack) for result in train_or_tell(single, worker, attempt + 1, how)]
    if why:
        outcomes = [unfinished(stack, FAILED, why)]
    ended = datetime.now(UTC)
    about = {"worker": worker, "attempt": attempt, "started": started.isoformat(), "ended": ended.isoformat()}
    return [replace(result, timing={"seconds": 0.0, **result.timing, **about}) for result in outcomes]


def attempted(stack: Stack, how: How) -> tuple[list[Outcome], str]:
    """A stack's outcomes, or why there are none; the error, which holds all its arrays, is gone by then.

    That data is missing is no run's failure: the parent may have it again.
    """
    try:
        return how(stack), ""
    except datasets.MissingError:
        raise
    except Exception as error:
        return [], reason(error)


def reason(error: Exception) -> str:
    """What a run failed of, and the remedy where there is one to name."""
    if isinstance(error, MemoryError):  # NumPy raises one of its own
        return f"MemoryError: {error or 'out of memory'}; {NO_MEMORY}"
    return f"{type(error).__name__}: {error}"


def singles(stack: Stack) -> list[Stack]:
    """The same runs, each in a stack of its own."""
    pauses: list[tuple[Pause, ...]] = [(pause,) for pause in stack.pauses] or [()] * len(stack.runs)
    each = zip(stack.runs, stack.ids, pauses, strict=True)
    return [replace(stack, runs=(run,), ids=(run_id,), pauses=own) for run, run_id, own in each]


def unfinished(stack: Stack, status: str, reason: str) -> Outcome:
    """The outcome of a stack's only run, when there are no numbers to tell but the curve up to its pause, if any."""
    curve = stack.pauses[0].curve if stack.pauses else np.empty((0, len(CURVE_COLUMNS)))
    return Outcome(stack.ids[0], status, reason, {}, curve)
