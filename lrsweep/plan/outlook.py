"""What elimination, extending and refining can do to the number of a sweep's runs, as far as is known beforehand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from lrsweep import datasets
from lrsweep.analysis.additions import ALONE, SAME, Extend
from lrsweep.analysis.elimination import Halving, Screen, rungs
from lrsweep.analysis.widen import onwards
from lrsweep.plan.planned import PlannedRun
from lrsweep.plan.shorter import shortened
from lrsweep.spec import Spec
from lrsweep.vocabulary import Run

Setting = Sequence[PlannedRun]
"""The runs of one setting: all its rates and seeds."""


def searches(spec: Spec) -> bool:
    """Whether the file asks for elimination, extending or refining."""
    return any((spec.elimination.screen, spec.elimination.halving, spec.extend, spec.refine))


def outlook(spec: Spec, settings: Collection[Setting]) -> dict[str, Any] | None:
    """What the file asks for beside its runs, as plain values with the runs that it can cost; None if nothing."""
    if not searches(spec):
        return None
    screen, halving, extend, refine = spec.elimination.screen, spec.elimination.halving, spec.extend, spec.refine
    return {
        "screen": asdict(screen) | {"runs": len(sampled(settings, screen))} if screen else None,
        "halving": asdict(halving) | {"rungs": ladders(settings, halving)} if halving else None,
        "extend": asdict(extend) | most(settings, [beyond(own, extend) for own in settings]) if extend else None,
        "refine": asdict(refine) | most(settings, [refine.max_rates] * len(settings)) if refine else None,
    }


def rates_of(setting: Setting) -> list[float]:
    """The rates of a setting, ascending."""
    return sorted({one.run.learning_rate for one in setting})


def seeds_of(setting: Setting) -> list[int]:
    """The seeds of a setting, in order."""
    return list(dict.fromkeys(one.run.seed for one in setting))


def sample_rows(one: PlannedRun, screen: Screen) -> int:
    """The training rows that a run has in the sample: never more than it has itself."""
    if isinstance(screen.subset, int):
        return min(screen.subset, one.n_train)
    return min(datasets.split_sizes(len(one.data.y), replace(one.run, subset=screen.subset))[0], one.n_train)


def sampled(settings: Iterable[Setting], screen: Screen) -> set[Run]:
    """The runs of the sample: settings that differ in what it leaves out share them."""
    runs = set()
    for setting in settings:
        seeds = seeds_of(setting)[: screen.seeds]
        runs |= {shortened(one, screen.epochs, sample_rows(one, screen)) for one in setting if one.run.seed in seeds}
    return runs


def full(one: PlannedRun, halving: Halving) -> int:
    """What a run has of the resource of successive halving: epochs, or training rows."""
    return one.run.epochs if halving.resource == "epochs" else one.n_train


def ladders(settings: Iterable[Setting], halving: Halving) -> list[dict[str, Any]]:
    """The rungs, for each number of epochs or training rows that runs have in full."""
    sizes = dict.fromkeys(full(setting[0], halving) for setting in settings)
    return [{"full": size, "at": rungs(halving, size)} for size in sizes]


def beyond(setting: Setting, extend: Extend) -> int:
    """How many rates can be added to a setting beyond one of its edges."""
    rates = rates_of(setting)
    counts = []
    for grid, alone in ((rates, ALONE), (rates[::-1], -ALONE)):
        near = (abs(math.log10(rate / grid[-1])) <= extend.max_decades + SAME for rate in onwards(grid, alone))
        counts.append(sum(itertools.takewhile(bool, near)))
    return max(counts)


def most(settings: Iterable[Setting], rates: Sequence[int]) -> dict[str, int]:
    """How many rates may be added to one setting, and runs to all."""
    runs = sum(more * len(seeds_of(setting)) for setting, more in zip(settings, rates, strict=True))
    return {"rates": max(rates), "runs": runs}
