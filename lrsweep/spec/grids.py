"""Axes: lists and grids of values, counted before they are made, so that a sweep of 10^30 runs is refused, not expanded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

import numpy as np

Number = int | float


@dataclass(frozen=True)
class Axis:
    """The values of a key; `count` is known, `make` makes them."""

    count: int
    make: Callable[[], list[Any]]

    @classmethod
    def of(cls, *values: Any) -> Axis:
        """An axis of known values."""
        return cls(len(values), lambda: list(values))

    @classmethod
    def chained(cls, axes: Sequence[Axis]) -> Axis:
        """One axis after the other."""
        return cls(sum(axis.count for axis in axes), lambda: list(chain.from_iterable(axis.make() for axis in axes)))

    @classmethod
    def product(cls, axes: dict[str, Axis], build: Callable[[dict[str, Any]], Any]) -> Axis:
        """Every combination of named axes, built into one value each."""

        def make() -> list[Any]:
            return [build(dict(zip(axes, values, strict=True))) for values in product(*(a.make() for a in axes.values()))]

        return cls(math.prod(axis.count for axis in axes.values()), make)


def log(low: Number, high: Number, num: int) -> list[float]:
    """Evenly spaced in the logarithm, both ends in.

    >>> log(1e-3, 1, 4)
    [0.001, 0.01, 0.1, 1.0]
    """
    return [rounded(value) for value in np.geomspace(low, high, num)]


def linear(low: Number, high: Number, num: int) -> list[float]:
    """Evenly spaced, both ends in."""
    return [rounded(value) for value in np.linspace(low, high, num)]


def doubling(low: Number, high: Number, num: int) -> list[Number]:
    """Each value twice the one before.

    >>> doubling(16, 64, 3)
    [16, 32, 64]
    """
    return [low * 2**k for k in range(num)]


def log_uniform(low: Number, high: Number, num: int) -> list[float]:
    """Both ends, and between them values drawn evenly in the logarithm: always the same ones, in order."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0)))
    return between(low, high, random.random(num - 2).tolist())


def halton(low: Number, high: Number, num: int) -> list[float]:
    """Both ends, and between them the base-2 Halton sequence (van der Corput) in the logarithm, in order.

    >>> halton(1e-4, 1, 5)
    [0.0001, 0.001, 0.01, 0.1, 1.0]
    """
    return between(low, high, [int(f"{i:b}"[::-1], 2) / 2 ** i.bit_length() for i in range(1, num - 1)])


def between(low: Number, high: Number, shares: list[float]) -> list[float]:
    """The ends and the values at the given shares of the way, in the logarithm."""
    return [rounded(low * (high / low) ** share) for share in sorted([0.0, *shares, 1.0])]


def rounded(value: float) -> float:
    """To six significant digits, so that 1e-3 is 0.001."""
    return float(f"{value:.6g}")


MAKERS: dict[str, Callable[[Number, Number, int], Sequence[Number]]] = {
    "log": log,
    "linear": linear,
    "doubling": doubling,
    "log_uniform": log_uniform,
    "halton": halton,
}


def grid(name: str, low: Number, high: Number, num: int, whole: bool) -> Axis:
    """The named grid; `whole` rounds its values to whole numbers."""

    def make() -> list[Number]:
        values = MAKERS[name](low if name == "doubling" else float(low), float(high), num)
        return [round(value) for value in values] if whole else [float(value) for value in values]

    return Axis(num, make)


def per_decade(low: Number, high: Number, each: int) -> int:
    """How many values a grid has with so many to the decade, both ends in.

    >>> per_decade(1e-4, 1, 3)
    13
    """
    return max(2, round(each * (math.log10(high) - math.log10(low))) + 1)


def doublings(low: Number, high: Number) -> int | None:
    """How many values a doubling from low to high has, or None where it does not arrive there."""
    exact = math.log2(high) - math.log2(low)
    return round(exact) + 1 if math.isclose(exact, round(exact), abs_tol=1e-9) else None
