"""What runs take beside time: memory of those who train them, and a disk for what comes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from lrsweep.plan.planned import PlannedRun, run_bytes, table_bytes
from lrsweep.room import over_free_disk, over_memory
from lrsweep.vocabulary import Run, Stack, StoreError, UsageError

RUN_BYTES, POINT_BYTES, NOISE_BYTES = 3000, 200, 80
"""Of a run, of a run's epoch, and of a deviation's column of a run, in the database and in the files; measured on
10,000 runs, and on 60 runs of 100 deviations."""

WORKER_BYTES = 60_000_000
"""Of a worker process that has nothing to do yet."""


def disk_bytes(runs: Iterable[Run]) -> int:
    """What the results of runs take on a disk."""
    return sum((run.epochs + 1) * POINT_BYTES + RUN_BYTES + NOISE_BYTES * len(run.noise) for run in runs)


def check_disk(stacks: Iterable[Stack], folder: Path) -> None:
    """Raises StoreError where what comes of the stacks does not fit the disk of their results folder."""
    runs = [run for stack in stacks for run in stack.runs]
    what = f"the results of {len(runs):,} runs need" if len(runs) > 1 else "the results of a run need"
    if said := over_free_disk(what, disk_bytes(runs), folder):
        raise StoreError(f"{said}; make room, lower epochs, or name another disk with --results")


def check_memory(runs: Collection[PlannedRun], workers: int) -> None:
    """Raises UsageError where so many workers, with a run each, would take more than all memory."""
    busy = min(workers, len(runs))
    unlike = {one.shared: one for one in runs}.values()
    largest = max((run_bytes(one) + table_bytes(one) for one in unlike), default=0)
    if said := over_memory(f"{busy} workers with a run each need", busy * (WORKER_BYTES + largest)):
        raise UsageError(f"{said}; lower --workers")
