"""Gradient descent, with and without momentum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lrsweep.engine.optimizers.rule import Column, Pace, Rule, decay_setting
from lrsweep.vocabulary import Array, setting


@dataclass(frozen=True)
class SGD(Rule):
    """p ← p − rate·g, the plain gradient step."""

    weight_decay: Column = decay_setting()
    state: ClassVar[tuple[str, ...]] = ()
    family: ClassVar[str] = "sgd"
    linear: ClassVar[bool] = True
    source: ClassVar[str] = "Robbins & Monro 1951; torch.optim.SGD"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        pace.penalize(grads, params, self.weight_decay, scratch)
        pace.descend(params, grads, out=grads)


@dataclass(frozen=True)
class Momentum(Rule):
    """v ← momentum·v + g; p ← p − rate·v."""

    momentum: Column = setting(0.9, "share of the velocity that is kept", ge=0, lt=1)
    weight_decay: Column = decay_setting()
    state: ClassVar[tuple[str, ...]] = ("velocity",)
    family: ClassVar[str] = "sgd"
    linear: ClassVar[bool] = True
    cycled: ClassVar[str] = "momentum"
    source: ClassVar[str] = "Polyak 1964; Sutskever et al. 2013; torch.optim.SGD(momentum=0.9)"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        (velocity,) = state
        pace.penalize(grads, params, self.weight_decay, scratch)
        velocity *= pace.moved(self.momentum)
        velocity += grads
        pace.descend(params, velocity, out=grads)


@dataclass(frozen=True)
class Nesterov(Momentum):
    """v ← momentum·v + g; p ← p − rate·(g + momentum·v)."""

    source: ClassVar[str] = "Nesterov 1983; Sutskever et al. 2013; torch.optim.SGD(momentum=0.9, nesterov=True)"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        (velocity,) = state
        momentum = pace.moved(self.momentum)
        pace.penalize(grads, params, self.weight_decay, scratch)
        velocity *= momentum
        velocity += grads
        np.multiply(velocity, momentum, out=scratch)
        scratch += grads
        pace.descend(params, scratch, out=scratch)
