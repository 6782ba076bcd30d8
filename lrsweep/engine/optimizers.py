"""Update rules. Each is a class of settings with a `step` that works in place on arrays which the caller owns.

A setting is a number in the sweep file and a column (R, 1) in a stack, rounded to the runs' precision first.
`state` names the arrays, shaped like the parameters and zero at the start, that a rule carries from step to step.
To add a rule, write its class and name it in OPTIMIZERS: keys, help, schema and contract tests follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from lrsweep.vocabulary import Array, setting

Column = Any
"""A number in the sweep file; (R, 1) in a stack."""


class Optimizer(Protocol):
    """What the training loop asks of a rule."""

    state: ClassVar[tuple[str, ...]]
    source: ClassVar[str]

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        """Update `params`. Arrays are (R, P), `rate` is (R, 1); `t` counts from 1; `grads` may be overwritten."""


def is_zero(setting: Column) -> bool:
    """Whether a setting is zero for all runs of the stack, so that its term can be skipped; see `build`."""
    return isinstance(setting, float)


def add_decay(grads: Array, params: Array, weight_decay: Column, scratch: Array) -> None:
    """L2 regularization: adds the gradient of ½·weight_decay·‖params‖²."""
    if not is_zero(weight_decay):
        np.multiply(params, weight_decay, out=scratch)
        grads += scratch


def descend(params: Array, direction: Array, rate: Array, scratch: Array) -> None:
    """params ← params − rate · direction. `scratch` may be the direction itself, or grads that are no longer needed."""
    np.multiply(direction, rate, out=scratch)
    params -= scratch


@dataclass(frozen=True)
class SGD:
    """p ← p − rate·g, the plain gradient step."""

    weight_decay: Column = setting(0.0, "L2 penalty, added to the gradient", ge=0)
    state: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = "Robbins & Monro 1951; torch.optim.SGD"

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        add_decay(grads, params, self.weight_decay, scratch)
        descend(params, grads, rate, grads)


@dataclass(frozen=True)
class Momentum:
    """v ← momentum·v + g; p ← p − rate·v."""

    momentum: Column = setting(0.9, "share of the velocity that is kept", ge=0, lt=1)
    weight_decay: Column = setting(0.0, "L2 penalty, added to the gradient", ge=0)
    state: ClassVar[tuple[str, ...]] = ("velocity",)
    source: ClassVar[str] = "Polyak 1964; Sutskever et al. 2013; torch.optim.SGD(momentum=0.9)"

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        (velocity,) = state
        add_decay(grads, params, self.weight_decay, scratch)
        velocity *= self.momentum
        velocity += grads
        descend(params, velocity, rate, grads)


@dataclass(frozen=True)
class Nesterov:
    """v ← momentum·v + g; p ← p − rate·(g + momentum·v)."""

    momentum: Column = setting(0.9, "share of the velocity that is kept", ge=0, lt=1)
    weight_decay: Column = setting(0.0, "L2 penalty, added to the gradient", ge=0)
    state: ClassVar[tuple[str, ...]] = ("velocity",)
    source: ClassVar[str] = "Nesterov 1983; Sutskever et al. 2013; torch.optim.SGD(momentum=0.9, nesterov=True)"

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        (velocity,) = state
        add_decay(grads, params, self.weight_decay, scratch)
        velocity *= self.momentum
        velocity += grads
        np.multiply(velocity, self.momentum, out=scratch)
        scratch += grads
        descend(params, scratch, rate, scratch)


@dataclass(frozen=True)
class Adagrad:
    """s ← s + g²; p ← p − rate·g / (√s + eps)."""

    eps: Column = setting(1e-10, "keeps the division finite", gt=0)
    weight_decay: Column = setting(0.0, "L2 penalty, added to the gradient", ge=0)
    state: ClassVar[tuple[str, ...]] = ("squares",)
    source: ClassVar[str] = "Duchi, Hazan & Singer 2011; torch.optim.Adagrad"

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        (squares,) = state
        add_decay(grads, params, self.weight_decay, scratch)
        np.square(grads, out=scratch)
        squares += scratch
        np.sqrt(squares, out=scratch)
        scratch += self.eps
        np.divide(grads, scratch, out=scratch)
        descend(params, scratch, rate, scratch)


@dataclass(frozen=True)
class RMSprop:
    """s ← alpha·s + (1 − alpha)·g²; p ← p − rate·g / (√s + eps)."""

    alpha: Column = setting(0.99, "share of the squares' average that is kept", ge=0, lt=1)
    eps: Column = setting(1e-8, "keeps the division finite", gt=0)
    weight_decay: Column = setting(0.0, "L2 penalty, added to the gradient", ge=0)
    state: ClassVar[tuple[str, ...]] = ("squares",)
    source: ClassVar[str] = "Tieleman & Hinton 2012; torch.optim.RMSprop"

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        (squares,) = state
        add_decay(grads, params, self.weight_decay, scratch)
        np.square(grads, out=scratch)
        scratch *= 1 - self.alpha
        squares *= self.alpha
        squares += scratch
        np.sqrt(squares, out=scratch)
        scratch += self.eps
        np.divide(grads, scratch, out=scratch)
        descend(params, scratch, rate, scratch)


@dataclass(frozen=True)
class Adam:
    """p ← p − rate·m̂ / (√v̂ + eps), with the debiased averages m̂ of g and v̂ of g²."""

    beta1: Column = setting(0.9, "share of the gradient's average that is kept", ge=0, lt=1)
    beta2: Column = setting(0.999, "share of the squares' average that is kept", ge=0, lt=1)
    eps: Column = setting(1e-8, "keeps the division finite", gt=0)
    weight_decay: Column = setting(0.0, "L2 penalty, added to the gradient", ge=0)
    state: ClassVar[tuple[str, ...]] = ("sum", "squares")
    source: ClassVar[str] = "Kingma & Ba 2015; torch.optim.Adam"

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        add_decay(grads, params, self.weight_decay, scratch)
        self.move(params, grads, state, rate, t)

    def move(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int) -> None:
        """The step after any decay.

        The sums are kept without the factors 1 − β, which saves two passes over (R, P); `spread` and `shrink`, (R, 1),
        put them and the debiasing back.
        """
        total, squares = state
        total *= self.beta1
        total += grads
        np.square(grads, out=grads)
        squares *= self.beta2
        squares += grads
        spread = np.sqrt(weight(self.beta2, t))
        shrink = (rate * spread / weight(self.beta1, t)).astype(params.dtype)
        np.sqrt(squares, out=grads)
        grads += (self.eps * spread).astype(params.dtype)
        np.divide(total, grads, out=grads)
        descend(params, grads, shrink, grads)


def weight(beta: Column, t: int) -> Column:
    """1 + β + … + β^(t−1) in float64: the total weight of t terms, by which a decaying sum becomes its average."""
    beta = np.asarray(beta, np.float64)
    return (1 - beta**t) / (1 - beta)


@dataclass(frozen=True)
class AdamW(Adam):
    """p ← p·(1 − rate·weight_decay), then Adam's step: decay that the averages do not rescale."""

    weight_decay: Column = setting(0.01, "decoupled decay, multiplied by the rate", ge=0)
    source: ClassVar[str] = "Loshchilov & Hutter 2019; torch.optim.AdamW"

    def step(self, params: Array, grads: Array, state: Sequence[Array], rate: Array, t: int, scratch: Array) -> None:
        params *= 1 - rate * self.weight_decay
        self.move(params, grads, state, rate, t)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def build(name: str, settings: Sequence[dict[str, Any]], dtype: type[np.floating[Any]]) -> Optimizer:
    """The named rule over a stack; `settings` holds each run's own, which become columns (R, 1).

    A setting that is zero for all stays the number 0.0. Whether it is must not depend on a run's neighbours: the runs
    of a stack agree on which settings are zero.
    """
    rule = OPTIMIZERS[name]
    columns: dict[str, Column] = {}
    for field in fields(rule):  # type: ignore[arg-type]
        column = np.array([[run[field.name]] for run in settings], dtype)
        columns[field.name] = column if column.any() else 0.0
    return rule(**columns)
