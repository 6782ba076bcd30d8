"""How fast each run of a stack goes at each step: its schedule, rates of its own for parameters, and its reactions."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from lrsweep.engine import scaling, schedules
from lrsweep.engine.optimizers import Pace, Rule
from lrsweep.engine.reactions import Reactions
from lrsweep.vocabulary import Array, Run


def policy(run: Run) -> str:
    """What becomes of a run's rate when its network grows."""
    return run.growth.rate if run.growth is not None else ""


def unit(rate: float) -> float:
    """What the gradients of a linear rule are multiplied by: the peak rate, unless their norm might leave float32."""
    return rate if 1e-12 < rate < 1e12 else 1.0


class Pacer:
    """The rates of a stack's runs. `units` are their networks', `grown_from` those that they had before they grew."""

    def __init__(self, runs: Sequence[Run], rule: type[Rule], units: tuple[int, ...], steps: int, dtype: type) -> None:
        self.runs, self.rule, self.steps, self.dtype = list(runs), rule, steps, dtype
        self.units, self.grown_from = units, units
        total = steps * runs[0].epochs
        self.rates = schedules.rate_table(runs, total)
        self.momenta = schedules.momentum_table(runs, total, rule.cycled)
        self.reactions = Reactions(runs)
        self.prepare()

    def prepare(self) -> None:
        """All that follows from the present runs and networks."""
        units = np.array([[unit(run.learning_rate) if self.rule.linear else 1.0] for run in self.runs])
        self.unit: Array = units.astype(self.dtype)
        self.columns = self.per_step(self.rates / units)
        self.moved = None if self.momenta is None else self.per_step(self.momenta)
        steady = self.rule.linear and bool((self.columns == 1).all()) and not self.reactions.parts
        self.pace = Pace(self.columns[0], *self.own_rates(), unit=self.unit, steady=steady)
        if self.grown_from != self.units:
            self.pace.young = scaling.only_new(self.grown_from, self.units)[None]

    def per_step(self, table: Array) -> Array:
        """A table (R, T) as a column for each step, (T, R, 1), ready to be multiplied with (R, P)."""
        return np.ascontiguousarray(table.T[:, :, None]).astype(self.dtype)

    def own_rates(self) -> tuple[Array | None, Array | None]:
        """Multipliers (R, P) of the parameters' movement and of their weight decay, None where all are 1."""
        m = scaling.width_ratio(self.runs[0])
        made = functools.cache(functools.partial(scaling.factors, self.units, self.rule.family, m))
        old = [self.grown_from if policy(run) == "new_neurons_only" else self.units for run in self.runs]
        pairs = [made(run.layer_rates, before) for run, before in zip(self.runs, old, strict=True)]
        movement, decay = zip(*pairs, strict=True)
        return self.unless_one(movement), self.unless_one(decay)

    def unless_one(self, arrays: Sequence[Array]) -> Array | None:
        """The multipliers (P,) of each run as one array (R, P), if any is not 1."""
        return None if all((own == 1).all() for own in arrays) else np.stack(arrays).astype(self.dtype)

    def keep(self, mask: Array) -> None:
        """Lets the runs outside the mask (R,) go."""
        self.runs = [run for run, kept in zip(self.runs, mask, strict=True) if kept]
        self.rates = self.rates[mask]
        self.momenta = None if self.momenta is None else self.momenta[mask]
        self.reactions.keep(mask)
        if self.runs:
            self.prepare()

    def grow(self, units: tuple[int, ...]) -> None:
        """Goes on with networks of these units."""
        self.grown_from, self.units = self.units, units
        self.reactions.forget(np.array([policy(run) == "restart" for run in self.runs]))
        self.prepare()

    def at(self, step: int) -> Pace:
        """The pace of a step, counted from 0; the same object for every step."""
        pace, growth = self.pace, self.runs[0].growth
        pace.rate = self.columns[step]
        if self.reactions.parts:
            pace.rate = pace.rate * self.reactions.factor[:, None].astype(self.dtype)
        if self.moved is not None:
            pace.momentum, pace.last_momentum = self.moved[step], self.moved[max(step - 1, 0)]
        if growth is not None:
            pace.age = step + 1 - self.steps * growth.at_epoch
        return pace

    def rates_at(self, step: int) -> Array:
        """The rates (R,) of a step of the present epoch, in float64."""
        rates: Array = self.rates[:, step] * self.reactions.factor
        return rates
