"""How long something takes, judged so that neither a slow machine nor a busy one makes it seem too long."""

from __future__ import annotations

import time
from collections.abc import Callable

YARD = 0.015
"""Seconds of the processor that the yardstick takes on the machine for which the bounds are meant."""

GOES = 3
"""Of them the quickest counts: what slows a processor for a moment is not the call's affair."""


def slowness() -> float:
    """How many times slower than that machine this one is now; 1 where it is faster."""
    start = time.process_time()
    sum(i * i % 7 for i in range(300_000))
    return max(1.0, (time.process_time() - start) / YARD)


def takes_at_most(seconds: float, call: Callable[[], object]) -> bool:
    """Whether a call takes no more of the processor; it is tried again where it seems to."""
    for _ in range(GOES):
        most = seconds * slowness()
        start = time.process_time()
        call()
        if time.process_time() - start <= most:
            return True
    return False
