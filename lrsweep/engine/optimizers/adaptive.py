"""Rules that scale each parameter's step by the gradients it has seen, without an average of the gradient itself; and
Lion, whose steps all have one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lrsweep.engine.optimizers.rule import Column, Pace, Rule, decay_setting
from lrsweep.vocabulary import Array, setting


@dataclass(frozen=True)
class Adagrad(Rule):
    """s ← s + g²; p ← p − rate·g / (√s + eps)."""

    eps: Column = setting(1e-10, "keeps the division finite", gt=0)
    weight_decay: Column = decay_setting()
    state: ClassVar[tuple[str, ...]] = ("squares",)
    source: ClassVar[str] = "Duchi, Hazan & Singer 2011; torch.optim.Adagrad"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        (squares,) = state
        pace.penalize(grads, params, self.weight_decay, scratch)
        np.square(grads, out=scratch)
        squares += scratch
        np.sqrt(squares, out=scratch)
        scratch += self.eps
        grads /= scratch
        pace.descend(params, grads, out=grads)


@dataclass(frozen=True)
class RMSprop(Rule):
    """s ← alpha·s + (1 − alpha)·g²; p ← p − rate·g / (√s + eps)."""

    alpha: Column = setting(0.99, "share of the squares' average that is kept", ge=0, lt=1)
    eps: Column = setting(1e-8, "keeps the division finite", gt=0)
    weight_decay: Column = decay_setting()
    state: ClassVar[tuple[str, ...]] = ("squares",)
    source: ClassVar[str] = "Tieleman & Hinton 2012; torch.optim.RMSprop"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        (squares,) = state  # a sum without the factor 1 − alpha, which saves a pass; `share` puts it back
        pace.penalize(grads, params, self.weight_decay, scratch)
        np.square(grads, out=scratch)
        squares *= self.alpha
        squares += scratch
        share = 1 / np.sqrt(1 - np.asarray(self.alpha, np.float64))
        np.sqrt(squares, out=scratch)
        scratch += np.asarray(self.eps * share, params.dtype)
        grads /= scratch
        pace.descend(params, grads, out=grads, share=share)


@dataclass(frozen=True)
class Adadelta(Rule):
    """s ← rho·s + (1 − rho)·g²; d = g·√((u + eps) / (s + eps)); u ← rho·u + (1 − rho)·d²; p ← p − rate·d."""

    rho: Column = setting(0.9, "share of both averages of squares that is kept", ge=0, lt=1)
    eps: Column = setting(1e-6, "keeps the division finite, and starts the steps", gt=0)
    weight_decay: Column = decay_setting()
    state: ClassVar[tuple[str, ...]] = ("squares", "moves")
    source: ClassVar[str] = "Zeiler 2012; torch.optim.Adadelta"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        squares, moves = state
        pace.penalize(grads, params, self.weight_decay, scratch)
        self.average(squares, grads, scratch)
        for array, combine in ((squares, np.divide), (moves, np.multiply)):
            np.add(array, self.eps, out=scratch)
            np.sqrt(scratch, out=scratch)
            combine(grads, scratch, out=grads)
        self.average(moves, grads, scratch)
        pace.descend(params, grads, out=grads)

    def average(self, squares: Array, values: Array, scratch: Array) -> None:
        """Moves an average of squares on by the values'."""
        np.square(values, out=scratch)
        scratch *= 1 - self.rho
        squares *= self.rho
        squares += scratch


@dataclass(frozen=True)
class Lion(Rule):
    """p ← p − rate·sign(beta1·m + (1 − beta1)·g), then m ← beta2·m + (1 − beta2)·g; decay as in AdamW."""

    beta1: Column = setting(0.9, "share of the average in the sign", ge=0, lt=1)
    beta2: Column = setting(0.99, "share of the average that is kept", ge=0, lt=1)
    weight_decay: Column = setting(0.0, "decoupled decay, multiplied by the rate", ge=0)
    state: ClassVar[tuple[str, ...]] = ("sum",)
    source: ClassVar[str] = "Chen et al. 2023"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        (total,) = state  # m / (1 − beta2)
        pace.shrink(params, self.weight_decay, scratch)
        np.multiply(total, self.beta1 * (1 - self.beta2) / (1 - self.beta1), out=scratch)
        scratch += grads
        np.sign(scratch, out=scratch)
        total *= self.beta2
        total += grads
        pace.descend(params, scratch, out=scratch)
