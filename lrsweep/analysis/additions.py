"""Which rates to add to a sweep: beyond an edge until the best is bracketed, and round the fitted one.

Both look at the runs alone: from the same runs the same rates, whatever was interrupted in between.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lrsweep.analysis.curves import Seeds, ranking_rows
from lrsweep.analysis.diagnosis import NEAR_CHANCE, chance
from lrsweep.analysis.fit import LOPSIDED, REACH, Fit, fit
from lrsweep.analysis.profiles import Profile, profiles
from lrsweep.analysis.ranking import (
    MOST_FREEDOM,
    RATE,
    by_setting,
    lower_is_better,
    objective_column,
    rank,
    t_quantile,
)
from lrsweep.analysis.widen import ABOVE, ALONE, BELOW, SAME, Side, allowed, onwards, tidy
from lrsweep.vocabulary import Array, Scalar

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 0.04
"""Decades: rates that are nearer to one that was tried tell nothing new."""

GAIN = 0.9
"""A round that leaves the fitted rate's interval longer than this share of what it was shows that seeds are lacking:
going on with grids of three rates per decade and 5 seeds shortened it by 4% for twice as many rates."""

AT_ONCE = 1
"""Rates that a round of extending adds to a side. More at once take fewer rounds, of about 0.2 s each beside the
training, and add rates that need not be; see tests/studies/extension.py."""

GRID_SHARE = 0.5
"""Of half the interval that is asked for, what the parabola's own error may come to where rates are added."""

NORMAL = t_quantile(MOST_FREEDOM)

OUTER_FIRST = np.arange(8, 1, -1) / 8
"""Where a round would add a rate, in shares of the reach."""

CELLS = (0.25, 0.125)
"""Decades: the places for refining halve the gaps of the file's grid down to the first of these, and where none of them
is left near enough, to the next. More seeds or another `decades` move the fitted rate a little, but mostly ask for the
same places again; see tests/studies/extension.py."""


@dataclass(frozen=True)
class Extend:
    """Rates beyond an edge by the grid's own step, until the best is bracketed or so many decades are added."""

    max_decades: float = 2.0


@dataclass(frozen=True)
class Refine:
    """Rates round the fitted one until its interval is narrower than so many decades, at most so many rates."""

    decades: float = 0.2
    max_rates: int = 6


@dataclass(frozen=True)
class Addition:
    """Rates to add to a setting, ascending, and what for."""

    setting: Mapping[str, Scalar | None]
    rates: tuple[float, ...]
    why: Literal["extend", "refine"]


def additions(
    runs: pd.DataFrame,
    about: Mapping[str, Any],
    grids: Mapping[tuple[Scalar | None, ...], tuple[float, ...]],
    extend: Extend | None,
    refine: Refine | None,
) -> list[Addition]:
    """What the runs so far, all of them done, ask for; at most one addition for each setting, and none at the end.

    `grids` are the rates that the file itself names, by a setting's values in the order of `varying`. Rates that were
    dropped on a sample, and never trained, count as not tried; extending takes them up before others. A pure function:
    from the same runs the same rates, whatever was interrupted. Extending comes first; refining is for settings whose
    best is bracketed, and learned something.
    """
    lower, found = lower_is_better(objective_column(about)), []
    for profile, tried in zip(profiles(runs, about), tried_rates(runs, about), strict=True):
        grid = sorted(grids[tuple(profile.setting.values())])
        sides = tried.open_sides()
        beyond = [rate for side in sides for rate in tried.beyond(side, grid, extend.max_decades)] if extend else []
        near = refining(profile, grid, lower, refine) if refine and tried.refinable and not sides else ()
        if beyond or near:
            found.append(Addition(profile.setting, (*sorted(beyond), *near), "extend" if beyond else "refine"))
    return found


def tried_rates(runs: pd.DataFrame, about: Mapping[str, Any]) -> list[Tried]:
    """What became of each setting's rates, settings in order of appearance."""
    ranking, column = rank(runs, about), objective_column(about)
    seeds = Seeds(ranking_rows(ranking, runs, about)[0], len(ranking))
    end, start = runs.reindex(columns=["train_loss", "initial_loss"]).to_numpy(float).T
    chances = chance(runs, about)
    names = (RATE, "rank", "n_seeds", "n_lost", "n_failed", "n_stopped", "n_shaky", "stopped_after", "objective_mean")
    told = {name: ranking[name].to_numpy() for name in names}
    worth = told["objective_mean"] / seeds.median(chances) if lower_is_better(column) else np.zeros(len(ranking))
    with np.errstate(all="ignore"):
        of_start, of_chance = seeds.median(end / start), seeds.median(end / chances)
    every = {
        "trained": (told["n_stopped"] == 0) | (told["stopped_after"] > 0),
        "broke": told["n_shaky"] > told["n_failed"] + told["n_stopped"],
        "of_start": of_start,
        "of_chance": of_chance,
        "worthless": worth >= 1,
        "best": (told["rank"] == 1) & (told["n_lost"] < told["n_seeds"]),
    }
    groups = by_setting(ranking, about)
    return [Tried(told[RATE][own].tolist(), **{name: values[own] for name, values in every.items()}) for own in groups]


@dataclass(frozen=True)
class Tried:
    """The K rates of a setting, ascending, and what became of them.

    (K,) each: whether it was `trained`, or dropped before on a sample; whether a seed `broke` down, diverged or above
    its untrained loss; the training loss over that of the start, and over that at chance, medians over seeds, nan where
    no seed tells; whether the objective is `worthless`, a loss no better than chance; whether it is the `best`, which
    none is where no seed finished with any.
    """

    rates: list[float]
    trained: Array
    broke: Array
    of_start: Array
    of_chance: Array
    worthless: Array
    best: Array

    @property
    def refinable(self) -> bool:
        """Whether the best is between rates that were trained, and learned something: else it is so by chance."""
        sound = self.best & self.learned & ~self.worthless
        return bool(sound[self.trained][1:-1].any())

    @property
    def learned(self) -> Array:
        """Whether a rate did not break, and came below the loss at chance, or to some loss where that is not known."""
        learned: Array = ~self.broke & ~np.isnan(self.of_start) & ~(self.of_chance >= 1 - NEAR_CHANCE)
        return learned

    def open_sides(self) -> tuple[Side, ...]:
        """Beyond which ends of the rates that were trained the best may be.

        Where no rate learned, the best of them says nothing, and what happened decides: up, unless a rate broke; then
        down, unless the lowest one hardly moved, so that there is something between the two.
        """
        if not self.learned.any():
            known = self.trained & (self.broke | ~np.isnan(self.of_start))  # else every run failed, or was stopped
            if not self.broke.any():
                return (1,) if known.any() else ()
            lowest = int(known.argmax())
            still = not self.broke[lowest] and abs(self.of_start[lowest] - 1) < NEAR_CHANCE
            return () if still else (-1,)
        best, broke = self.best[self.trained], self.broke[self.trained]
        return (*((-1,) if best[0] else ()), *((1,) if best[-1] and not broke[-1] else ()))

    def beyond(self, side: Side, grid: list[float], most: float) -> list[float]:
        """The next rate beyond an end: one that was dropped on a sample, or the next of the grid's own steps.

        None where that is more than so many decades beyond the grid of the file.
        """
        at = -1 if side > 0 else 0
        end = self.rates[np.flatnonzero(self.trained)[at]]
        dropped = [rate for rate, trained in zip(self.rates, self.trained, strict=True) if not trained]
        own = itertools.chain(dropped[::side], allowed(grid, side, most))
        further = (rate for rate in own if side * (rate - end) > 0)
        return [*itertools.islice(further, AT_ONCE)]


def refining(profile: Profile, grid: list[float], lower: bool, refine: Refine) -> tuple[float, ...]:
    """The rates to add round the fitted one, ascending; none where its interval is short enough or cannot be helped.

    Which rates were added in which round is not stored, so it goes through the rounds again, from the rates of the file
    and those beyond it: the first round that asks for a rate which is not there is the next one.
    """
    own = own_steps(profile.rates, grid)
    known, lattice = np.isin(profile.rates, own), [halvings(own, cell) for cell in CELLS]
    added, before = 0, math.inf
    while True:
        some = profile.at(known)
        found = fit(some, lower)
        length = decades_of(found)
        if length <= refine.decades or (math.isfinite(before) and length > GAIN * before):
            return ()
        wanted = places_round(some, found, lower, refine.decades, lattice)[: refine.max_rates - added]
        new = [rate for rate in wanted if rate not in profile.rates]
        if new or not wanted:
            return tuple(sorted(new))
        added, before = added + len(wanted), length
        known |= np.isin(profile.rates, wanted)


def own_steps(rates: Array, grid: list[float]) -> list[float]:
    """The rates of the file, and those of its steps beyond that are within the rates tried."""
    below = itertools.takewhile(lambda rate: rate >= rates[0], onwards(grid[::-1], -ALONE))
    above = itertools.takewhile(lambda rate: rate <= rates[-1], onwards(grid, ALONE))
    return [*below, *grid, *above]


def decades_of(found: Fit) -> float:
    """How long a fitted rate's interval is: infinite without a fit, 0 where no rate can tell how sure it is."""
    if found.interval is None:
        return math.inf if found.rate is None else 0.0
    return math.log10(found.interval[1] / found.interval[0])


def halvings(rates: Sequence[float], most: float) -> Array:
    """The places between neighbouring rates, in log10, that halve the gaps until no cell is longer than `most` decades.

    >>> halvings([0.01, 0.1, 0.316228], 0.25).round(2)
    array([-1.75, -1.5 , -1.25, -0.75])
    """
    x = np.unique(np.log10(rates))
    parts = [2 ** max(1, math.ceil(math.log2(gap / (most + SAME)))) for gap in np.diff(x)]
    inside = [np.linspace(low, high, n + 1)[1:-1] for low, high, n in zip(x, x[1:], parts, strict=False)]
    return np.concatenate([np.empty(0), *inside])


def places_round(profile: Profile, found: Fit, lower: bool, decades: float, lattice: Sequence[Array]) -> list[float]:
    """A round of rates to add to each side of the fitted rate, or of the best where none is fitted.

    Within the reach whose parabola is sure enough, as far from those that were tried as may be, and the outer ones
    first, which tell more of where the minimum is. A rate that lost seeds, or an end of those tried, leaves less room.
    What is added is the nearest place to that of the `lattice`, whose levels have cells of CELLS.
    """
    means = profile.values.mean(axis=1) * (1 if lower else -1)
    if np.isnan(means).all():
        return []
    x, lost = np.log10(profile.rates), np.isnan(means) & ~profile.stopped
    best = int(np.nanargmin(means))
    centre = x[best] if found.rate is None else math.log10(found.rate)
    reach = min(math.sqrt(GRID_SHARE * decades / 2 / (NORMAL * LOPSIDED)), REACH)
    free = [places[distances(places, x) >= CLOSE] for places in lattice]
    rates = []
    for side in (BELOW, ABOVE):
        walls = side * (np.append(x[lost], x[[0, -1]]) - centre)
        wall = walls[walls >= 0].min(initial=math.inf)
        places = centre + side * min(reach, wall) * OUTER_FIRST
        apart = distances(places, x)
        own = [level[(side * (level - centre) > 0) & (side * (level - centre) < wall)] for level in free]
        place = nearest(places[apart.argmax()], own)
        if apart.max() >= CLOSE and place is not None:
            rates.append(tidy(10**place))
    return rates


def nearest(wanted: float, lattice: Sequence[Array]) -> float | None:
    """The nearest place of the coarsest level that has one within a cell."""
    for places, cell in zip(lattice, CELLS, strict=True):
        off = np.abs(places - wanted)
        if off.min(initial=math.inf) <= cell:
            return float(places[off.argmin()])
    return None


def distances(places: Array, tried: Array) -> Array:
    """How far each of some places is from the nearest that was tried, in decades: (P,), (K,) -> (P,)."""
    apart: Array = np.abs(places[:, None] - tried).min(axis=1).round(6)
    return apart
