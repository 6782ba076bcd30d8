"""Which rates go before they are trained in full: the rules of screening and of successive halving.

A stage, a sample or a rung, measures all rates of one setting that are still in; the rules are pure functions of what
it measured, so that the same bits give the same decisions however the runs were stacked or interrupted.

Both rest on what holds to first order: how far a run comes depends on rate × steps. After a share s of the steps, what
shows at the rate r is what the whole run shows at r · s; that shifts the profile's lower flank. Its upper flank stays,
since stability does not wait for steps. So the best rate of a whole run lies between s times the stage's best and that.
The training loss alone goes the other way: its best rate rises, since it pays to be fast as long as nothing overfits.

The rules were chosen on half of the settings of tests/studies/elimination.py, which has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lrsweep.analysis.diagnosis import NEAR_CHANCE
from lrsweep.analysis.ranking import ROUNDING, lower_is_better, significant
from lrsweep.vocabulary import CURVE_COLUMNS, Array

LEAST = {"epochs": 1, "subset": 0.1}
"""What the first rung has of each resource, where the sweep file does not say. Three epochs of 20 cost a quarter more
and kept no more best rates of the settings that the rules were chosen on."""

WAY = 0.8
"""The sample drops a rate that it expects to come less than this share of the way of the sample's best, in a full run.
Up to 0.9 no best rate went of 22, at 1 two; at 0.5 a sixth more of the cost stays."""


ALIKE = 1 + 1e-9
"""Rates that differ by less, as by rounding, are the same."""

LEVEL = 1.005
"""Times the leader's loss: below this a ratio of three digits reads 1."""


@dataclass(frozen=True)
class Screen:
    """All rates on a sample first: so much of the training rows, so many epochs and seeds."""

    subset: float | int = 0.1
    epochs: int = 3
    seeds: int = 2


@dataclass(frozen=True)
class Halving:
    """Successive halving: at each rung one in `factor` goes on, and from one to the next the resource grows by it.

    `resource` is what grows: the `epochs` of runs that go on, or the `subset` of training rows, on which runs start
    anew. `min` is what the first rung has of it: epochs, or a fraction or number of rows; None is the resource's
    default. A stable rate up to `guard` grid steps above the leader is never dropped.
    """

    factor: int = 2
    resource: Literal["epochs", "subset"] = "epochs"
    min: float | int | None = None
    guard: int = 3


@dataclass(frozen=True)
class Elimination:
    """What the sweep file says of elimination; screening comes first where it has both."""

    screen: Screen | None = None
    halving: Halving | None = None


@dataclass(frozen=True)
class Trial:
    """What a stage measured of one setting: K rates, ascending, that are still in, and S seeds.

    `places` (K,) are the rates' places in the setting's whole grid. `values` (K, S) is the objective at the end of the
    stage, nan where the run is lost by then; `losses` (K, S) the training loss of its last epoch, `untrained` (K, S)
    that before it. `validated` tells whether the objective is of the validation rows, and not of those trained on.
    `chance` is the loss of the best constant prediction. `share` is how many steps the stage has taken by its end, over
    those of the full run.
    """

    rates: Array
    places: Array
    values: Array
    losses: Array
    untrained: Array
    lower_is_better: bool
    validated: bool
    chance: float
    share: float


@dataclass(frozen=True)
class Decision:
    """What a stage decided of one rate; `elimination.csv` has a row of each.

    `rank` among the stage's rates, 1 the best. `value` is the mean of the objective, infinitely bad where a seed is
    lost. `margin` is how much worse that is than the leader's: for losses the ratio, for scores the difference; None
    where it cannot be said. `reason` says in words why it goes, or why it stays although its rank would not do.
    """

    rate: float
    kept: bool
    rank: int
    value: float
    margin: float | None
    reason: str


def stage_objective(objective: str) -> str:
    """The column of a curve that stands for the objective at a stage.

    Curves hold losses, and of the scores only the validation accuracy or R²; for all else the validation loss stands.

    >>> stage_objective("best_val_loss"), stage_objective("val_r2"), stage_objective("val_macro_f1")
    ('val_loss', 'val_accuracy', 'val_loss')
    """
    name = objective.removeprefix("best_")
    name = "val_accuracy" if name == "val_r2" else name  # as CURVE_COLUMNS have it
    return name if name in ("train_loss", "val_loss", "val_accuracy") else "val_loss"


def trial(
    rates: Sequence[float],
    places: Sequence[int],
    curves: Sequence[Sequence[Array | None]],
    objective: str,
    select: str,
    chance: float,
    share: float,
) -> Trial:
    """What the curves, of each rate and seed, (epochs + 1, len(CURVE_COLUMNS)), tell up to the stage's end.

    None, or a curve that ends before the longest or is not finite at its end, is of a run that is lost.
    """
    column = stage_objective(objective)
    lower, best = lower_is_better(column), select == "best" or objective.startswith("best_")
    ends = max((len(curve) for row in curves for curve in row if curve is not None), default=0)
    measured = np.full((3, len(rates), max(map(len, curves), default=0)), np.nan)
    for k, row in enumerate(curves):
        for s, curve in enumerate(row):
            if curve is not None and len(curve) == ends > 1:
                met, loss = (curve[:, CURVE_COLUMNS.index(name)] for name in (column, "train_loss"))
                value = (np.fmin if lower else np.fmax).reduce(met[1:]) if best else met[-1]
                measured[:, k, s] = value if np.isfinite(met[-1]) else np.nan, loss[-1], loss[0]
    order = np.argsort(rates, kind="stable")
    values, losses, untrained = measured[:, order]
    grid = np.asarray(rates, float)[order], np.asarray(places, int)[order]
    return Trial(*grid, values, losses, untrained, lower, column != "train_loss", chance, share)


def screened(found: Trial) -> tuple[Decision, ...]:
    """What a sample decides: extremes at both ends go, never the middle. A decision for each rate, in their order.

    From the top go consecutive rates at which a seed is lost or ends above its untrained loss, or all are at chance.
    From the bottom go those that are not to come WAY of where the sample's best came, in a full run: no rate up to
    r / share came there in the sample, and the full run takes r as far as that. Where all rates fail, or none moves,
    nothing tells them apart, and all stay.

    It may miss a rate that is unstable at first and comes back after more steps than the sample has.
    """
    gone = lost(found)
    told = [_failure(*flags) for flags in zip(gone, stable(found), at_chance(found), strict=True)]
    place = np.arange(len(told))
    top = 1 + max((k for k in place.tolist() if not told[k]), default=-1)
    reached = way(found)
    best = reached[:top].max(initial=-np.inf)
    if not best > NEAR_CHANCE:
        why = "no rate moves on the sample" if top else "every rate fails on the sample"
        return _decisions(found, place >= 0, [f"{why}: nothing is dropped"] * len(told))
    far = np.maximum.accumulate(reached)[np.searchsorted(found.rates, found.rates / found.share * ALIKE, "right") - 1]
    bottom = int((far >= WAY * best).argmax())
    slow = "hardly moves, and would not go far in the full run"
    fails = (place >= top) | ((place < bottom) & (gone > 0))
    reasons = [told[k] if fails[k] else slow if k < bottom else "" for k in place.tolist()]
    return _decisions(found, (bottom <= place) & (place < top), reasons)


def halved(found: Trial, halving: Halving) -> tuple[Decision, ...]:
    """What a rung decides. A decision for each rate, in their order.

    The best one in `factor` go on, rounded up. So do, if they are stable:
    - the rates up to `guard` grid steps above the leader;
    - where the objective is of the validation rows, those below it down to `share` times its rate: the rest of the run
      takes these to where the leader is now and beyond, so that being behind says nothing yet;
    - at the last rung the next one below the leader, so that whole runs bracket the best.
    """
    ranks, _, margins = standings(found)
    count, leader = len(ranks), ranks.argmin()
    quota = -(-count // halving.factor)
    go_on = f"{quota} go" if quota > 1 else "one goes"
    above, safe = found.places - found.places[leader], stable(found)
    guarded = safe & (above > 0) & (above <= halving.guard)
    in_reach = found.rates * ALIKE >= found.rates[leader] * found.share
    behind = safe & (above < 0) & in_reach & found.validated
    bracket = safe & (above == -1) & (found.share * halving.factor >= 1)
    reasons = []
    for k, rank in enumerate(ranks.tolist()):
        steps = abs(int(above[k]))
        off = f"{steps} step{'s' if steps > 1 else ''}"
        if rank <= quota:
            reasons.append("")
        elif guarded[k]:
            reasons.append(f"{off} above the leader and stable")
        elif behind[k]:
            reasons.append(f"{off} below the leader: the rest of the run takes it to where the leader is now")
        elif bracket[k]:
            reasons.append("next below the leader, so that the best is bracketed")
        else:
            reasons.append(f"rank {rank} of {count}{_apart(found, k, margins[k])}; the best {go_on} on")
    return _decisions(found, (ranks <= quota) | guarded | behind | bracket, reasons)


def rungs(halving: Halving, full: int) -> list[int]:
    """The epochs, or training rows, at which is decided, ascending; `full`, where a run ends, is not among them.

    After the first, none has more than half of the rows: what goes on starts anew, and would pay for them twice.

    >>> rungs(Halving(), 20), rungs(Halving(min=3, factor=3), 20), rungs(Halving(), 1)
    ([1, 2, 4, 8, 16], [3, 9], [])
    >>> rungs(Halving(resource="subset"), 1000), rungs(Halving(resource="subset", min=50, factor=3), 1000)
    ([100, 200, 400], [50, 150, 450])
    """
    least = LEAST[halving.resource] if halving.min is None else halving.min
    rung = max(1, math.floor(least * full)) if least < 1 else int(least)
    ladder: list[int] = []
    while rung < full and (not ladder or halving.resource == "epochs" or 2 * rung <= full):
        ladder.append(rung)
        rung *= halving.factor
    return ladder


def standings(found: Trial) -> tuple[Array, Array, list[float | None]]:
    """Rank, mean objective and margin of each rate, (K,); a lost seed puts a rate behind every rate with fewer.

    Means that are equal to 12 digits are ranked the lower rate first, as in the ranking of whole runs.
    """
    sign, gone = (1 if found.lower_is_better else -1), lost(found)
    # Sorted: the order of seeds changes no bit. Where as many are lost, sums are ranked as their means would be.
    means = np.nansum(np.sort(found.values, axis=1), axis=1) / found.values.shape[1]
    order = np.lexsort((found.rates, significant(sign * means), gone))
    ranks = np.empty(len(order), int)
    ranks[order] = 1 + np.arange(len(order))
    values = np.where(gone > 0, sign * np.inf, means)
    leader = float(values[order[0]])
    return ranks, values, [_margin(value, leader, found.lower_is_better) for value in values.tolist()]


def lost(found: Trial) -> Array:
    """How many seeds of each rate are lost, (K,)."""
    return np.asarray(np.isnan(found.values).sum(axis=1))


def stable(found: Trial) -> Array:
    """Whether no seed of a rate is lost or ends above its untrained training loss, (K,)."""
    return np.asarray((~np.isnan(found.values) & (found.losses <= found.untrained * (1 + ROUNDING))).all(axis=1))


def at_chance(found: Trial) -> Array:
    """Whether no seed of a rate is better than the best constant prediction, (K,)."""
    return np.asarray(~(found.losses < (1 - NEAR_CHANCE) * found.chance).any(axis=1))


def way(found: Trial) -> Array:
    """The share of its training loss that each rate has lost, mean over seeds, (K,); -inf where a seed is lost."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.sort(1 - found.losses / found.untrained, axis=1).mean(axis=1)
    return np.where((lost(found) == 0) & np.isfinite(shares), shares, -np.inf)


def _decisions(found: Trial, kept: Array, reasons: Sequence[str]) -> tuple[Decision, ...]:
    """The decisions, of arrays (K,)."""
    ranks, values, margins = standings(found)
    columns = (found.rates.tolist(), kept.tolist(), ranks.tolist(), values.tolist(), margins, reasons)
    return tuple(Decision(*row) for row in zip(*columns, strict=True))


def _failure(gone: int, steady: bool, none: bool) -> str:
    """What is wrong with a rate on the sample; nothing perhaps."""
    if gone:
        return "diverged or failed on the sample"
    if not steady:
        return "above its untrained loss on the sample"
    return "at chance on the sample" if none else ""


def _apart(found: Trial, k: int, margin: float | None) -> str:
    """How far a rate is behind the leader, in words."""
    gone, seeds = lost(found)[k], found.values.shape[1]
    if gone:
        return f", {gone} of {seeds} seeds lost"
    if margin is None:
        return ""
    if not found.lower_is_better:
        return f", {margin:.3g} below the leader" if margin > ROUNDING else ", level with the leader"
    if margin < LEVEL:
        return ", within 1% of the leader's loss"
    return f", {margin:.3g} times the leader's loss" if margin < 1000 else ", over 1000 times the leader's loss"


def _margin(value: float, leader: float, ratio: bool) -> float | None:
    """How much worse a value is than the leader's; None where it cannot be said."""
    if not (math.isfinite(value) and math.isfinite(leader)):
        return None
    if not ratio:
        return leader - value
    return value / leader if leader > 0 else None
