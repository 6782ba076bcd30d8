"""What is tested: each setting of a sweep, its groups of layers, and the runs that its ramps and short runs are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lrsweep import coordcheck
from lrsweep.analysis.findings import named
from lrsweep.engine.ramp import layer_groups, only
from lrsweep.plan import Plan, PlannedRun
from lrsweep.plan.mistakes import nearest
from lrsweep.plan.planned import planned_run
from lrsweep.plan.shorter import shortened
from lrsweep.vocabulary import Scalar

LOW, HIGH, STEPS = 1e-7, 10.0, 100
"""The ramp, unless options say otherwise: fastai's rates and number of steps."""

FACTORS = (0.1, 1 / 3, 1.0, 3.0, 10.0)
"""What the suggestion is multiplied by in the short runs that confirm it."""

SHARE, FEWEST_EPOCHS = 2, 2
"""The short runs have one in so many of the epochs, and no fewer than that. Shorter ones favour larger rates: of 109
suggestions those that half of the epochs confirmed were within half a decade of the best rate in 80%, those they did
not in 12%; with a quarter of the epochs it was 74% and 27%; see tests/studies/ranges.py."""

NO_PART = {"learning_rate": 1.0, **coordcheck.NO_PART}
"""What of a run plays no part in a ramp, with what stands in its place: runs that differ in nothing else share one."""


@dataclass(frozen=True)
class Case:
    """A setting of the sweep, or one of its groups of layers: its runs, one for each seed, and the ramps of these.

    `setting` has the settings that vary, `row` all of them; `name` says which it is.
    """

    setting: dict[str, Scalar | None]
    row: dict[str, Scalar | None]
    name: str
    layers: str
    runs: tuple[PlannedRun, ...]

    @property
    def seeds(self) -> list[int]:
        """Of its runs."""
        return [one.run.seed for one in self.runs]

    def ramps(self) -> list[PlannedRun]:
        """The runs without what plays no part."""
        return [planned(one, replace(one.run, **NO_PART)) for one in self.runs]


def cases(plan: Plan, layers: bool) -> list[Case]:
    """Every setting of the sweep; with `layers`, each followed by its groups of layers."""
    groups: dict[tuple[Scalar | None, ...], list[PlannedRun]] = {}
    rows: dict[tuple[Scalar | None, ...], dict[str, Scalar | None]] = {}
    for one in plan.runs:
        row = plan.rows()[one.shared]
        groups.setdefault(tuple(row.values()), []).append(one)
        rows[tuple(row.values())] = row
    varying = [key for key in plan.axes() if key not in ("learning_rate", "seed")]
    told = [{key: row[key] for key in varying} for row in rows.values()]
    names = named(told, plan.runs[0].run.optimizer.name)
    found = []
    for setting, row, name, runs in zip(told, rows.values(), names, groups.values(), strict=True):
        found.append(Case(setting, row, name, "", tuple(runs)))
        for group in layer_groups(runs[0].run.depth) if layers else ():
            parts = tuple(planned(one, only(one.run, group)) for one in runs)
            found.append(
                Case(setting, row, f"{name}, {group} {'layers' if group == 'hidden' else 'layer'}", group, parts)
            )
    return found


def planned(like: PlannedRun, run: Any) -> PlannedRun:
    """A run on the data of another."""
    return planned_run(run, like.data)


def short_runs(case: Case, suggestion: float | None) -> list[list[PlannedRun]]:
    """Short runs round a suggestion, a list for each rate that the precision keeps; none without a suggestion."""
    if suggestion is None:
        return []
    rates = [suggestion * factor for factor in FACTORS]
    return [
        [
            planned(one, replace(shortened(one, few(one.run.epochs)), learning_rate=rate))
            for one in case.runs
        ]
        for rate in rates
        if 0 < nearest(rate, case.runs[0].run) < np.inf
    ]  # fmt: skip


def few(epochs: int) -> int:
    """The epochs of a short run.

    >>> few(20), few(3), few(1)
    (10, 2, 1)
    """
    return min(epochs, max(FEWEST_EPOCHS, epochs // SHARE))
