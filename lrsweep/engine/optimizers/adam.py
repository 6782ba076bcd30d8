"""Adam and its relatives. Sums are kept without the factors 1 − β, which saves two passes over (R, P) in each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from lrsweep.engine.optimizers.rule import Column, Pace, Rule, decay_setting, weight
from lrsweep.vocabulary import Array, setting


@dataclass(frozen=True)
class Adam(Rule):
    """p ← p − rate·m̂ / (√v̂ + eps), with the debiased averages m̂ of g and v̂ of g²."""

    beta1: Column = setting(0.9, "share of the gradient's average that is kept", ge=0, lt=1)
    beta2: Column = setting(0.999, "share of the squares' average that is kept", ge=0, lt=1)
    eps: Column = setting(1e-8, "keeps the division finite", gt=0)
    weight_decay: Column = decay_setting()
    state: ClassVar[tuple[str, ...]] = ("sum", "squares")
    cycled: ClassVar[str] = "beta1"
    source: ClassVar[str] = "Kingma & Ba 2015; torch.optim.Adam"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        pace.penalize(grads, params, self.weight_decay, scratch)
        self.move(params, grads, state, pace, t)

    def gather(self, grads: Array, state: Sequence[Array], pace: Pace, scratch: Array) -> None:
        """Adds the gradient and its square to their sums; `scratch` may be `grads`."""
        total, squares = state[:2]
        total *= pace.carried(self.beta1)
        total += grads
        np.square(grads, out=scratch)
        squares *= self.beta2
        squares += scratch

    def move(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int) -> None:
        """The step after any decay."""
        self.gather(grads, state, pace, scratch=grads)
        spread = pace.of_age(self.spread, t)
        self.denominator(self.second(state), spread, out=grads)
        np.divide(state[0], grads, out=grads)
        pace.descend(params, grads, grads, spread / pace.of_age(partial(weight, pace.moved(self.beta1)), t))

    def second(self, state: Sequence[Array]) -> Array:
        """The sum of squares that the step is divided by the root of."""
        return state[1]

    def spread(self, t: int) -> Column:
        """By what the root of the sum of squares exceeds the root of its average."""
        return np.sqrt(weight(self.beta2, t))

    def denominator(self, squares: Array, spread: Column, out: Array) -> None:
        """out ← spread · (√v̂ + eps), for the sum of squares."""
        np.sqrt(squares, out=out)
        out += np.asarray(self.eps * spread, out.dtype)


@dataclass(frozen=True)
class AdamW(Adam):
    """p ← p·(1 − rate·weight_decay), then Adam's step: decay that the averages do not rescale."""

    weight_decay: Column = setting(0.01, "decoupled decay, multiplied by the rate", ge=0)
    source: ClassVar[str] = "Loshchilov & Hutter 2019; torch.optim.AdamW"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        pace.shrink(params, self.weight_decay, scratch)
        self.move(params, grads, state, pace, t)


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam with the largest v so far in place of v, so that no parameter's step grows back."""

    state: ClassVar[tuple[str, ...]] = ("sum", "squares", "largest")
    source: ClassVar[str] = "Reddi, Kale & Kumar 2018; torch.optim.Adam(amsgrad=True)"

    def second(self, state: Sequence[Array]) -> Array:
        _, squares, largest = state
        return np.maximum(largest, squares, out=largest)


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam whose m̂ looks a step ahead, as Nesterov's momentum does, with a momentum that warms up.

    μₜ = beta1·(1 − ½·0.96^(t·momentum_decay)); m̂ = μₜ₊₁·m / (1 − μ₁⋯μₜ₊₁) + (1 − μₜ)·g / (1 − μ₁⋯μₜ).
    """

    momentum_decay: Column = setting(4e-3, "how fast the momentum warms up", ge=0)
    scalars: ClassVar[tuple[str, ...]] = ("product",)
    source: ClassVar[str] = "Dozat 2016; torch.optim.NAdam"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        total, squares, product = state
        pace.penalize(grads, params, self.weight_decay, scratch)
        self.gather(grads, state, pace, scratch)
        beta1, decay = (np.asarray(column, np.float64) for column in (pace.moved(self.beta1), self.momentum_decay))
        now, ahead = (beta1 * (1 - 0.5 * np.power(0.96, k * decay)) for k in (t, t + 1))
        product[...] = now * (product if t > 1 else 1)
        grads *= np.asarray((1 - now) / (1 - product), grads.dtype)
        np.multiply(total, np.asarray(ahead * (1 - beta1) / (1 - product * ahead), grads.dtype), out=scratch)
        grads += scratch
        spread = pace.of_age(self.spread, t)
        self.denominator(squares, spread, out=scratch)
        grads /= scratch
        pace.descend(params, grads, grads, spread)


@dataclass(frozen=True)
class RAdam(Adam):
    """Adam whose step is scaled by how well v is known so far, and is rate·m̂ while it is hardly known."""

    source: ClassVar[str] = "Liu et al. 2020; torch.optim.RAdam"

    def move(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int) -> None:
        total, squares = state
        self.gather(grads, state, pace, scratch=grads)
        # Its eps is added to the root of v before the debiasing, unlike Adam's.
        np.sqrt(squares, out=grads)
        grads += np.asarray(self.eps / np.sqrt(1 - np.asarray(self.beta2, np.float64)), grads.dtype)
        known, rectifier = pace.of_age(self.known, t) == 1, pace.of_age(self.rectifier, t)
        np.copyto(grads, 1, where=~known)
        np.divide(total, grads, out=grads)
        pace.descend(params, grads, grads, rectifier / pace.of_age(partial(weight, pace.moved(self.beta1)), t))

    def length(self, t: int) -> Array:
        """How many gradients a plain average would need to know v as well as this one does after t of them."""
        beta2 = np.asarray(self.beta2, np.float64)
        return 2 / (1 - beta2) - 1 - 2 * t * beta2**t / (1 - beta2**t)

    def known(self, t: int) -> Array:
        """1 where v is known well enough to divide by its root, else 0."""
        return np.where(self.length(t) > 5, 1.0, 0.0)

    def rectifier(self, t: int) -> Array:
        """What the step is multiplied by: for its variance and the debiasing where v is known, else 1."""
        limit = 2 / (1 - np.asarray(self.beta2, np.float64)) - 1
        length = np.maximum(self.length(t), 5)
        ratio = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        return np.where(self.known(t) == 1, np.sqrt(np.abs(ratio)) * self.spread(t), 1.0)
