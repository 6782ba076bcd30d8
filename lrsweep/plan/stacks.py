"""From the runs that are missing to stacks of them, and to what these would take."""

from __future__ import annotations

import functools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from lrsweep import datasets
from lrsweep.engine.group import Group, steps_per_epoch
from lrsweep.engine.train import time_epoch
from lrsweep.plan.outlay import disk_bytes
from lrsweep.plan.planned import PlannedRun, Shared, multipliers, run_bytes, table_bytes
from lrsweep.vocabulary import Data, Pause, Stack

STACK_BYTES = 4_000_000
"""Working set of a stack. Measured with 2 MB of L2 per core: at width 64, stacks of 40 runs took 8 ms a run, of 10 and
of 80 runs 10 to 11; at width 16, stacks of 160 runs 3.1, of 20 runs 3.4."""

MEMORY_BYTES = 200_000_000
"""What a stack's rates and curves may take: a number for every step and run, however small the network is. The parent
has them twice while it takes them from a worker."""

FEWEST_RUNS = 4
"""Runs per stack below which runs are not cut for the workers' sake: a smaller stack loses more than it gains."""


def shape(planned: PlannedRun) -> tuple[Any, ...]:
    """What runs must share to be trained together.

    Of numbers like weight_decay only whether they are zero: a rule skips a term that is zero for all, which must not
    depend on the neighbours. Rates by layer, and what becomes of the rate when a network grows, may differ.
    """
    run = planned.run
    zeros = tuple(value == 0 for _, value in run.optimizer.settings)
    data = (planned.data.fingerprint, datasets.data_key(run), run.noise)
    scale = run.base_width if run.parametrization == "mup" else None
    grown = (run.growth.at_epoch, run.growth.to_width) if run.growth else None
    net = (run.width, run.depth, run.activation, scale, grown, run.optimizer.name, zeros, planned.momentum_moves)
    return (*data, *net, run.batch_size, run.epochs, run.clip_norm is None)


def make_stacks(
    planned: Sequence[PlannedRun],
    workers: int,
    until: int | None = None,
    pauses: Mapping[str, Pause] | None = None,
) -> list[Stack]:
    """Stacks of the runs, the dearest first so that no worker is left alone with one at the end.

    They are trained to the end, or `until` an epoch. Runs go on from their `pauses`, by run_id; those that have none
    start anew, in stacks of their own, since the runs of a stack are all in the same epoch.
    """
    known = pauses or {}
    groups: defaultdict[tuple[Any, ...], list[PlannedRun]] = defaultdict(list)
    shapes: dict[Shared, tuple[Any, ...]] = {}
    for one in planned:
        if one.shared not in shapes:
            shapes[one.shared] = shape(one)
        groups[shapes[one.shared], one.run_id in known, reached(one, known)].append(one)
    parts = [part for group in groups.values() for part in cut(group, workers)]
    parts.sort(key=lambda part: -len(part) * cost(part[0], reached(part[0], known), until))
    return [stack_of(part, until, known) for part in parts]


def stack_of(part: Sequence[PlannedRun], until: int | None, pauses: Mapping[str, Pause]) -> Stack:
    """The runs as a stack, with the pauses that they have."""
    ids = tuple(one.run_id for one in part)
    known = tuple(pauses[run_id] for run_id in ids if run_id in pauses)
    return Stack(tuple(one.run for one in part), ids, part[0].data.fingerprint, until, known)


def reached(planned: PlannedRun, pauses: Mapping[str, Pause]) -> int:
    """The epoch in which a run paused; 0 where it did not."""
    return pauses[planned.run_id].epoch if planned.run_id in pauses else 0


def cut(group: Sequence[PlannedRun], workers: int) -> Iterator[list[PlannedRun]]:
    """Cuts runs of one shape as their working set demands, and evenly among the workers.

    Whole seeds stay together where that comes out nearly even: runs that share a seed share their batches, and a stack
    of whole seeds is up to 25% faster than one of a mixture.
    """
    seeds: defaultdict[int, list[PlannedRun]] = defaultdict(list)
    for one in group:
        seeds[one.run.seed].append(one)
    largest = max(map(run_bytes, {one.shared: one for one in group}.values()))  # rates by layer need more arrays
    most = max(1, min(STACK_BYTES // largest, MEMORY_BYTES // table_bytes(group[0])))
    even = max(1, workers) if len(group) >= workers * FEWEST_RUNS else 1
    count = min(len(group), even * -(-len(group) // (even * most)))
    whole = len(seeds) % count == 0 or len(seeds) >= 4 * count
    units = list(seeds.values()) if whole else [[one] for runs in seeds.values() for one in runs]
    for i in range(count):
        part = units[len(units) * i // count : len(units) * (i + 1) // count]
        yield [one for unit in part for one in unit]


def cost(planned: PlannedRun, after: int = 0, until: int | None = None) -> float:
    """What a run costs, to be compared: its working set times the rows that pass, and a share for each step.

    Only what follows `after` so many epochs, and up to the epoch `until`.
    """
    epochs = (planned.run.epochs if until is None else min(until, planned.run.epochs)) - after
    steps = steps_per_epoch(planned.run.batch_size, planned.n_train)
    return epochs * (run_bytes(planned) * planned.n_train + 100_000.0 * steps)


@dataclass(frozen=True)
class Estimate:
    """What training the stacks would take; `shapes` tells how many were timed for it."""

    seconds: float
    disk_bytes: int
    shapes: int


STARTUP_SECONDS, RUN_SECONDS, POINT_SECONDS = 0.6, 3e-4, 6e-6
"""Beside the training: of a sweep, of a run, and of a run's epoch in the files; measured on 16 and on 10,000 runs."""

MOST_TIMED = 32
"""Shapes that are timed: one takes about a hundredth of a second."""


def phases(stack: Stack) -> Iterator[tuple[Stack, int]]:
    """A stack with its epochs; where the networks grow, as two stacks: of the old width, and of the new one.

    Noise is measured at the end, so only the last one has it.
    """
    run = stack.runs[0]
    if run.growth is None:
        yield stack, run.epochs
    else:
        first, last = run.growth.at_epoch, run.epochs - run.growth.at_epoch
        for width, noise, epochs in ((run.width, (), first), (run.growth.to_width, run.noise, last)):
            runs = tuple(replace(one, width=width, noise=noise, growth=None) for one in stack.runs)
            yield replace(stack, runs=runs), epochs


def time_deviation(stack: Stack, data: Data) -> float:
    """Seconds that one deviation of noise takes after the training of a stack; 0 where there is none."""
    with np.errstate(all="ignore"):
        group = Group(stack.runs, data)
        start = time.perf_counter()
        for rows in group.noisy():
            group.score(rows)
            return time.perf_counter() - start
        return 0.0


def demands(stack: Stack) -> tuple[Any, ...]:
    """What decides how long an epoch of a run takes, the width first and the data last."""
    run = stack.runs[0]
    net = (run.width, run.depth, run.optimizer.name, max(map(multipliers, stack.runs)), run.precision)
    return (*net, run.batch_size, bool(run.noise), str(run.dataset), run.subset)


def unlike(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[int, float]:
    """How far demands are from each other: in how many respects, and in width.

    >>> unlike((8, "adam"), (32, "sgd")) > unlike((8, "adam"), (32, "adam")) > unlike((8, "adam"), (16, "adam"))
    True
    """
    return sum(a != b for a, b in zip(one, other, strict=True)), abs(math.log(one[0] / other[0]))


def estimate(stacks: Sequence[Stack], workers: int, load: Callable[[Stack], Data]) -> Estimate:
    """Seconds and bytes that the stacks would take, from a few timed steps of one stack of each shape.

    `load` maps a stack to its data. Of many shapes some are timed, from the dearest to the cheapest; the others count
    like those that are most like them.
    """
    parts = [*chain.from_iterable(map(phases, stacks))]
    examples: dict[tuple[Any, ...], Stack] = {}
    for part, _ in parts:
        examples.setdefault(demands(part), part)
    shapes, count = [*examples], min(len(examples), MOST_TIMED)
    chosen = [shapes[len(shapes) * i // count] for i in range(count)]
    timed: dict[tuple[Any, ...], tuple[float, float]] = {}
    for one in sorted(chosen, key=lambda one: str(one[-2:])):  # those with the same data together, since few are kept
        data, n_runs = load(examples[one]), len(examples[one].runs)
        timed[one] = time_epoch(examples[one], data) / n_runs, time_deviation(examples[one], data) / n_runs
    known = {one: timed[min(timed, key=functools.partial(unlike, one))] for one in shapes}
    seconds = 0.0
    for part, epochs in parts:
        per_epoch, per_deviation = known[demands(part)]
        each = per_epoch * epochs + per_deviation * len(part.runs[0].noise)
        seconds += each * len(part.runs) / max(1, workers)
    runs = [run for stack in stacks for run in stack.runs]
    seconds += sum(RUN_SECONDS + POINT_SECONDS * run.epochs for run in runs) + (STARTUP_SECONDS if runs else 0)
    return Estimate(seconds, disk_bytes(runs), len(timed))
