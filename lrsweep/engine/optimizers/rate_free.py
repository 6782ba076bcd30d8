"""Rules that find their own size of step, or do without a schedule: reference rows beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from lrsweep.engine.optimizers.rule import Column, Pace, Rule, decay_setting, is_zero, weight
from lrsweep.vocabulary import Array, setting


def dot(left: Array, right: Array) -> Array:
    """Inner products (R, 1) of the rows of (R, P), in float64."""
    products: Array = np.matmul(left[:, None, :], right[:, :, None])[:, 0].astype(np.float64)
    return products


@dataclass(frozen=True)
class Prodigy(Rule):
    """Adam that learns d, its distance to the solution, and steps by d·rate: a rate of 1 is meant.

    d is the largest of d_coef·Σ⟨g, p₀ − p⟩ / ‖Σg‖₁ so far, both of them decaying sums in which g counts d²·rate times.
    """

    beta1: Column = setting(0.9, "share of the gradient's average that is kept", ge=0, lt=1)
    beta2: Column = setting(0.999, "share of the squares' average that is kept; its root, of the sums'", gt=0, lt=1)
    eps: Column = setting(1e-8, "keeps the division finite", gt=0)
    weight_decay: Column = setting(0.0, "decoupled decay, multiplied by d and the rate", ge=0)
    d0: Column = setting(1e-6, "the first distance", gt=0)
    d_coef: Column = setting(1.0, "factor of the distance", gt=0)
    state: ClassVar[tuple[str, ...]] = ("average", "squares", "sum", "start")
    points: ClassVar[tuple[str, ...]] = ("start",)
    scalars: ClassVar[tuple[str, ...]] = ("distance", "numerator")
    source: ClassVar[str] = "Mishchenko & Defazio 2024; prodigyopt"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        average, squares, total, start, distance, numerator = state
        d0, beta3 = np.asarray(self.d0, np.float64), np.sqrt(np.asarray(self.beta2, np.float64))
        if t == 1:
            distance[...] = d0
        d = distance.copy()
        weighed = d / d0 * d * pace.rate
        np.subtract(start, params, out=scratch)
        numerator *= beta3
        numerator += weighed * dot(grads, scratch)
        self.gather(grads, (average, squares, total), d, weighed, scratch)
        np.abs(total, out=scratch)
        found = self.d_coef * numerator / scratch.sum(axis=1, keepdims=True, dtype=np.float64)
        np.fmax(distance, found, out=distance)  # without any gradient so far, 0 / 0 tells nothing
        if not is_zero(self.weight_decay):
            pace.shrink(params, self.weight_decay * d, scratch)
        np.sqrt(squares, out=grads)
        grads += (distance * self.eps).astype(grads.dtype)
        np.divide(average, grads, out=grads)
        pace.descend(params, grads, grads, d)

    def gather(self, grads: Array, state: Sequence[Array], d: Array, weighed: Array, scratch: Array) -> None:
        """Moves the averages of d·g and (d·g)² and the sum of weighed gradients on; `grads` is overwritten."""
        average, squares, total = state
        total *= np.sqrt(self.beta2)
        np.multiply(grads, weighed.astype(grads.dtype), out=scratch)
        total += scratch
        grads *= d.astype(grads.dtype)
        np.multiply(grads, 1 - self.beta1, out=scratch)
        average *= self.beta1
        average += scratch
        np.square(grads, out=grads)
        grads *= 1 - self.beta2
        squares *= self.beta2
        squares += grads


@dataclass(frozen=True)
class ScheduleFree(Rule):
    """Adam without momentum moves z; gradients are taken at y, between z and the average x of the z, and x is measured.

    y = (1 − beta1)·z + beta1·x, and each z counts in x by the square of the largest rate so far.
    """

    beta1: Column = setting(0.9, "share of the average in the point of the gradient", gt=0, lt=1)
    beta2: Column = setting(0.999, "share of the squares' average that is kept", ge=0, lt=1)
    eps: Column = setting(1e-8, "keeps the division finite", gt=0)
    weight_decay: Column = decay_setting()
    state: ClassVar[tuple[str, ...]] = ("squares", "z")
    points: ClassVar[tuple[str, ...]] = ("z",)
    scalars: ClassVar[tuple[str, ...]] = ("largest", "weights")
    source: ClassVar[str] = "Defazio et al. 2024; schedulefree.AdamWScheduleFree"

    def step(self, params: Array, grads: Array, state: Sequence[Array], pace: Pace, t: int, scratch: Array) -> None:
        squares, z, largest, weights = state
        np.square(grads, out=scratch)
        squares *= self.beta2
        squares += scratch
        spread = np.sqrt(pace.of_age(partial(weight, self.beta2), t))
        np.sqrt(squares, out=scratch)
        scratch += np.asarray(self.eps * spread, scratch.dtype)
        grads /= scratch
        grads *= np.asarray(spread, grads.dtype)
        pace.penalize(grads, params, self.weight_decay, scratch)
        np.maximum(largest, pace.rate, out=largest)
        weights += largest**2
        share = np.where(weights > 0, largest**2 / np.where(weights > 0, weights, 1), 0)
        np.subtract(z, params, out=scratch)
        scratch *= share.astype(scratch.dtype)
        pace.hold(scratch)
        params += scratch
        pace.times(grads, out=grads)
        z -= grads
        grads *= (1 - self.beta1 * (1 - share)).astype(grads.dtype)
        params -= grads

    def evaluated(self, params: Array, state: Sequence[Array]) -> Array:
        """x, from y and z."""
        point = state[1] - params
        point *= 1 - 1 / self.beta1
        point += params
        return point
