"""The oracle's update rules as their papers or PyTorch write them: averages normalized, bias corrections spelt out.

A rule says how far tensors move: each becomes itself minus its movement, times its multiplier. It is given a tensor p,
its gradient g, what is remembered of it, the rate, the step t (from 1) and the settings s. `schedule_free` moves
another point than the one its gradient is of, which is the training loop's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lrsweep.vocabulary import Array

Settings = dict[str, Any]
Memory = dict[str, Any]
"""What a rule remembers: arrays in the tensor's shape and plain numbers, by their names in the papers."""

POINTS = {"p0"}
"""The remembered arrays that hold weights, not averages."""


def average(memory: Memory, name: str, beta: float, value: Array) -> Array:
    """The moving average that starts from zero, with its newest value."""
    memory[name] = beta * memory.get(name, 0) + (1 - beta) * value
    return memory[name]


def with_l2(g: Array, p: Array, s: Settings) -> Array:
    """The gradient of the loss plus ½·weight_decay·‖p‖²."""
    return g + s["weight_decay"] * p


# --- Plain gradients and momentum.


def sgd(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    return rate * with_l2(g, p, s)


def momentum(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    memory["v"] = s["momentum"] * memory.get("v", 0) + with_l2(g, p, s)
    return rate * memory["v"]


def nesterov(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    g = with_l2(g, p, s)
    memory["v"] = s["momentum"] * memory.get("v", 0) + g
    return rate * (g + s["momentum"] * memory["v"])


def lion(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    """Chen et al. 2023, algorithm 2."""
    direction = np.sign(s["beta1"] * memory.get("m", 0) + (1 - s["beta1"]) * g)
    average(memory, "m", s["beta2"], g)
    return rate * (direction + s["weight_decay"] * p)


# --- Gradients over their own size.


def adagrad(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    g = with_l2(g, p, s)
    memory["sum"] = memory.get("sum", 0) + g**2
    return rate * g / (np.sqrt(memory["sum"]) + s["eps"])


def rmsprop(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    g = with_l2(g, p, s)
    return rate * g / (np.sqrt(average(memory, "v", s["alpha"], g**2)) + s["eps"])


def adadelta(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    """Zeiler 2012, algorithm 1: gradients in units of the parameter, from the size of the movements so far."""
    g = with_l2(g, p, s)
    size = np.sqrt(average(memory, "v", s["rho"], g**2) + s["eps"])
    delta = np.sqrt(memory.get("u", 0) + s["eps"]) / size * g
    average(memory, "u", s["rho"], delta**2)
    return rate * delta


# --- Adam and its kin.


def adam(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    """Kingma & Ba 2015, algorithm 1."""
    g = with_l2(g, p, s)
    mean = average(memory, "m", s["beta1"], g) / (1 - s["beta1"] ** t)
    square = average(memory, "v", s["beta2"], g**2) / (1 - s["beta2"] ** t)
    return rate * mean / (np.sqrt(square) + s["eps"])


def adamw(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    return adam(p, g, memory, rate, t, {**s, "weight_decay": 0}) + rate * s["weight_decay"] * p


def amsgrad(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    """Reddi et al. 2018, with Adam's bias corrections as PyTorch has them: of the largest average, not before it."""
    g = with_l2(g, p, s)
    mean = average(memory, "m", s["beta1"], g) / (1 - s["beta1"] ** t)
    memory["largest"] = np.maximum(memory.get("largest", 0), average(memory, "v", s["beta2"], g**2))
    return rate * mean / (np.sqrt(memory["largest"] / (1 - s["beta2"] ** t)) + s["eps"])


def nadam(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    """Dozat 2016: the mean as it will be one step ahead, under a momentum that climbs to beta1."""
    g = with_l2(g, p, s)
    latest = np.max(t)  # the momentum climbs with the run, also for parameters that joined later
    now, ahead = (s["beta1"] * (1 - 0.5 * 0.96 ** (step * s["momentum_decay"])) for step in (latest, latest + 1))
    memory["product"] = memory.get("product", 1) * now
    mean = average(memory, "m", s["beta1"], g) / (1 - memory["product"] * ahead)
    square = average(memory, "v", s["beta2"], g**2) / (1 - s["beta2"] ** t)
    look_ahead = ahead * mean + (1 - now) * g / (1 - memory["product"])
    return rate * look_ahead / (np.sqrt(square) + s["eps"])


def radam(p: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    """Liu et al. 2020, algorithm 2: plain momentum until the variance of 1/√v is finite; eps where PyTorch has it."""
    g = with_l2(g, p, s)
    mean = average(memory, "m", s["beta1"], g) / (1 - s["beta1"] ** t)
    v, correction = average(memory, "v", s["beta2"], g**2), 1 - s["beta2"] ** t
    longest = 2 / (1 - s["beta2"]) - 1
    length = longest - 2 * t * s["beta2"] ** t / correction
    with np.errstate(all="ignore"):  # what is not known yet is not looked at
        share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        rectified = np.sqrt(share * correction) / (np.sqrt(v) + s["eps"])
    return rate * mean * np.where(length > 5, rectified, 1)


def schedule_free(y: Array, g: Array, memory: Memory, rate: float, t: Array, s: Settings) -> Array:
    """Defazio et al. 2024, algorithm 1: how far z moves from the gradient at y, and from the decay at y."""
    square = average(memory, "v", s["beta2"], g**2) / (1 - s["beta2"] ** t)
    return rate * (g / (np.sqrt(square) + s["eps"]) + s["weight_decay"] * y)


# --- All tensors at once.

Rule = Callable[[list[Array], list[Array], list[Memory], Memory, float, list[Array], list[Settings]], list[Array]]
"""(tensors, gradients, memory of each, memory of all, rate, ages of each, settings of each) -> movements"""


def prodigy(
    tensors: list[Array],
    grads: list[Array],
    memories: list[Memory],
    common: Memory,
    rate: float,
    ages: list[Array],
    settings: list[Settings],
) -> list[Array]:
    """Mishchenko & Defazio 2023, algorithm 4: Adam over d, which grows towards the distance from start to solution.

    As in the authors' package, eps is times the new d, all the rest times the old.
    """
    s = settings[0]
    d, beta3 = common.get("d", s["d0"]), math.sqrt(s["beta2"])
    along = weight = 0.0
    for p, g, memory in zip(tensors, grads, memories, strict=True):
        along += float(np.sum(g * (memory.setdefault("p0", p) - p)))
        weight += float(np.abs(average(memory, "s", beta3, rate * d**2 * g)).sum())
    r = average(common, "r", beta3, rate * d**2 * along)
    common["d"] = max(d, s["d_coef"] * r / weight) if weight > 0 else d
    moves = []
    for p, g, memory, own in zip(tensors, grads, memories, settings, strict=True):
        m, v = average(memory, "m", s["beta1"], d * g), average(memory, "v", s["beta2"], (d * g) ** 2)
        moves.append(rate * d * (m / (np.sqrt(v) + common["d"] * s["eps"]) + own["weight_decay"] * p))
    return moves


def each(rule: Callable[[Array, Array, Memory, float, Array, Settings], Array]) -> Rule:
    """A rule of one tensor, applied to all."""

    def apply(
        tensors: list[Array],
        grads: list[Array],
        memories: list[Memory],
        common: Memory,
        rate: float,
        ages: list[Array],
        settings: list[Settings],
    ) -> list[Array]:
        tensorwise = zip(tensors, grads, memories, ages, settings, strict=True)
        return [rule(p, g, memory, rate, t, s) for p, g, memory, t, s in tensorwise]

    return apply


RULES: dict[str, Rule] = {
    "sgd": each(sgd),
    "momentum": each(momentum),
    "nesterov": each(nesterov),
    "adagrad": each(adagrad),
    "rmsprop": each(rmsprop),
    "adadelta": each(adadelta),
    "adam": each(adam),
    "adamw": each(adamw),
    "amsgrad": each(amsgrad),
    "nadam": each(nadam),
    "radam": each(radam),
    "lion": each(lion),
    "prodigy": prodigy,
    "schedule_free": each(schedule_free),
}
