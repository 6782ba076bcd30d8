"""What every update rule shares: its interface, and how a step's rate and weight decay reach the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from lrsweep.vocabulary import Array, setting

Column = Any
"""A number in the sweep file; in a stack a column (R, 1), or (1, 1) where it is the same for all."""


def is_zero(setting: Column) -> bool:
    """Whether a setting is zero for all runs of the stack, so that its term can be skipped; see `build`."""
    return np.size(setting) == 1 and not np.any(setting)


@dataclass
class Pace:
    """How fast a step goes. The training loop owns it, and moves it on from step to step.

    `rate` (R, 1) is the schedule's. `factors` (R, P) multiply it where parameters have rates of their own, and `decay`
    (R, P) multiplies their weight decay, so that a parametrization leaves rate × decay as it is. `momentum` and
    `last_momentum` (R, 1) are this step's and the one before's where the schedule moves it, else None.

    A rule that is `linear` in the gradient is given gradients times a `unit` (R, 1), the peak rate, and rates that are
    shares of it: so the peak rate multiplies the derivatives of some logits, not a gradient (R, P). Where these shares
    are 1 throughout, the pace is `steady`.

    In a network that has grown `young`, (1, P), is 1 for the new parameters, else 0, and `age` counts their steps.
    """

    rate: Array
    factors: Array | None = None
    decay: Array | None = None
    momentum: Array | None = None
    last_momentum: Array | None = None
    unit: Array | float = 1.0
    steady: bool = False
    young: Array | None = None
    age: int = 0

    def __post_init__(self) -> None:
        held = None if self.factors is None else self.factors == 0
        self.held = held if held is not None and held.any() else None

    def times(self, direction: Array, out: Array, share: Column = None) -> None:
        """out ← rate · share · direction. `out` may be the direction itself; `share` is a column."""
        column = self.rate if share is None else (self.rate * share).astype(out.dtype)
        np.multiply(direction, column, out=out)
        if self.factors is not None:
            out *= self.factors

    def descend(self, params: Array, direction: Array, out: Array, share: Column = None) -> None:
        """params ← params − rate · share · direction; `out` may be overwritten, and may be the direction."""
        if self.steady and self.factors is None and share is None:
            params -= direction
        else:
            self.times(direction, out, share)
            params -= out

    def of_age(self, make: Callable[[int], Column], t: int) -> Column:
        """What `make` says after t steps: (R, 1), or (R, P) where some parameters are younger.

        An average that starts at zero is corrected for the steps that it has seen. With the steps of the whole network,
        new parameters would go several times as far as the rate says, for some hundred steps.
        """
        column = make(t)
        return column if self.young is None else column + self.young * (make(self.age) - column)

    def hold(self, movement: Array) -> None:
        """Sets a movement that the rate does not multiply to zero where parameters are to stay, with factors of 0."""
        if self.held is not None:
            np.copyto(movement, 0, where=self.held)

    def penalize(self, grads: Array, params: Array, weight_decay: Column, scratch: Array) -> None:
        """L2 regularization: adds the gradient of ½·weight_decay·‖params‖²."""
        if not is_zero(weight_decay):
            np.multiply(params, self.unit * weight_decay, out=scratch)
            if self.decay is not None:
                scratch *= self.decay
            grads += scratch

    def shrink(self, params: Array, weight_decay: Column, scratch: Array) -> None:
        """Decoupled decay: params ← params − rate · weight_decay · params."""
        if not is_zero(weight_decay):
            self.times(params, scratch, weight_decay)
            if self.decay is not None:
                scratch *= self.decay
            params -= scratch

    def moved(self, setting: Column) -> Column:
        """The step's momentum: the schedule's where it moves it, else the setting."""
        return setting if self.momentum is None else self.momentum

    def carried(self, setting: Column) -> Column:
        """What a sum M of gradients is multiplied by before a new one is added, such that (1 − β)·M is their average.

        That is β, and β·(1 − β')/(1 − β) where it was β' a step ago.
        """
        if self.momentum is None or self.last_momentum is None:
            return setting
        moved = self.momentum * (1 - self.last_momentum) / (1 - self.momentum)
        return np.where(
            self.momentum == self.last_momentum, self.momentum, moved
        )  # β·x/x need not be β to the last bit


class Rule(Protocol):
    """What the training loop asks of a rule. Arrays are (R, P) and belong to the caller.

    `state` names the arrays that it carries from step to step, zero at the start but for its `points`, which start as
    the parameters; `scalars` names columns (R, 1) of float64 that it carries, zero at the start.
    `family` says whose column of muP's table it follows; `linear`, that its steps are sums of multiples of gradients;
    `cycled` is the setting that a schedule may move, if any.
    """

    state: ClassVar[tuple[str, ...]]
    points: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[tuple[str, ...]] = ()
    family: ClassVar[str] = "adam"
    linear: ClassVar[bool] = False
    cycled: ClassVar[str] = ""
    source: ClassVar[str]

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        """Updates `params` in place. `state` holds the arrays and then the scalars, `t` counts from 1.

        `grads` may be overwritten, and `scratch` holds nothing.
        """

    def evaluated(self, params: Array, state: Sequence[Array]) -> Array:
        """The parameters (R, P) that the run is measured at: those that it trains, unless a rule says otherwise."""
        return params


def weight(beta: Column, t: int) -> Column:
    """1 + β + … + β^(t−1) in float64: the total weight of t terms, by which a decaying sum becomes its average.

    >>> float(weight(0.5, 3))
    1.75
    """
    beta = np.asarray(beta, np.float64)
    return (1 - beta**t) / (1 - beta)


def decay_setting() -> Any:
    """The field of an L2 penalty."""
    return setting(0.0, "L2 penalty, added to the gradient", ge=0)
