"""Trains the ramps and the short runs, and hands on what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from lrsweep.analysis.range_trust import Confirmation, confirmation
from lrsweep.analysis.ranges import RangeTest, range_test
from lrsweep.analysis.ranking import lower_is_better, objective_column
from lrsweep.engine.model import stacking_is_exact
from lrsweep.engine.ramp import ramp, steps_at_peak
from lrsweep.execute import data_for, execute, one_blas_thread, singles
from lrsweep.finding.cases import Case
from lrsweep.plan import PlannedRun, estimate, make_stacks
from lrsweep.spec import Spec
from lrsweep.sweep import cores
from lrsweep.vocabulary import DIVERGED, Array, Outcome, Stack

PATIENCE = 2.0
"""Seconds of training from which on workers pay, whose start takes half a second."""

RATE_FREE = "prodigy"
"""The optimizer that learns from its steps how far to go, so that a ramp is no test of the rate: of 12 settings the
interval held the best rate of a full sweep in one."""

Watch = Callable[[int, int], None]
"""What is told how many ramps and short runs are done, and how many there are."""


@dataclass
class Counter:
    """Counts ramps and short runs for who watches."""

    watch: Watch | None
    done: int = 0
    total: int = 0

    def more(self, number: int) -> None:
        """There are so many more to do."""
        self.total += number
        self.advance(0)

    def advance(self, number: int) -> None:
        """So many more are done."""
        self.done += number
        if self.watch:
            self.watch(self.done, self.total)


def stacks_of(runs: Iterable[PlannedRun], workers: int) -> list[Stack]:
    """Stacks of runs, each once; one by one on a machine where stacks are not exact."""
    stacks = make_stacks([*{one.run_id: one for one in runs}.values()], workers)
    return stacks if not stacks or stacking_is_exact() else [single for stack in stacks for single in singles(stack)]


def range_tests(found: Sequence[Case], rates: Array, counter: Counter) -> list[RangeTest]:
    """The range test of each case: ramps of one shape are trained together, and equal ones once."""
    losses: dict[str, Array] = {}
    stacks = stacks_of((one for case in found for one in case.ramps()), 0)
    counter.more(sum(len(stack.runs) for stack in stacks))
    with one_blas_thread():
        for stack in stacks:
            losses.update(zip(stack.ids, ramp(stack, data_for(stack), rates), strict=True))
            counter.advance(len(stack.runs))
    return [judged(case, rates, np.stack([losses[one.run_id] for one in case.ramps()])) for case in found]


def judged(case: Case, rates: Array, losses: Array) -> RangeTest:
    """What the ramps of a case, with losses (S, T), say to runs that are as long as its own."""
    one = case.runs[0]
    test = range_test(case.setting, rates, losses, case.seeds, steps_at_peak(one.run, one.n_train), case.layers)
    if one.run.optimizer.name != RATE_FREE or test.suggestion is None:
        return test
    return replace(test, doubts=(*test.doubts, f"{RATE_FREE} finds its own step, which a ramp leads astray: try 1 too"))


def trained(runs: Sequence[PlannedRun], workers: int | None, counter: Counter) -> dict[str, Outcome]:
    """The runs' outcomes by run_id: in workers where that pays, if their number is not given."""
    count = cores() if workers is None else workers
    stacks = stacks_of(runs, count)
    counter.more(sum(len(stack.runs) for stack in stacks))
    if workers is None and stacks:
        with one_blas_thread():
            count = count if estimate(stacks, 0, data_for).seconds > PATIENCE else 0
    found: dict[str, Outcome] = {}
    with closing(execute(stacks, count)) as stream:
        for outcomes in stream:
            found |= {outcome.run_id: outcome for outcome in outcomes}
            counter.advance(len(outcomes))
    return found


def confirmed(
    spec: Spec, test: RangeTest, runs: Sequence[Sequence[PlannedRun]], outcomes: dict[str, Outcome]
) -> Confirmation | None:
    """What the short runs say to the suggestion; None where there are none."""
    if test.suggestion is None or not runs:
        return None
    column = objective_column({"objective": spec.objective, "select": spec.select})
    lower = lower_is_better(column)
    worst = np.inf if lower else -np.inf

    def value(outcome: Outcome) -> float:
        return worst if outcome.status == DIVERGED else outcome.metrics.get(column, np.nan)

    values = np.array([[value(outcomes[one.run_id]) for one in row] for row in runs])  # (K, S)
    return confirmation([row[0].run.learning_rate for row in runs], values, test.suggestion, lower)
