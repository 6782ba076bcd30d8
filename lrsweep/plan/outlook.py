"""What elimination, extending and refining can do to the number of a sweep's runs, as far as is known beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from lrsweep.analysis.additions import Extend
from lrsweep.analysis.elimination import Halving, Screen, rungs
from lrsweep.analysis.widen import ABOVE, BELOW, allowed
from lrsweep.plan.planned import PlannedRun
from lrsweep.plan.shorter import sample_of, smaller
from lrsweep.spec import Spec

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
        "screen": asdict(screen) | sampling(settings, screen) if screen else None,
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


def shared_seeds(setting: Setting) -> list[int]:
    """The seeds that all rates of a setting have, in order: those on which its rates are compared."""
    rates = len(rates_of(setting))
    return [seed for seed, count in Counter(one.run.seed for one in setting).items() if count == rates]


def sampling(settings: Iterable[Setting], screen: Screen) -> dict[str, Any]:
    """The sample: its runs, which settings that differ in what it leaves out share, its most epochs and seeds."""
    runs: dict[str, PlannedRun] = {}
    n_seeds = 0
    for setting in settings:
        seeds = shared_seeds(setting)[: screen.seeds] if len(rates_of(setting)) > 1 else []
        if smaller(sample_of(screen, setting[0]), setting[0]):
            found = [sample_of(screen, one) for one in setting if one.run.seed in seeds]
            runs |= {one.run_id: one for one in found}
            n_seeds = max(n_seeds, len(seeds))
    epochs = max((one.run.epochs for one in runs.values()), default=screen.epochs)
    return {"runs": len(runs), "epochs": epochs, "seeds": n_seeds}


def full(one: PlannedRun, halving: Halving) -> int:
    """What a run has of the resource of successive halving: epochs, or training rows."""
    return one.run.epochs if halving.resource == "epochs" else one.n_train


def ladders(settings: Iterable[Setting], halving: Halving) -> list[dict[str, Any]]:
    """The rungs, for each number of epochs or training rows that runs have in full."""
    sizes = dict.fromkeys(full(setting[0], halving) for setting in settings)
    return [{"full": size, "at": rungs(halving, size)} for size in sizes]


def beyond(setting: Setting, extend: Extend) -> int:
    """How many rates can be added to a setting beyond one of its edges."""
    grid, sides = rates_of(setting), (BELOW, ABOVE)
    return max(sum(1 for _ in allowed(grid, side, extend.max_decades)) for side in sides)


def most(settings: Iterable[Setting], rates: Sequence[int]) -> dict[str, int]:
    """How many rates may be added to one setting, and runs to all."""
    runs = sum(more * len(seeds_of(setting)) for setting, more in zip(settings, rates, strict=True))
    return {"rates": max(rates), "runs": runs}
